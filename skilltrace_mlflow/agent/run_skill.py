"""`run_skill`: a skill's prompts → attempts → traces → an evaluation."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from skilltrace_mlflow.agent._processes import Guard
from skilltrace_mlflow.agent._traces import experiment_id_of, log_attempts
from skilltrace_mlflow.agent.claude import ClaudeAgent
from skilltrace_mlflow.agent.options import AgentOptions, agent_options
from skilltrace_mlflow.agent.protocol import Agent, End
from skilltrace_mlflow.agent.records import ARMS, Job, Record, RunFolder, new_run_id
from skilltrace_mlflow.agent.replay import ReplayAgent
from skilltrace_mlflow.agent.runner import Budget, Progress, Runner, terminated
from skilltrace_mlflow.agent.skill import Skill, skill_of
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import (
    Manifest,
    TestCase,
    load_ground_truth,
    load_manifest,
    select_cases,
)
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.sources.mlflow import store as mlflow_store

__all__ = [
    "AgentInterrupted",
    "Prepared",
    "RunOptions",
    "SkillRun",
    "agent_of",
    "prepare",
    "run_skill",
]

DEFAULT_RESULTS = Path(".skilltrace/runs")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run is asked to do. Those of `_KEPT` belong to it for good: `resume` keeps them.

    `timeout` bounds each attempt, `max_usd` the whole run. `replay` is a folder of recordings for
    `agent="replay"`; the test cases' own are taken without it.
    """

    test_ids: tuple[str, ...] = ()
    filter_category: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attempts: int | None = None
    baseline: bool = False
    jobs: int = 1
    model: str | None = None
    timeout: float | None = None
    max_usd: float | None = None
    agent: str | None = None
    claude_bin: str | None = None
    replay: Path | None = None
    results: Path = DEFAULT_RESULTS
    keep: bool = False
    resume: str | None = None
    redact: bool = False
    experiment: str | None = None
    tracking_uri: str | None = None
    skills_dir: str | os.PathLike[str] | None = None
    evaluation: Mapping[str, Any] = field(default_factory=dict)


_KEPT = (
    "test_ids",
    "filter_category",
    "tags",
    "attempts",
    "baseline",
    "model",
    "timeout",
    "agent",
    "experiment",
)


class AgentInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM; the run with the id `run_id` can be taken up with `--resume`."""

    def __init__(self, run_id: str) -> None:
        super().__init__("interrupted")
        self.run_id = run_id


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What would be run: the attempts, those that are done already, and how."""

    manifest: Manifest
    skill: Skill
    cases: tuple[TestCase, ...]
    options: RunOptions
    agent_options: AgentOptions
    jobs: tuple[Job, ...]
    folder: RunFolder
    plan: Mapping[str, Any]
    done: Mapping[Job, Record]
    estimate: float | None


@dataclass(frozen=True, kw_only=True)
class SkillRun:
    """A run that is over. `evaluation` is of the arm with the skill, its `without` of the other;
    `ends` counts the attempts by how they ended.
    """

    run_id: str
    folder: Path
    evaluation: Evaluation
    records: tuple[Record, ...]
    spent_usd: float

    @property
    def ends(self) -> Mapping[End, int]:
        """How many attempts ended how."""
        return Counter(record.end for record in self.records)

    @property
    def exit_code(self) -> int:
        """The evaluation's; an attempt without the skill that could not be made counts as
        something that could not be evaluated.
        """
        code = self.evaluation.exit_code
        lost = any(not record.judged for record in self.records)
        return 3 if code == 0 and lost else code


