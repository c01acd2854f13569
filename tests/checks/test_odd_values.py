"""Values and sessions that are odd and allowed: refused with a reason or judged, never a crash."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.checks import ParameterError
from tests.builders import make_call, make_session
from tests.checks.judging import bash, judge, parse, verdict


@pytest.mark.parametrize(
    ("check", "key"), [("duration", "max_seconds"), ("cost_budget", "max_usd")]
)
def test_a_number_beyond_all_floats_is_refused(check: str, key: str) -> None:
    with pytest.raises(ParameterError, match="too large"):
        parse(check, {key: 10**400})


@pytest.mark.parametrize("scope", ["all", "main"])
def test_a_tool_can_be_called_like_the_long_forms_key(scope: str) -> None:
    calls = ("limits", "limits")
    assert verdict("tool_count", {"limits": 1, "scope": scope}, *calls) == "fail"
    assert verdict("tool_count", {"limits": 2}, *calls) == "pass"


@pytest.mark.parametrize("line", ["/", "''", "'' rm -rf x", "/ -rf x", "'", '"', "$(", "<<", "\\"])
def test_lines_that_name_no_program(line: str) -> None:
    assert verdict("banned_tools", ["rm -rf"], bash(line)) in ("pass", "unknown")
    assert verdict("permissions", {"deny": ["Bash(:*)"]}, bash(line)) != "error"


def test_arguments_whose_names_are_no_texts() -> None:
    messages = [{"role": "assistant", "tool_calls": [{"tool": "Edit", "input": {"a": 1}}]}]
    session = make_session([make_call("Edit", {None: 3})])
    assert judge("expected_messages", messages, session).verdict == "fail"


def test_a_cost_that_is_no_number_is_unknown() -> None:
    assert verdict("cost_budget", {"max_usd": 1}, cost_usd=float("nan")) == "unknown"


def test_a_duration_that_is_no_number_keeps_no_limit() -> None:
    value = {"mode": "in_order", "expected": [{"tool": "Edit", "max_duration_ms": 5}]}
    call = make_call("Edit", duration_ms=float("nan"))
    assert verdict("tool_trajectory", value, call) == "fail"


@pytest.mark.parametrize(
    "line",
    [
        "echo rm > a; " + "cat a a > b; cat b b > a; " * 30,
        "X=rm; " + 'X="$X$X$X$X$X$X$X$X$X$X"; ' * 12 + "$X",
        "echo 'bash s.sh; bash s.sh; rm x' > s.sh; bash s.sh",
        "alias a='a a; a a'; a rm",
    ],
)
def test_a_line_that_feeds_itself_ends(line: str) -> None:
    assert verdict("banned_tools", ["rm -rf"], bash(line)) in ("pass", "unknown")


def test_many_literals_that_are_run_take_no_quadratic_time() -> None:
    call = make_call("mcp__x__execute_sql", {"query": "EXEC 'drop x' " * 3000})
    assert verdict("banned_tools", ["DROP DATABASE"], call) == "pass"


@pytest.mark.parametrize(
    "line", ["cp -t conf a b", "mv --target-directory=conf a", "cp 2>/dev/null a conf"]
)
def test_targets_that_are_not_written_last(line: str) -> None:
    assert verdict("file_scope", {"forbidden": ["conf"]}, bash(line), cwd="/r") != "pass"
