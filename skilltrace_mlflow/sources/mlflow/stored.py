"""Traces as a store holds them, with what it lists and does not hand over.

Not fully stored is not absent: a turn that still runs, or whose spans are lost, may have done what
is looked for.

The id of a trace that lies in Unity Catalog is `trace:/<location>/<id>`; a location is
`catalog.schema.prefix`, or `catalog.schema` as the first version of these tables had it. An
experiment that is linked to a location finds its traces there. A SQL warehouse reads them, and
reads the whole table unless a search is bounded by time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.mlflow._generation import AGENT_ID_TAG
from skilltrace_mlflow.sources.mlflow.names import copied_from
from skilltrace_mlflow.sources.mlflow.trace import session_from_trace

if TYPE_CHECKING:
    from mlflow.entities import Trace, TraceInfo

__all__ = [
    "AHEAD",
    "DESTINATION",
    "LONGEST",
    "WAREHOUSE",
    "StoredTraces",
    "between",
    "has_root",
    "is_location",
    "location_of_id",
    "may_be_claude_code",
    "require_warehouse",
    "session_id_of",
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


@dataclass(frozen=True, kw_only=True)
class StoredTraces:
    """Traces as a store holds them, oldest first, and what it lists and does not hand over.

    `unfinished` are the infos of Claude Code's traces without (all) their spans: still running, or
    not written whole. What their agents did is not known, which is not the same as not done.
    """

    traces: tuple[Trace, ...]
    unfinished: tuple[TraceInfo, ...] = ()

    @property
    def infos(self) -> Sequence[TraceInfo]:
        """Of all of them, finished or not."""
        return [*(trace.info for trace in self.traces), *self.unfinished]

    @property
    def gaps(self) -> tuple[str, ...]:
        """For each unfinished trace, what is to be said of it."""
        return tuple(
            f"trace {info.trace_id} "
            + ("is still running" if _state(info) == "IN_PROGRESS" else "is not wholly stored")
            + f" (of {_when(info)}): what it did is not known"
            for info in self.unfinished
        )

    @property
    def first_id(self) -> str:
        """Id of the oldest trace."""
        return self.start[1]

    @property
    def session_id(self) -> str | None:
        """Id of the session that they are turns of."""
        return session_id_of(self.infos[0])

    def session(self) -> Session:
        """The session that they show; incomplete where a trace is unfinished."""
        gaps = self.gaps
        if not self.traces:
            return Session(
                session_id=self.session_id,
                source=self.first_id,
                usage_complete=False,
                usage_notes=gaps,
                incomplete=gaps,
            )
        single = self.traces[0] if len(self.traces) == 1 else list(self.traces)
        session = session_from_trace(single)
        if not gaps:
            return session
        return replace(
            session,
            incomplete=(*session.incomplete, *gaps),
            usage_complete=False,
            usage_notes=(*session.usage_notes, *gaps),
        )

    def by_session(self) -> list[StoredTraces]:
        """The same, one for each session, in order of their first turns."""
        groups: dict[str, tuple[list[Trace], list[TraceInfo]]] = {}
        infos = [(trace.info, trace) for trace in self.traces]
        for info, trace in [*infos, *((info, None) for info in self.unfinished)]:
            name = session_id_of(info) or str(info.trace_id)
            traces, unfinished = groups.setdefault(name, ([], []))
            if trace is None:
                unfinished.append(info)
            else:
                traces.append(trace)
        found = [
            StoredTraces(traces=tuple(traces), unfinished=tuple(unfinished))
            for traces, unfinished in groups.values()
        ]
        return sorted(found, key=lambda group: group.start)

    @property
    def start(self) -> tuple[int, str]:
        """When the oldest began, and its id."""
        return min((int(info.request_time), str(info.trace_id)) for info in self.infos)


def may_be_claude_code(info: TraceInfo) -> bool:
    """Whether a trace whose spans are not there may be of Claude Code: not if its name is known and
    is another program's, or it is a copy that MLflow made.
    """
    if copied_from(info.tags) is not None:
        return False
    name: str | None = info.tags.get("mlflow.traceName")
    return not name or AGENT_ID_TAG in info.tags or name.startswith("claude_code")


def session_id_of(info: TraceInfo) -> str | None:
    """Id of the session that a trace is a turn of."""
    session_id: str | None = info.trace_metadata.get("mlflow.trace.session")
    return session_id


def has_root(trace: Trace) -> bool:
    """Whether the span that holds all others is there; without a name nobody knows whose it is."""
    return any(span.parent_id is None and span.name for span in trace.data.spans)


def _state(info: TraceInfo) -> str:
    return str(getattr(info.state, "value", info.state))


def _when(info: TraceInfo) -> str:
    moment = datetime.fromtimestamp(info.request_time / 1000, timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


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
