"""Wherever a document holds a number, it may hold one that no session has.

JSON's integers have no end, and Python's reader knows infinities and what is no number: each takes
the place of every number of a document once. What is read of it can be summed, priced and written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.comparison.compare import compare_results
from skilltrace_mlflow.comparison.records import read_results
from skilltrace_mlflow.errors import InputError, SkillTraceError
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.sources.load import load_file
from skilltrace_mlflow.sources.metrics_dict import session_from_metrics_dict
from skilltrace_mlflow.text import dumps
from tests.fuzz import targets

DATA = Path(__file__).parent.parent / "data"
FORMS = {
    "agent SDK": "traces/agent_sdk/python-3.18.0.json",
    "OpenTelemetry": "traces/claude_code_otel/detailed-failing-bash.json",
    "process_transcript": "traces/process_transcript/failing-bash.json",
    "ATIF": "bridges/atif-subagent.json",
}
NUMBERS: tuple[Any, ...] = (10**400, -(10**400), 1e308, math.nan)


class Encoded(dict[str, Any]):
    """A value that the document holds as JSON text."""


def unfolded(value: Any) -> Any:
    """The document with what stands in it as JSON text laid open."""
    if isinstance(value, dict):
        return {key: unfolded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unfolded(item) for item in value]
    if isinstance(value, str) and (value[:1] in ("{", "[") or value.isdigit()):
        try:
            return Encoded(value=unfolded(json.loads(value)))
        except ValueError:
            return value
    return value


def folded(value: Any) -> Any:
    if isinstance(value, Encoded):
        return json.dumps(folded(value["value"]))
    if isinstance(value, dict):
        return {key: folded(item) for key, item in value.items()}
    return [folded(item) for item in value] if isinstance(value, list) else value


def with_other_numbers(document: Any) -> Iterator[Any]:
    """The document with each number in the place of each, one at a time."""
    opened = unfolded(document)
    for holder, key in targets._places(opened):
        before = holder[key]
        if isinstance(before, int | float) and not isinstance(before, bool):
            for number in NUMBERS:
                holder[key] = number
                yield folded(opened)
            holder[key] = before


def read(path: Path) -> None:
    """Read it; what it gives can be written as JSON without infinities, or a user is told."""
    try:
        session = load_file(path).session
    except SkillTraceError:
        return
    assert json.loads(dumps(compute_metrics(session).to_dict()))


@pytest.mark.parametrize("form", FORMS)
def test_no_number_of_a_trace_ends_a_reader(form: str, tmp_path: Path) -> None:
    document = json.loads((DATA / FORMS[form]).read_text(encoding="utf-8"))
    tried = 0
    for changed in with_other_numbers(document):
        (tmp_path / "trace.json").write_text(json.dumps(changed), encoding="utf-8")
        read(tmp_path / "trace.json")
        tried += 1
    assert tried > 10 * len(NUMBERS)


@pytest.mark.parametrize("name", ["newest-search-2.1.332", "newest-budget-2.1.332"])
def test_no_number_of_a_transcript_ends_its_reader(name: str, tmp_path: Path) -> None:
    for changed in with_other_numbers(targets._lines(name)):
        lines = "\n".join(map(json.dumps, changed))
        (tmp_path / "session.jsonl").write_text(lines, encoding="utf-8")
        read(tmp_path / "session.jsonl")


def test_no_number_of_a_dumped_session_ends_its_reader(tmp_path: Path) -> None:
    for changed in with_other_numbers(targets._dumped()):
        (tmp_path / "dumped.json").write_text(json.dumps(changed), encoding="utf-8")
        read(tmp_path / "dumped.json")


def test_no_number_of_a_metrics_dictionary_ends_its_reader() -> None:
    for changed in with_other_numbers(targets._metrics()):
        try:
            session = session_from_metrics_dict(changed)
        except InputError:
            continue
        assert json.loads(dumps(compute_metrics(session).to_dict()))


def test_no_number_of_results_ends_a_comparison(tmp_path: Path) -> None:
    before = targets._results()
    for changed in with_other_numbers(targets._evaluation()):
        (tmp_path / "results.json").write_text(json.dumps(changed, indent=1), encoding="utf-8")
        try:
            after = read_results(tmp_path / "results.json")
        except InputError:
            continue
        assert json.dumps(compare_results(before, after).to_dict(), allow_nan=False)
