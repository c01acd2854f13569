"""What traces prove beyond their spans: two readings of a figure, cuts, calls without a span, the
end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import SpanStatusCode

from skilltrace_mlflow.checks._registry import get_check, run_check
from skilltrace_mlflow.pricing import session_cost, session_cost_most
from skilltrace_mlflow.session import Session, TokenUsage
from skilltrace_mlflow.sources.mlflow.trace import session_from_trace
from tests.sources.shapes import SECOND, START, Turn, assistant, tool_use, usage

pytestmark = pytest.mark.usefixtures("store")

TRACES = Path(__file__).parent.parent / "data" / "traces"
SUMMARY = (
    "This session is being continued from a previous conversation that ran out of context. "
    "The conversation is summarized below:\nAnalysis: …"
)


def verdict(session: Session, check: str, value: Any) -> str:
    spec = get_check(check)
    return str(run_check(spec, session, spec.parse(value)).verdict)


class TestCacheInsideTheInput:
    """The Agent SDK writer of MLflow 3.18 counts the cache as input, that of 3.17 does not."""

    @pytest.fixture
    def session(self) -> Session:
        file = TRACES / "agent_sdk" / "python-3.18.0.json"
        return session_from_trace(json.loads(file.read_text(encoding="utf-8")))

    def test_the_smaller_reading_is_a_lower_bound_and_the_larger_an_upper_one(
        self, session: Session
    ) -> None:
        assert session.usage == TokenUsage(
            input_tokens=10,
            output_tokens=20,
            cache_read_input_tokens=1000,
            cache_creation_input_tokens=300,
        )
        assert not session.usage_complete
        assert session.usage_most is not None
        assert session.usage_most.input_tokens == 1310
        assert session_cost(session) == pytest.approx(0.001755)
        assert session_cost_most(session) == pytest.approx(0.005655)
        assert "3.18" in session.usage_notes[0]

    @pytest.mark.parametrize(
        ("check", "value", "expected"),
        [
            ("token_budget", {"max_input": 9}, "fail"),
            ("token_budget", {"max_input": 10}, "unknown"),
            ("token_budget", {"max_input": 1309}, "unknown"),
            ("token_budget", {"max_input": 1310}, "pass"),
            ("token_budget", {"max_total": 1329}, "unknown"),
            ("token_budget", {"max_total": 1330}, "pass"),
            ("token_budget", {"max_output": 20}, "pass"),
            ("token_budget", {"max_output": 19}, "fail"),
            ("token_budget", {"max_cache_read": 1000}, "pass"),
            ("token_budget", {"max_input": 1000, "allow_incomplete": True}, "pass"),
            ("cost_budget", {"max_usd": 0.001}, "fail"),
            ("cost_budget", {"max_usd": 0.005}, "unknown"),
            ("cost_budget", {"max_usd": 0.006}, "pass"),
        ],
    )
    def test_a_limit_between_the_readings_is_unknown(
        self, session: Session, check: str, value: Any, expected: str
    ) -> None:
        assert verdict(session, check, value) == expected

    @pytest.mark.parametrize(
        "counts",
        [
            usage(9, 26, read=1000, created=1030),  # too small to hold the cache
            usage(1310, 20),
            usage(1310, 20, read=0, created=0),
        ],
    )
    def test_one_reading_alone_is_certain(self, counts: dict[str, int]) -> None:
        turn = Turn()
        turn.tool("t1", "Bash", {"command": "ls"}, "a")
        turn.llm("Done.")
        session = session_from_trace(turn.end(root_usage=counts))
        assert session.usage.input_tokens == counts["input_tokens"]
        assert session.usage_complete


class TestCompaction:
    @pytest.mark.parametrize("prompt", [SUMMARY, "\n" + SUMMARY])
    def test_a_turn_cut_by_a_compaction_passes_no_ban(self, prompt: str) -> None:
        turn = Turn(prompt)
        turn.llm([tool_use("t1", "Read", {"file_path": "/a"})], counts=usage(1, 1, read=0))
        turn.tool("t1", "Read", {"file_path": "/a"}, "a")
        turn.llm("Done.", counts=usage(1, 1, read=0))
        session = session_from_trace(turn.end())
        assert verdict(session, "banned_tools", ("Bash",)) == "unknown"
        assert verdict(session, "banned_tools", ("Read",)) == "fail"
        assert verdict(session, "required_tools", ["Read"]) == "pass"
        assert session.prompts == ()
        assert "compaction" in session.incomplete[0]


class TestCallsWithoutASpan:
    def test_a_call_in_a_model_s_answer_alone_was_made(self) -> None:
        turn = Turn()
        turn.llm([tool_use("t1", "Bash", {"command": "rm -rf x"})], counts=usage(1, 1, read=0))
        session = session_from_trace(turn.end())
        (call,) = session.tool_calls
        assert (call.id, call.outcome, call.input) == ("t1", "unknown", {"command": "rm -rf x"})
        assert verdict(session, "banned_tools", ["rm -rf"]) == "fail"
        assert verdict(session, "banned_tools", ["WebFetch"]) == "unknown"

    def test_a_call_quoted_to_a_later_answer_was_made(self) -> None:
        turn = Turn("Fix it.")
        asked = assistant(
            "m1", [tool_use("t1", "Bash", {"command": "rm -rf x"})], {"output_tokens": 3}
        )
        earlier = assistant("m0", [tool_use("t0", "Bash", {"command": "ls"})], {"output_tokens": 3})
        said = [earlier, {"role": "user", "content": "Fix it."}, asked]
        turn.llm("Done.", messages=said, counts=usage(1, 1, read=0))
        session = session_from_trace(turn.end())
        assert [call.id for call in session.tool_calls] == ["t1"]
        assert verdict(session, "banned_tools", ["rm -rf"]) == "fail"

    def test_a_call_with_a_span_is_counted_once(self) -> None:
        turn = Turn()
        turn.llm([tool_use("t1", "Bash", {"command": "ls"})], counts=usage(1, 1, read=0))
        turn.tool("t1", "Bash", {"command": "ls"}, "a")
        session = session_from_trace(turn.end())
        assert len(session.tool_calls) == 1
        assert not session.incomplete

    def test_a_response_that_is_lost_may_exceed_the_turns(self) -> None:
        """Where each message has its span, a call that none asked for had one more."""
        turn = Turn()
        turn.llm([tool_use("t1", "Bash", {"command": "ls"})], counts=usage(1, 1, read=0))
        turn.tool("t1", "Bash", {"command": "ls"}, "a")
        turn.tool("t2", "Read", {"file_path": "/a"}, "a")
        turn.llm("Done.", counts=usage(1, 1, read=0))
        session = session_from_trace(turn.end())
        assert verdict(session, "turn_limit", {"max_turns": 2}) == "unknown"
        assert verdict(session, "turn_limit", {"max_turns": 1}) == "fail"

    def test_a_sub_agent_s_call_is_the_sub_agent_s(self) -> None:
        turn = Turn()
        task = turn.tool("t1", "Task", {"subagent_type": "Explore"}, "Found.", ended=False)
        agent = turn.agent("Explore", task)
        turn.llm([tool_use("t2", "Bash", {"command": "ls"})], counts=usage(1, 1), parent=agent)
        turn.close(agent)
        turn.close(task)
        session = session_from_trace(turn.end())
        owners = {call.id: call.agent for call in session.tool_calls}
        assert owners["t1"] == "main"
        assert owners["t2"] != "main"


@pytest.mark.parametrize(
    ("part", "key", "noise"),
    [
        ("id", "span_id", 7),
        ("parent", "parent_span_id", {"x": 1}),
        ("name", "name", ""),
        ("start", "start_time_unix_nano", "yesterday"),
        ("status", "status", {"code": "PERHAPS"}),
        ("attributes", "attributes", None),
        ("events", "events", "{"),
    ],
)
def test_damage_to_any_part_of_a_span_is_said_and_no_ban_passes(
    part: str, key: str, noise: Any
) -> None:
    turn = Turn()
    turn.llm("I look.", counts=usage(1, 1))
    turn.tool("t1", "Bash", {"command": "ls"}, "a")
    stored = turn.end().to_dict()
    whole = session_from_trace(stored)
    assert not whole.incomplete
    assert verdict(whole, "banned_tools", ["WebFetch"]) == "pass"
    (span,) = (span for span in stored["data"]["spans"] if span["name"] == "llm")
    span[key] = noise
    session = session_from_trace(stored)
    assert any("is damaged" in gap and part in gap for gap in session.incomplete)
    assert verdict(session, "banned_tools", ["WebFetch"]) == "unknown"


def test_a_root_without_a_model_s_answer_holds_no_step() -> None:
    session = session_from_trace(Turn("Fix it.").end(response=None))
    assert session.steps == ()
    assert session.ending.kind == "unknown"


class TestEnding:
    def ended(self, **fields: Any) -> Session:
        turn = Turn(inputs={"prompt": "Fix it.", "options": {}}, **fields)
        turn.llm("I look.", counts=usage(4, 20))
        return session_from_trace(turn.end(root_usage=usage(4, 20)))

    @pytest.mark.parametrize(
        ("said", "kind"),
        [
            ("error_max_turns", "turn_limit"),
            ("error_max_budget_usd", "budget_limit"),
            ("error_during_execution", "cut_off"),
            ("API Error: 529 Overloaded", "cut_off"),
            ("", "cut_off"),
            ("Stream interrupted", "interrupted"),
            ("The operation was aborted", "interrupted"),
        ],
    )
    def test_the_root_s_error_says_it(self, said: str, kind: str) -> None:
        turn = Turn(inputs={"prompt": "Fix it.", "options": {}})
        turn.llm("I look.", counts=usage(4, 20))
        turn.root.set_status(mlflow.entities.SpanStatus(SpanStatusCode.ERROR, said))
        ending = session_from_trace(turn.end(root_usage=usage(4, 20))).ending
        assert ending.kind == kind
        assert ending.text

    def test_a_result_without_error_is_the_agent_s_own_end(self) -> None:
        assert self.ended().ending.kind == "finished"

    @pytest.mark.parametrize(
        ("reason", "kind"),
        [
            ("end_turn", "finished"),
            ("stop_sequence", "finished"),
            ("refusal", "finished"),
            ("max_tokens", "cut_off"),
            (None, "unknown"),
        ],
    )
    def test_the_last_answer_s_stop_reason_says_it(self, reason: str | None, kind: str) -> None:
        turn = Turn()
        turn.llm("Done.", counts=usage(4, 20, read=0))
        trace = turn.end().to_dict()
        for item in trace["data"]["spans"]:
            outputs = json.loads(item["attributes"]["mlflow.spanOutputs"])
            if "content" in outputs:
                outputs["stop_reason"] = reason
                item["attributes"]["mlflow.spanOutputs"] = json.dumps(outputs)
        assert session_from_trace(trace).ending.kind == kind

    def test_an_api_error_in_place_of_an_answer_cut_it_off(self) -> None:
        turn = Turn()
        turn.llm("I look.", counts=usage(4, 20))
        turn.llm("API Error: 529 Overloaded", model="<synthetic>")
        ending = session_from_trace(turn.end()).ending
        assert (ending.kind, ending.text) == ("cut_off", "API Error: 529 Overloaded")

    def test_a_person_s_interruption(self) -> None:
        turn = Turn("[Request interrupted by user]")
        assert session_from_trace(turn.end()).ending.kind == "interrupted"

    def test_a_turn_that_breaks_off_behind_a_call(self) -> None:
        turn = Turn()
        turn.llm([tool_use("t1", "Bash", {})], counts=usage(4, 20))
        turn.tool("t1", "Bash", {"command": "ls"}, "a")
        assert session_from_trace(turn.end()).ending.kind == "cut_off"

    def test_the_last_turn_s_end_is_the_session_s(self) -> None:
        first = Turn(inputs={"prompt": "One.", "options": {}})
        first.llm("I look.", counts=usage(4, 20))
        first.root.set_status(SpanStatusCode.ERROR)
        second = Turn(inputs={"prompt": "Two.", "options": {}}, start=START + 100 * SECOND)
        second.llm("Done.", counts=usage(4, 20))
        traces = [second.end(root_usage=usage(4, 20)), first.end()]
        assert session_from_trace(traces).ending.kind == "finished"
        assert session_from_trace(traces[1:]).ending.kind == "cut_off"
