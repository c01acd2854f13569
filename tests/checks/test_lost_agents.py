"""What a lost transcript of a sub-agent leaves open, and what a lost line of the main one."""

from __future__ import annotations

from skilltrace_mlflow.session import SubAgent, agent_gap
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
