"""`evaluate_skill`: a skill's test cases against their traces, with the verdicts in MLflow."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from skilltrace_mlflow.bounded import HangingCall, call_bounded
from skilltrace_mlflow.errors import (
    ConfigurationError,
    EvaluationError,
    ExperimentNotFoundError,
    SkillTraceError,
)
from skilltrace_mlflow.evaluate._deadline import Deadline, abandon, settle
from skilltrace_mlflow.evaluate._find import Finder
from skilltrace_mlflow.evaluate._import import importer_into
from skilltrace_mlflow.evaluate._judge import AttemptJudges
from skilltrace_mlflow.evaluate._resume import Plan
from skilltrace_mlflow.evaluate._rows import Attempt, Given
from skilltrace_mlflow.evaluate._run import EvaluationRun
from skilltrace_mlflow.evaluate._store import STORE_ERRORS, first_line
from skilltrace_mlflow.evaluate._surroundings import quiet_mlflow, terminable, tracking
from skilltrace_mlflow.expectations import (
    Manifest,
    TestCase,
    load_ground_truth,
    load_manifest,
    select_cases,
)
from skilltrace_mlflow.expectations.names import gate_names
from skilltrace_mlflow.gates import judge_gates
from skilltrace_mlflow.options import EvaluationOptions
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from skilltrace_mlflow.scorer_config import build_scorers
from skilltrace_mlflow.sources.mlflow import store as mlflow_store

__all__ = ["ExperimentChoice", "Interrupted", "evaluate_skill", "run_bounded"]

# How long the run may take to be marked when there is no time left for anything else.
_LAST_WORDS = 5.0


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM during an evaluation; `run_id` is the run to resume, if there is one."""

    def __init__(self, run_id: str | None) -> None:
        super().__init__("interrupted")
        self.run_id = run_id


def evaluate_skill(
    skill: str | os.PathLike[str] | Manifest,
    *,
    include_traces: bool = False,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    run_name: str | None = None,
    skills_dir: str | os.PathLike[str] | None = None,
    test_ids: Sequence[str] = (),
    filter_category: str | Sequence[str] = (),
    tags: Sequence[str] = (),
    timeout: float | None = None,
    attempts: int | None = None,
    fail_under: Mapping[str, float] | None = None,
    strict_prompts: bool = False,
    allow_custom: bool = False,
    allow_outside: bool = False,
    no_llm: bool = False,
    supersede: bool = False,
    resume: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    show_progress: bool = False,
    given: Mapping[str, Sequence[Given]] | None = None,
    run_tags: Mapping[str, str] | None = None,
) -> Evaluation:
    """Evaluate a skill's test cases with `mlflow.genai.evaluate` and return every verdict.

    `skill` is a name, a folder, a manifest file or a loaded manifest; `test_ids`, `filter_category`
    and `tags` select test cases. `include_traces` finds each case's trace and judges it; without
    it only responses are judged. `attempts` asks for that many traces per case. `timeout` bounds
    everything, in seconds. `resume` finishes the run of that id, which was interrupted or could
    not be completed, with the options that it was started with. `allow_custom` lets the manifest's
    own functions run, `allow_outside` lets a `trace_ref` lead out of the skill's folder, `no_llm`
    leaves model-based scorers out. `strict_prompts` makes a test unknown that is judged on a
    session with another prompt. `supersede` makes verdicts of earlier runs on the same traces
    invalid, where otherwise a run supersedes only its own. `given` are attempts that were made for
    this evaluation, by test case; `run_tags` are set on its MLflow run.

    The run lies in the experiment that holds the traces. Whatever could not be logged is named in
    the result's `incomplete`. Raises ConfigurationError for files and options that are wrong,
    EvaluationError if the store does not answer, Interrupted on Ctrl-C and SIGTERM.
    """
    asked = EvaluationOptions(
        include_traces=include_traces,
        test_ids=test_ids,
        filter_category=filter_category,
        tags=tags,
        attempts=attempts,
        timeout=timeout,
        fail_under=fail_under or {},
        strict_prompts=strict_prompts,
        no_llm=no_llm,
        supersede=supersede,
        allow_custom=allow_custom,
        allow_outside=allow_outside,
        run_name=run_name,
        resume=resume,
        experiment=experiment,
        tracking_uri=tracking_uri,
        skills_dir=skills_dir,
    )
    deadline = Deadline(timeout)
    manifest = skill if isinstance(skill, Manifest) else load_manifest(skill, skills_dir=skills_dir)
    cases = load_ground_truth(manifest)
    _gates(manifest, asked.fail_under)  # one with a wrong name is found before anything runs
    settle(deadline)
    with tracking(tracking_uri) as uri, quiet_mlflow(progress=show_progress), terminable():
        mlflow_store.probe(uri, timeout=max(0.5, deadline.left(5.0)))
        plan = Plan(skill=manifest.name, options=asked)
        home: str | None = None
        if resume is not None:
            earlier, home = Plan.load(resume, manifest.name)
            earlier.confirm(plan, resume)
            plan = earlier
        elif experiment is None:
            named = replace(asked, experiment=mlflow_store.experiment_of())
            plan = replace(plan, options=named)
        options = plan.options
        chosen = _select(manifest, cases, options)
        notes = list(manifest.notices)
        scorers = build_scorers(
            manifest,
            include_traces=False,  # every trace expectation is judged by its check, without one
            allow_custom=allow_custom,
            no_llm=options.no_llm,
            notes=notes,
        )
        unjudged = [
            c for c in chosen if any(e.asks for e in (*c.expectations, *c.session_expectations))
        ]
        if unjudged and not options.include_traces:
            notes.append(
                f"what {len(unjudged)} of {len(chosen)} test cases expect of their traces was not "
                "judged; --include-traces does"
            )
        judges = AttemptJudges.of(
            scorers, traces=options.include_traces, strict_prompts=options.strict_prompts
        )
        imports = given is None and any(
            c.trace_ref is not None or c.inline_trace is not None for c in chosen
        )
        # Looked up where it was before; the run itself lies where most of the traces are.
        experiment_choice = ExperimentChoice(
            options.experiment or home, create=imports or not options.include_traces
        )
        finder = Finder(
            skill=manifest.name,
            experiment=experiment_choice.id,
            importer=importer_into(experiment_choice.id),
            attempts=options.attempts,
            roots=() if allow_outside else _roots(manifest, chosen),
            pinned=plan.traces,
            given=given,
        )
        run = EvaluationRun(
            skill=manifest.name,
            plan=plan,
            judges=judges,
            deadline=deadline,
            find=lambda: _find(finder, chosen, plan),
            experiment=experiment_choice.id if home is None else lambda: str(home),
            gates=_gates(manifest, options.fail_under),
            run_name=run_name,
            run_tags=run_tags or {},
            supersede=options.supersede,
            run_id=resume,
            resumed=resume is not None,
            progress=progress,
            tracking_uri=uri,
            notes=notes,
        )
        return run_bounded(run, deadline)


