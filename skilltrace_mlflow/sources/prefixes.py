"""A whole id from its beginning, as people copy it from a list: of a trace, or of a session.

Whoever writes an id into a file writes it whole; only what a person types is taken for a beginning.
It is looked for on this machine and in a store, since `list-traces` shows no more than fits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.sources.locate import is_prefix, local_ids_like

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Trace

__all__ = [
    "STORE_VARIABLES",
    "session_ids_like",
    "store_is_named",
    "trace_ids_like",
    "whole_session_id",
    "whole_trace_id",
]

STORE_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID")
_WHOLE_TRACE = re.compile(r"tr-[0-9a-f]{32}")
_WHOLE_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHOWN = 5
_SESSION = "mlflow.trace.session"
_MOST = 200
_EXPERIMENTS = 200


def whole_trace_id(
    given: str, *, experiment: str | None = None, tracking_uri: str | None = None
) -> str:
    """The id of the one trace that begins so; `given` itself where none does.

    Raises ConfigurationError where several do, EvaluationError if the store cannot be asked.
    """
    if _WHOLE_TRACE.fullmatch(given) or not is_prefix(given):
        return given
    from skilltrace_mlflow.sources.mlflow.store import probe

    probe(tracking_uri)
    return _only("trace", given, trace_ids_like(given, experiment, tracking_uri=tracking_uri))


def whole_session_id(
    given: str,
    *,
    in_store: bool = False,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> str:
    """The id of the one session that begins so, on this machine or (`in_store`, or where none does
    and a store is named) in MLflow; `given` itself where none does. Raises as `whole_trace_id`.
    """
    if _WHOLE_SESSION.fullmatch(given) or not is_prefix(given):
        return given
    found = [] if in_store else local_ids_like(given)
    if not found and (in_store or store_is_named()):
        from skilltrace_mlflow.sources.mlflow.store import probe

        probe(tracking_uri)
        found = session_ids_like(given, experiment, tracking_uri=tracking_uri)
    return _only("session", given, found)


def store_is_named() -> bool:
    """Whether MLflow's environment variables name a store or an experiment."""
    return any(os.environ.get(name) for name in STORE_VARIABLES)


def _only(kind: str, given: str, found: Sequence[str]) -> str:
    if given in found or not found:
        return given
    if len(found) > 1:
        shown = ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
        raise ConfigurationError(
            f"{kind} {given!r}: {len(found)} {kind}s begin so: {shown}; give more of the id"
        )
    return found[0]


def trace_ids_like(
    prefix: str, experiment: str | None = None, *, tracking_uri: str | None = None
) -> list[str]:
    """Ids of traces that begin so, in the experiment, without one in all of the store's.

    Empty for what is no beginning of an id, and on Databricks without an experiment. Raises
    EvaluationError if the store cannot be asked.
    """
    if not is_prefix(prefix):
        return []
    query = f"request_id LIKE '{prefix}%'"
    found = {t.info.trace_id for t in _found(query, experiment, tracking_uri)}
    return sorted(trace_id for trace_id in found if trace_id.startswith(prefix))


def session_ids_like(
    prefix: str, experiment: str | None = None, *, tracking_uri: str | None = None
) -> list[str]:
    """Ids of sessions that begin so, as `trace_ids_like` finds those of traces."""
    if not is_prefix(prefix):
        return []
    query = f"metadata.`{_SESSION}` LIKE '{prefix}%'"
    traces = _found(query, experiment, tracking_uri)
    found = {str(trace.info.trace_metadata.get(_SESSION, "")) for trace in traces}
    return sorted(session_id for session_id in found if session_id.startswith(prefix))


def _found(query: str, experiment: str | None, tracking_uri: str | None) -> Iterator[Trace]:
    from skilltrace_mlflow.sources.mlflow.store import connect, store_errors

    with store_errors("the traces", tracking_uri), connect(tracking_uri) as client:
        places = _places(client, experiment, tracking_uri)
        if places:
            yield from client.search_traces(
                locations=places, filter_string=query, max_results=_MOST, include_spans=False
            )


def _places(client: MlflowClient, experiment: str | None, tracking_uri: str | None) -> list[str]:
    from skilltrace_mlflow.sources.mlflow.store import resolve_experiment, tracking_uri_of

    if experiment is not None:
        return [resolve_experiment(experiment, tracking_uri=tracking_uri)]
    if tracking_uri_of(tracking_uri).startswith("databricks"):
        return []
    found = client.search_experiments(max_results=_EXPERIMENTS)
    return [item.experiment_id for item in found]
