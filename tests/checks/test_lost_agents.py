"""What a lost transcript of a sub-agent leaves open, and what a lost line of the main one."""

from __future__ import annotations

from skilltrace_mlflow.session import ModelStep, SubAgent, TokenUsage, agent_gap
from tests.builders import make_session
from tests.checks.judging import judge

LOST = {"subagents": (SubAgent(id="zz"),), "incomplete": (agent_gap("zz"),)}


def test_a_lost_transcript_of_a_sub_agent_leaves_what_the_main_agent_did() -> None:
    session = make_session(["Agent"], **LOST)
    assert judge("tool_count", {"limits": {"Bash": 0}}, session).verdict == "unknown"
    main = judge("tool_count", {"limits": {"Bash": 0}, "scope": "main"}, session)
    assert main.verdict == "pass"
    assert judge("turn_limit", {"max_turns": 5}, session).verdict == "pass"
    exact = {"mode": "exact", "expected": ["Agent"], "scope": "main"}
    assert judge("tool_trajectory", exact, session).verdict == "pass"


def test_a_lost_line_leaves_nobody() -> None:
    session = make_session(["Agent"], **{**LOST, "incomplete": ("line 3 is not JSON",)})
    main = judge("tool_count", {"limits": {"Bash": 0}, "scope": "main"}, session)
    assert main.verdict == "unknown"
    assert judge("turn_limit", {"max_turns": 5}, session).verdict == "unknown"


def test_a_lost_transcript_leaves_the_main_agent_s_usage() -> None:
    used = {
        **LOST,
        "usage": TokenUsage(input_tokens=10, output_tokens=5),
        "usage_complete": False,
        "usage_notes": (agent_gap("zz"),),
    }
    main = {"max_total": 15, "scope": "main"}
    session = make_session(["Agent"], **used)
    assert judge("token_budget", {"max_total": 15}, session).verdict == "unknown"
    assert (
        judge("token_budget", {"max_total": 15, "scope": "subagents"}, session).verdict == "unknown"
    )
    assert judge("token_budget", main, session).verdict == "pass"
    assert judge("token_budget", {**main, "max_total": 14}, session).verdict == "fail"
    assert judge("cost_budget", {"max_usd": 1, "scope": "main"}, session).verdict == "pass"
    for lost in (
        {"usage_notes": (agent_gap("zz"), "a line is cut")},
        {"usage_notes": ()},
        {"incomplete": (agent_gap("zz"), "line 3 is not JSON")},
    ):
        damaged = make_session(["Agent"], **{**used, **lost})
        assert judge("token_budget", main, damaged).verdict == "unknown"


def test_a_lost_transcript_says_nothing_of_marked_responses() -> None:
    step = ModelStep(id="m", model="claude-sonnet-4-5", usage_complete=False)
    session = make_session(
        ["Agent"], **LOST, steps=(step,), usage_complete=False, usage_notes=(agent_gap("zz"),)
    )
    assert judge("token_budget", {"max_total": 15, "scope": "main"}, session).verdict == "unknown"
