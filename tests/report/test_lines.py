"""JSONL and JSON: the interface's keys, readable by any parser, the same when read back."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from skilltrace_mlflow.comparison.records import read_results, records_of
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.report import render
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.sources.session_json import session_from_json
from tests.builders import make_call, make_session
from tests.report.evaluations import NASTY, demo, outcome, unfriendly


def strict(text: str) -> dict[str, object]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_line_has_the_keys_of_the_interface_in_order() -> None:
    line = strict(render(demo(), "jsonl").splitlines()[1])
    assert list(line)[:6] == ["test_id", "attempt", "skill", "verdict", "checks", "trace_summary"]
    assert line["checks"][0] == {
        "name": "banned_tools",
        "verdict": "fail",
        "score": 0.0,
        "hits": [],
        "misses": ["rm -rf"],
        "rationale": '"rm -rf": Bash ran "cd checkpoints && rm -r -f orders" (call 3)',
    }
    assert line["trace_summary"] == {
        "event_count": 11,
        "tool_names": ["Bash", "Skill", "Write", "mcp__databricks__execute_sql"],
        "tool_calls_by_name": {
            "Bash": 2,
            "Skill": 1,
            "Write": 1,
            "mcp__databricks__execute_sql": 1,
        },
        "error_count": 1,
    }
    assert line["run_id"] == "0123456789abcdef0123456789abcdef"
    assert line["metrics"]["total_tokens"] == 6338


def test_without_a_trace_there_is_no_summary_and_the_error_is_told() -> None:
    line = strict(render(demo(), "jsonl").splitlines()[3])
    assert line["verdict"] == "error"
    assert line["checks"] == []
    assert line["error"] == "trace tr-123 is not in experiment 7"
    assert "trace_summary" not in line


def test_a_dropped_session_leaves_the_line_as_it_was() -> None:
    evaluation = demo()
    dropped = Evaluation(
        skill=evaluation.skill,
        results=tuple(result.without_session() for result in evaluation.results),
        gates=evaluation.gates,
        run_id=evaluation.run_id,
    )
    assert dropped.results[0].session is None
    assert render(dropped, "jsonl") == render(evaluation, "jsonl")


def test_the_trace_is_there_only_when_asked_for_and_loads_again() -> None:
    plain = strict(render(demo(), "jsonl").splitlines()[2])
    whole = strict(render(demo(), "jsonl", include_trace=True).splitlines()[2])
    assert "trace" not in plain
    session = demo().results[2].session
    assert session is not None
    assert session_from_json(whole["trace"]) == session


def test_nan_and_infinity_become_null() -> None:
    call = make_call("Bash", {"timeout": math.inf, "x": [math.nan, {"y": -math.inf}]})
    result = TestResult(
        test_id="a",
        skill="s",
        session=make_session([call], cost_usd=math.nan),
        outcomes=(outcome("c", score=math.nan),),
    )
    evaluation = Evaluation(skill="s", results=(result,), metrics={"m": math.inf})
    line = strict(render(evaluation, "jsonl", include_trace=True))
    assert line["checks"][0]["score"] is None
    assert line["trace"]["tool_calls"][0]["input"] == {"timeout": None, "x": [None, {"y": None}]}
    assert strict(render(evaluation, "json"))["metrics"] == {"m": None}


def test_the_document_holds_the_lines_the_gates_and_no_password() -> None:
    document = strict(render(demo(), "json"))
    lines = [strict(line) for line in render(demo(), "jsonl").splitlines()]
    assert [line.pop("gates") for line in lines] == [document["gates"]] * len(lines)
    assert [line.pop("incomplete", []) for line in lines] == [document.get("incomplete", [])] * len(
        lines
    )
    assert document["results"] == lines
    assert document["summary"] == {"tests": 4, "pass": 1, "fail": 1, "unknown": 1, "error": 1}
    assert [(gate["name"], gate["passed"]) for gate in document["gates"]] == [
        ("banned_tools", False),
        ("tool_count", True),
    ]
    assert document["exit_code"] == 1
    assert document["tracking_uri"] == "https://user:***@mlflow.example"


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_json_gives_back_every_character(name: str, kind: str) -> None:
    text = NASTY[name]
    written = render(unfriendly(text), kind)
    assert not any(ord(char) < 32 and char != "\n" for char in written)
    assert not set(written) & {"\x7f", "\x9b", "\u202e", "\u2028", "\u2066", "\ufeff"}
    value = strict(written)
    line = value["results"][0] if kind == "json" else value
    assert line["test_id"] == text
    assert line["checks"][0]["misses"] == [text]
    written.encode("utf-8")


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_what_is_read_back_equals_what_was_evaluated(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"results.{kind}"
    file.write_text(render(demo(), kind), encoding="utf-8")
    assert read_results(file) == records_of(demo())


@pytest.mark.parametrize("name", NASTY)
def test_strange_ids_survive_writing_and_reading(tmp_path: Path, name: str) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text(render(unfriendly(NASTY[name]), "jsonl"), encoding="utf-8")
    assert read_results(file)[0].test_id == NASTY[name]


GOOD = '{"test_id": "a", "checks": [{"name": "c", "verdict": "pass"}]}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no result"),
        ("not json", "f.jsonl:1: is not JSON"),
        (GOOD + "\n{", "f.jsonl:2: is not JSON"),
        ("[1]", "f.jsonl:1: expected an object, got list"),
        ('{"checks": []}', "f.jsonl:1: test_id should be a str, got nothing"),
        ('{"test_id": "a"}', "f.jsonl:1: checks should be a list, got nothing"),
        ('{"test_id": "a", "checks": [1]}', "f.jsonl:1: checks[0]: expected an object"),
        ('{"test_id": "a", "checks": [{"name": "c", "verdict": "green"}]}',
         "f.jsonl:1: checks[0]: verdict 'green' is not one of pass, fail, unknown, error"),
        ('{"test_id": "a", "checks": [], "attempt": true}', "attempt True is not a whole number"),
        (GOOD + "\n" + GOOD, "results 1 and 2 are both test 'a', attempt 1"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_results_is_refused_by_line(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "f.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_results(file)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_an_input_error(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "f.jsonl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"f\.jsonl"):
        read_results(file)
