"""tool_sequence: the selectors in this order, with others between them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import make_session
from tests.checks.judging import bash, judge, verdict


@pytest.mark.parametrize(
    ("value", "calls", "expected", "score"),
    [
        (["Read", "Edit"], ["Read", "Bash", "Edit"], "pass", 1.0),
        (["Read", "Edit"], ["Edit", "Read"], "fail", 0.5),
        (["Read", "Edit", "Read"], ["Read", "Edit", "Read"], "pass", 1.0),
        (["A", "B", "C"], ["B", "C"], "fail", 2 / 3),
        (["Read"], [], "fail", 0.0),
        (["mcp__db__*", "Task"], ["mcp__db__x", "Agent"], "pass", 1.0),
    ],
)
def test_sequence(value: list, calls: list, expected: str, score: float) -> None:
    outcome = judge("tool_sequence", value, make_session(calls))
    assert outcome.verdict == expected
    assert outcome.score == pytest.approx(score)


def test_sequence_with_rules_and_lost_arguments() -> None:
    value = ["Bash(git add:*)", "Bash(git commit:*)"]
    assert verdict("tool_sequence", value, bash("git add ."), bash("git commit -m x")) == "pass"
    hidden = replace(bash(""), input=None)
    assert verdict("tool_sequence", value, bash("git add ."), hidden) == "unknown"
    assert verdict("tool_sequence", value, "Read", hidden) == "fail"


def test_an_incomplete_record() -> None:
    assert verdict("tool_sequence", ["Read", "Edit"], "Read", incomplete=("x",)) == "unknown"


def test_twelve_calls_are_named_and_no_more() -> None:
    for number in (12, 13):
        calls = make_session([f"Tool{n}" for n in range(number)])
        told = judge("tool_sequence", ["Read"], calls).rationale
        assert ("Tool11 → …" in told) is (number == 13)
        assert "Tool12" not in told
