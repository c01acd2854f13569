"""tool_limits: what counts, for whom, and what a lost record leaves open."""

from __future__ import annotations

import jsonschema
import pytest

from skilltrace_mlflow.checks import ParameterError
from tests.builders import make_call, make_session
from tests.checks.judging import bash, judge, parse, verdict


def test_rationale_names_observed_and_allowed() -> None:
    outcome = judge("tool_count", {"Bash": 5}, make_session(["Bash"] * 10))
    assert outcome.verdict == "fail"
    assert "Bash: 10 > 5" in outcome.rationale
    assert outcome.score == 0.0
    assert outcome.details == {"counts": {"Bash": 10}}


@pytest.mark.parametrize(
    ("value", "calls", "expected"),
    [
        ({"Bash": 2}, ["Bash", "Bash"], "pass"),
        ({"Bash": 0}, [], "pass"),
        ({"Bash": 0}, ["Bash"], "fail"),
        ({"Bash": {"min": 1, "max": 2}}, [], "fail"),
        ({"Bash": {"min": 1}}, ["Bash"] * 9, "pass"),
        ({"Agent": 0}, ["Task"], "fail"),
        ({"Task": 0}, ["Agent"], "fail"),
        ({"mcp__db__*": 1}, ["mcp__db__a", "mcp__db__b"], "fail"),
        ({"mcp__db": 1}, ["mcp__db__a", "mcp__db__b"], "fail"),
        ({"mcp__db": 1}, ["mcp__db2__a", "mcp__db2__b"], "pass"),
    ],
)
def test_limits(value: dict, calls: list[str], expected: str) -> None:
    assert verdict("tool_count", value, *calls) == expected


def test_a_call_counts_whatever_came_of_it() -> None:
    calls = [make_call("Bash", outcome=o) for o in ("failed", "denied", "interrupted", "unknown")]
    assert verdict("tool_count", {"Bash": 3}, *calls) == "fail"


@pytest.mark.parametrize(
    "value", [{"Bash": 1, "scope": "main"}, {"limits": {"Bash": 1}, "scope": "main"}]
)
def test_scope_leaves_out_subagents(value: dict) -> None:
    calls = [make_call("Bash"), make_call("Bash", agent="a1")]
    assert verdict("tool_count", value, *calls) == "pass"
    assert verdict("tool_count", {"Bash": 1}, *calls) == "fail"
    assert verdict("tool_count", {"limits": {"Bash": 0}, "scope": "subagents"}, *calls) == "fail"


def test_a_rule_counts_only_the_calls_it_means() -> None:
    calls = [bash("git push"), bash("ls"), bash("cd r && git push -f")]
    outcome = judge("tool_count", {"Bash(git push:*)": 1}, make_session(calls))
    assert outcome.rationale == "Bash(git push:*): 2 > 1"


def test_calls_without_arguments_leave_a_rule_open() -> None:
    session = make_session(["Bash"] and [make_call("Bash"), bash("git push")])
    hidden = make_session([bash("git push"), make_call("Bash", load_result=None)])
    assert judge("tool_count", {"Bash(git push:*)": 2}, hidden).verdict == "pass"
    blind = make_session([*session.tool_calls[1:], _without_input()])
    assert judge("tool_count", {"Bash(git push:*)": 1}, blind).verdict == "unknown"
    assert judge("tool_count", {"Bash(git push:*)": 0}, blind).verdict == "fail"


def _without_input():
    from dataclasses import replace

    return replace(make_call("Bash"), input=None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Bash": 5}, "unknown"),  # a call nobody recorded could break it
        ({"Bash": 1}, "fail"),
        ({"Bash": {"min": 2}}, "pass"),
        ({"Bash": {"min": 3}}, "unknown"),
    ],
)
def test_an_incomplete_record_never_passes_a_maximum(value: dict, expected: str) -> None:
    fields = {"incomplete": ("line 12 is not JSON",)}
    assert verdict("tool_count", value, "Bash", "Bash", **fields) == expected


def test_an_incomplete_record_says_why() -> None:
    session = make_session(["Bash"], incomplete=("line 12 is not JSON",))
    assert "line 12 is not JSON" in judge("tool_count", {"Bash": 5}, session).rationale


def test_names_that_the_source_lacks_are_unknown() -> None:
    session = make_session([], missing={"tool_names": "the dictionary has no tools"})
    outcome = judge("tool_count", {"Bash": 5}, session)
    assert (outcome.verdict, outcome.rationale) == ("unknown", "the dictionary has no tools")


def test_minimum_above_maximum_is_an_error_when_loaded() -> None:
    with pytest.raises(ParameterError, match="min 3 is more than max 1") as caught:
        parse("tool_count", {"Bash": {"min": 3, "max": 1}})
    assert caught.value.path == ("Bash",)


@pytest.mark.parametrize(
    "value", [{}, {"Bash": -1}, {"Bash": "5"}, {"Bash": True}, [], 5, {"Bash": {}}]
)
def test_schema_refuses(value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        parse("tool_count", value)


def test_no_trace() -> None:
    outcome = judge("tool_count", {"Bash": 1}, None)
    assert (outcome.verdict, outcome.score, outcome.misses) == (
        "unknown",
        0.0,
        ("No trace available",),
    )