def prepare(skill: str | os.PathLike[str] | Manifest, options: RunOptions) -> Prepared:
    """Read and check everything that a run needs, without running anything.

    Raises ConfigurationError for what is wrong in files and options.
    """
    manifest = (
        skill
        if isinstance(skill, Manifest)
        else load_manifest(skill, skills_dir=options.skills_dir)
    )
    folder = RunFolder(options.results, options.resume or new_run_id())
    earlier = folder.load_plan() if options.resume is not None else None
    if earlier is not None:
        options = _resumed(options, earlier, manifest)
    if options.attempts is not None and options.attempts < 1:
        raise ConfigurationError(f"--attempts {options.attempts}: at least 1")
    if options.max_usd is not None and options.max_usd <= 0:
        raise ConfigurationError(f"--max-usd {options.max_usd:g}: more than 0")
    cases = load_ground_truth(manifest)
    if not cases:
        raise ConfigurationError(f"{manifest.name}: no test cases to run")
    cases = select_cases(
        cases, ids=options.test_ids, categories=options.filter_category, tags=options.tags
    )
    silent = [case.id for case in cases if not (case.prompt or "").strip()]
    if silent:
        raise ConfigurationError(
            f"{manifest.name}: test case {silent[0]!r} has no inputs.prompt to run"
        )
    block = agent_options(manifest.agent, folder=manifest.folder or Path())
    settings = block.overridden(model=options.model, timeout=options.timeout)
    refs = [Path(case.trace_ref) for case in cases if case.trace_ref]
    hidden = [*refs, folder.path.parent]
    tested = skill_of(manifest, workspace=settings.workspace, hidden=hidden)
    jobs = tuple(_jobs(cases, options))
    plan = {
        "skill": manifest.name,
        "options": {name: _plain(getattr(options, name)) for name in _KEPT},
        "agent_options": settings.to_dict(),
        "digest": _digest(tested, cases),
        "jobs": len(jobs),
    }
    if earlier is not None and earlier["digest"] != plan["digest"]:
        raise ConfigurationError(
            f"--resume {folder.run_id}: the skill or its prompts have changed since; start a new "
            "run, half of this one would be about something else"
        )
    done = folder.done(jobs) if earlier is not None else {}
    return Prepared(
        manifest=manifest,
        skill=tested,
        cases=cases,
        options=options,
        agent_options=settings,
        jobs=jobs,
        folder=folder,
        plan=plan,
        done=done,
        estimate=_estimate(options, folder, manifest.name, len(jobs) - len(done)),
    )


def run_skill(
    skill: str | os.PathLike[str] | Manifest,
    options: RunOptions | None = None,
    *,
    agent: Agent | None = None,
    progress: Progress | None = None,
    judging: Callable[[int, int], None] | None = None,
) -> SkillRun:
    """Let the agent work on a skill's prompts and evaluate what it did.

    `agent` is used in place of the one that the options name. Every attempt is on disk as soon as
    it is over; what was interrupted is taken up with `options.resume`. Raises ConfigurationError,
    EvaluationError if the store does not answer, AgentInterrupted.
    """
    ready = prepare(skill, options or RunOptions())
    options, folder = ready.options, ready.folder
    # A store that does not answer is better found before anything is paid for.
    mlflow_store.probe(options.tracking_uri)
    experiment_id = experiment_id_of(options.experiment, options.tracking_uri)
    with folder.locked(), terminated():
        folder.save_plan(ready.plan)
        done = folder.done(ready.jobs)
        budget = Budget(
            options.max_usd,
            [record.cost_usd or 0.0 for record in done.values()],
            extra=folder.spent_in_vain(job for job in ready.jobs if job not in done),
        )
        try:
            with Guard() as guard:
                runner = Runner(
                    agent=agent or agent_of(options, ready.cases, guard),
                    skill=ready.skill,
                    options=ready.agent_options,
                    folder=folder,
                    guard=guard,
                    budget=budget,
                    jobs=options.jobs,
                    keep=options.keep,
                    progress=progress,
                )
                found = runner.run(ready.jobs, done)
            records = tuple(found[job] for job in ready.jobs)
            traces = log_attempts(
                records,
                skill=ready.manifest.name,
                run_id=folder.run_id,
                experiment_id=experiment_id,
                tracking_uri=options.tracking_uri,
                redact=options.redact,
            )
            evaluation = _evaluate(ready, records, traces, experiment_id, judging)
        except KeyboardInterrupt:
            raise AgentInterrupted(folder.run_id) from None
    return SkillRun(
        run_id=folder.run_id,
        folder=folder.path,
        evaluation=evaluation,
        records=records,
        spent_usd=budget.spent,
    )


def _jobs(cases: Sequence[TestCase], options: RunOptions) -> list[Job]:
    """All attempts, attempt by attempt; the arms are interleaved, now one first, now the other, so
    that neither gets the better hour.
    """
    jobs = []
    for attempt in range(1, (options.attempts or 1) + 1):
        for index, case in enumerate(cases):
            arms = ARMS if options.baseline else ARMS[:1]
            jobs += [
                Job(
                    test_id=case.id,
                    prompt=case.prompt or "",
                    arm=arm,
                    attempt=attempt,
                    index=index,
                )
                for arm in (arms if (attempt + index) % 2 else reversed(arms))
            ]
    return jobs


