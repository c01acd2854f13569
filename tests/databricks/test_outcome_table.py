"""Outcomes in a Delta table: the same verdict is one row, however often it is merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot

from skilltrace_mlflow import load_manifest, trace_eval
from skilltrace_mlflow.comparison.records import records_of
from skilltrace_mlflow.databricks.delta import LocalTable, _schema, open_table
from skilltrace_mlflow.databricks.outcomes import (
    COLUMNS,
    KEY,
    OUTCOMES,
    add_columns_sql,
    create_table_sql,
    expectation_digests,
    outcome_rows,
    records_of_rows,
)
from skilltrace_mlflow.databricks.spark_table import merge_sql
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError, InputError
from skilltrace_mlflow.results import Evaluation, TestResult

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


def test_the_merge_statement_updates_and_inserts(evaluation: Evaluation) -> None:
    """On an engine that runs it as it stands; Delta for Spark is not at hand."""
    rows = outcome_rows(evaluation, scored_at=WHEN)
    changed = {**rows[0], "verdict": "unknown", "score": None}
    with duckdb.connect() as connection:
        for name, given in (("outcomes", rows[:-2]), ("fresh", [changed, *rows[-2:]])):
            frame = pa.Table.from_pylist(given, schema=_schema(OUTCOMES))
            if name == "outcomes":  # a column of somebody else's
                frame = frame.append_column("team", pa.array(["ours"] * len(given)))
            connection.register("given", frame)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")  # noqa: S608
        for _ in range(2):
            statement = sqlglot.parse_one(merge_sql("outcomes", "fresh"), read="databricks")
            connection.execute(statement.sql("duckdb"))
            found = connection.sql("SELECT * FROM outcomes").to_arrow_table().to_pylist()
            wanted = {_key(row): row["verdict"] for row in [*rows, changed]}
            assert {_key(row): row["verdict"] for row in found} == wanted
            assert len(found) == len(rows)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def test_a_table_of_other_columns_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    import deltalake

    deltalake.write_deltalake(str(tmp_path / "other"), pa.table({"trace_id": ["a"]}))
    table = LocalTable(tmp_path / "other")
    for use in (table.prepare, table.read, lambda: table.merge([_row()])):
        with pytest.raises(ConfigurationError, match="has no column"):
            use()
    assert table.version == 0


OPTIONAL = [column.name for column in COLUMNS if not column.required]


@pytest.mark.parametrize("lacking", [OPTIONAL[:1], OPTIONAL[-1:], OPTIONAL])
def test_a_table_of_an_older_version_is_widened(
    tmp_path: Path, evaluation: Evaluation, lacking: list[str]
) -> None:
    """Its rows stay, are read as empty there, and are brought up when they are judged again."""
    import deltalake

    rows = outcome_rows(evaluation, scored_at=WHEN)
    old = pa.Table.from_pylist(rows, schema=_schema(OUTCOMES)).drop_columns(lacking)
    deltalake.write_deltalake(str(tmp_path / "old"), old)
    table = LocalTable(tmp_path / "old")
    assert all(row[name] is None for row in table.read() for name in lacking)
    assert len(records_of_rows(table.read())) == len(evaluation.results)
    assert table.version == 0  # read by somebody who may not write
    new = {**rows[0], "test_id": "new"}
    assert table.merge([new]) == 1
    held = {_key(row): row for row in table.read()}
    assert held[_key(new)] == new
    assert len(held) == len(rows) + 1
    table.merge(rows)
    table.merge(rows)
    found = {_key(row): row for row in table.read()}
    compared = OUTCOMES.compared
    assert {key: [row[c] for c in compared] for key, row in found.items()} == {
        _key(row): [row[c] for c in compared] for row in [*rows, new]
    }


def test_what_an_older_table_lacks_is_added_in_databricks_sql() -> None:
    lacking = [column for column in COLUMNS if column.name in OPTIONAL]
    statement = sqlglot.parse_one(add_columns_sql("a.b.c", lacking), read="databricks")
    added = [column.name for column in statement.find_all(sqlglot.exp.ColumnDef)]
    assert added == OPTIONAL


def test_columns_of_others_stay_as_they_are(tmp_path: Path, evaluation: Evaluation) -> None:
    import deltalake

    rows = outcome_rows(evaluation, scored_at=WHEN)
    frame = pa.Table.from_pylist(rows, schema=_schema(OUTCOMES))
    frame = frame.append_column("team", pa.array(["ours"] * len(rows)))
    deltalake.write_deltalake(str(tmp_path / "outcomes"), frame)
    table = LocalTable(tmp_path / "outcomes")
    changed = {**rows[0], "verdict": "unknown"}
    assert table.merge([changed, {**rows[0], "test_id": "new"}]) == 2
    teams = {_key(row): row["team"] for row in table.read()}
    assert set(teams.values()) == {"ours", None}
    assert teams[_key(changed)] == "ours"


def test_texts_that_no_store_takes_become_ones_that_every_store_takes(tmp_path: Path) -> None:
    lost = TestResult(test_id="t\ud800", skill="s", error="\x00 \udfff", trace_id="tr-\ud83d")
    rows = outcome_rows(Evaluation(skill="s", results=(lost,)), scored_at=WHEN)
    table = LocalTable(tmp_path / "outcomes")
    assert table.merge(rows) == 1
    assert table.merge(rows) == 0
    (row,) = table.read()
    assert row["test_id"] == "t\ufffd"


@pytest.mark.parametrize("damage", ["log", "data"])
def test_a_damaged_table_is_told_in_one_line(
    tmp_path: Path, evaluation: Evaluation, damage: str
) -> None:
    table = LocalTable(tmp_path / "outcomes")
    table.merge(outcome_rows(evaluation, scored_at=WHEN))
    pattern = "_delta_log/*.json" if damage == "log" else "*.parquet"
    for file in table.path.glob(pattern):
        file.write_text("{", encoding="utf-8")
    with pytest.raises(EvaluationError, match="not written or read") as told:
        table.merge([_row()])
    assert "\n" not in str(told.value)


def test_merges_at_once_lose_and_double_nothing(tmp_path: Path, evaluation: Evaluation) -> None:
    rows = outcome_rows(evaluation, scored_at=WHEN)
    place = tmp_path / "outcomes"
    LocalTable(place).prepare()
    # Every merge has rows of its own, and rows that all have.
    shares = [[{**rows[0], "test_id": f"own-{n}"}, *rows] for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda share: LocalTable(place).merge(share), shares))
    found = Counter(_key(row) for row in LocalTable(place).read())
    assert set(found) == {_key(row) for share in shares for row in share}
    assert set(found.values()) == {1}


def _row() -> dict[str, Any]:
    (row,) = outcome_rows(
        Evaluation(skill="s", results=(TestResult(test_id="t", skill="s", error="lost"),)),
        scored_at=WHEN,
    )
    return row


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
