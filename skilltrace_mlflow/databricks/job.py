"""A scheduled evaluation: score what is new, keep the outcomes, fail loudly when a gate fails.

Incremental and idempotent. A run looks at the traces since the last run's watermark, less an
overlap, since long turns arrive late; a turn that is not wholly stored holds the watermark back.
Assessments are logged first, outcomes merged next, and the run's own row, which carries the new
watermark, is written last: a run that is killed at any point is simply done again, and what it left
is found and not written twice.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import skilltrace_mlflow
from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.databricks.delta import open_table
from skilltrace_mlflow.databricks.job_skills import JobSkill, JobSkills, PastRuns, load_skills
from skilltrace_mlflow.databricks.outcomes import (
    Column,
    TableShape,
    expectation_digests,
    outcome_rows,
)
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.evaluation import judge_with_gates, trace_eval
from skilltrace_mlflow.expectations import Manifest
from skilltrace_mlflow.results import (
    EXIT_FAILED,
    EXIT_INPUT,
    EXIT_OK,
    EXIT_UNKNOWN,
    Evaluation,
    GateResult,
    TestResult,
)
from skilltrace_mlflow.sources.load import (
    Evidence,
    StoredEvidence,
    evidence_between,
    evidence_of_whole,
)
from skilltrace_mlflow.sources.mlflow.names import said_test
from skilltrace_mlflow.streams import module_logger
from skilltrace_mlflow.text import counted

__all__ = ["RUNS", "JobOptions", "JobReport", "parse_since", "parse_span", "run_job"]

log = module_logger(__name__)

_FIRST_LOOK = timedelta(days=7)
_LONGEST_WAIT = timedelta(days=7)
_SPAN = re.compile(r"(\d+)\s*([smhdw])")
_ATTEMPT = re.compile(r"[1-9][0-9]{0,5}")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

_RUN_COLUMNS = (
    Column(name="job_run", type="STRING", comment="one scheduled evaluation", required=True),
    Column(name="scope", type="STRING", comment="JSON: experiment and skills", required=True),
    Column(name="window_from", type="TIMESTAMP", comment="first trace looked at", required=True),
    Column(name="window_to", type="TIMESTAMP", comment="end of the window", required=True),
    Column(name="watermark", type="TIMESTAMP", comment="where the next run begins", required=True),
    Column(name="traces", type="BIGINT", comment="traces in the window", required=True),
    Column(name="unfinished", type="BIGINT", comment="not wholly stored yet", required=True),
    Column(name="judged", type="BIGINT", comment="traces judged for a skill", required=True),
    Column(name="passed", type="BIGINT", comment="of those, passed", required=True),
    Column(name="failed", type="BIGINT", comment="of those, failed", required=True),
    Column(name="not_judged", type="BIGINT", comment="of those, unknown or error", required=True),
    Column(name="rows_changed", type="BIGINT", comment="outcomes new or changed", required=True),
    Column(name="gates", type="STRING", comment="JSON: skill, name, required, got, passed"),
    Column(name="exit_code", type="INT", comment="0 to 3, as the command's", required=True),
    Column(name="run_ids", type="STRING", comment="JSON: MLflow run by skill"),
    Column(name="finished_at", type="TIMESTAMP", comment="when it ended", required=True),
    Column(name="package_version", type="STRING", comment="of skilltrace-mlflow", required=True),
)
RUNS = TableShape(
    columns=_RUN_COLUMNS, key=("job_run",), compared=("watermark", "exit_code", "rows_changed")
)
"""The table of runs, beside the outcome table under its name with `_runs` behind it."""


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a scheduled run is to do.

    `skills` are folders below `skills_dir`, all of them if none is named. `table` is a catalog's
    `catalog.schema.name` or a folder. `since` overrides the watermark; `overlap` is how far a run
    looks back behind it. `allow_custom` lets manifests' own functions run, `no_llm` leaves scorers
    that ask a model out. With `fail_on_gate` a run fails where a gate fails or, without gates, an
    expectation does; otherwise only what could not be evaluated fails it. `dry_run` judges and
    reports, and writes nothing.
    """

    skills_dir: str
    experiment: str
    table: str
    skills: tuple[str, ...] = ()
    since: datetime | None = None
    overlap: timedelta = timedelta(days=1)
    fail_on_gate: bool = True
    dry_run: bool = False
    tracking_uri: str | None = None
    allow_custom: bool = False
    no_llm: bool = False


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """What a run did: the evaluation of each skill, the row of the run, and its exit code."""

    evaluations: Mapping[str, Evaluation]
    row: Mapping[str, Any]
    exit_code: int
    notes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The run in one line."""
        row = self.row
        return (
            f"{row['window_from']:%Y-%m-%d %H:%M} to {row['window_to']:%Y-%m-%d %H:%M} UTC: "
            f"{counted(row['traces'], 'trace')} ({row['unfinished']} unfinished), "
            f"{row['judged']} judged: "
            f"{row['passed']} passed, {row['failed']} failed, {row['not_judged']} not judged; "
            f"{counted(row['rows_changed'], 'row')} new or changed; exit code {self.exit_code}"
        )


def parse_span(text: str) -> timedelta:
    """`36h`, `7d`, `90m` as a span of time; ConfigurationError for anything else."""
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise ConfigurationError(f"{text!r} is no span of time; write 90m, 36h, 7d or 2w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def parse_since(text: str, *, now: datetime | None = None) -> datetime:
    """A day or time in ISO 8601 (UTC unless it says otherwise), or a span back from now (`7d`)."""
    if _SPAN.fullmatch(text.strip().lower()):
        return (now or _now()) - parse_span(text)
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is no time; write 2026-11-25, 2026-11-25T05:00 or a span such as 7d"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def run_job(options: JobOptions, *, now: datetime | None = None) -> JobReport:
    """Do one scheduled evaluation.

    Of several skills one that cannot be read fails the run (exit code 2) and keeps no other from
    being judged. Raises ConfigurationError for a bad option, or where no skill can be read,
    EvaluationError where the store or the table cannot be asked; what was written before that is
    found by the next run.
    """
    end = now or _now()
    skills = load_skills(options.skills_dir, options.skills)
    outcomes = open_table(options.table)
    runs = open_table(f"{str(options.table).rstrip('/')}_runs", RUNS)
    if not options.dry_run:
        for table in (outcomes, runs):
            table.prepare()  # where it cannot be written, nothing is logged either
    scope = json.dumps([options.experiment, skills.names])
    past = PastRuns.of(runs.read(), options.experiment)
    mark = past.watermark(skills.names)
    start = options.since or past.start(
        skills.names, first=end - _FIRST_LOOK, overlap=options.overlap
    )
    found = evidence_between(options.experiment, start, end, tracking_uri=options.tracking_uri)
    log.info("%d traces since %s, %d unfinished", len(found.evidence), start, len(found.unfinished))
    evaluations: dict[str, Evaluation] = {}
    changed = 0
    for name, skill in skills.readable.items():
        evaluation = _evaluate(skill, found.evidence, options)
        if not evaluation.results:
            continue
        if not options.dry_run:
            evaluation = _log(evaluation, skill.manifest, options, series=_digest(scope))
            digests = expectation_digests(skill.manifest, tuple(skill.cases.values()))
            changed += outcomes.merge(outcome_rows(evaluation, digests=digests, scored_at=end))
        evaluations[name] = evaluation
    code = _exit_code(evaluations.values(), fail_on_gate=options.fail_on_gate)
    if skills.broken:
        code = EXIT_INPUT
    # What could not be logged, or not judged for want of a readable skill, is tried again.
    lost = bool(skills.broken) or any(evaluation.incomplete for evaluation in evaluations.values())
    watermark = _advanced(mark, found.unfinished, start, end)
    row = {
        "job_run": uuid.uuid4().hex,
        "scope": scope,
        "window_from": start,
        "window_to": end,
        "watermark": min(watermark, start + options.overlap) if lost else watermark,
        "traces": len(found.evidence),
        "unfinished": len(found.unfinished),
        **_tally(evaluations.values()),
        "rows_changed": changed,
        "gates": json.dumps(list(_gates(evaluations))),
        "exit_code": code,
        "run_ids": json.dumps({name: e.run_id for name, e in evaluations.items() if e.run_id}),
        "finished_at": _now(),
        "package_version": skilltrace_mlflow.__version__,
    }
    if not options.dry_run:
        runs.merge([row])
    return JobReport(
        evaluations=evaluations,
        row=row,
        exit_code=code,
        notes=_notes(found, start, skills, gone=() if options.skills else past.gone(skills.names)),
    )


def _advanced(
    mark: datetime | None,
    unfinished: Sequence[tuple[str, datetime]],
    start: datetime,
    end: datetime,
) -> datetime:
    """Where the next run begins: at the oldest turn that is not wholly stored, else where this run
    ends, and never beyond what no run has looked at (with a later --since).
    """
    if mark is not None and start > mark:
        return mark
    earliest = min((moment for _, moment in unfinished), default=end)
    # One that never ends may not hold the watermark back for ever.
    return max(min(earliest, end), end - _LONGEST_WAIT)


def _evaluate(skill: JobSkill, evidence: Sequence[Evidence], options: JobOptions) -> Evaluation:
    """All traces that concern a skill, each by the expectations of the test that it is tagged with,
    else by the manifest's; gates over all of them. A tagged trace stands for its whole session.
    """
    manifest = skill.manifest
    by_test: dict[str | None, list[Evidence]] = {}
    unknown: Counter[str] = Counter()
    for item in evidence:
        if skill.concerns(item):
            test_id = said_test(item.tags)
            if test_id is not None and test_id not in skill.cases:
                unknown[test_id] += 1
                test_id = None
            by_test.setdefault(test_id, []).append(item)
    results: list[TestResult] = []
    notes = [
        f"{counted(count, 'trace')} tagged as test case {test_id!r}, which there is not: judged by "
        "the manifest"
        for test_id, count in unknown.items()
    ]
    for test_id, items in by_test.items():
        if not skill.expects(test_id):
            whose = "no test case" if test_id is None else f"test case {test_id}"
            notes.append(f"{counted(len(items), 'trace')} of {whose}: nothing is expected there")
            continue
        if test_id is not None:
            items = _sessions(items, options.tracking_uri)
        part = trace_eval(
            manifest, evidence=items, test_id=test_id, allow_custom=options.allow_custom
        )
        # The number of an attempt is its own, not its place among those of this run.
        results += (
            replace(result, attempt=_attempt(item))
            for result, item in zip(part.results, items, strict=True)
        )
        notes += [note for note in part.notes if note not in notes]
    notes = [note for note in notes if not note.startswith("gates not judged here")]
    evaluation = Evaluation(skill=manifest.name, results=tuple(results), notes=tuple(notes))
    return judge_with_gates(evaluation, manifest) if results else evaluation


def _sessions(items: Iterable[Evidence], tracking_uri: str | None) -> list[Evidence]:
    """The whole session of each of these turns, once."""
    found: dict[str, Evidence] = {}
    for item in items:
        found.setdefault(item.session.session_id or item.name, item)
    return [evidence_of_whole(item, tracking_uri=tracking_uri) for item in found.values()]


def _attempt(item: Evidence) -> int:
    """The number that `run` wrote; anything else that somebody wrote there is no number."""
    text = item.tags.get("skilltrace.attempt", "").strip()
    return int(text) if _ATTEMPT.fullmatch(text) else 1


def _log(
    evaluation: Evaluation, manifest: Manifest, options: JobOptions, *, series: str
) -> Evaluation:
    from skilltrace_mlflow.evaluate import log_evaluation, model_scorers

    notes: list[str] = []
    models = model_scorers(
        manifest, allow_custom=options.allow_custom, no_llm=options.no_llm, notes=notes
    )

    def gates(results: Sequence[TestResult]) -> tuple[GateResult, ...]:
        return judge_with_gates(replace(evaluation, results=tuple(results)), manifest).gates

    evaluation = replace(evaluation, notes=(*evaluation.notes, *notes))

    return log_evaluation(
        evaluation,
        experiment=options.experiment,
        tracking_uri=options.tracking_uri,
        run_name=f"scheduled: {evaluation.skill}",
        only_new=True,
        series=series,
        models=models,
        gates=gates if models else None,
    )


def _exit_code(evaluations: Iterable[Evaluation], *, fail_on_gate: bool) -> int:
    evaluations = tuple(evaluations)
    codes = {evaluation.exit_code for evaluation in evaluations}
    if not fail_on_gate:
        codes = {EXIT_OK if code == EXIT_FAILED else code for code in codes}
        codes |= {EXIT_UNKNOWN for evaluation in evaluations if _has_gaps(evaluation)}
    order = (EXIT_INPUT, EXIT_FAILED, EXIT_UNKNOWN)
    return next((code for code in order if code in codes), EXIT_OK)


def _has_gaps(evaluation: Evaluation) -> bool:
    """Whether anything could not be judged or logged, which a failure would otherwise hide."""
    verdicts = {outcome.verdict for result in evaluation.results for outcome in result.judged}
    lost = any(result.error is not None or not result.judged for result in evaluation.results)
    return bool(evaluation.incomplete or lost or verdicts & {Verdict.UNKNOWN, Verdict.ERROR})


def _tally(evaluations: Iterable[Evaluation]) -> dict[str, int]:
    verdicts = [result.verdict for evaluation in evaluations for result in evaluation.results]
    passed = sum(verdict is Verdict.PASS for verdict in verdicts)
    failed = sum(verdict is Verdict.FAIL for verdict in verdicts)
    return {
        "judged": len(verdicts),
        "passed": passed,
        "failed": failed,
        "not_judged": len(verdicts) - passed - failed,
    }


def _gates(evaluations: Mapping[str, Evaluation]) -> Iterable[dict[str, Any]]:
    for name, evaluation in evaluations.items():
        for gate in evaluation.gates:
            yield {
                "skill": name,
                "name": gate.name,
                "required": gate.required,
                "got": gate.got,
                "passed": gate.passed,
            }


def _notes(
    found: StoredEvidence, start: datetime, skills: JobSkills, *, gone: Sequence[str]
) -> tuple[str, ...]:
    notes = [
        f"skill {name} was not judged, and its traces wait until it can be: {reason}"
        for name, reason in skills.broken.items()
    ]
    notes += (
        f"skill {name}, which the last run knew, is not there any more: its traces are not judged"
        for name in gone
    )
    if not found.evidence and not found.unfinished:
        notes.append(
            f"no trace of Claude Code since {start:%Y-%m-%d %H:%M} UTC in this experiment; "
            "`skilltrace-mlflow doctor` says whether tracing is set up"
        )
    notes += (
        f"trace {trace_id} of {moment:%Y-%m-%d %H:%M} UTC is not wholly stored yet; a later run "
        "takes it up again"
        for trace_id, moment in found.unfinished
    )
    return tuple(notes)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _now() -> datetime:
    return datetime.now(timezone.utc)
