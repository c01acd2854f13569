"""`mlflow.genai.evaluate` over rows whose verdicts are known already.

Every verdict is computed once, without MLflow; a single scorer then hands out the Feedbacks of the
row it is called with. MLflow logs them, links the traces to the run and keeps the expectations.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import mlflow
from mlflow.entities import Feedback, Trace, TraceData
from mlflow.genai.scorers import Scorer, scorer

from skilltrace_mlflow._internals import forget_active_run
from skilltrace_mlflow.evaluate._rows import Row
from skilltrace_mlflow.sources.mlflow.tags import COPY_TAG, copied_from

__all__ = ["log_rows", "make_trace", "rounds", "run_scorers"]


def rounds(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows in as few calls as possible with no trace twice in one: MLflow crashes on that."""
    calls: list[list[Row]] = []
    seen: dict[str, int] = {}
    for row in rows:
        number = 0
        if row.trace_id is not None:
            number = seen.get(row.trace_id, 0)
            seen[row.trace_id] = number + 1
        while len(calls) <= number:
            calls.append([])
        calls[number].append(row)
    return calls


def log_rows(
    rows: Sequence[Row], run_id: str, *, copies: set[str], stopped: Callable[[], bool]
) -> None:
    """Let MLflow log the items of `rows` under the run; traces are all there or all missing.

    Rows without a trace learn the id of the one that MLflow makes for them; `copies` those of the
    copies that MLflow makes of traces. Raises whatever MLflow raises; some items may be logged
    then.
    """
    with_trace = rows[0].trace is not None
    by_trace = {row.trace_id: row for row in rows}
    by_key = {row.key: row for row in rows}

    def verdicts_of(trace: Any = None, inputs: Any = None) -> list[Feedback]:
        if trace is None or stopped():
            return []
        if with_trace:
            # What is not linked is copied; its verdicts are logged on the original afterwards.
            row = by_trace.get(trace.info.trace_id)
            if row is None and copied_from(trace.info.tags) is not None:
                copies.add(trace.info.trace_id)
            return [] if row is None else row.feedbacks()
        row = by_key[inputs["test_id"], inputs["attempt"]]
        row.trace_id = trace.info.trace_id
        return row.feedbacks()

    # timeout=0: nothing here can hang, and MLflow starts a thread per call for any other.
    verdicts = scorer(verdicts_of, name="skilltrace", timeout=0)
    if with_trace:
        data = [{"trace": _slim(row.trace), "expectations": dict(row.expectations)} for row in rows]
    else:
        data = [
            {
                "inputs": row.inputs,
                "outputs": _outputs(row),
                "expectations": dict(row.expectations),
            }
            for row in rows
        ]
    _evaluate(data, [verdicts], run_id)


def run_scorers(
    rows: Sequence[Row], scorers: Sequence[Scorer], run_id: str, *, copies: set[str]
) -> None:
    """Let MLflow run scorers of its own (models as judges) on rows that all have traces; `copies`
    are as those of `log_rows`.
    """
    known = {row.trace_id for row in rows}

    def learn(trace: Any = None) -> list[Feedback]:
        if trace is None or trace.info.trace_id in known:
            return []
        if copied_from(trace.info.tags) is not None:
            copies.add(trace.info.trace_id)
        return []

    data = [
        {
            "trace": _marked(row.trace),
            "inputs": row.inputs,
            "outputs": _outputs(row),
            "expectations": dict(row.found.case.response_expectations),
        }
        for row in rows
    ]
    _evaluate(data, [*scorers, scorer(learn, name="skilltrace", timeout=0)], run_id)


def make_trace(row: Row) -> None:
    """A trace like the one that MLflow makes for a row without one, where it failed to."""
    with mlflow.start_span(name="root_span") as span:
        span.set_inputs(row.inputs)
        span.set_outputs(_outputs(row))
    mlflow.flush_trace_async_logging()
    row.trace_id = span.trace_id


def _evaluate(data: list[dict[str, Any]], scorers: list[Scorer], run_id: str) -> None:
    with _active(run_id):
        mlflow.genai.evaluate(data=data, scorers=scorers)


@contextlib.contextmanager
def _active(run_id: str) -> Iterator[None]:
    """The run is active inside the block, and not ended by it: how it ended is decided when all is
    verified. MLflow looks through the active runs of all threads, so that one left behind would
    take in every later trace of the process.
    """
    run = mlflow.start_run(run_id=run_id)
    try:
        yield
    finally:
        forget_active_run(run)


def _outputs(row: Row) -> Any:
    case = row.found.case
    if case.response is not None:
        return {**case.outputs, "response": case.response}
    if row.found.session is not None and row.found.session.response is not None:
        return {"response": row.found.session.response}
    return dict(case.outputs) or None


def _slim(trace: Trace) -> Trace:
    """The trace without its inner spans: MLflow digests rows as text, and reads only the root."""
    root = [span for span in trace.data.spans if span.parent_id is None]
    return Trace(info=_marked(trace).info, data=TraceData(spans=root))


def _marked(trace: Trace) -> Trace:
    """The trace with a tag that only a copy of it will have in the store."""
    tags = {**trace.info.tags, COPY_TAG: trace.info.trace_id}
    return Trace(info=replace(trace.info, tags=tags), data=trace.data)
