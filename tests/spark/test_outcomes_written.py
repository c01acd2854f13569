"""`skilltrace-scale` as the job runs it, into tables of the catalog that Spark has here.

They are Parquet tables: Delta for Spark is no package of a Python registry. What is staged, found
new or changed, counted and refused is the same for both; Delta's MERGE is another statement at the
end, which is run on another engine (tests/databricks/test_outcome_table.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.cli.scale import command
from skilltrace_mlflow.databricks.job import RUNS
from skilltrace_mlflow.databricks.job_skills import PastRuns
from skilltrace_mlflow.databricks.outcomes import COLUMNS, KEY, TableShape, create_table_sql
from skilltrace_mlflow.databricks.spark_table import SparkTable
from tests.sources.table_rows import arrow_table
from tests.spark.test_at_scale import SKILLS, TRACES, here
from tests.spark.test_score_traces import traces

SKILL = ["--skill", "bronze-ingestion", "--skills-dir", str(SKILLS)]


@pytest.fixture
def schema(spark: Any) -> Iterator[str]:
    spark.sql("CREATE DATABASE scale")
    yield "scale"
    spark.sql("DROP DATABASE scale CASCADE")


@pytest.fixture
def outcomes(spark: Any, schema: str) -> str:
    spark.sql(create_table_sql(f"{schema}.outcomes", using="PARQUET"))
    return f"{schema}.outcomes"


@pytest.fixture
def trace_table(spark: Any, schema: str, tmp_path: Path) -> str:
    import pyarrow.parquet as pq

    pq.write_table(arrow_table("trace_unified", traces()), tmp_path / "traces.parquet")
    spark.read.parquet(str(tmp_path / "traces.parquet")).write.saveAsTable(f"{schema}.traces")
    return f"{schema}.traces"


def scale(*arguments: str) -> int:
    return run([*arguments, *SKILL], command, "skilltrace-scale")


def tables(spark: Any, schema: str) -> set[str]:
    return {row["tableName"] for row in spark.sql(f"SHOW TABLES IN {schema}").collect()}


def stored(spark: Any, table: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in spark.table(table).collect())


def test_the_console_script_is_a_process_of_its_own() -> None:
    """Its exit code is what fails the task of a job."""
    script = Path(sys.executable).with_name("skilltrace-scale")
    env = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    if os.environ.get("SKILLTRACE_SPARK") == "connect":
        env["SPARK_REMOTE"] = "local[2]"
    done = subprocess.run(
        [script, str(TRACES), *SKILL, "--where", "path LIKE '%demo-%'", "--table", ""],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (line,) = [text for text in done.stdout.splitlines() if text]
    assert line.startswith("bronze-ingestion: ")
    assert line.endswith("exit code 1; nothing was written")


@pytest.mark.parametrize("source", ["transcripts", "rows of traces"])
def test_verdicts_are_written_once_however_often_they_are_found(
    spark: Any,
    outcomes: str,
    trace_table: str,
    source: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = str(TRACES) if source == "transcripts" else trace_table
    assert scale(place, "--table", outcomes) == 1
    first = capsys.readouterr().out
    rows = spark.table(outcomes).collect()
    keys = [tuple(row[name] for name in KEY) for row in rows]
    assert len(set(keys)) == len(keys) > 0
    said = {name: sum(row["verdict"] == name for row in rows) for name in here()}
    assert first == (
        f"bronze-ingestion: {', '.join(f'{count} {name}' for name, count in said.items())}; "
        f"exit code 1; written to {outcomes}\n"
    )
    if source == "transcripts":
        assert said == here()
    held = stored(spark, outcomes)
    assert scale(place, "--table", outcomes) == 1
    assert capsys.readouterr().out == first
    assert stored(spark, outcomes) == held  # nothing twice, and no later time either
    assert tables(spark, "scale") == {"outcomes", "traces"}


def test_a_part_of_the_table_is_added_to_what_stands(
    spark: Any, outcomes: str, trace_table: str
) -> None:
    one = spark.table(trace_table).first()["trace_id"]
    scale(trace_table, "--table", outcomes, "--where", f"trace_id = '{one}'")
    before = stored(spark, outcomes)
    assert {row[0] for row in before} == {one}
    scale(trace_table, "--table", outcomes)
    after = stored(spark, outcomes)
    assert set(before) < set(after)


def test_a_changed_verdict_is_refused_where_the_format_takes_none(
    spark: Any, outcomes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scale(str(TRACES), "--table", outcomes)
    table = SparkTable(outcomes, spark=spark)
    rows = table.read()
    held = stored(spark, outcomes)
    now = datetime.now(timezone.utc)
    changed = [{**rows[0], "rationale": "another", "scored_at": now}]
    new = [{**rows[0], "test_id": "new", "scored_at": now}]
    with pytest.raises(Exception, match="1 verdicts have changed") as told:
        table.merge([*changed, *new])
    assert getattr(told.value, "exit_code", None) == 3
    assert stored(spark, outcomes) == held  # not the new one alone, either
    assert table.merge(new) == 1
    assert table.merge(new) == 0


def test_a_table_of_an_older_version_is_widened_and_columns_of_others_stay(
    spark: Any, schema: str
) -> None:
    optional = [column for column in COLUMNS if not column.required]
    older = TableShape(columns=tuple(c for c in COLUMNS if c.required), key=KEY, compared=())
    spark.sql(create_table_sql("scale.older", older, using="PARQUET"))
    spark.sql("ALTER TABLE scale.older ADD COLUMNS (team STRING)")
    values = ", ".join({"INT": "1", "TIMESTAMP": "now()"}.get(c.type, "'x'") for c in older.columns)
    spark.sql(f"INSERT INTO scale.older VALUES ({values}, 'ours')")  # noqa: S608 - ours
    table = SparkTable("scale.older", spark=spark)
    (old,) = table.read()
    assert all(old[column.name] is None for column in optional)
    assert scale(str(TRACES), "--table", "scale.older") == 1
    assert set(spark.table("scale.older").columns) == {*(c.name for c in COLUMNS), "team"}
    rows = table.read()
    assert [row["team"] for row in rows if row["trace_id"] == "x"] == ["ours"]
    assert all(row["details"] for row in rows if row["trace_id"] != "x")
    assert scale(str(TRACES), "--table", "scale.older") == 1
    assert len(table.read()) == len(rows)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC"])
def test_a_watermark_is_the_same_moment_in_every_zone(
    spark: Any, schema: str, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """Spark has a zone, and so has the machine; on that night clocks were set forward in Europe."""
    moment = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
    spark.sql(create_table_sql("scale.outcomes_runs", RUNS, using="PARQUET"))
    table = SparkTable("scale.outcomes_runs", RUNS, spark=spark)
    values: dict[str, Any] = {"STRING": "x", "BIGINT": 0, "INT": 0, "TIMESTAMP": moment}
    row = {column.name: values[column.type] for column in RUNS.columns}
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", zone)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert table.merge([{**row, "scope": '["traces", ["demo"]]'}]) == 1
        runs = PastRuns.of(table.read(), "traces")
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)
        monkeypatch.undo()
        time.tzset()
    assert runs.watermark(["demo"]) == moment


@pytest.mark.parametrize(
    ("made", "code", "told"),
    [
        (None, 3, "no Delta Lake"),
        ("CREATE TABLE scale.target (a INT) USING PARQUET", 2, "has no column"),
        ("CREATE VIEW scale.target AS SELECT 1 AS a", 2, "has no column"),
    ],
)
def test_a_table_that_cannot_be_written_is_told_before_anything_is_judged(
    spark: Any,
    schema: str,
    capsys: pytest.CaptureFixture[str],
    made: str | None,
    code: int,
    told: str,
) -> None:
    if made is not None:
        spark.sql(made)
    before = tables(spark, schema)
    assert scale(str(TRACES), "--table", f"{schema}.target") == code
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert tables(spark, schema) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([str(TRACES), "--where", "no_such_column = 1"], "no_such_column"),
        ([str(TRACES), "--where", "path LIKE"], "where"),
        (["/no/such/folder"], "/no/such/folder"),
        (["no.such_table"], "no such table"),
        ([" "], "no source"),
    ],
)
def test_what_cannot_be_read_is_a_wrong_option(
    spark: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert scale(*arguments) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


def test_what_a_killed_run_left_is_dropped_two_days_later_and_no_other_table(
    spark: Any, outcomes: str
) -> None:
    now = datetime.now(timezone.utc)
    young = f"outcomes_fresh_{now:%Y%m%d%H%M%S}_abcd1234"
    for name in ("outcomes_fresh_20200101000000_abcd1234", young, "outcomes_fresh_fruit"):
        spark.sql(f"CREATE TABLE scale.{name} (a INT) USING PARQUET")
    scale(str(TRACES), "--table", outcomes)
    assert tables(spark, "scale") == {"outcomes", young, "outcomes_fresh_fruit"}
