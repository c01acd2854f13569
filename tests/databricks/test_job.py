"""The scheduled job on a real store and a real Delta table: what is new is judged, once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from skilltrace_mlflow.databricks.delta import LocalTable, load_outcomes, open_table
from skilltrace_mlflow.databricks.job import (
    RUNS,
    JobOptions,
    JobReport,
    parse_since,
    parse_span,
    run_job,
)
from skilltrace_mlflow.databricks.outcomes import KEY
from skilltrace_mlflow.errors import ConfigurationError
from tests.driver.stores import write_skill
from tests.driver.test_unfinished import lose_the_root
from tests.driver.traces import log_turn

LIMITS: dict[str, Any] = {
    "trace_expectations": {"required_tools": ["Read"], "tool_limits": {"Bash": 1}}
}
TAGS = {"skilltrace.skill": "demo"}


@pytest.fixture
def options(store: str, tmp_path: Path) -> JobOptions:
    write_skill(
        tmp_path / "skills" / "demo",
        manifest=LIMITS,
        cases=[
            {"id": "strict", "prompt": "x", "expectations": {"tool_limits": {"Bash": 0}}},
        ],
    )
    return JobOptions(
        skills_dir=str(tmp_path / "skills"),
        experiment="traces",
        table=str(tmp_path / "outcomes"),
        tracking_uri=store,
    )


def later(**span: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(**span)


def assessments(store: str) -> Counter[tuple[str, ...]]:
    """Every verdict of ours in the store that stands, and how often."""
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("traces")
    assert experiment is not None
    found: Counter[tuple[str, ...]] = Counter()
    for trace in client.search_traces(locations=[experiment.experiment_id]):
        for item in trace.info.assessments:
            metadata = item.metadata or {}
            if item.feedback is not None and item.valid is not False:
                names = ("skilltrace.skill", "skilltrace.test_id", "skilltrace.attempt")
                marks = [metadata[name] for name in names]
                found[(trace.info.trace_id, *marks, item.name, str(item.feedback.value))] += 1
    return found


def table_rows(options: JobOptions) -> list[dict[str, Any]]:
    return open_table(options.table).read()


def run_rows(options: JobOptions) -> list[dict[str, Any]]:
    return open_table(f"{options.table}_runs", RUNS).read()


def runs(store: str) -> list[str]:
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("traces")
    assert experiment is not None
    return [
        run.data.tags["skilltrace.status"] for run in client.search_runs([experiment.experiment_id])
    ]


def test_a_second_run_judges_only_what_is_new(store: str, options: JobOptions) -> None:
    first = log_turn("do it", ["Read"], tags=TAGS)
    before = run_job(options, now=later())
    assert (before.exit_code, before.row["judged"], before.row["rows_changed"]) == (0, 1, 2)
    assert {row["trace_id"] for row in table_rows(options)} == {first}
    second = log_turn("do more", ["Bash", "Bash"], tags=TAGS)
    options = replace(options, overlap=timedelta(0))
    report = run_job(options, now=later(hours=1))
    assert report.row["window_from"] == before.row["window_to"]
    assert (report.exit_code, report.row["judged"]) == (1, 1)
    assert [r.trace_id for r in report.evaluations["demo"].results] == [second]
    assert {row["trace_id"] for row in table_rows(options)} == {first, second}


def test_running_again_changes_nothing(store: str, options: JobOptions) -> None:
    log_turn("do it", ["Read"], tags=TAGS)
    log_turn("do it", ["Bash", "Bash"], tags={**TAGS, "skilltrace.test_id": "strict"})
    log_turn("do it", ["Read"], tags={**TAGS, "skilltrace.test_id": "strict"})
    run_job(options, now=later(seconds=1))
    held, rows = assessments(store), table_rows(options)
    assert set(held.values()) == {1}
    assert {key[3] for key in held} == {"1"}
    version = LocalTable(options.table).version
    again = run_job(options, now=later(seconds=2))
    assert (again.exit_code, again.row["judged"], again.row["rows_changed"]) == (1, 3, 0)
    assert assessments(store) == held
    assert table_rows(options) == rows
    assert LocalTable(options.table).version == version
    assert runs(store) == ["complete"]
    known = {row["run_id"] for row in rows}
    assert {r.run_id for r in again.evaluations["demo"].results} == known


def test_a_turn_that_arrives_late_is_found_by_the_overlap(store: str, options: JobOptions) -> None:
    run_job(options, now=later(hours=2))
    late = log_turn("began before that", ["Read"], tags=TAGS)
    missed = run_job(
        replace(options, overlap=timedelta(minutes=1), dry_run=True), now=later(hours=3)
    )
    assert missed.row["traces"] == 0
    report = run_job(replace(options, overlap=timedelta(hours=6)), now=later(hours=3))
    assert {row["trace_id"] for row in table_rows(options)} == {late}
    assert report.row["judged"] == 1


def test_an_unfinished_turn_holds_the_watermark_and_is_taken_up_later(
    store: str, options: JobOptions
) -> None:
    import sqlite3

    lost = log_turn("still at it", ["Read"], tags=TAGS)
    whole = log_turn("done", ["Read"], tags=TAGS)
    database = store.removeprefix("sqlite:///")
    with sqlite3.connect(database) as connection:
        # Generated columns are not listed here, and not to be written.
        names = [row[1] for row in connection.execute("PRAGMA table_info(spans)")]
        columns = ", ".join(names)
        kept = list(
            connection.execute(f"SELECT {columns} FROM spans WHERE trace_id = ?", (lost,))  # noqa: S608
        )
    lose_the_root(store, lost)
    options = replace(options, overlap=timedelta(0))
    report = run_job(options, now=later(hours=1))
    assert report.row["unfinished"] == 1
    assert lost in report.notes[0]
    assert report.row["watermark"] < later(seconds=0) < report.row["window_to"]
    assert {row["trace_id"] for row in table_rows(options)} == {whole}
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM spans WHERE trace_id = ?", (lost,))
        marks = ", ".join("?" * len(names))
        connection.executemany(f"INSERT INTO spans ({columns}) VALUES ({marks})", kept)  # noqa: S608
        connection.execute("UPDATE trace_info SET status = 'OK' WHERE request_id = ?", (lost,))
    report = run_job(options, now=later(hours=2))
    assert report.row["unfinished"] == 0
    assert {row["trace_id"] for row in table_rows(options)} == {whole, lost}
    assert set(assessments(store).values()) == {1}


def test_a_turn_that_never_ends_does_not_hold_the_watermark_for_ever(
    store: str, options: JobOptions
) -> None:
    lose_the_root(store, log_turn("never", ["Read"], tags=TAGS))
    options = replace(options, since=later(days=-1))
    report = run_job(options, now=later(days=30))
    assert report.row["window_to"] - report.row["watermark"] == timedelta(days=7)


def test_a_later_since_does_not_make_the_next_run_forget(store: str, options: JobOptions) -> None:
    run_job(options, now=later(days=-1))
    trace = log_turn("in between", ["Read"], tags=TAGS)
    skipped = run_job(replace(options, since=later(hours=1)), now=later(hours=2))
    assert skipped.row["traces"] == 0
    run_job(replace(options, overlap=timedelta(0)), now=later(hours=3))
    assert {row["trace_id"] for row in table_rows(options)} == {trace}


def test_several_skills_in_one_run_each_take_their_own_traces(
    store: str, options: JobOptions, tmp_path: Path
) -> None:
    other = {"trace_expectations": {"banned_tools": ["Bash"]}}
    write_skill(tmp_path / "skills" / "other", manifest=other, cases=[])
    mine = log_turn("a", ["Read"], tags=TAGS)
    theirs = log_turn("b", ["Bash"], tags={"skilltrace.skill": "other"})
    loaded = log_turn("c", [("Skill", {"skill": "other"})])
    log_turn("of nobody", ["Bash"])
    log_turn("baseline", ["Bash"], tags={**TAGS, "skilltrace.arm": "without"})
    report = run_job(options, now=later(seconds=1))
    judged = {
        name: {result.trace_id for result in evaluation.results}
        for name, evaluation in report.evaluations.items()
    }
    assert judged == {"demo": {mine}, "other": {theirs, loaded}}
    assert report.exit_code == 1
    assert {row["skill"] for row in table_rows(options)} == {"demo", "other"}
    only = run_job(replace(options, skills=("demo",), dry_run=True), now=later(seconds=2))
    assert set(only.evaluations) == {"demo"}
    assert only.exit_code == 0


def test_turns_of_a_tagged_test_are_one_attempt(store: str, options: JobOptions) -> None:
    tags = {**TAGS, "skilltrace.test_id": "strict", "skilltrace.attempt": "2"}
    first = log_turn("begin", ["Read"], session="s1", tags=tags)
    log_turn("go on", ["Bash"], session="s1", tags=tags)
    (result,) = run_job(options, now=later(seconds=1)).evaluations["demo"].results
    assert (result.trace_id, result.attempt, str(result.verdict)) == (first, 2, "fail")
    assert {(row["trace_id"], row["attempt"]) for row in table_rows(options)} == {(first, 2)}


def test_an_edited_expectation_supersedes_the_verdict(
    store: str, options: JobOptions, tmp_path: Path
) -> None:
    log_turn("do it", ["Read", "Bash"], tags=TAGS)
    run_job(options, now=later(seconds=1))
    edited = {"trace_expectations": {"required_tools": ["Read"], "tool_limits": {"Bash": 0}}}
    write_skill(tmp_path / "skills" / "demo", manifest=edited, cases=[])
    report = run_job(options, now=later(seconds=2))
    assert report.exit_code == 1
    stands = {key[4]: (key[5], count) for key, count in assessments(store).items()}
    assert stands["tool_count"] == ("no", 1)
    assert stands["required_tools"] == ("yes", 1)
    found = [row["verdict"] for row in table_rows(options) if row["check"] == "tool_count"]
    assert sorted(found) == ["fail", "pass"]


def test_a_gate_decides_and_may_be_told_not_to_fail_the_run(
    store: str, options: JobOptions, tmp_path: Path
) -> None:
    gated = {**LIMITS, "quality_gates": {"tool_count": 0.9}}
    write_skill(tmp_path / "skills" / "demo", manifest=gated, cases=[])
    log_turn("do it", ["Read", "Bash", "Bash"], tags=TAGS)
    report = run_job(options, now=later(seconds=1))
    assert report.exit_code == 1
    (gate,) = json.loads(run_rows(options)[0]["gates"])
    assert (gate["name"], gate["passed"]) == ("tool_count", False)
    lenient = run_job(replace(options, fail_on_gate=False), now=later(seconds=2))
    assert lenient.exit_code == 0


@pytest.mark.parametrize("fail_on_gate", [True, False])
def test_what_could_not_be_judged_fails_the_run_in_any_case(
    store: str, options: JobOptions, tmp_path: Path, fail_on_gate: bool
) -> None:
    unknowable = {
        "trace_expectations": {"required_tools": ["Read"], "token_budget": {"max_total": 5000}}
    }
    write_skill(tmp_path / "skills" / "demo", manifest=LIMITS | unknowable, cases=[])
    log_turn("do it", ["Read"], tags=TAGS, starts="a1")  # what the agent did is not in the store
    report = run_job(replace(options, fail_on_gate=fail_on_gate), now=later(seconds=1))
    verdicts = {str(o.verdict) for r in report.evaluations["demo"].results for o in r.judged}
    assert "unknown" in verdicts
    assert report.exit_code == 3


def test_a_dry_run_writes_nothing(store: str, options: JobOptions) -> None:
    log_turn("do it", ["Bash", "Bash"], tags=TAGS)
    report = run_job(replace(options, dry_run=True), now=later(seconds=1))
    assert (report.exit_code, report.row["judged"]) == (1, 1)
    assert not assessments(store)
    assert not Path(options.table).exists()
    assert not Path(f"{options.table}_runs").exists()
    assert runs(store) == []


def test_runs_in_the_table_are_compared(store: str, options: JobOptions) -> None:
    tags = {**TAGS, "skilltrace.test_id": "strict"}
    log_turn("do it", ["Read"], tags=tags)
    before = run_job(options, now=later(seconds=1)).evaluations["demo"].run_id
    later_since = replace(options, since=later(seconds=0))
    log_turn("do it", ["Bash"], tags=tags)
    after = run_job(later_since, now=later(seconds=2)).evaluations["demo"].run_id
    assert before != after
    (was,), (now,) = (load_outcomes(f"{options.table}@{run}") for run in (before, after))
    assert (was.test_id, was.verdict, now.test_id, now.verdict) == (
        "strict",
        "pass",
        "strict",
        "fail",
    )
    command = [sys.executable, "-m", "skilltrace_mlflow", "compare", "--fail-on-regression"]
    places = [f"{options.table}@{before}", f"{options.table}@{after}"]
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False)
    assert (done.returncode, "strict" in done.stdout) == (1, True), done.stderr


STAGES = {
    "before anything is logged": "skilltrace_mlflow.evaluate._run.EvaluationRun._open",
    "with a run and no assessment": "skilltrace_mlflow.evaluate._run.EvaluationRun._log_rows",
    "with some assessments": "mlflow.tracing.client.TracingClient.log_assessment",
    "before the assessments are verified": "skilltrace_mlflow.evaluate._run.complete",
    "before the run is closed": "skilltrace_mlflow.evaluate._run.EvaluationRun._close",
    "before the outcomes are merged": "skilltrace_mlflow.databricks.delta.LocalTable.merge",
    "before the run's row is written": "skilltrace_mlflow.databricks.job._tally",
}
_KILLED = """
import importlib, os, signal, sys
sys.path.insert(0, {root!r})
name, count = {name!r}, {count}
module, found = name, []
while True:
    try:
        owner = importlib.import_module(module)
        break
    except ImportError:
        module, _, part = module.rpartition(".")
        found.insert(0, part)
