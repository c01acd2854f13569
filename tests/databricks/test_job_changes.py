"""What changes between two runs of the scheduled job: skills, checks, tags, clocks, and traces."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.databricks.job import JobOptions, run_job
from skilltrace_mlflow.databricks.job_skills import PastRuns
from skilltrace_mlflow.sources.mlflow.names import said_skill, said_test
from tests.databricks.test_job import LIMITS, TAGS, assessments, later, options, table_rows
from tests.databricks.test_job_hostile import OTHER, check_once, judged
from tests.driver.stores import write_skill
from tests.driver.traces import log_turn

__all__ = ["options"]  # the fixture

DAY = timedelta(days=1)
NOON = datetime(2026, 3, 29, 12, tzinfo=timezone.utc)


def past(*runs: tuple[list[str], datetime, datetime], experiment: str = "traces") -> PastRuns:
    rows = [
        {"scope": json.dumps([experiment, names]), "watermark": mark, "finished_at": finished}
        for names, mark, finished in runs
    ]
    return PastRuns.of(rows, "traces")


class TestWhereARunBegins:
    first = NOON - 7 * DAY

    def start(self, runs: PastRuns, *skills: str, overlap: timedelta = DAY) -> datetime:
        return runs.start(skills, first=self.first, overlap=overlap)

    def test_without_earlier_runs_a_week_back(self) -> None:
        assert self.start(past(), "a", "b") == self.first
        assert past().watermark(["a"]) is None

    @pytest.mark.parametrize(
        ("now", "begins"),
        [
            (["a", "b"], NOON - 21 * DAY),
            (["a"], NOON - 21 * DAY),  # b was deleted
            (["a", "b", "c"], NOON - 21 * DAY),  # c was added
            (["a", "c"], NOON - 21 * DAY),  # b was renamed
            (["c"], NOON - 7 * DAY),  # nothing that was judged is left
        ],
    )
    def test_a_skill_keeps_its_own_mark_whatever_becomes_of_the_others(
        self, now: list[str], begins: datetime
    ) -> None:
        """The job stood still for three weeks: nothing of them may be left out."""
        runs = past((["a", "b"], NOON - 20 * DAY, NOON - 20 * DAY))
        assert self.start(runs, *now) == begins

    def test_a_new_skill_is_looked_for_a_week_back_though_the_others_are_newer(self) -> None:
        runs = past((["a"], NOON, NOON))
        assert self.start(runs, "a", "b") == self.first
        assert self.start(runs, "a") == NOON - DAY

    def test_the_newest_run_of_a_skill_counts_though_an_older_one_got_further(self) -> None:
        runs = past(
            (["a", "b"], NOON, NOON - DAY),
            (["a"], NOON - 3 * DAY, NOON),  # set back
            (["b"], NOON - DAY, NOON),
        )
        assert runs.watermark(["a", "b"]) == NOON - 3 * DAY
        assert runs.watermark(["b"]) == NOON - DAY

    def test_another_experiments_runs_count_for_nothing(self) -> None:
        assert past((["a"], NOON, NOON), experiment="other").marks == {}

    def test_times_without_a_zone_are_those_of_this_machine(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As Spark hands them out, on the night on which the clock was set forward, too."""
        import time

        for zone in ("America/New_York", "Asia/Kolkata", "Europe/Berlin", "UTC"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            for hours in range(48):
                moment = NOON - DAY + timedelta(hours=hours)
                naive = moment.astimezone().replace(tzinfo=None)
                assert past((["a"], naive, naive)).marks["a"] == moment
        monkeypatch.undo()
        time.tzset()


def test_a_deleted_skill_is_said_and_the_others_go_on(
    store: str, options: JobOptions, tmp_path: Path
) -> None:
    other = write_skill(tmp_path / "skills" / "other", manifest=OTHER, cases=[])
    run_job(options, now=later(seconds=1))
    kept = log_turn("do it", ["Read"], tags=TAGS)
    lost = log_turn("do it", ["Read"], tags={"skilltrace.skill": "other"})
    (other / "manifest.yaml").unlink()
    report = run_job(options, now=later(days=20))
    assert judged(options) == {("demo", kept)}
    assert any("skill other" in note and "not there any more" in note for note in report.notes)
    assert report.exit_code == 0
    write_skill(other, manifest=OTHER, cases=[])
    run_job(options, now=later(days=30))  # it takes up where it had got to
    assert judged(options) == {("demo", kept), ("other", lost)}


def test_a_renamed_check_begins_a_row_and_leaves_the_old_one(
    store: str, options: JobOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one's verdict fails no later run."""
    names = {"few_calls": False, "not_many_calls": True}
    functions = [f"def {name}(session):\n    return {value}\n" for name, value in names.items()]
    (tmp_path / "renamed_checks.py").write_text("\n".join(functions), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    options = replace(options, allow_custom=True)
    log_turn("do it", ["Read"], tags=TAGS)
    codes = []
    for seconds, name in enumerate([*names, *names], 1):
        manifest = {**LIMITS, "scorers": {"enabled": [f"renamed_checks:{name}"]}}
        write_skill(tmp_path / "skills" / "demo", manifest=manifest, cases=[])
        codes.append(run_job(options, now=later(seconds=seconds)).exit_code)
    assert codes == [1, 0, 1, 0]
    check_once(options)
    found = {row["check"]: row["verdict"] for row in table_rows(options)}
    assert {name: found[name] for name in names} == {"few_calls": "fail", "not_many_calls": "pass"}
    assert set(assessments(store).values()) == {1}


def test_numbers_of_attempts_that_people_typed(store: str, options: JobOptions) -> None:
    typed = {"3": 3, " 2 ": 2, "0": 1, "-1": 1, "9" * 20: 1, "9" * 4500: 1, "٣": 1, "one": 1}
    wanted = {
        log_turn("do it", ["Read"], tags={**TAGS, "skilltrace.attempt": text}): attempt
        for text, attempt in typed.items()
    }
    assert run_job(options, now=later(seconds=1)).exit_code == 0
    assert {row["trace_id"]: row["attempt"] for row in table_rows(options)} == wanted


def test_tags_that_people_typed(store: str, options: JobOptions) -> None:
    spaced = log_turn("a", ["Read"], tags={"skilltrace.skill": " demo\n"})
    log_turn("b", ["Read"], tags={"skilltrace.skill": "nobody's"})
    tested = log_turn("c", ["Read", "Bash"], tags={**TAGS, "skilltrace.test_id": " strict "})
    wrong = log_turn("d", ["Read", "Bash"], tags={**TAGS, "skilltrace.test_id": "strct"})
    report = run_job(options, now=later(seconds=1))
    (evaluation,) = report.evaluations.values()
    verdicts = {result.trace_id: str(result.verdict) for result in evaluation.results}
    assert verdicts == {spaced: "pass", tested: "fail", wrong: "pass"}
    assert any("'strct'" in note for note in evaluation.notes)


@pytest.mark.parametrize(
    ("tags", "skill", "test"),
    [
        ({"skilltrace.skill": "  ", "skilltrace.test_id": ""}, None, None),
        ({"skilltrace.skill": "a", "skilltrace.judged_skill": "a"}, None, None),
        ({"skilltrace.skill": "a ", "skilltrace.judged_skill": "b"}, "a", None),
        ({"skilltrace.test_id": "\tt", "skilltrace.judged_as": "s"}, None, "t"),
    ],
)
def test_what_a_tag_says(tags: dict[str, str], skill: str | None, test: str | None) -> None:
    assert (said_skill(tags), said_test(tags)) == (skill, test)


def test_a_trace_of_ten_megabytes_gives_rows_of_some_kilobytes(
    store: str, options: JobOptions
) -> None:
    huge = "x" * 10_000_000
    calls: list[Any] = [("Bash", {"command": f"echo {huge}"})] * 2
    log_turn("do it", calls, tags=TAGS)
    assert run_job(options, now=later(seconds=1)).exit_code == 1
    rows = table_rows(options)
    assert {row["check"]: row["verdict"] for row in rows}["tool_count"] == "fail"
    assert max(len(str(value)) for row in rows for value in row.values()) < 10_000
    held = assessments(store)
    run_job(options, now=later(seconds=2))
    assert assessments(store) == held
