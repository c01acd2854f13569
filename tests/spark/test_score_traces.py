"""What Spark finds is what one machine finds, in every shape of table."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.databricks.outcomes import COLUMNS, KEY, outcome_rows
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.evaluation import trace_eval
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from skilltrace_mlflow.spark import score_traces
from tests.sources.forms import as_traces
from tests.sources.table_rows import annotation_rows, span_rows, unified_row

ROOT = Path(__file__).resolve().parents[2]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"
TRACES = SKILL / "traces"
COMPARED = ("check", "verdict", "score", "rationale", "session_id", "total_tokens", "cost_usd")
FIELDS = {
    "trace_id": "STRING",
    "span_id": "STRING",
    "parent_span_id": "STRING",
    "name": "STRING",
    "start_time_unix_nano": "BIGINT",
    "end_time_unix_nano": "BIGINT",
    "attributes": "MAP<STRING, STRING>",
}
SPAN = ", ".join(f"{name} {kind}" for name, kind in FIELDS.items())
UNIFIED = (
    "trace_id STRING, state STRING, trace_metadata MAP<STRING, STRING>, tags MAP<STRING, STRING>, "
    f"spans ARRAY<STRUCT<{', '.join(f'{name}: {kind}' for name, kind in FIELDS.items())}>>"
)
NOTE = (
    "trace_id STRING, annotation_id STRING, annotation_type STRING, name STRING, value STRING, "
    "updated_at STRING, deleted BOOLEAN"
)


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


def plain_spans(trace: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{name: span[name] for name in FIELDS} for span in span_rows(trace, version=1)]


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


def test_rows_of_traces(spark: Any) -> None:
    names = ("trace_id", "state", "trace_metadata", "tags")
    rows = [
        (*(unified_row(trace)[name] for name in names), plain_spans(trace)) for trace in traces()
    ]
    bad = ("trace:/a.b.c/bad", "OK", {}, {}, None)
    found = score_traces(spark.createDataFrame([*rows, bad], UNIFIED), SKILL).collect()
    errors = [row for row in found if row["trace_id"].endswith("bad")]
    assert [row["verdict"] for row in errors] == ["error"]
    good = [row for row in found if not row["trace_id"].endswith("bad")]
    assert {row["trace_id"] for row in good} == {row[0] for row in rows}
    single = [
        item
        for session, item in ((s, trace_eval(SKILL, traces=[s])) for s in sessions())
        if len(as_traces(session)) == 1
    ]
    alone = [row for evaluation in single for row in outcome_rows(evaluation)]
    ids = {row["session_id"] for row in alone}
    assert compared(row for row in good if row["session_id"] in ids) == compared(alone)


@pytest.mark.parametrize("version", [1, 2])
def test_rows_of_spans_with_annotations(spark: Any, version: int) -> None:
    spans = [tuple(span.values()) for trace in traces() for span in plain_spans(trace)]
    frame = spark.createDataFrame(spans, SPAN)
    if version == 2:
        frame = frame.selectExpr(
            *(name for name in FIELDS if name != "attributes"),
            "parse_json(to_json(attributes)) AS attributes",
        )
    columns = [part.split()[0] for part in NOTE.split(", ")]
    notes = [tuple(note[name] for name in columns) for note in annotation_rows(traces())]
    found = score_traces(frame, SKILL, annotations=spark.createDataFrame(notes, NOTE)).collect()
    assert {row["verdict"] for row in found} <= {"pass", "fail", "unknown"}
    assert {row["session_id"] for row in found} == {session.session_id for session in sessions()}
    names = ("trace_id", "state", "trace_metadata", "tags")
    rows = [
        (*(unified_row(trace)[name] for name in names), plain_spans(trace)) for trace in traces()
    ]
    unified = score_traces(spark.createDataFrame(rows, UNIFIED), SKILL).collect()
    assert compared(found) == compared(unified)


def test_what_is_no_table_of_traces_is_said(spark: Any) -> None:
    with pytest.raises(ConfigurationError, match="neither traces"):
        score_traces(spark.sql("SELECT 1 AS a"), SKILL)
    with pytest.raises(ConfigurationError, match="nothing is expected"):
        score_traces(spark.sql("SELECT 1 AS a"), {})
