"""Attempts as MLflow traces: imported once, or found where autolog logged them; tagged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.agent.records import Record
from skilltrace_mlflow.evaluate import REQUEST_TAG, request_id
from skilltrace_mlflow.importing import import_transcripts
from skilltrace_mlflow.sources.mlflow import store as mlflow_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["experiment_id_of", "log_attempts"]

_IMPORTED = ("skilltrace.source", "transcript")


def experiment_id_of(experiment: str | None, tracking_uri: str | None) -> str:
    """The id of the experiment that traces go to; it is made if it does not exist."""
    name = experiment or mlflow_store.experiment_of()
    asked = mlflow_store.store_errors(f"experiment {name!r}", tracking_uri)
    with asked, mlflow_store.connect(tracking_uri, create=True) as client:
        found = client.get_experiment_by_name(name)
        if found is None and not name.isdigit():
            return str(client.create_experiment(name))
    return mlflow_store.resolve_experiment(experiment, tracking_uri=tracking_uri)


def log_attempts(
    records: Iterable[Record],
    *,
    skill: str,
    run_id: str,
    experiment_id: str,
    tracking_uri: str | None,
    redact: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Record, tuple[str, ...]]:
    """The ids of the traces of each attempt with a transcript, in order of its turns.

    A session that the experiment holds already, logged by autolog or by an earlier try, is not
    logged again. Raises EvaluationError if the store does not answer.
    """
    records = [record for record in records if record.transcript is not None]
    found = {r: _of_session(r.session_id, experiment_id, tracking_uri) for r in records}
    # An import again costs little, and completes one that was killed between two turns.
    missing = [r.transcript for r in records if not _live(found[r]) and r.transcript is not None]
    if missing:
        import_transcripts(
            missing,
            experiment=experiment_id,
            tracking_uri=tracking_uri,
            redact=redact,
            progress=progress,
        )
    traces: dict[Record, tuple[str, ...]] = {}
    with mlflow_store.connect(tracking_uri) as client:
        for record in records:
            own = _live(found[record]) or _of_session(
                record.session_id, experiment_id, tracking_uri
            )
            tags = {
                "skilltrace.skill": skill,
                "skilltrace.test_id": record.test_id,
                "skilltrace.attempt": str(record.attempt),
                "skilltrace.arm": record.arm,
                "skilltrace.run": run_id,
                "skilltrace.end": record.end,
                REQUEST_TAG: request_id(skill, record.test_id, record.attempt),
            }
            for trace in own:
                _tag(client, trace, tags)
            traces[record] = tuple(trace.info.trace_id for trace in own)
    return traces


def _of_session(session_id: str, experiment_id: str, tracking_uri: str | None) -> list[Any]:
    """The session's traces: those of autolog where there are any, else the imported ones."""
    held = mlflow_store.fetch_session_traces(session_id, experiment_id, tracking_uri=tracking_uri)
    traces = list(held.traces)
    return _live(traces) or traces


def _live(traces: Iterable[Any]) -> list[Any]:
    """Those that were logged while the session ran."""
    key, value = _IMPORTED
    return [trace for trace in traces if trace.info.tags.get(key) != value]


def _tag(client: MlflowClient, trace: Any, tags: Mapping[str, str]) -> None:
    with mlflow_store.store_errors(f"trace {trace.info.trace_id}", None):
        for name, value in tags.items():
            if trace.info.tags.get(name) != value:
                client.set_trace_tag(trace.info.trace_id, name, value)
