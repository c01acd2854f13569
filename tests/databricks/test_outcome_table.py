"""Outcomes in a Delta table: the same verdict is one row, however often it is merged."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlglot

from skilltrace_mlflow import load_manifest, trace_eval
from skilltrace_mlflow.comparison.records import records_of
from skilltrace_mlflow.databricks.delta import LocalTable, merge_sql, open_table
from skilltrace_mlflow.databricks.outcomes import (
    COLUMNS,
    KEY,
    create_table_sql,
    expectation_digests,
    outcome_rows,
    records_of_rows,
)
from skilltrace_mlflow.errors import ConfigurationError, InputError
from skilltrace_mlflow.results import Evaluation

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
WHEN = datetime(2026, 11, 1, 5, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return trace_eval(SKILL, trace_dir=SKILL / "traces")


def test_every_verdict_is_a_row_with_the_declared_columns(evaluation: Evaluation) -> None:
    rows = outcome_rows(evaluation, scored_at=WHEN)
    assert len(rows) == sum(len(result.judged) for result in evaluation.results)
    assert {frozenset(row) for row in rows} == {frozenset(c.name for c in COLUMNS)}
    assert len({tuple(row[name] for name in KEY) for row in rows}) == len(rows)
    required = [c.name for c in COLUMNS if c.required]
    assert all(row[name] is not None for row in rows for name in required)


def test_merging_twice_adds_no_version(tmp_path: Path, evaluation: Evaluation) -> None:
    table = LocalTable(tmp_path / "outcomes")
    rows = outcome_rows(evaluation, scored_at=WHEN)
    assert table.merge(rows) == len(rows)
    before = table.version
    again = outcome_rows(evaluation, scored_at=WHEN + timedelta(days=1))
    assert table.merge(again) == 0
    assert table.version == before
    assert len(table.read()) == len(rows)
    assert {row["scored_at"] for row in table.read()} == {WHEN}


def test_a_verdict_that_changed_replaces_its_row(tmp_path: Path, evaluation: Evaluation) -> None:
    table = LocalTable(tmp_path / "outcomes")
    rows = outcome_rows(evaluation, scored_at=WHEN)
    table.merge(rows)
    changed = {**rows[0], "verdict": "unknown", "score": None}
    assert table.merge([changed, *rows[1:]]) == 1
    found = {tuple(row[name] for name in KEY): row["verdict"] for row in table.read()}
    assert found[tuple(changed[name] for name in KEY)] == "unknown"
    assert len(found) == len(rows)


def test_an_edited_expectation_gives_a_row_of_its_own(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    manifest = load_manifest(SKILL)
    edited = replace(
        manifest, trace_expectations={**manifest.trace_expectations, "tool_limits": {"Bash": 9}}
    )
    first, second = (expectation_digests(m) for m in (manifest, edited))
    assert {key for key in first if first[key] != second.get(key)} == {(None, "tool_count")}
    table = LocalTable(tmp_path / "outcomes")
    table.merge(outcome_rows(evaluation, digests=first, scored_at=WHEN))
    added = table.merge(outcome_rows(evaluation, digests=second, scored_at=WHEN))
    assert added == len(evaluation.results)


def test_rows_read_back_compare_like_the_evaluation(tmp_path: Path, evaluation: Evaluation) -> None:
    table = LocalTable(tmp_path / "outcomes")
    table.merge(outcome_rows(replace(evaluation, run_id="run-1"), scored_at=WHEN))
    assert table.latest_run() == "run-1"
    found = records_of_rows(table.read(run_id="run-1"))
    assert sorted(found, key=lambda r: r.test_id) == sorted(
        records_of(evaluation), key=lambda r: r.test_id
    )
    assert table.read(run_id="another") == []


def test_a_test_that_could_not_be_judged_is_a_row(tmp_path: Path) -> None:
    from skilltrace_mlflow.results import TestResult

    lost = TestResult(test_id="t", skill="s", error="trace tr-1 is not there")
    rows = outcome_rows(Evaluation(skill="s", results=(lost,)), scored_at=WHEN)
    assert [(row["check"], row["verdict"]) for row in rows] == [("(whole test)", "error")]
    table = LocalTable(tmp_path / "outcomes")
    assert table.merge(rows) == 1
    assert records_of_rows(table.read())[0].verdict == "error"


def test_the_statements_are_databricks_sql() -> None:
    for text in (create_table_sql("main.skills.outcomes"), merge_sql("main.skills.outcomes", "v")):
        assert sqlglot.parse_one(text, read="databricks") is not None
    columns = sqlglot.parse_one(create_table_sql("a.b.c"), read="databricks").find_all(
        sqlglot.exp.ColumnDef
    )
    assert [column.name for column in columns] == [c.name for c in COLUMNS]


@pytest.mark.parametrize("place", ["outcomes", "a..b", "a.b.c.d"])
def test_a_place_that_is_no_table_is_refused(place: str) -> None:
    with pytest.raises(ConfigurationError, match=r"catalog\.schema\.table"):
        open_table(place)


def test_a_folder_with_other_files_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    table = LocalTable(tmp_path)
    rows = outcome_rows(trace_eval(SKILL, SKILL / "traces" / "demo-good.jsonl"), scored_at=WHEN)
    with pytest.raises(InputError, match="holds no Delta table"):
        table.merge(rows)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
