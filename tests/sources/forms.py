"""One session in every form in which evidence can be handed over."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from skilltrace_mlflow.importing._store import trace_id_of
from skilltrace_mlflow.importing.spans import build_trace
from skilltrace_mlflow.importing.turns import split_turns
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.session_json import session_to_json
from tests.sources.table_rows import unified_row

__all__ = ["FIGURES", "FORMS", "as_traces"]


def as_traces(session: Session) -> list[dict[str, Any]]:
    """The session's turns as `Trace.to_dict()` writes them, without a store."""
    traces = []
    for turn in split_turns(session, name="session"):
        built = build_trace(turn, trace_id_of("1", turn, redacted=False))
        traces.append(
            {
                "info": {
                    "trace_id": built.trace_id,
                    "trace_location": {
                        "type": "MLFLOW_EXPERIMENT",
                        "mlflow_experiment": {"experiment_id": "1"},
                    },
                    "request_time": "2026-01-13T18:47:29Z",
                    "execution_duration_ms": (built.end_ns - built.start_ns) // 1_000_000,
                    "state": "OK",
                    "trace_metadata": {"mlflow.trace.session": turn.session_id},
                    "tags": {},
                },
                "data": {"spans": built.spans},
            }
        )
    return traces


def _dump(session: Session) -> Any:
    return json.loads(json.dumps(session_to_json(session)))


def _entities(session: Session) -> Any:
    from mlflow.entities import Trace  # the tests on Spark run without MLflow

    return [Trace.from_dict(trace) for trace in as_traces(session)]


def _figures(session: Session) -> Any:
    return json.loads(json.dumps(compute_metrics(session).to_dict()))


def _figures_and_inputs(session: Session) -> Any:
    return json.loads(json.dumps(compute_metrics(session).to_dict(inputs=True)))


FORMS: Mapping[str, Callable[[Session], Any]] = {
    "TraceMetrics": compute_metrics,
    "dump": _dump,
    "Trace": _entities,
    "Trace.to_dict": as_traces,
    "table rows": lambda session: [unified_row(trace) for trace in as_traces(session)],
    "Trace.to_json": lambda session: [json.dumps(trace) for trace in as_traces(session)],
}
"""Forms that hold all of a session."""

FIGURES: Mapping[str, Callable[[Session], Any]] = {
    "figures": _figures,
    "figures with inputs": _figures_and_inputs,
}
"""Forms that are known to lack something: results, and without inputs those too."""