def agent_of(options: RunOptions, cases: Sequence[TestCase], guard: Guard) -> Agent:
    name = options.agent or "claude"
    if name == "claude":
        return ClaudeAgent(options.claude_bin, guard=guard)
    if name == "replay":
        refs: dict[str, list[Path]] = {}
        if options.replay is None:
            refs = {case.id: [Path(case.trace_ref)] for case in cases if case.trace_ref}
        return ReplayAgent(options.replay, by_test=refs)
    raise ConfigurationError(f"--agent {name}: one of claude, replay")


def _evaluate(
    ready: Prepared,
    records: Sequence[Record],
    traces: Mapping[Record, tuple[str, ...]],
    experiment_id: str,
    progress: Callable[[int, int], None] | None,
) -> Evaluation:
    from skilltrace_mlflow.evaluate import Given, evaluate_skill, unfinished_run

    parts: dict[str, Evaluation] = {}
    for arm in ARMS:
        given: dict[str, list[Given]] = {}
        for record in sorted((r for r in records if r.arm == arm), key=lambda r: r.attempt):
            given.setdefault(record.test_id, []).append(
                Given(
                    attempt=record.attempt,
                    file=record.transcript,
                    trace_ids=traces.get(record, ()),
                    response=record.response,
                    error=None if record.judged else f"{record.end}: {record.reason}",
                    notes=(*record.notes, *record.differing),
                )
            )
        if not given:
            continue
        marks = {"skilltrace.run": ready.folder.run_id, "skilltrace.arm": arm}
        named = dict(ready.options.evaluation)
        # One that was begun and not brought to its end is finished, so that no half is left.
        begun = (
            unfinished_run(experiment_id, marks, tracking_uri=ready.options.tracking_uri)
            if ready.options.resume is not None
            else None
        )
        if begun is not None:
            named["resume"] = begun
        else:
            named.setdefault("run_name", f"{ready.manifest.name} {ready.folder.run_id} {arm}")
        parts[arm] = evaluate_skill(
            ready.manifest,
            include_traces=True,
            experiment=experiment_id,
            tracking_uri=ready.options.tracking_uri,
            test_ids=[case.id for case in ready.cases],
            given=given,
            run_tags=marks,
            progress=progress,
            **named,
        )
    evaluation = parts[ARMS[0]]
    if ARMS[1] not in parts:
        return evaluation
    return replace(
        evaluation,
        results=_marked(evaluation.results, ARMS[0]),
        without=_marked(parts[ARMS[1]].results, ARMS[1]),
        incomplete=(*evaluation.incomplete, *parts[ARMS[1]].incomplete),
    )


def _marked(results: Sequence[TestResult], arm: str) -> tuple[TestResult, ...]:
    return tuple(replace(result, arm=arm) for result in results)


def _resumed(options: RunOptions, plan: Mapping[str, Any], manifest: Manifest) -> RunOptions:
    """The options of a run that is taken up again. Raises ConfigurationError where they say
    something else than the run was started with.
    """
    if plan["skill"] != manifest.name:
        raise ConfigurationError(
            f"--resume {options.resume}: it is a run of {plan['skill']!r}, not of {manifest.name!r}"
        )
    unsaid = {item.name: item.default for item in fields(RunOptions)}
    kept: dict[str, Any] = {}
    for name in _KEPT:
        value = plan["options"].get(name)
        value = tuple(value) if isinstance(value, list) else value
        given = getattr(options, name)
        if given not in (unsaid[name], value):
            flag = "--" + name.replace("_", "-")
            raise ConfigurationError(
                f"--resume {options.resume}: the run was started with {flag} {value}; leave it "
                "out or start a new run"
            )
        kept[name] = value
    return replace(options, **kept)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _digest(skill: Skill, cases: Sequence[TestCase]) -> str:
    text = "\0".join((skill.digest(), *(f"{case.id}\0{case.prompt}" for case in cases)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _estimate(options: RunOptions, folder: RunFolder, skill: str, count: int) -> float | None:
    """What so many attempts may cost, from the mean of earlier ones; None before there are any."""
    costs = [
        record.cost_usd
        for record in RunFolder.earlier(folder.path.parent, skill)
        if record.cost_usd is not None
    ]
    if options.agent == "replay":
        return 0.0
    return sum(costs) / len(costs) * count if costs else None
