"""What recovers a failure, which names mean a plugin's part, which gaps concern whom."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.session import SubAgent, ToolCall, agent_gap
from tests.builders import make_call, make_session
from tests.checks.judging import bash, judge, verdict

LOST = {"subagents": (SubAgent(id="zz"),), "incomplete": (agent_gap("zz"),)}


@pytest.mark.parametrize(
    ("later", "same", "loose"),
    [
        (bash("pytest -q"), "pass", "pass"),
        (bash("pytest   -q", id="b"), "pass", "pass"),
        (bash("ls"), "fail", "pass"),
        (bash("pytest -q", outcome="failed"), "fail", "fail"),
        (bash("pytest -q", outcome="unknown"), "unknown", "unknown"),
        (make_call("Read"), "fail", "fail"),
        (make_call("Bash", outcome="succeeded", input_truncated=True), "unknown", "pass"),
    ],
)
def test_recovery(later: ToolCall, same: str, loose: str) -> None:
    calls = (bash("pytest -q", outcome="failed", id="first"), later)
    assert verdict("tool_errors", {"max_unrecovered": 0}, *calls) == same
    assert verdict("tool_errors", {"max_unrecovered": 0, "recovery": "tool"}, *calls) == loose


def test_the_same_input_of_another_tool_recovers_too() -> None:
    edit = {"file_path": "/a", "old_string": "x", "new_string": "y"}
    failed = make_call("Edit", edit, outcome="failed", id="1")
    value = {"max_unrecovered": 0}
    assert verdict("tool_errors", value, failed, make_call("Edit", edit, id="2")) == "pass"
    other = make_call("Edit", {**edit, "file_path": "/b"}, id="2")
    assert verdict("tool_errors", value, failed, other) == "fail"


@pytest.mark.parametrize("name", ["deployer", "ops:deployer", "ops:*", "deploy*"])
def test_a_plugins_agent_is_meant_with_and_without_the_plugin(name: str) -> None:
    ran = make_session(subagents=(SubAgent(id="a", type="ops:deployer"),))
    assert judge("subagents", {"banned": [name]}, ran).verdict == "fail"
    assert judge("subagents", {"required": [name]}, ran).verdict == "pass"
    assert judge("subagents", {"banned": ["ops"]}, ran).verdict == "pass"


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
