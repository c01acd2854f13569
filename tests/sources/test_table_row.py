"""Rows of trace tables, however they are handed over, give the session of the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.scorers._evidence import as_session
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.table_row import (
    live_annotations,
    plain_row,
    session_from_row,
    session_from_rows,
)
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.forms import as_traces
from tests.sources.table_rows import PREFIX, annotation_rows, span_rows, unified_row

RECORDINGS = Path(__file__).parent.parent / "data" / "recordings"
FILES = find_sessions(RECORDINGS)
NAMES = ("demo-good", "mcp", "parallel-agents", "resume", "subagent", "tool-errors", "unicode")
FEW = [path for path in FILES if path.parent.name in NAMES]
MAP = pa.map_(pa.string(), pa.string())


class SparkRow:
    """As much of `pyspark.sql.Row` as readers use: nested rows until `asDict(recursive=True)`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def asDict(self, recursive: bool = False) -> dict[str, Any]:  # noqa: N802 - Spark's name
        return {key: self._nested(value) for key, value in self.values.items()}

    def _nested(self, value: Any) -> Any:
        if isinstance(value, list):
            return [SparkRow(item) if isinstance(item, dict) else item for item in value]
        return value


class Variant:
    """As much of Spark's VariantVal as readers use."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def toPython(self) -> Any:  # noqa: N802 - Spark's name
        return self.value


def as_pandas(row: Mapping[str, Any]) -> Any:
    return pd.DataFrame([row]).iloc[0]


def as_arrow(row: Mapping[str, Any]) -> Any:
    """Through an Arrow table with maps as maps: they come out as lists of pairs."""
    fields = dict(row)
    columns: dict[str, Any] = {}
    for name, value in fields.items():
        if name in ("attributes", "tags", "trace_metadata"):
            columns[name] = pa.array([list(value.items())], type=MAP)
        elif name == "spans":
            columns[name] = pa.array([[_bare(span) for span in value]], type=pa.list_(_span_type()))
        elif name in ("events", "links", "assessments", "status"):
            continue
        else:
            columns[name] = pa.array([value])
    return pa.table(columns).to_pylist()[0]


def _bare(span: Mapping[str, Any]) -> dict[str, Any]:
    keep = {name: span[name] for name in ("span_id", "parent_span_id", "name")}
    times = ("start_time_unix_nano", "end_time_unix_nano")
    return {
        **keep,
        **{name: span[name] for name in times},
        "attributes": list(span["attributes"].items()),
    }


def _span_type() -> Any:
    texts = [(name, pa.string()) for name in ("span_id", "parent_span_id", "name")]
    times = [(name, pa.int64()) for name in ("start_time_unix_nano", "end_time_unix_nano")]
    return pa.struct([*texts, *times, ("attributes", MAP)])


FORMS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "mapping": dict,
    "pandas": as_pandas,
    "spark": SparkRow,
    "arrow": as_arrow,
}


def same(found: Session, session: Session) -> bool:
    results = [c.result for c in found.tool_calls] == [c.result for c in session.tool_calls]
    return found == session and results and found.incomplete == session.incomplete


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem[:4]}")
def test_unified_rows_of_every_recording_are_its_session(path: Path) -> None:
    session = parse_transcript(path)
    assert same(session_from_rows([unified_row(t) for t in as_traces(session)]), session)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", FEW, ids=lambda path: path.parent.name)
def test_unified_rows_from_any_library(path: Path, form: str) -> None:
    session = parse_transcript(path)
    rows = [FORMS[form](unified_row(trace)) for trace in as_traces(session)]
    assert same(session_from_rows(rows), session)
    if len(rows) == 1:
        assert same(session_from_row(rows[0]), session)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("path", FEW, ids=lambda path: path.parent.name)
def test_span_rows_with_annotations(path: Path, version: int, form: str) -> None:
    if form == "arrow" and version == 2:
        pytest.skip("Arrow has no VARIANT: such a column arrives as text")
    session = parse_transcript(path)
    traces = as_traces(session)
    rows = [FORMS[form](row) for trace in traces for row in span_rows(trace, version=version)]
    rows.reverse()  # a table has no order
    notes = [SparkRow(note) for note in annotation_rows(traces)]
    assert same(session_from_rows(rows, annotations=notes), session)


def test_a_variant_is_read_as_a_value_and_as_text() -> None:
    session = parse_transcript(FEW[0])
    rows = [row for trace in as_traces(session) for row in span_rows(trace, version=2)]
    values = [{**row, "attributes": Variant(row["attributes"])} for row in rows]
    texts = [{**row, "attributes": json.dumps(row["attributes"])} for row in rows]
    assert same(session_from_rows(values), session)
    assert same(session_from_rows(texts), session)


class TestAnnotations:
    def note(self, at: Any, value: str, **more: Any) -> dict[str, Any]:
        return {
            "trace_id": f"trace:/{PREFIX}/1",
            "annotation_id": "a",
            "updated_at": at,
            "value": value,
            **more,
        }

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_newest_row_holds(self, order: int) -> None:
        rows = [self.note("2026-01-01T00:00:00Z", "old"), self.note("2026-01-02T00:00:00Z", "new")]
        assert [n["value"] for n in live_annotations(rows[::order])] == ["new"]

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_deletion_is_the_newest_row_and_takes_the_older_with_it(self, order: int) -> None:
        rows = [self.note(1, "old"), self.note(2, "new", deleted=True)]
        assert live_annotations(rows[::order]) == []

    def test_what_was_written_again_after_a_deletion_holds(self) -> None:
        rows = [self.note(1, "a"), self.note(2, "b", deleted=True), self.note(3, "c")]
        assert [n["value"] for n in live_annotations(rows)] == ["c"]

    def test_one_id_on_two_traces_is_two(self) -> None:
        rows = [self.note(1, "a"), self.note(1, "b") | {"trace_id": f"trace:/{PREFIX}/2"}]
        assert len(live_annotations(rows)) == 2


def test_a_scorer_takes_a_row() -> None:
    session = parse_transcript(FEW[0])
    (trace,) = as_traces(session)
    assert as_session(unified_row(trace)) == session
    others = {**unified_row(trace), "spans": [{"span_id": "1", "name": "root_span"}]}
    assert as_session(others) is None


def test_what_is_no_row_is_said() -> None:
    with pytest.raises(InputError, match="no rows"):
        session_from_rows([])
    with pytest.raises(InputError, match="no spans"):
        session_from_row({"trace_id": "x"})
    with pytest.raises(InputError, match="is no span"):
        session_from_rows([{"name": "x"}])
    with pytest.raises(InputError, match="no row"):
        plain_row(3)
