"""The scheduled job where things go wrong: nothing is lost, doubled, half written or left out."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest

from skilltrace_mlflow import evaluate_skill
from skilltrace_mlflow.databricks import job as job_module
from skilltrace_mlflow.databricks.delta import LocalTable
from skilltrace_mlflow.databricks.job import JobOptions, run_job
from skilltrace_mlflow.databricks.outcomes import KEY
from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError
from tests.databricks.test_job import (
    LIMITS,
    TAGS,
    arguments_of,
    assessments,
    job,
    killed_job,
    later,
    options,
    run_rows,
    runs,
    table_rows,
)
from tests.driver.stores import write_skill
from tests.driver.traces import log_turn

__all__ = ["options"]  # the fixture

BROKEN = {
    "no YAML": "skill: [",
    "unknown key": "skill: {name: broken}\ntrace_expectation: {}\n",
    "a value of another kind": "trace_expectations: {tool_limits: many}\n",
    "no mapping": "- 1\n",
    "no text": "\x00\x01",
}
OTHER: dict[str, Any] = {"trace_expectations": {"banned_tools": ["Bash"]}}


def judged(options: JobOptions) -> set[tuple[str, str]]:
    return {(row["skill"], row["trace_id"]) for row in table_rows(options)}


def check_once(options: JobOptions) -> None:
    keys = Counter(tuple(row[name] for name in KEY) for row in table_rows(options))
    assert set(keys.values()) == {1}


class TestWhoseATraceIs:
    """What an evaluation writes on a trace is for people, and decides nothing the next time."""

    def test_an_evaluations_own_test_id_is_not_taken_for_somebodys(
        self, store: str, options: JobOptions, tmp_path: Path
    ) -> None:
        """`strict` allows no Bash; the manifest, by which the trace is judged, allows one."""
        trace = log_turn("x", ["Read", "Bash"], tags=TAGS)
        case = {"id": "strict", "prompt": "x", "metadata": {"trace_id": trace}}
        case["expectations"] = {"tool_limits": {"Bash": 0}}
        write_skill(tmp_path / "skills" / "demo", manifest=LIMITS, cases=[case])
        evaluate_skill(tmp_path / "skills" / "demo", include_traces=True, experiment="traces")
        tags = mlflow.get_trace(trace).info.tags
        assert tags["skilltrace.test_id"] == tags["skilltrace.judged_as"] == "strict"
        report = run_job(options, now=later(seconds=1))
        (result,) = report.evaluations["demo"].results
        assert (result.test_id, report.exit_code) != ("strict", 1)
        assert report.exit_code == 0

    def test_a_test_id_that_somebody_wrote_stays_in_force(
        self, store: str, options: JobOptions
    ) -> None:
        trace = log_turn("x", ["Read", "Bash"], tags={**TAGS, "skilltrace.test_id": "strict"})
        for seconds in (1, 2):
            report = run_job(options, now=later(seconds=seconds))
            assert [r.test_id for r in report.evaluations["demo"].results] == ["strict"]
            assert report.exit_code == 1
        tags = mlflow.get_trace(trace).info.tags
        assert "skilltrace.judged_as" not in tags
        assert "skilltrace.judged_skill" not in tags

    def test_a_trace_of_two_skills_stays_that_of_both(
        self, store: str, options: JobOptions, tmp_path: Path
    ) -> None:
        write_skill(tmp_path / "skills" / "other", manifest=OTHER, cases=[])
        trace = log_turn("c", [("Skill", {"skill": "demo"}), ("Skill", {"skill": "other"})])
        for seconds in (1, 2):
            report = run_job(options, now=later(seconds=seconds))
            assert set(report.evaluations) == {"demo", "other"}
        assert judged(options) == {("demo", trace), ("other", trace)}

    def test_a_skill_that_somebody_named_is_not_overwritten_by_an_evaluation_of_another(
        self, store: str, options: JobOptions, tmp_path: Path
    ) -> None:
        trace = log_turn("x", ["Read"], tags=TAGS)
        case = {"id": "t", "prompt": "x", "metadata": {"trace_id": trace}}
        other = write_skill(tmp_path / "skills" / "other", manifest=OTHER, cases=[case])
        evaluate_skill(other, include_traces=True, experiment="traces")
        assert mlflow.get_trace(trace).info.tags["skilltrace.skill"] == "demo"
        assert set(run_job(options, now=later(seconds=1)).evaluations) == {"demo"}


class TestASkillThatCannotBeRead:
    """It fails the run, keeps no other skill from being judged, and its traces wait for it."""

    @pytest.mark.parametrize("kind", BROKEN)
    def test_the_others_are_judged_and_the_run_fails(
        self, store: str, options: JobOptions, tmp_path: Path, kind: str
    ) -> None:
        broken = tmp_path / "skills" / "broken"
        broken.mkdir()
        (broken / "manifest.yaml").write_text(BROKEN[kind], encoding="utf-8")
        trace = log_turn("do it", ["Read"], tags=TAGS)
        report = run_job(options, now=later(seconds=1))
        assert judged(options) == {("demo", trace)}
        assert report.exit_code == run_rows(options)[0]["exit_code"] == 2
        assert any("broken" in note for note in report.notes)
        lenient = run_job(replace(options, fail_on_gate=False), now=later(seconds=2))
        assert lenient.exit_code == 2

    def test_its_traces_are_judged_once_it_is_mended(
        self, store: str, options: JobOptions, tmp_path: Path
    ) -> None:
        options = replace(options, overlap=options.overlap * 0)
        broken = tmp_path / "skills" / "other"
        broken.mkdir()
        (broken / "manifest.yaml").write_text(BROKEN["no YAML"], encoding="utf-8")
        trace = log_turn("do it", ["Read"], tags={"skilltrace.skill": "other"})
        for day in (1, 2, 3):
            assert run_job(options, now=later(days=day)).exit_code == 2
        assert judged(options) == set()
        write_skill(broken, manifest=OTHER, cases=[])
        assert run_job(options, now=later(days=4)).exit_code == 0
        assert judged(options) == {("other", trace)}

    def test_a_ground_truth_that_cannot_be_read_counts_as_well(
        self, store: str, options: JobOptions, tmp_path: Path
    ) -> None:
        write_skill(tmp_path / "skills" / "other", manifest=OTHER, cases=[])
        (tmp_path / "skills" / "other" / "ground_truth.yaml").write_text("test_cases: {", "utf-8")
        log_turn("do it", ["Read"], tags=TAGS)
        report = run_job(options, now=later(seconds=1))
        assert (set(report.evaluations), report.exit_code) == ({"demo"}, 2)

    def test_where_none_can_be_read_nothing_is_done(
        self, store: str, options: JobOptions, tmp_path: Path
    ) -> None:
        (tmp_path / "skills" / "demo" / "manifest.yaml").write_text("skill: [", encoding="utf-8")
        with pytest.raises(ConfigurationError, match="demo"):
            run_job(options)
        assert not Path(options.table).exists()

    def test_the_command_says_which(self, store: str, options: JobOptions, tmp_path: Path) -> None:
        log_turn("do it", ["Read"], tags=TAGS)
        done = job([*arguments_of(options), "--skill", "demo,nothing"])
        assert done.returncode == 2
        assert "skill nothing was not judged" in done.stderr
        assert "1 judged: 1 passed" in done.stdout


def test_an_experiment_without_traces_is_said_and_is_no_failure(
    store: str, options: JobOptions
) -> None:
    done = job(arguments_of(options))
    assert done.returncode == 0, done.stderr
    assert "no trace of Claude Code since" in done.stderr
    assert "0 traces (0 unfinished), 0 judged" in done.stdout
    (row,) = run_rows(options)
    assert (row["traces"], row["judged"]) == (0, 0)
    assert table_rows(options) == []
    trace = log_turn("the first", ["Read"], tags=TAGS)
    run_job(options, now=later(seconds=1))
    assert judged(options) == {("demo", trace)}


class TestATableThatCannotBeWritten:
    """Exit code 3 (2 where something else is in its place), and nothing is logged before that."""

    @pytest.mark.parametrize("which", ["outcomes", "outcomes_runs"])
    @pytest.mark.parametrize(
        ("kind", "code"), [("a file", 3), ("below a file", 3), ("damaged", 3), ("another", 2)]
    )
    def test_nothing_is_logged(
        self, store: str, options: JobOptions, tmp_path: Path, which: str, kind: str, code: int
    ) -> None:
        log_turn("do it", ["Read"], tags=TAGS)
        if kind == "below a file":
            (tmp_path / "file").write_text("", encoding="utf-8")
            options = replace(options, table=str(tmp_path / "file" / "outcomes"))
        else:
            self.spoil(tmp_path / which, kind)
        with pytest.raises(SkillTraceError) as told:
            run_job(options, now=later(seconds=1))
        assert told.value.exit_code == code
        assert "\n" not in str(told.value)
        assert not assessments(store)
        assert runs(store) == []

    def spoil(self, place: Path, kind: str) -> None:
        if kind == "a file":
            place.write_text("", encoding="utf-8")
        elif kind == "damaged":
            LocalTable(place).prepare()
            for file in (place / "_delta_log").glob("*.json"):
                file.write_text("{", encoding="utf-8")
        else:
            import deltalake
            import pyarrow as pa

            deltalake.write_deltalake(str(place), pa.table({"a": [1]}))

    def test_what_breaks_in_between_is_made_good_by_the_next_run(
        self, store: str, options: JobOptions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log_turn("do it", ["Read"], tags=TAGS)
        broken: list[Path] = []
        whole: Callable[..., Any] = job_module._log

        def logged(*arguments: Any, **keywords: Any) -> Any:
            done = whole(*arguments, **keywords)
            log = Path(options.table) / "_delta_log"
            broken.append(log.rename(log.with_name("_delta_gone")))
            log.write_text("", encoding="utf-8")
            return done

        with monkeypatch.context() as patch:
            patch.setattr(job_module, "_log", logged)
            with pytest.raises(SkillTraceError, match="outcomes"):
                run_job(options, now=later(seconds=1))
        assert run_rows(options) == []
        held = assessments(store)
        assert held
        log = broken[0].with_name("_delta_log")
        log.unlink()
        broken[0].rename(log)
        assert table_rows(options) == []  # not half of it
        report = run_job(options, now=later(seconds=2))
        assert report.exit_code == 0
        assert assessments(store) == held
        check_once(options)
        assert len(table_rows(options)) == sum(held.values())


def test_killed_between_two_skills_it_judges_by_the_second_the_next_time(
    store: str, options: JobOptions, tmp_path: Path
) -> None:
    write_skill(tmp_path / "skills" / "other", manifest=OTHER, cases=[])
    trace = log_turn("c", [("Skill", {"skill": "demo"}), ("Skill", {"skill": "other"}), "Read"])
    killed_job(options, "skilltrace_mlflow.evaluate._run.EvaluationRun._open", 1)
    assert judged(options) == {("demo", trace)}
    report = run_job(options, now=later(seconds=1))
    assert judged(options) == {("demo", trace), ("other", trace)}
    check_once(options)
    assert report.exit_code == 0
    assert set(assessments(store).values()) == {1}


def test_two_jobs_at_once_double_no_row_and_lose_none(store: str, options: JobOptions) -> None:
    """Their assessments may be logged twice: the bundle allows one run at a time."""
    traces = {log_turn(f"turn {number}", ["Read"], tags=TAGS) for number in range(4)}
    code = "from skilltrace_mlflow.cli import job_main; job_main()"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments_of(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    ended = [(process.communicate(timeout=300), process.returncode) for process in started]
    assert {code for _, code in ended} <= {0, 3}, ended
    assert all("Traceback" not in said[1] for said, _ in ended)
    run_job(options, now=later(seconds=1))
    check_once(options)
    assert judged(options) == {("demo", trace) for trace in traces}
    verdicts = {key[:5] for key in assessments(store)}
    assert len(verdicts) == len(table_rows(options))
