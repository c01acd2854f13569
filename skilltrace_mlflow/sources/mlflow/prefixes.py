"""Ids in a store that begin as a person gave them: `list-traces` shows no more than fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from skilltrace_mlflow.sources.locate import is_prefix
from skilltrace_mlflow.sources.mlflow.store import (
    connect,
    resolve_experiment,
    store_errors,
    tracking_uri_of,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Trace

__all__ = ["session_ids_like", "trace_ids_like"]

_SESSION = "mlflow.trace.session"
_MOST = 200
_EXPERIMENTS = 200


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
    with store_errors("the traces", tracking_uri), connect(tracking_uri) as client:
        places = _places(client, experiment, tracking_uri)
        if places:
            yield from client.search_traces(
                locations=places, filter_string=query, max_results=_MOST, include_spans=False
            )


def _places(client: MlflowClient, experiment: str | None, tracking_uri: str | None) -> list[str]:
    if experiment is not None:
        return [resolve_experiment(experiment, tracking_uri=tracking_uri)]
    if tracking_uri_of(tracking_uri).startswith("databricks"):
        return []
    found = client.search_experiments(max_results=_EXPERIMENTS)
    return [item.experiment_id for item in found]
