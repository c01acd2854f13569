"""The scheduled job over traces with hostile content: nothing is lost, doubled or ends the run."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pytest

from skilltrace_mlflow.databricks.job import JobOptions, run_job
from skilltrace_mlflow.databricks.outcomes import KEY
from tests.databricks.test_job import TAGS, assessments, later, options, table_rows
from tests.driver.traces import log_turn

__all__ = ["options"]  # the fixture

HOSTILE = "a\x00\x1b[31m\u2028\u202e\x7fb" + "\U0001f600" * 3


def verdicts(options: JobOptions) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in table_rows(options):
        found.setdefault(row["trace_id"], set()).add(row["verdict"])
    return found


def change_spans(store: str, trace_id: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite each span of a trace as the store holds it."""
    with closing(sqlite3.connect(Path(store.removeprefix("sqlite:///")))) as base, base:
        query = "SELECT span_id, content FROM spans WHERE trace_id = ?"
        for span_id, content in base.execute(query, (trace_id,)).fetchall():
            span = json.loads(content)
            change(span)
            base.execute(
                "UPDATE spans SET content = ? WHERE trace_id = ? AND span_id = ?",
                (json.dumps(span), trace_id, span_id),
            )


def results(text: str) -> Callable[[dict[str, Any]], None]:
    def change(span: dict[str, Any]) -> None:
        if span["name"].startswith("tool_"):
            span["attributes"]["mlflow.spanOutputs"] = json.dumps(text)

    return change


def usage(text: str) -> Callable[[dict[str, Any]], None]:
    def change(span: dict[str, Any]) -> None:
        if span["name"] == "llm":
            span["attributes"]["mlflow.chat.tokenUsage"] = text

    return change


CONTENT: dict[str, Callable[[dict[str, Any]], None]] = {
    "NUL, escapes and marks": results(HOSTILE),
    "a lone surrogate": results("a\ud800b"),
    "10 MB": results("x" * 10_000_000),
    "figures that are none": usage('{"input_tokens": NaN, "output_tokens": Infinity}'),
    "figures as texts": usage('"many"'),
}


@pytest.mark.parametrize("name", CONTENT)
def test_what_a_trace_holds_changes_no_verdict_beside_it(
    name: str, store: str, options: JobOptions
) -> None:
    good = log_turn("do it", ["Read"], tags=TAGS)
    bad = log_turn(HOSTILE, ["Bash", "Bash"], tags=TAGS)
    for trace in (good, bad):
        change_spans(store, trace, CONTENT[name])
    report = run_job(options, now=later(seconds=1))
    found = verdicts(options)
    assert (found[good], "fail" in found[bad], report.exit_code) == ({"pass"}, True, 1)
    held, rows = assessments(store), table_rows(options)
    again = run_job(options, now=later(seconds=2))
    assert (again.exit_code, again.row["rows_changed"]) == (1, 0)
    assert (assessments(store), table_rows(options)) == (held, rows)


def broken(span: dict[str, Any]) -> None:
    kept = ("mlflow.spanType", "mlflow.traceRequestId")  # without its id MLflow hands over no span
    span["attributes"] = {name: span["attributes"].get(name) for name in kept}


def unnamed(span: dict[str, Any]) -> None:
    if span["name"] == "claude_code_conversation":
        span["name"] = ""


def dated(span: dict[str, Any]) -> None:
    for end in ("start", "end"):
        span[f"{end}_time_unix_nano"] = int(span[f"{end}_time_unix_nano"]) // 1_000_000


@pytest.mark.parametrize("damage", [broken, unnamed, dated])
def test_a_damaged_trace_is_no_pass_and_ends_nothing(
    damage: Callable[[dict[str, Any]], None], store: str, options: JobOptions
) -> None:
    good = log_turn("do it", ["Read"], tags=TAGS)
    hurt = log_turn("do it", ["Read", "Bash", "Bash"], tags=TAGS)
    change_spans(store, hurt, damage)
    report = run_job(options, now=later(seconds=1))
    found = verdicts(options)
    assert found[good] == {"pass"}
    assert found.get(hurt) != {"pass"}
    assert report.row["not_judged"] + report.row["failed"] + report.row["unfinished"] == 1
    assert report.exit_code in (1, 3) or report.notes


def test_traces_of_other_programs_are_left_out_however_many(
    store: str, options: JobOptions
) -> None:
    ours = {log_turn("do it", ["Read"], tags=TAGS)}
    for number in range(120):  # more than a page of the store
        with mlflow.start_span(f"request {number}") as span:
            span.set_inputs({"claude_code_conversation": HOSTILE})
    ours.add(log_turn("do it", ["Read"], tags=TAGS))
    report = run_job(options, now=later(seconds=1))
    assert (report.exit_code, report.row["judged"]) == (0, 2)
    assert set(verdicts(options)) == ours
    keys = Counter(tuple(row[name] for name in KEY) for row in table_rows(options))
    assert set(keys.values()) == {1}