def run_bounded(run: EvaluationRun, deadline: Deadline) -> Evaluation:
    """The run in a thread of its own, so that neither a signal nor a dead server holds us up."""
    others = frozenset(threading.enumerate())
    try:
        call_bounded(run.run, deadline.left(), name="evaluate")
    except KeyboardInterrupt:
        _mark(run, "interrupted", others)
        raise Interrupted(run.run_id) from None
    except HangingCall:
        problem = f"--timeout {deadline.seconds:g}: the time was up"
    except EvaluationError as error:
        if run.run_id is None:
            raise
        problem = first_line(error)
    except SkillTraceError:
        raise
    except STORE_ERRORS as error:  # what was asked in vain once too often, or refused
        problem = f"the store did not do its part: {first_line(error)}"
    except Exception:
        _mark(run, "incomplete", others)
        raise
    else:
        return run.evaluation()
    _mark(run, "incomplete", others)
    if run.run_id is None or not run.outcomes:
        raise EvaluationError(f"{problem} before anything could be logged")
    way_out = "log again" if run.plan is None else f"finish the run with --resume {run.run_id}"
    run.incomplete.append(f"{problem}; {way_out}")
    return run.evaluation()


def _mark(run: EvaluationRun, status: str, others: Container[threading.Thread]) -> None:
    run.stopped = True
    abandon(others)
    try:
        call_bounded(lambda: run.stop(status), _LAST_WORDS, name="stop")
    except HangingCall:
        abandon(others)
        run.notes.append("the run could not be marked: the store does not answer")


class ExperimentChoice:
    """The experiment that was asked for, looked up once and only when needed.

    With `create` it is made if need be: where traces are imported, or where there are none. Where
    traces are looked for, a name that does not exist is a typo.
    """

    def __init__(self, name: str | None, *, create: bool) -> None:
        self.name = name
        self.create = create
        self.found: str | None = None

    def id(self) -> str:
        """Its id. Raises ConfigurationError if there is none and it must not be made."""
        if self.found is None:
            with mlflow_store.connect(create=self.create) as client:
                try:
                    self.found = mlflow_store.resolve_experiment(self.name)
                except ExperimentNotFoundError:
                    if not self.create:
                        raise
                    name = self.name or mlflow_store.experiment_of()
                    self.found = str(client.create_experiment(name))
        return self.found


def _find(finder: Finder, cases: Sequence[TestCase], plan: Plan) -> list[Attempt]:
    if plan.options.include_traces:
        return finder.find_all(cases)
    return [
        Attempt(case=case, attempt=attempt)
        for case in cases
        for attempt in range(1, (plan.options.attempts or 1) + 1)
    ]


def _select(
    manifest: Manifest, cases: Sequence[TestCase], options: EvaluationOptions
) -> tuple[TestCase, ...]:
    if not cases:
        where = ", ".join(map(str, manifest.datasets)) or "its folder has no ground_truth.yaml"
        raise ConfigurationError(f"{manifest.name}: no test cases to evaluate ({where})")
    return select_cases(
        cases, ids=options.test_ids, categories=options.filter_category, tags=options.tags
    )


def _roots(manifest: Manifest, cases: Iterable[TestCase]) -> list[Path]:
    """Where a trace_ref may lead: the skill's folder, and those of its ground truths."""
    folders = {case.path.parent for case in cases if case.path is not None}
    if manifest.folder is not None:
        folders.add(manifest.folder)
    return sorted(folders)


def _gates(
    manifest: Manifest, fail_under: Mapping[str, float]
) -> Callable[[Sequence[TestResult]], tuple[GateResult, ...]]:
    gates = {**manifest.quality_gates, **fail_under}
    options: dict[str, Any] = {"groups": manifest.tiers, "known": gate_names(manifest.scorers)}
    judge_gates(gates, (), **options)
    return lambda results: judge_gates(gates, results, **options)
