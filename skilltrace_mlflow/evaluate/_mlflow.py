"""What MLflow runs itself: `mlflow.genai.evaluate` over known verdicts, and its own scorers.

Every verdict is computed once, without MLflow; a single scorer then hands out the Feedbacks of the
row it is called with. MLflow logs them, links the traces to the run and keeps the expectations.

MLflow's own scorers (models as judges) are run by MLflow; their verdicts are read back
(`ModelJudges`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import mlflow
from mlflow.entities import Feedback, Trace, TraceData
from mlflow.genai.scorers import Scorer, scorer

from skilltrace_mlflow._internals import forget_active_run
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.evaluate._rows import Attempt, Row, identity_of, marks_of
from skilltrace_mlflow.evaluate._store import SOURCE_RUN, RunStore, first_line
from skilltrace_mlflow.scorers import feedbacks_to_outcomes
from skilltrace_mlflow.sources.mlflow.names import COPY_TAG, copied_from

__all__ = ["ModelJudges", "log_rows", "make_trace", "rounds", "run_scorers"]


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


@dataclass(kw_only=True)
class ModelJudges:
    """Runs `scorers` on the rows of one run; `notes` say what stopped them.

    With `resumed`, what the run holds already is not asked for again; with `of_any_run`, nor what
    stands on the trace from another one. `copies` takes the ids of copies that MLflow makes.
    """

    scorers: Sequence[Scorer]
    skill: str
    store: RunStore
    resumed: bool = False
    of_any_run: bool = False
    copies: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def judge(self, rows: Iterable[Row]) -> None:
        """Let MLflow judge these rows, one per attempt, with its own rate limits; every one has a
        trace. Raises EvaluationError if the time is up before the last.
        """
        again = self.resumed or self.of_any_run
        for batch in rounds(rows):
            self.store.deadline.require("all models had judged")
            left = [row for row in batch if not (again and self._has_judged(row))]
            if not left:
                continue
            before = {made.assessment_id for _, made in self._feedbacks(left)}
            try:
                run_scorers(left, self.scorers, self.store.run_id, copies=self.copies)
            except Exception as error:  # one judge's trouble is no reason to lose the verdicts
                self.notes.append(
                    f"model-based scorers stopped ({type(error).__name__}: {first_line(error)})"
                )
            self._mark(left, before)

    def outcomes(self, rows: Mapping[int, Row]) -> dict[int, list[Outcome]]:
        """What the store says by now of each of these rows, by the number of its attempt."""
        held = self.store.assessments({row.trace_id for row in rows.values() if row.trace_id})
        return {
            number: self._outcomes(self._of(row.found, held.get(row.trace_id or "", ())))
            for number, row in rows.items()
        }

    def missing(self) -> list[Outcome]:
        """The outcomes of an attempt that has no row."""
        return self._outcomes(())

    def _has_judged(self, row: Row) -> bool:
        stored = () if row.trace is None else row.trace.info.assessments
        names = {assessment.name for assessment in self._of(row.found, stored)}
        return all(scorer.name in names for scorer in self.scorers)

    def _feedbacks(self, rows: Sequence[Row]) -> list[tuple[Row, Any]]:
        """Every Feedback of this run on the traces of these rows, one row per trace."""
        held = self.store.assessments({row.trace_id for row in rows if row.trace_id})
        return [
            (row, stored)
            for row in rows
            for stored in held.get(row.trace_id or "", ())
            if self._is_ours(stored)
        ]

    def _mark(self, rows: Sequence[Row], before: Container[str]) -> None:
        """Say of the Feedbacks that MLflow has just logged which test they are about: another one
        may be judged on the same trace, by other expectations. An earlier verdict on the same is
        superseded, which can only be said of a new one: MLflow's own goes for it.
        """
        for row, made in self._feedbacks(rows):
            if made.assessment_id in before or identity_of(made) is not None:
                continue
            test_id, attempt = row.key
            older = row.superseded().get((self.skill, test_id, str(attempt), made.name))
            marked = Feedback(
                name=made.name,
                value=made.feedback.value,
                error=made.feedback.error,
                rationale=made.rationale,
                source=made.source,
                metadata={**(made.metadata or {}), **marks_of(self.skill, test_id, attempt)},
                overrides=older,
            )
            if older is None:
                self.store.correct(made.trace_id, made.assessment_id, marked)
            else:
                self.store.log(made.trace_id, marked, made.span_id)
                self.store.delete(made.trace_id, made.assessment_id)

    def _of(self, found: Attempt, assessments: Iterable[Any]) -> list[Any]:
        """What this run says of an attempt, the newest of each name."""
        marks = marks_of(self.skill, found.case.id, found.attempt).items()
        mine = [a for a in assessments if self._is_ours(a) and marks <= a.metadata.items()]
        newest = {a.name: a for a in sorted(mine, key=lambda a: a.create_time_ms or 0)}
        return list(newest.values())

    def _is_ours(self, assessment: Any) -> bool:
        if assessment.feedback is None:
            return False
        if self.of_any_run and assessment.valid is not False and identity_of(assessment):
            return True
        return (assessment.metadata or {}).get(SOURCE_RUN) == self.store.run_id

    def _outcomes(self, mine: Sequence[Any]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for judge in self.scorers:
            given = [a for a in mine if a.name == judge.name or a.name.startswith(f"{judge.name}/")]
            if given:
                outcomes += feedbacks_to_outcomes(given, name=judge.name, pass_if=judge.pass_if)
            else:
                silent = "the scorer left no assessment on the trace"
                outcomes.append(Outcome(check=judge.name, verdict=Verdict.ERROR, rationale=silent))
        return outcomes
