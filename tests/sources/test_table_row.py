"""Rows of trace tables, however they are handed over, give the session of the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.evaluation import trace_eval
from skilltrace_mlflow.scorers._evidence import as_session
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.table_row import (
    live_annotations,
    notes_of_traces,
    plain_row,
    session_from_row,
    session_from_rows,
)
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.forms import as_traces
from tests.sources.table_rows import PREFIX, TABLES, arrow_table, span_rows, unified_row

RECORDINGS = Path(__file__).parent.parent / "data" / "recordings"
FILES = find_sessions(RECORDINGS)
NAMES = ("demo-good", "mcp", "parallel-agents", "resume", "subagent", "tool-errors", "unicode")
FEW = [path for path in FILES if path.parent.name in NAMES]


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


FORMS: Mapping[str, Callable[[str, Sequence[Mapping[str, Any]]], Sequence[Any]]] = {
    "mapping": lambda name, traces: TABLES[name](traces),
    "pandas": lambda name, traces: [
        row for _, row in pd.DataFrame(TABLES[name](traces)).iterrows()
    ],
    "spark": lambda name, traces: [SparkRow(row) for row in TABLES[name](traces)],
    "arrow": lambda name, traces: arrow_table(name, traces).to_pylist(),
    "arrow to pandas": lambda name, traces: [
        row for _, row in arrow_table(name, traces).to_pandas().iterrows()
    ],
}
"""Rows of a table as each library hands them over; Arrow has no VARIANT, such a column is text."""


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
    rows = FORMS[form]("trace_unified", as_traces(session))
    assert same(session_from_rows(rows), session)
    if len(rows) == 1:
        assert same(session_from_row(rows[0]), session)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("notes", ["otel_annotations", "trace_metadata"])
@pytest.mark.parametrize("spans", ["otel_spans_v1", "otel_spans_v2"])
@pytest.mark.parametrize("path", FEW, ids=lambda path: path.parent.name)
def test_span_rows_with_annotations(path: Path, spans: str, notes: str, form: str) -> None:
    session = parse_transcript(path)
    traces = as_traces(session)
    rows = list(FORMS[form](spans, traces))
    rows.reverse()  # a table has no order
    annotations = list(reversed(FORMS[form](notes, traces)))
    assert same(session_from_rows(rows, annotations=annotations), session)


def test_verdicts_on_rows_are_those_on_the_file() -> None:
    skill = Path(__file__).parents[2] / "examples" / "skills" / "bronze-ingestion"
    for path in find_sessions(skill / "traces"):
        session = parse_transcript(path)
        traces = as_traces(session)
        expected = trace_eval(str(skill), traces=[session]).results[0].outcomes
        notes = FORMS["arrow"]("otel_annotations", traces)
        for read in (
            session_from_rows(FORMS["arrow"]("trace_unified", traces)),
            session_from_rows(FORMS["arrow"]("otel_spans_v2", traces), annotations=notes),
        ):
            found = trace_eval(str(skill), traces=[read]).results[0].outcomes
            assert [(o.check, o.verdict, o.score) for o in found] == [
                (o.check, o.verdict, o.score) for o in expected
            ]


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
            "target_id": "1",
            "target_type": "TRACE",
            "annotation_id": "a",
            "annotation_type": "TAG",
            "name": "n",
            "updated_at": at,
            "value": value,
            "deleted_at": None,
            **more,
        }

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_newest_row_holds(self, order: int) -> None:
        rows = [self.note("2026-01-01T00:00:00Z", "old"), self.note("2026-01-02T00:00:00Z", "new")]
        assert [n["value"] for n in live_annotations(rows[::order])] == ["new"]

    @pytest.mark.parametrize("order", [1, -1])
    @pytest.mark.parametrize("at", [2, 1])
    def test_a_deletion_takes_the_older_with_it(self, order: int, at: int) -> None:
        """Also where both were written at the same moment."""
        rows = [self.note(1, "old"), self.note(at, "new", deleted_at=at)]
        assert live_annotations(rows[::order]) == []

    def test_what_was_written_again_after_a_deletion_holds(self) -> None:
        rows = [self.note(1, "a"), self.note(2, "b", deleted_at=2), self.note(3, "c")]
        assert [n["value"] for n in live_annotations(rows)] == ["c"]

    def test_one_id_on_two_traces_is_two(self) -> None:
        rows = [self.note(1, "a"), self.note(1, "b", target_id=f"trace:/{PREFIX}/2")]
        assert len(live_annotations(rows)) == 2

    @given(
        st.lists(
            st.tuples(st.integers(1, 3), st.sampled_from("ab"), st.booleans()),
            min_size=1,
            max_size=6,
        ),
        st.randoms(),
    )
    def test_the_order_of_a_table_says_nothing(self, entries: Any, random: Any) -> None:
        rows = [
            self.note(at, value, deleted_at=at if gone else None) for at, value, gone in entries
        ]
        expected = live_annotations(rows)
        random.shuffle(rows)
        assert live_annotations(rows) == expected

    @pytest.mark.parametrize("missing", [None, pd.NaT, pd.NA, float("nan")])
    def test_no_library_s_missing_value_is_a_deletion(self, missing: Any) -> None:
        assert len(live_annotations([self.note(1, "a", deleted_at=missing)])) == 1

    @pytest.mark.parametrize("kind", ["FEEDBACK", "EXPECTATION", "RUN_LINK"])
    def test_what_is_no_tag_is_none(self, kind: str) -> None:
        assert notes_of_traces([self.note(1, "a", annotation_type=kind)]) == {}

    def test_what_stands_on_a_span_is_not_the_trace_s(self) -> None:
        assert notes_of_traces([self.note(1, "a", target_type="SPAN", target_id="1:2")]) == {}

    def test_rows_that_are_none_are_refused(self) -> None:
        """Else every trace would be a session of its own, in silence."""
        with pytest.raises(InputError, match="is no annotation"):
            notes_of_traces([{"trace_id": "1", "name": "x"}])


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
