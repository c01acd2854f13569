"""turn_limit: turns of the main agent, and what a person said."""

from __future__ import annotations

from skilltrace_mlflow.session import Message, ModelStep
from tests.checks.judging import verdict


def test_turns() -> None:
    steps = (ModelStep(id="1"), ModelStep(id="2"), ModelStep(id="3", agent="a1"))
    said = (Message(role="user", text="x"), Message(role="user", text="y", agent="a1"))
    fields = {"steps": steps, "messages": said}
    assert verdict("turn_limit", {"max_turns": 2, "max_user_messages": 1}, **fields) == "pass"
    assert verdict("turn_limit", {"max_turns": 1}, **fields) == "fail"
    assert verdict("turn_limit", {"max_turns": 2}, missing={"turns": "x"}, **fields) == "unknown"
    assert verdict("turn_limit", {"max_turns": 1}, missing={"turns": "x"}, **fields) == "fail"
    assert verdict("turn_limit", {"max_turns": 2}, missing={"messages": "x"}, **fields) == "pass"
