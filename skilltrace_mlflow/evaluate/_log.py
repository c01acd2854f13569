"""`log_evaluation`: verdicts that were reached without MLflow, put on the traces afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow.genai.scorers import Scorer

from skilltrace_mlflow.checks import Outcome
from skilltrace_mlflow.errors import SkillTraceError, TraceNotFoundError
from skilltrace_mlflow.evaluate._deadline import Deadline, settle
from skilltrace_mlflow.evaluate._find import Importer
from skilltrace_mlflow.evaluate._import import importer_into
from skilltrace_mlflow.evaluate._judge import AttemptJudges
from skilltrace_mlflow.evaluate._resume import SKILL_TAG, unfinished_run
from skilltrace_mlflow.evaluate._rows import Attempt
from skilltrace_mlflow.evaluate._run import EvaluationRun
from skilltrace_mlflow.evaluate._skill import ExperimentChoice, run_bounded
from skilltrace_mlflow.evaluate._surroundings import quiet_mlflow, terminable, tracking
from skilltrace_mlflow.expectations import Manifest, TestCase
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from skilltrace_mlflow.score import SESSION_PREFIX
from skilltrace_mlflow.scorer_config import build_scorers
from skilltrace_mlflow.sources.load import load_file
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.sources.mlflow.stored import StoredTraces

__all__ = ["log_evaluation", "model_scorers"]

_SERIES_TAG = "skilltrace.series"


def log_evaluation(
    evaluation: Evaluation,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    run_name: str | None = None,
    timeout: float | None = None,
    only_new: bool = False,
    series: str | None = None,
    models: Sequence[Scorer] = (),
    gates: Callable[[Sequence[TestResult]], tuple[GateResult, ...]] | None = None,
) -> Evaluation:
    """Write an evaluation's verdicts to MLflow: one run, its assessments on the traces.

    Results that were judged on a file have it imported first. Returns the evaluation with the run
    and whatever could not be logged (`incomplete`).

    With `only_new`, verdicts that stand on their traces already, in the same words and whichever
    run gave them, are left as they are; others on the same are superseded; where all stand there is
    no new run. `series` names repeated evaluations: its newest run is taken up again if it was not
    completed. `models` are scorers of MLflow's own, which MLflow runs on the traces; their verdicts
    join the others, and `gates` judges the gates over all of them.

    Raises EvaluationError if the store does not answer, Interrupted on Ctrl-C and SIGTERM.
    """
    deadline = Deadline(timeout)
    settle(deadline)
    with tracking(tracking_uri) as uri, quiet_mlflow(progress=False), terminable():
        mlflow_store.probe(uri)
        chosen = ExperimentChoice(experiment, create=True)
        marks = {} if series is None else {_SERIES_TAG: series, SKILL_TAG: evaluation.skill}
        earlier = unfinished_run(chosen.id(), marks) if marks else None
        log = importer_into(chosen.id)
        run = EvaluationRun(
            skill=evaluation.skill,
            plan=None,
            judges=_Judged(
                traces=True,
                outcomes=[r.outcomes for r in evaluation.results],
                models=tuple(models),
            ),
            deadline=deadline,
            find=lambda: [_found(result, log) for result in evaluation.results],
            experiment=chosen.id,
            gates=gates or (lambda _: evaluation.gates),
            run_name=run_name,
            run_tags={} if series is None else {_SERIES_TAG: series},
            run_id=earlier,
            resumed=earlier is not None,
            only_new=only_new,
            supersede=only_new,
            tracking_uri=uri,
        )
        logged = run_bounded(run, deadline)
    results = tuple(
        replace(
            result,
            trace_id=made.trace_id or result.trace_id,
            run_id=made.run_id,
            outcomes=made.outcomes if models else result.outcomes,
        )
        for result, made in zip(evaluation.results, logged.results, strict=True)
    )
    return replace(
        logged,
        results=results,
        notes=(*evaluation.notes, *logged.notes),
        incomplete=(*evaluation.incomplete, *logged.incomplete),
    )


def model_scorers(
    manifest: Manifest,
    *,
    allow_custom: bool = False,
    no_llm: bool = False,
    notes: list[str] | None = None,
) -> tuple[Scorer, ...]:
    """MLflow's own scorers that a manifest asks for; `notes` takes what was left out."""
    asked = build_scorers(manifest, allow_custom=allow_custom, no_llm=no_llm, notes=notes)
    return AttemptJudges.of(asked, traces=False).models


class _Judged(AttemptJudges):
    """Verdicts that are there already, in place of judges."""

    outcomes: Sequence[tuple[Outcome, ...]]

    def __init__(
        self,
        *,
        traces: bool,
        outcomes: Sequence[tuple[Outcome, ...]],
        models: tuple[Scorer, ...] = (),
    ) -> None:
        super().__init__(traces=traces, models=models)
        object.__setattr__(self, "outcomes", outcomes)

    def judge(
        self,
        attempts: Sequence[Attempt],
        deadline: Deadline,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[tuple[Outcome, ...]]:
        return list(self.outcomes)


def _found(result: TestResult, log: Importer) -> Attempt:
    found = Attempt(
        case=TestCase(id=result.test_id, prompt=result.prompt, category=result.category),
        attempt=result.attempt,
        session=result.session,
        source=result.source,
        notes=result.notes,
        error=result.error,
        bad_input=result.bad_input,
    )
    if result.error is not None:
        return found
    try:
        trace = _trace(result, log)
    except SkillTraceError as error:
        return replace(found, notes=(*found.notes, f"not on a trace of its own: {error}"))
    return replace(found, trace=trace, first_trace=_first(result, trace))


def _first(result: TestResult, trace: Any) -> Any:
    """The first trace of the session, where verdicts on the whole of it stand."""
    if result.whole_session or trace is None:
        return trace
    if not any(outcome.check.startswith(SESSION_PREFIX) for outcome in result.outcomes):
        return trace
    turns = mlflow_store.whole_session(StoredTraces(traces=(trace,)))
    return turns.traces[0]


def _trace(result: TestResult, log: Importer) -> Any:
    if result.trace_id is not None:
        try:
            return mlflow_store.fetch_trace(result.trace_id)
        except TraceNotFoundError:
            if result.session is None:
                raise
    path = Path(result.source).expanduser() if result.source else None
    file = path if path is not None and path.is_file() else None
    session = result.session
    if session is None:
        if file is None:
            return None
        session = load_file(file).session
    first = next(iter(log(session, file)), None)
    return None if first is None else mlflow_store.fetch_trace(first)