for part in found[:-1]:
    owner = getattr(owner, part)
whole = getattr(owner, found[-1])
calls = 0
def killed(*arguments, **options):
    global calls
    calls += 1
    if calls > count:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*arguments, **options)
setattr(owner, found[-1], killed)
from skilltrace_mlflow.cli import job_main
sys.argv = ["skilltrace-job", *{arguments!r}]
job_main()
print("was not killed")
"""


def arguments_of(options: JobOptions) -> list[str]:
    return [
        *("--skills-dir", options.skills_dir, "--experiment", options.experiment),
        *("--table", options.table, "--tracking-uri", str(options.tracking_uri)),
    ]


def killed_job(options: JobOptions, name: str, count: int) -> None:
    root = str(Path(__file__).resolve().parents[2])
    code = _KILLED.format(root=root, name=name, count=count, arguments=arguments_of(options))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == -signal.SIGKILL, (done.stdout[-500:], done.stderr[-2000:])


@pytest.mark.parametrize("stage", STAGES)
def test_killed_and_run_again_it_loses_and_doubles_nothing(
    store: str, options: JobOptions, stage: str
) -> None:
    log_turn("one", ["Read"], tags=TAGS)
    log_turn("two", ["Bash", "Bash"], tags=TAGS)
    log_turn("three", ["Read"], tags={**TAGS, "skilltrace.test_id": "strict"})
    # The second merge is that of the run's own row.
    count = 2 if stage == "with some assessments" else 0
    killed_job(options, STAGES[stage], count)
    assert run_rows(options) == []
    report = run_job(options, now=later(seconds=1))
    check_whole(store, options, report)


def check_whole(store: str, options: JobOptions, report: JobReport) -> None:
    results = report.evaluations["demo"].results
    wanted = {
        (r.trace_id, "demo", r.test_id, str(r.attempt), o.check): str(o.verdict)
        for r in results
        for o in r.judged
    }
    held = assessments(store)
    assert {key[:5]: count for key, count in held.items()} == dict.fromkeys(wanted, 1)
    rows = table_rows(options)
    keys = [tuple(row[name] for name in KEY) for row in rows]
    assert len(set(keys)) == len(keys) == len(wanted)
    assert {
        (*k[:3], str(k[3]), k[4]): r["verdict"] for k, r in zip(keys, rows, strict=True)
    } == wanted
    assert len(run_rows(options)) == 1
    assert runs(store) == ["complete"]  # the run of the killed job was taken up and finished
    assert {row["run_id"] for row in rows} == {results[0].run_id}


def job(
    arguments: Sequence[str], env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    code = "from skilltrace_mlflow.cli import job_main; job_main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        timeout=300,
    )


def test_the_entry_point_prints_each_skill_and_the_run(store: str, options: JobOptions) -> None:
    log_turn("do it", ["Read", "Bash", "Bash"], tags=TAGS)
    # As a job hands parameters over: those left empty too.
    empty = ["--since", "", "--skill", "", "--secret", "", "--overlap", ""]
    done = job([*arguments_of(options), *empty, "--no-llm"])
    assert done.returncode == 1, done.stderr
    assert "tool_count" in done.stdout
    assert "1 judged: 0 passed, 1 failed" in done.stdout.splitlines()[-1]
    dry = job([*arguments_of(options), "--skill", "demo,", "--dry-run", "--no-fail-on-gate"])
    assert dry.returncode == 0, dry.stderr
    assert "dry run" in dry.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--table", "outcomes"], "catalog.schema.table"),
        (["--table", ""], "--table"),
        (["--since", "yesterday"], "no time"),
        (["--overlap", "1 month"], "no span"),
        (["--skill", "nothing"], "nothing"),
        (["--secret", "OPENAI_API_KEY"], "NAME=SCOPE/KEY"),
        (["--skills-dir", "nowhere"], "no such folder"),
        (["--experiment", "no-such"], "no-such"),
    ],
)
def test_wrong_options_are_told_in_one_line(
    store: str, options: JobOptions, arguments: list[str], told: str
) -> None:
    from skilltrace_mlflow.cli._app import run
    from skilltrace_mlflow.cli.job import command

    done = job([*arguments_of(options), *arguments]) if "--table" in arguments else None
    if done is not None:
        assert (done.returncode, told in done.stderr, "Traceback" in done.stderr) == (
            2,
            True,
            False,
        )
        return
    assert run([*arguments_of(options), *arguments], command, "skilltrace-job") == 2


def test_times_and_spans() -> None:
    now = datetime(2026, 11, 25, 5, tzinfo=timezone.utc)
    assert parse_span(" 36h ") == timedelta(hours=36)
    assert parse_since("7d", now=now) == now - timedelta(days=7)
    assert parse_since("2026-11-20") == datetime(2026, 11, 20, tzinfo=timezone.utc)
    assert parse_since("2026-11-20T05:00:00Z") == datetime(2026, 11, 20, 5, tzinfo=timezone.utc)
    for wrong in ("", "d", "1y", "-1d", "1.5h"):
        with pytest.raises(ConfigurationError):
            parse_span(wrong)
