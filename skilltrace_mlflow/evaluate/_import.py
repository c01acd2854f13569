"""Files as MLflow traces: an assessment needs a trace to stand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from skilltrace_mlflow.evaluate._find import Importer
from skilltrace_mlflow.importing import import_transcripts
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.mlflow import store as mlflow_store

__all__ = ["importer_into"]

_SOURCE_TAG = "skilltrace.source"
_TURN_TAG = "skilltrace.turn"


def importer_into(experiment: Callable[[], str]) -> Importer:
    """An importer into the experiment with the id that `experiment()` gives; importing the same
    file again gives the same traces.

    A session without a file is not imported; if its transcript was, those traces are given.
    """

    def log(session: Session, file: Path | None) -> Sequence[str]:
        experiment_id = experiment()
        if file is not None:
            import_transcripts([file], experiment=experiment_id)
        if session.session_id is None:
            return ()
        traces = [
            trace
            for trace in mlflow_store.fetch_session_traces(session.session_id, experiment_id).traces
            if trace.info.tags.get(_SOURCE_TAG) == "transcript"
        ]
        return [trace.info.trace_id for trace in sorted(traces, key=_turn)]

    return log


def _turn(trace: Any) -> int:
    return int(trace.info.tags.get(_TURN_TAG, 0))
