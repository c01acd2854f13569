"""What Spark finds is what one machine finds, in every shape of table."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.databricks.outcomes import COLUMNS, KEY, outcome_rows
from skilltrace_mlflow.databricks.spark_table import unlike_frame
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.evaluation import trace_eval
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from skilltrace_mlflow.spark import OUTCOME_SCHEMA, score_traces
from tests.sources.forms import as_traces
from tests.sources.table_rows import arrow_table

ROOT = Path(__file__).resolve().parents[2]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"
TRACES = SKILL / "traces"
VARIANTS = {
    "otel_annotations": {n: f"parse_json(`{n}`) AS `{n}`" for n in ("value", "metadata")},
    "otel_spans_v2": {"attributes": "parse_json(attributes) AS attributes"},
}
HUGE = {
    "trace_id": "'trace:/a.b.c/huge' AS trace_id",
    "trace_metadata": "map('mlflow.trace.session', 'huge') AS trace_metadata",
    "request": "repeat('x', 5000000) AS request",
}
BAD = {"trace_id": "'trace:/a.b.c/bad'", "spans": "NULL", "trace_metadata": "map()"}
COMPARED = ("check", "verdict", "score", "rationale", "session_id", "total_tokens", "cost_usd")


def sessions() -> list[Any]:
    return [parse_transcript(path) for path in find_sessions(TRACES)]


def traces() -> list[dict[str, Any]]:
    """As the import writes them: results and failures are attributes, no events are needed."""
    return [trace for session in sessions() for trace in as_traces(session)]


def here() -> list[tuple[Any, ...]]:
    evaluation = trace_eval(SKILL, trace_dir=TRACES)
    return compared(outcome_rows(evaluation))


def compared(rows: Iterable[Any]) -> list[tuple[Any, ...]]:
    found = []
    for row in rows:
        values = row if isinstance(row, Mapping) else row.asDict()
        cost = values["cost_usd"]
        rounded = {**values, "cost_usd": None if cost is None else round(cost, 9)}
        found.append(tuple(rounded[name] for name in COMPARED))
    return sorted(found, key=repr)


@pytest.fixture(scope="module")
def table(spark: Any, tmp_path_factory: Any) -> Callable[[str], Any]:
    """A trace table of Unity Catalog as a frame, with its documented types, VARIANT included."""
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("tables")

    def frame(name: str, **changed: str) -> Any:
        place = folder / f"{name}.parquet"
        if not place.exists():
            pq.write_table(arrow_table(name, traces()), place)
        columns = {**VARIANTS.get(name, {}), **changed}
        read = spark.read.parquet(str(place))
        return read.selectExpr(*(columns.get(column, f"`{column}`") for column in read.columns))

    return frame


def test_no_executor_can_import_mlflow() -> None:
    """Everything below is thus scored without it."""
    assert importlib.util.find_spec("mlflow") is None
    assert "mlflow" not in sys.modules


def test_transcripts_of_a_volume(spark: Any) -> None:
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(str(TRACES))
    rows = score_traces(files, SKILL).collect()
    assert compared(rows) == here()
    assert set(rows[0].asDict()) == {column.name for column in COLUMNS}
    assert len({tuple(row[name] for name in KEY) for row in rows}) == len(rows)
    assert all(row["expectations_digest"] for row in rows)


def test_transcripts_as_text_and_never_line_by_line(spark: Any) -> None:
    path = str(TRACES / "demo-good.jsonl")
    whole = score_traces(spark.read.text(path, wholetext=True), SKILL).collect()
    assert whole
    assert "error" not in {row["verdict"] for row in whole}
    lines = spark.read.text(path).selectExpr("value")
    assert {row["verdict"] for row in score_traces(lines, SKILL).collect()} == {"error"}


def test_rows_of_traces(spark: Any, table: Any) -> None:
    rows = table("trace_unified")
    bad = rows.limit(1).selectExpr(
        *(BAD.get(column, column) + f" AS {column}" for column in rows.columns)
    )
    found = score_traces(rows.unionByName(bad), SKILL).collect()
    errors = [row for row in found if row["trace_id"].endswith("bad")]
    assert [row["verdict"] for row in errors] == ["error"]
    good = [row for row in found if not row["trace_id"].endswith("bad")]
    assert {row["trace_id"] for row in good} == {row["trace_id"] for row in rows.collect()}
    single = [
        item
        for session, item in ((s, trace_eval(SKILL, traces=[s])) for s in sessions())
        if len(as_traces(session)) == 1
    ]
    alone = [row for evaluation in single for row in outcome_rows(evaluation)]
    ids = {row["session_id"] for row in alone}
    assert compared(row for row in good if row["session_id"] in ids) == compared(alone)


@pytest.mark.parametrize("notes", ["otel_annotations", "trace_metadata"])
@pytest.mark.parametrize("spans", ["otel_spans_v1", "otel_spans_v2"])
def test_rows_of_spans_with_annotations(table: Any, spans: str, notes: str) -> None:
    found = score_traces(table(spans), SKILL, annotations=table(notes)).collect()
    assert {row["verdict"] for row in found} <= {"pass", "fail", "unknown"}
    assert {row["session_id"] for row in found} == {session.session_id for session in sessions()}
    assert compared(found) == compared(score_traces(table("trace_unified"), SKILL).collect())


def test_annotations_of_other_columns_are_refused(table: Any) -> None:
    """Else no trace would have a session, in silence."""
    other = table("otel_annotations").selectExpr("target_id AS trace_id", "name", "value")
    with pytest.raises(ConfigurationError, match="expected those of <prefix>_otel_annotations"):
        score_traces(table("otel_spans_v1"), SKILL, annotations=other)


def test_a_huge_session_is_an_error_and_holds_up_nobody(spark: Any, table: Any) -> None:
    rows = table("trace_unified")
    few = rows.collect()
    padded = rows.where("trace_id = '" + few[0]["trace_id"] + "'").selectExpr(
        *(HUGE.get(column, f"`{column}`") for column in rows.columns)
    )
    limit = 3 * max(len(str(row.asDict(recursive=True))) for row in few)
    found = score_traces(rows.unionByName(padded), SKILL, partitions=2, most_bytes=limit).collect()
    held = [row for row in found if row["verdict"] == "error"]
    assert [row["session_id"] for row in held] == [None]
    assert "not read; raise most_bytes" in held[0]["rationale"]
    others = [row for row in found if row["verdict"] != "error"]
    alone = score_traces(rows, SKILL).collect()
    assert compared(others) == compared(alone)


def test_only_what_is_new_or_changed_is_merged(spark: Any, table: Any) -> None:
    """The rows that a Delta table's MERGE is given; the MERGE itself needs Delta."""
    rows = [row.asDict() for row in score_traces(table("trace_unified"), SKILL).collect()]
    changed = [{**rows[0], "rationale": "another"}, *rows[1:]]
    later = [
        {**row, "scored_at": datetime(2030, 1, 1, tzinfo=timezone.utc), "run_id": "r"}
        for row in rows
    ]

    def frame(given: list[dict[str, Any]]) -> Any:
        names = [column.name for column in COLUMNS]
        return spark.createDataFrame([tuple(r[n] for n in names) for r in given], OUTCOME_SCHEMA)

    present = frame(rows)
    assert unlike_frame(frame(later), present).count() == 0
    assert unlike_frame(frame(rows), frame(rows[1:])).count() == 1
    fresh = unlike_frame(frame(changed * 2), present).collect()
    assert [row["rationale"] for row in fresh] == ["another"]
    assert unlike_frame(present, frame([])).count() == len(rows)


def test_what_is_no_table_of_traces_is_said(spark: Any) -> None:
    with pytest.raises(ConfigurationError, match="neither traces"):
        score_traces(spark.sql("SELECT 1 AS a"), SKILL)
    with pytest.raises(ConfigurationError, match="nothing is expected"):
        score_traces(spark.sql("SELECT 1 AS a"), {})
