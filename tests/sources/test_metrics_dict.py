"""Figures back to a session: what they say is judged, what they lack is said."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.checks import Verdict, run_check
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.expectations import parse_expectations
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.session import SubAgent, TokenUsage
from skilltrace_mlflow.sources.metrics_dict import session_from_metrics_dict
from tests.builders import make_call, make_session

BY_NAME = {"tools": {"by_name": {"Bash": 10, "Read": 1}}}


def judge(metrics: dict[str, Any], expectations: dict[str, Any]) -> Verdict:
    (expectation,) = parse_expectations(expectations)
    session = session_from_metrics_dict(metrics)
    return run_check(
        expectation.spec, session, expectation.parameters, scope=expectation.scope
    ).verdict


@pytest.mark.parametrize(
    ("metrics", "expectations", "verdict"),
    [
        (BY_NAME, {"tool_limits": {"Bash": 5}}, Verdict.FAIL),
        (BY_NAME, {"tool_limits": {"Bash": 10}}, Verdict.PASS),
        (BY_NAME, {"required_tools": ["Read"]}, Verdict.PASS),
        (BY_NAME, {"required_tools": ["Edit"]}, Verdict.FAIL),
        (BY_NAME, {"banned_tools": ["Read"]}, Verdict.FAIL),
        (BY_NAME, {"banned_tools": ["mcp__databricks__*"]}, Verdict.PASS),
        (BY_NAME, {"banned_tools": ["rm -rf"]}, Verdict.UNKNOWN),
        (BY_NAME, {"tool_sequence": ["Read", "Bash"]}, Verdict.UNKNOWN),
        (BY_NAME, {"token_budget": {"max_total": 9}}, Verdict.UNKNOWN),
        (BY_NAME, {"expected_files": ["*.sql"]}, Verdict.UNKNOWN),
        (BY_NAME, {"category_limits": {"bash": 9}}, Verdict.FAIL),
        (BY_NAME, {"tool_errors": {"max": 0}}, Verdict.UNKNOWN),
        (BY_NAME, {"turn_limit": {"max_turns": 1}}, Verdict.UNKNOWN),
        (BY_NAME, {"required_skills": ["x"]}, Verdict.UNKNOWN),
        (BY_NAME, {"cost_budget": {"max_usd": 1}}, Verdict.UNKNOWN),
        (BY_NAME, {"duration": {"max_seconds": 1}}, Verdict.UNKNOWN),
        (BY_NAME, {"tool_limits": {"Bash": 99}, "scope": "main"}, Verdict.UNKNOWN),
        ({"tools": {"by_category": {"bash": 10}}}, {"category_limits": {"bash": 5}}, Verdict.FAIL),
        ({"tools": {"by_category": {"bash": 10}}}, {"tool_limits": {"Bash": 5}}, Verdict.UNKNOWN),
        ({"tools": {"total_calls": 0}}, {"banned_tools": ["rm -rf"]}, Verdict.PASS),
        ({"conversation": {"turns": 4}}, {"turn_limit": {"max_turns": 3}}, Verdict.FAIL),
        ({"conversation": {"turns": 4}}, {"tool_limits": {"Bash": 1}}, Verdict.UNKNOWN),
        ({"duration_seconds": 12.5}, {"duration": {"max_seconds": 12}}, Verdict.FAIL),
        ({"cost_usd": 0.5}, {"cost_budget": {"max_usd": 1}}, Verdict.PASS),
        (
            {"tokens": {"input": 60, "output": 5, "cache_creation": 0, "cache_read": 0}},
            {"token_budget": {"max_input": 50}},
            Verdict.FAIL,
        ),
        (
            {"files": {"created": ["/repo/a.sql"], "modified": []}},
            {"expected_files": ["*.sql"]},
            Verdict.PASS,
        ),
    ],
)
def test_a_partial_dictionary_is_judged_by_what_it_has(
    metrics: dict[str, Any], expectations: dict[str, Any], verdict: Verdict
) -> None:
    assert judge(metrics, expectations) is verdict


def test_the_whole_dictionary_gives_the_same_figures() -> None:
    session = make_session(
        ["Read", make_call("Bash", {"command": "ls"}, outcome="failed")],
        usage=TokenUsage(input_tokens=5, output_tokens=7, cache_read_input_tokens=9),
        created=["/repo/a.sql"],
    )
    figures = compute_metrics(session).to_dict(inputs=True)
    again = compute_metrics(session_from_metrics_dict(figures)).to_dict(inputs=True)
    assert {**again, "missing": {}} == figures
    assert set(again["missing"]) == {"tool_results", "permission_rules"}


@pytest.mark.parametrize(
    ("metrics", "key"),
    [
        ({"tools": {"by_name": {"Bash": "ten"}}}, "tools.by_name.Bash"),
        ({"tools": {"by_name": {"Bash": True}}}, "tools.by_name.Bash"),
        ({"tools": {"by_name": {"Bash": -1}}}, "tools.by_name.Bash"),
        ({"tools": {"by_name": {"Bash": None}}}, "tools.by_name.Bash"),
        ({"tools": {"by_name": ["Bash"]}}, "by_name"),
        ({"usage_complete": "false"}, "usage_complete"),
        ({"files": {"created": [None], "modified": []}}, "files.created"),
        ({"duration_seconds": float("nan")}, "duration_seconds"),
        ({"duration_seconds": 1e14}, "duration_seconds"),
        ({"cost_usd": float("inf")}, "cost_usd"),
        ({"tools": {"by_name": {"Bash": 10**9}}}, "tools"),
        ({"conversation": {"user_messages": 10**30}}, "conversation.user_messages"),
        ({"conversation": {"turns": 10**7, "user_messages": 1}}, "conversation.turns"),
        ({"tools": {"calls": [{"id": "x"}]}}, r"tools.calls\[0\]"),
        ({"tools": {"calls": [{"name": "x", "outcome": "fine"}]}}, "outcome"),
        ({"start_time": "yesterday"}, "start_time"),
        ({"skills": [{"name": "x", "status": "perhaps"}]}, r"skills\[0\]"),
        ({"usage_notes": [3]}, "usage_notes"),
        ({"cost_usd": 1, "cost_source": "guessed"}, "cost_source"),
        ({"ending": {"kind": "somehow"}}, "ending.kind"),
        ({"tools": {"calls": "Bash"}}, "tools.calls"),
        ({"files": {"operations": "x"}}, "files.operations"),
        ({"files": {"operations": [3]}}, r"files.operations\[0\]"),
        ({"files": {"operations": [{"type": "deleted", "path": "a"}]}}, r"files.operations\[0\]"),
        ({"tokens": {"input": 10**400}}, "tokens.input"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(metrics: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=key):
        session_from_metrics_dict(metrics)


@pytest.mark.parametrize(
    ("beside", "expectations", "verdict"),
    [
        ({"by_name": {"Bash": 2}, "total_calls": 2}, {"tool_limits": {"Bash": 5}}, Verdict.PASS),
        ({"by_name": {"Bash": 7}}, {"tool_limits": {"Bash": 5}}, Verdict.UNKNOWN),
        ({"by_name": {"Bash": 2, "Read": 1}}, {"banned_tools": ["Read"]}, Verdict.UNKNOWN),
        ({"total_calls": 7}, {"category_limits": {"bash": 5}}, Verdict.UNKNOWN),
        ({"failed": 0, "succeeded": 2}, {"tool_errors": {"max": 0}}, Verdict.PASS),
        ({"failed": 1}, {"tool_errors": {"max": 0}}, Verdict.UNKNOWN),
    ],
)
def test_counts_that_contradict_the_list_of_calls_leave_it_open(
    beside: dict[str, Any], expectations: dict[str, Any], verdict: Verdict
) -> None:
    listed = [{"name": "Bash", "outcome": "succeeded", "agent": "main", "input": {}}] * 2
    assert judge({"tools": {"calls": listed, **beside}}, expectations) is verdict


TOKENS = {"input": 60, "output": 5, "cache_creation": 0, "cache_read": 0}


@pytest.mark.parametrize(
    ("tokens", "verdict"),
    [
        (TOKENS, Verdict.PASS),
        ({**TOKENS, "total": 65}, Verdict.PASS),
        ({**TOKENS, "total": 900}, Verdict.UNKNOWN),
        ({**TOKENS, "output": None, "total": 65}, Verdict.PASS),
        ({**TOKENS, "input": None, "total": 900}, Verdict.FAIL),
        ({**TOKENS, "output": None, "total": 7}, Verdict.UNKNOWN),
        ({**TOKENS, "output": None}, Verdict.UNKNOWN),
        ({"total": 65}, Verdict.PASS),
        ({"total": 900}, Verdict.FAIL),
        ({}, Verdict.UNKNOWN),
    ],
)
def test_parts_and_total_of_tokens_make_one_figure_or_leave_it_open(
    tokens: dict[str, Any], verdict: Verdict
) -> None:
    assert judge({"tokens": tokens}, {"token_budget": {"max_total": 100}}) is verdict


@pytest.mark.parametrize(
    ("metrics", "expectations"),
    [
        (
            {"conversation": {"turns": 0, "user_messages": 1}, "tokens": TOKENS},
            {"turn_limit": {"max_turns": 3}},
        ),
        ({"tools": {"calls": [{"name": "Bash", "input": {}}]}}, {"tool_errors": {"max": 0}}),
        (
            {
                "files": {
                    "created": ["a.sql"],
                    "modified": [],
                    "operations": [{"type": "create", "path": "b.sql"}],
                }
            },
            {"expected_files": ["c.sql"]},
        ),
        ({"tokens": TOKENS, "usage_complete": False}, {"token_budget": {"max_total": 100}}),
    ],
)
def test_what_contradicts_itself_or_says_less_than_it_lists_leaves_it_open(
    metrics: dict[str, Any], expectations: dict[str, Any]
) -> None:
    assert judge(metrics, expectations) is Verdict.UNKNOWN


def test_categories_of_mcp_servers_are_counted() -> None:
    metrics = {"tools": {"by_category": {"mcp_db": 2}}}
    assert judge(metrics, {"category_limits": {"mcp_db": 1}}) is Verdict.FAIL
    assert judge(metrics, {"category_limits": {"mcp_db": 2}}) is Verdict.PASS


def test_a_time_without_a_zone_is_utc() -> None:
    times = {"start_time": "2026-01-01T00:00:00", "end_time": "2026-01-01T00:00:12Z"}
    assert judge(times, {"duration": {"max_seconds": 11}}) is Verdict.FAIL


def test_a_call_that_was_perhaps_refused_stays_in_doubt() -> None:
    call = make_call("Write", outcome="failed", details={"maybe_refused": True})
    figures = compute_metrics(make_session(calls=[call])).to_dict()
    assert judge(figures, {"permission_denials": {"max": 0}}) is Verdict.UNKNOWN


def test_an_agent_that_claude_code_warmed_up_counts_for_no_limit() -> None:
    agents = (SubAgent(id="a1", status="warm-up"), SubAgent(id="a2", type="Explore"))
    figures = compute_metrics(make_session(calls=["Read"], subagents=agents)).to_dict()
    assert judge(figures, {"subagents": {"max": 1}}) is Verdict.PASS
    assert judge(figures, {"subagents": {"max": 0}}) is Verdict.FAIL


@pytest.mark.parametrize(
    ("tools", "expectations", "verdict"),
    [
        ({"total_calls": 2}, {"banned_tools": ["WebFetch"]}, Verdict.PASS),
        ({"total_calls": 3}, {"banned_tools": ["WebFetch"]}, Verdict.UNKNOWN),
        ({"total_calls": 3}, {"tool_limits": {"Bash": 2}}, Verdict.UNKNOWN),
        ({"by_category": {"bash": 2}}, {"category_limits": {"bash": 2}}, Verdict.PASS),
        ({"by_category": {"bash": 3}}, {"category_limits": {"bash": 2}}, Verdict.UNKNOWN),
        ({"by_category": {"web": 2}}, {"category_limits": {"bash": 2}}, Verdict.UNKNOWN),
        ({"by_category": {"bash": 2, "web": 0}}, {"category_limits": {"bash": 2}}, Verdict.PASS),
    ],
)
def test_counts_of_calls_that_contradict_each_other_leave_it_open(
    tools: dict[str, Any], expectations: dict[str, Any], verdict: Verdict
) -> None:
    metrics = {"tools": {"by_name": {"Bash": 2}, **tools}}
    assert judge(metrics, expectations) is verdict
