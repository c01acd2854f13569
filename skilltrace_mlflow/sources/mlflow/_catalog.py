"""Traces that lie in Unity Catalog: their ids, where they are searched, and what that needs.

Such a trace's id is `trace:/<location>/<id>`; a location is `catalog.schema.prefix`, or
`catalog.schema` as the first version of these tables had it. An experiment that is linked to a
location finds its traces there. A SQL warehouse reads them, and reads the whole table unless a
search is bounded by time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from skilltrace_mlflow.errors import ConfigurationError

__all__ = [
    "AHEAD",
    "DESTINATION",
    "LONGEST",
    "WAREHOUSE",
    "between",
    "is_location",
    "location_of_id",
    "require_warehouse",
    "windows",
]

WAREHOUSE = "MLFLOW_TRACING_SQL_WAREHOUSE_ID"
DESTINATION = "mlflow.experiment.databricksTraceDestinationPath"
"""The tag of an experiment that names the location of its traces."""

LONGEST = timedelta(days=400)
"""How far back a search looks that no time is given for."""

_LOCATION = re.compile(r"[^\s/.]+\.[^\s/.]+(?:\.[^\s/.]+)?")
_ID = re.compile(rf"trace:/({_LOCATION.pattern})/[^\s/]+")
# Clocks differ, and a trace of this very moment is wanted as well.
AHEAD = timedelta(days=1)
"""How far beyond now a search reaches."""

_BACK = (timedelta(days=1), timedelta(days=7), timedelta(days=30), LONGEST)


def is_location(text: str) -> bool:
    """Whether `text` is a location and no experiment: on Databricks these are paths or numbers."""
    return _LOCATION.fullmatch(text) is not None


def location_of_id(trace_id: str) -> str | None:
    """The location in a trace's id, None for a trace of an experiment.

    Raises ConfigurationError for an id that begins like one of Unity Catalog and is none.
    """
    if not trace_id.startswith("trace:/"):
        return None
    found = _ID.fullmatch(trace_id)
    if found is None:
        raise ConfigurationError(
            f"trace {trace_id}: ids in Unity Catalog are trace:/catalog.schema.prefix/<id>"
        )
    return found[1]


def require_warehouse(what: str, tracking_uri: str) -> None:
    """Raises ConfigurationError where nothing could read traces in Unity Catalog."""
    if not tracking_uri.startswith("databricks"):
        raise ConfigurationError(
            f"{what}: lies in Unity Catalog, and {tracking_uri} is no workspace; give "
            "--tracking-uri databricks"
        )
    if not os.environ.get(WAREHOUSE):
        raise ConfigurationError(
            f"{what}: lies in Unity Catalog, which a SQL warehouse reads: set {WAREHOUSE} "
            "(databricks warehouses list shows the ids)"
        )


def between(start: datetime | None, end: datetime | None) -> str:
    """The condition of a search that a trace began in [start, end)."""
    bounds = ((">=", start), ("<", end))
    return " AND ".join(
        f"trace.timestamp_ms {sign} {int(moment.timestamp() * 1000)}"
        for sign, moment in bounds
        if moment is not None
    )


def windows(since: datetime | None = None) -> Iterator[tuple[datetime, datetime]]:
    """Stretches of time from now back to `since` (else LONGEST ago), the newest first.

    Together they are without gaps and overlaps, so that whoever needs the newest few traces need
    not have the table read whole.
    """
    now = datetime.now(timezone.utc)
    end = now + AHEAD
    for back in _BACK:
        start = now - back
        if since is not None and (since > start or back is _BACK[-1]):
            yield since, end
            return
        yield start, end
        end = start
