"""expected_messages: the calls of assistant messages, in order."""

from __future__ import annotations

import jsonschema
import pytest

from skilltrace_mlflow.checks import ParameterError
from tests.builders import make_call, make_session
from tests.checks.judging import judge, parse, verdict


class TestExpectedMessages:
    def test_calls_of_assistant_messages_in_order(self) -> None:
        value = [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [{"tool": "Read", "input": {"p": 1}}]},
            {"role": "assistant", "content": "y", "tool_calls": [{"tool": "Edit"}]},
        ]
        full = make_session([make_call("Read", {"p": 1}), "Bash", make_call("Edit", {"any": 1})])
        assert judge("expected_messages", value, full).score == 1.0
        wrong = judge(
            "expected_messages", value, make_session([make_call("Read", {"p": 2}), "Edit"])
        )
        assert (wrong.score, wrong.verdict) == (0.5, "fail")
        assert wrong.hits == ("Edit",)
        assert "p: expected 1, is 2" in wrong.misses[0]
        assert (
            judge(
                "expected_messages", value, make_session(["Edit", make_call("Read", {"p": 1})])
            ).score
            == 0.5
        )
        assert judge("expected_messages", value, make_session([])).score == 0.0

    def test_output(self) -> None:
        value = [{"role": "assistant", "tool_calls": [{"tool": "Read", "output": "ok"}]}]
        assert verdict("expected_messages", value, make_call("Read", result="ok")) == "pass"
        assert verdict("expected_messages", value, make_call("Read", result="no")) == "fail"
        assert verdict("expected_messages", value, make_call("Read")) == "unknown"

    def test_names_are_exact(self) -> None:
        value = [{"role": "assistant", "tool_calls": [{"tool": "Rea*"}]}]
        assert verdict("expected_messages", value, "Read") == "fail"
        agent = [{"role": "assistant", "tool_calls": [{"tool": "Agent"}]}]
        assert verdict("expected_messages", agent, "Task") == "pass"

    def test_long_form(self) -> None:
        calls = [{"tool": "A"}, {"tool": "B"}]
        value = {
            "messages": [{"role": "assistant", "tool_calls": calls}],
            "threshold": 0.5,
            "scope": "main",
        }
        assert verdict("expected_messages", value, "A", make_call("B", agent="a1")) == "pass"

    def test_an_entry_without_tool_is_refused(self) -> None:
        with pytest.raises(jsonschema.ValidationError):
            parse("expected_messages", [{"role": "assistant", "tool_calls": [{"input": {}}]}])

    def test_messages_without_calls_are_refused(self) -> None:
        with pytest.raises(ParameterError, match="nothing to compare"):
            parse("expected_messages", [{"role": "assistant", "content": "x"}])

    def test_no_trace(self) -> None:
        outcome = judge(
            "expected_messages", [{"role": "assistant", "tool_calls": [{"tool": "A"}]}], None
        )
        assert (outcome.score, outcome.misses) == (0.0, ("No trace available",))
