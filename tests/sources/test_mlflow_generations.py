"""Each writer of Claude Code traces: what its traces hold, and what they must not be taken for."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.checks._registry import get_check, run_check
from skilltrace_mlflow.pricing import session_cost
from skilltrace_mlflow.session import MAIN_AGENT, Session, TokenUsage
from skilltrace_mlflow.sources.mlflow.trace import session_from_trace
from tests.sources.shapes import START, Turn, assistant, result, tool_use, usage

pytestmark = pytest.mark.usefixtures("store")

WRITTEN = "File created successfully at: /shop/a.sql"
UPDATED = "The file /shop/a.sql has been updated successfully."


def outcomes(session: Session) -> dict[str, str]:
    return {call.id: call.outcome for call in session.tool_calls}


class TestOldestHook:
    def trace(self, **attributes: Any) -> Any:
        turn = Turn()
        turn.llm("I look.", name="llm_call_1", **attributes)
        turn.tool("t1", "Read", {"file_path": "/shop/a.sql"}, "1\tSELECT 1")
        turn.tool("t2", "Bash", {"command": "make"}, "Exit code 2\nmake: *** error")
        turn.tool("t3", "Write", {"file_path": "/shop/a.sql", "content": "SELECT 1"}, WRITTEN)
        turn.tool("t4", "Edit", {"file_path": "/x"}, "<tool_use_error>String not found")
        turn.tool("t5", "Bash", {"command": "echo error"}, "error: none")
        turn.tool("t6", "Bash", {"command": "sleep 9"})
        turn.llm("Done.", name="llm_call_2", **attributes)
        return turn.end()

    def test_bare_token_attributes_are_read(self) -> None:
        session = session_from_trace(self.trace(input_tokens=10, output_tokens=4))
        assert session.usage == TokenUsage(input_tokens=20, output_tokens=8)

    def test_usage_of_messages_without_text_is_known_to_be_missing(self) -> None:
        session = session_from_trace(self.trace(input_tokens=10, output_tokens=4))
        assert not session.usage_complete
        assert "turns" in session.missing

    def test_only_the_result_says_how_a_call_ended(self) -> None:
        session = session_from_trace(self.trace())
        assert outcomes(session) == {
            "t1": "unknown",
            "t2": "failed",
            "t3": "succeeded",
            "t4": "failed",
            "t5": "unknown",
            "t6": "unknown",
        }

    def test_a_missing_result_is_no_result(self) -> None:
        calls = session_from_trace(self.trace()).tool_calls
        assert calls[-1].result is None
        assert calls[0].result == "1\tSELECT 1"

    def test_made_up_durations_are_none(self) -> None:
        assert {c.duration_ms for c in session_from_trace(self.trace()).tool_calls} == {None}

    def test_a_trace_without_any_usage_says_so(self) -> None:
        session = session_from_trace(self.trace())
        assert session.lacks("usage")
        assert not session.usage_complete


class TestProcessTranscript:
    """Text-only spans; the messages in between stand whole in the next span's inputs."""

    def trace(self, *, last_stop: str | None = "tool_use") -> Any:
        turn = Turn("Fix it.", metadata={"mlflow.trace.working_directory": "/somewhere/else"})
        read = assistant(
            "msg_1",
            [tool_use("t1", "Read", {"file_path": "/shop/a.sql"})],
            {"input_tokens": 4, "output_tokens": 133, "cache_creation_input_tokens": 900,
             "cache_read_input_tokens": 0},
        )  # fmt: skip
        write = assistant(
            "msg_2",
            [tool_use("t2", "Write", {"file_path": "/shop/a.sql"})],
            {"input_tokens": 5, "output_tokens": 264, "cache_creation_input_tokens": 100,
             "cache_read_input_tokens": 900},
            last_stop,
        )  # fmt: skip
        turn.llm(
            "I look.",
            counts=usage(4, 133, read=0, created=900),
            messages=[{"role": "user", "content": "Fix it."}],
        )
        turn.tool("t1", "Read", {"file_path": "/shop/a.sql"}, "1\tSELECT 1")
        turn.tool("t2", "Write", {"file_path": "/shop/a.sql", "content": "S"}, WRITTEN)
        turn.llm(
            "Done.",
            counts=usage(6, 20, read=1000, created=50),
            messages=[read, result("t1", "1\tSELECT 1"), write, write, result("t2", WRITTEN)],
        )
        return turn.end()

    def test_usage_of_messages_without_text_is_recovered_once_each(self) -> None:
        session = session_from_trace(self.trace())
        assert session.usage == TokenUsage(
            input_tokens=4 + 5 + 6,
            output_tokens=133 + 264 + 20,
            cache_creation_input_tokens=900 + 100 + 50,
            cache_read_input_tokens=0 + 900 + 1000,
        )
        assert session.usage_complete

    def test_text_and_call_of_one_message_are_one_turn(self) -> None:
        session = session_from_trace(self.trace())
        assert session.turns == 3
        assert session.steps[0].id == "msg_1"
        assert not session.lacks("turns")

    def test_a_placeholder_is_a_lower_bound(self) -> None:
        assert not session_from_trace(self.trace(last_stop=None)).usage_complete

    def test_a_recovered_message_with_half_its_usage_is_a_lower_bound(self) -> None:
        text = self.trace().to_json()
        cut = text.replace('\\"output_tokens\\": 264, ', "")
        assert cut != text
        session = session_from_trace(cut)
        assert session.usage.output_tokens == 133 + 20
        assert not session.usage_complete

    def test_messages_of_an_earlier_turn_are_not_this_turn_s(self) -> None:
        before = assistant("msg_0", [tool_use("t0", "Bash", {})], {"input_tokens": 7777})
        turn = Turn("Now this.")
        turn.llm(
            "Yes.",
            counts=usage(3, 5, read=0, created=0),
            messages=[before, result("t0", "x"), {"role": "user", "content": "Now this."}],
        )
        assert session_from_trace(turn.end()).usage.input_tokens == 3

    def test_the_last_calls_without_a_later_span_leave_usage_incomplete(self) -> None:
        turn = Turn()
        turn.llm("I look.", counts=usage(4, 9, read=0, created=9), messages=[
            assistant("msg_0", [tool_use("t0", "Bash", {})], {"input_tokens": 1}),
            result("t0", "x"),
        ])  # fmt: skip
        turn.tool("t1", "Read", {"file_path": "/a"}, "1\tx")
        session = session_from_trace(turn.end())
        assert not session.usage_complete
        assert "turns" in session.missing

    def test_the_working_directory_is_the_logging_process_s(self) -> None:
        assert session_from_trace(self.trace()).cwd is None

    def test_a_sub_agent_without_spans_leaves_the_record_incomplete(self) -> None:
        turn = Turn()
        task = assistant(
            "msg_1", [tool_use("t1", "Task", {})], {"input_tokens": 4, "output_tokens": 2}
        )
        turn.tool("t1", "Task", {"subagent_type": "Explore", "prompt": "Look."}, "Found.")
        turn.llm("Done.", counts=usage(5, 6, read=0, created=0), messages=[task, result("t1", "F")])
        session = session_from_trace(turn.end())
        assert [(a.type, a.parent_call_id) for a in session.subagents] == [("Explore", "t1")]
        assert session.incomplete
        assert not session.usage_complete


class TestPluginGeneration1:
    def trace(self) -> Any:
        turn = Turn(metadata={"mlflow.trace.permission_mode": "default"})
        turn.llm("I look.", counts=usage(1004, 20))
        turn.tool("t1", "Bash", {"command": "make"}, "2 errors", exception="2 errors")
        turn.tool("t2", "Bash", {"command": "make"}, "fine")
        turn.llm("Done.", counts=usage(5, 6))
        return turn.end()

    def test_an_exception_event_is_a_failure_though_the_status_is_ok(self) -> None:
        session = session_from_trace(self.trace())
        assert outcomes(session) == {"t1": "failed", "t2": "succeeded"}

    def test_input_with_cache_writes_in_it_is_not_taken_for_exact(self) -> None:
        turn = Turn(metadata={"mlflow.trace.permission_mode": "default"})
        turn.llm("Hello.", counts=usage(1004, 20))
        assert not session_from_trace(turn.end()).usage_complete

    def test_session_facts_come_from_metadata(self) -> None:
        turn = Turn(
            metadata={
                "mlflow.trace.permission_mode": "acceptEdits",
                "mlflow.trace.working_directory": "/shop",
                "mlflow.claude_code_version": "2.1.7",
            }
        )
        session = session_from_trace(turn.end())
        assert session.permission_mode == "acceptEdits"
        assert session.cwd == "/shop"
        assert session.version == "2.1.7"


class TestPluginGeneration2:
    def trace(self, *calls: str) -> Any:
        turn = Turn(metadata={"mlflow.trace.permission_mode": "default"})
        turn.llm("I look.", counts=usage(4, 20, read=0, created=1000))
        for call in calls:
            turn.tool(call, "Bash", {"command": "ls"}, "a")
        turn.llm("Done.", counts=usage(5, 6, read=1000, created=30))
        return turn.end()

    def test_cache_figures_stand_beside_input(self) -> None:
        session = session_from_trace(self.trace())
        assert session.usage == TokenUsage(
            input_tokens=9,
            output_tokens=26,
            cache_read_input_tokens=1000,
            cache_creation_input_tokens=1030,
        )

    @pytest.mark.parametrize(("calls", "complete"), [((), True), (("t1",), False)])
    def test_usage_is_complete_only_without_calls(self, calls: Any, complete: bool) -> None:
        assert session_from_trace(self.trace(*calls)).usage_complete is complete

    def test_a_denied_call_is_told_from_a_failed_one(self) -> None:
        said = "Claude requested permissions to write to /x, but you haven't granted it yet."
        turn = Turn()
        turn.tool("t1", "Write", {"file_path": "/x"}, said, exception=said)
        assert outcomes(session_from_trace(turn.end())) == {"t1": "denied"}

    def test_a_nested_agent_s_calls_and_tokens_are_its_own(self) -> None:
        turn = Turn()
        turn.llm("I delegate.", counts=usage(4, 20, read=0, created=1000))
        task = turn.tool(
            "t1",
            "Task",
            {"subagent_type": "Explore", "prompt": "Look."},
            [{"type": "text", "text": "Found.\nagentId: a1b2c3 (use SendMessage)"}],
            ended=False,
        )
        agent = turn.agent("Explore", task, "Look.")
        turn.tool("t2", "Grep", {"pattern": "x"}, "a.py", parent=agent)
        turn.llm("Found.", counts=usage(3, 7, read=0, created=0), parent=agent)
        turn.close(agent)
        turn.close(task)
        session = session_from_trace(turn.end())
        (sub,) = session.subagents
        assert (sub.id, sub.type, sub.parent_call_id) == ("a1b2c3", "Explore", "t1")
        assert {c.id: c.agent for c in session.tool_calls} == {"t1": MAIN_AGENT, "t2": "a1b2c3"}
        assert session.scoped("subagents").usage.output_tokens == 7
        assert not session.incomplete


class TestPluginGeneration3:
    def turn(self, **options: Any) -> Turn:
        turn = Turn(**options)
        cost = {"input_cost": 0.001, "output_cost": 0.002, "total_cost": 0.003}
        turn.llm(
            [{"type": "text", "text": "I write."}, tool_use("t1", "Write", {"file_path": "/a"})],
            counts=usage(4, 20, read=0, created=1000),
            **{"mlflow.llm.cost": cost},
        )
        turn.tool("t1", "Write", {"file_path": "/shop/a.sql", "content": "S"}, WRITTEN)
        turn.llm(
            [tool_use("t2", "Write", {"file_path": "/shop/a.sql"})],
            counts=usage(5, 30, read=1000, created=30),
            **{"mlflow.llm.cost": cost},
        )
        turn.tool("t2", "Write", {"file_path": "/shop/a.sql", "content": "T"}, UPDATED)
        return turn

    def test_every_message_has_its_usage(self) -> None:
        session = session_from_trace(self.turn().end())
        assert session.usage_complete
        assert session.usage.output_tokens == 50
        assert session.turns == 2
        assert not session.missing

    def test_cost_is_the_recorded_one(self) -> None:
        assert session_from_trace(self.turn().end()).cost_usd == pytest.approx(0.006)

    def test_the_result_s_sentence_tells_create_from_edit(self) -> None:
        files = session_from_trace(self.turn().end()).files
        assert [(f.type, f.content) for f in files] == [("create", "S"), ("edit", "T")]

    def test_a_call_that_no_message_with_usage_made_leaves_usage_incomplete(self) -> None:
        turn = self.turn()
        turn.tool("t9", "Bash", {"command": "ls"}, "a")
        assert not session_from_trace(turn.end()).usage_complete

    def test_a_background_agent_is_joined_by_its_tag(self) -> None:
        turn = Turn()
        turn.llm(
            [tool_use("t1", "Agent", {"prompt": "Count."})], counts=usage(4, 20, read=0, created=9)
        )
        turn.tool(
            "t1",
            "Agent",
            {"subagent_type": "general-purpose", "prompt": "Count."},
            "Async agent launched successfully.",
            background=True,
            agent_id="a0d7",
        )
        launch = turn.end()
        tags = {
            "mlflow.claude_code.agent_id": "a0d7",
            "mlflow.claude_code.agent_type": "general-purpose",
            "mlflow.claude_code.parent_tool_use_id": "t1",
        }
        stops = []
        for number in (1, 2):  # resumed once: each stop is a trace of its own
            stop = Turn(name="subagent_general-purpose", tags=tags, start=START + number * 10**11)
            stop.llm([tool_use(f"b{number}", "Bash", {})], counts=usage(3, 7, read=0, created=0))
            stop.tool(f"b{number}", "Bash", {"command": "wc"}, "2")
            stops.append(stop.end())

        alone = session_from_trace(launch)
        assert alone.incomplete
        assert not alone.usage_complete
        assert [a.background for a in alone.subagents] == [True]

        session = session_from_trace([*stops, launch])
        assert {c.id: c.agent for c in session.tool_calls} == {
            "t1": MAIN_AGENT, "b1": "a0d7", "b2": "a0d7",
        }  # fmt: skip
        (agent,) = session.subagents
        assert (agent.id, agent.parent_call_id, agent.background) == ("a0d7", "t1", True)
        assert session.usage.output_tokens == 20 + 7 + 7
        assert session.usage_complete
        assert not session.incomplete
        assert session.prompts == ("Fix it.",)


class TestTypeScriptAgentSdk:
    def test_usage_on_root_and_spans_is_not_added(self) -> None:
        turn = Turn()
        turn.llm(
            [{"type": "text", "text": "I look."}, tool_use("t1", "Bash", {})],
            counts=usage(4, 20, read=0, created=1000),
        )
        turn.tool("t1", "Bash", {"command": "ls"}, "a")
        turn.llm("Done.", counts=usage(5, 6, read=1000, created=30))
        session = session_from_trace(turn.end(root_usage=usage(9, 26, read=1000, created=1030)))
        assert session.usage.output_tokens == 26
        assert session.usage.cache_creation_input_tokens == 1030
        assert session.usage_complete

    def test_what_the_spans_repeat_or_leave_out_the_root_s_sum_sets_right(self) -> None:
        turn = Turn()
        for block in ({"type": "thinking", "thinking": "…"}, {"type": "text", "text": "Hi."}):
            turn.llm([block], counts=usage(4, 20, read=0, created=1000))
        session = session_from_trace(turn.end(root_usage=usage(4, 20, read=0, created=1000)))
        assert session.usage.output_tokens == 20

    def test_an_error_status_is_a_failure(self) -> None:
        turn = Turn()
        turn.llm("I look.", counts=usage(4, 20))
        turn.tool("t1", "Bash", {"command": "ls"}, "no such", error="no such")
        turn.tool("t2", "Bash", {"command": "ls"}, "a")
        session = session_from_trace(turn.end(root_usage=usage(4, 20)))
        assert outcomes(session) == {"t1": "failed", "t2": "succeeded"}
        assert session.tool_calls[1].duration_ms == pytest.approx(500)

    def test_a_nested_agent_s_usage_comes_on_top(self) -> None:
        turn = Turn()
        turn.llm("I delegate.", counts=usage(4, 20, read=0, created=0))
        task = turn.tool("t1", "Task", {"subagent_type": "Explore"}, "Found.", ended=False)
        agent = turn.agent("Explore", task)
        turn.llm("Found.", counts=usage(3, 7, read=0, created=0), parent=agent)
        turn.close(agent)
        turn.close(task)
        session = session_from_trace(turn.end(root_usage=usage(4, 20, read=0, created=0)))
        assert session.usage.output_tokens == 27
        assert session.scoped("main").usage.output_tokens == 20


class TestPythonAgentSdk:
    def trace(self, name: str = "Bash") -> Any:
        turn = Turn()
        turn.tool("t1", name, {"command": "ls"}, "a")
        turn.llm("Done.")
        return turn.end(root_usage=usage(9, 26, read=1000, created=1030))

    def test_usage_on_the_root_is_the_main_agent_s(self) -> None:
        session = session_from_trace(self.trace())
        assert session.usage.output_tokens == 26
        assert session.usage.cache_read_input_tokens == 1000

    def test_the_flag_is_lost(self) -> None:
        assert outcomes(session_from_trace(self.trace())) == {"t1": "unknown"}

    def test_sub_agents_are_mixed_in(self) -> None:
        session = session_from_trace(self.trace("Task"))
        assert session.lacks("agents")
        assert not session.usage_complete

    def test_times_of_calls_are_the_logger_s(self) -> None:
        (call,) = session_from_trace(self.trace()).tool_calls
        assert call.timestamp is None
        assert call.duration_ms is None


class TestFiguresThatAreNotWhatTheyAreCalled:
    def verdict(self, session: Session, check: str, value: Any) -> str:
        spec = get_check(check)
        return str(run_check(spec, session, spec.parse(value)).verdict)

    def test_generation_1_input_holds_cache_writes_and_breaks_no_limit(self) -> None:
        turn = Turn(metadata={"mlflow.trace.permission_mode": "default"})
        turn.llm("I look.", counts=usage(5010, 30))
        session = session_from_trace(turn.end())
        assert self.verdict(session, "token_budget", {"max_input": 1000}) == "unknown"
        assert self.verdict(session, "token_budget", {"max_total": 1000}) == "unknown"
        assert self.verdict(session, "token_budget", {"max_total": 20}) == "fail"
        assert self.verdict(session, "token_budget", {"max_output": 20}) == "fail"
        assert self.verdict(session, "token_budget", {"max_cache_read": 20}) == "unknown"

    def test_a_cost_that_mlflow_made_up_from_the_wrong_input_is_not_recorded(self) -> None:
        turn = Turn()
        call = tool_use("t1", "Bash", {"command": "ls"})
        turn.llm([call], counts=usage(4000, 10, read=50_000, created=3000))
        turn.tool("t1", "Bash", {"command": "ls"}, "a.sql")
        trace = turn.end()
        assert any("mlflow.llm.cost" in span.attributes for span in trace.data.spans)
        session = session_from_trace(trace)
        assert session.cost_usd is None
        assert session_cost(session) == pytest.approx(0.0384)

    def test_a_cost_of_some_of_the_work_is_no_cost_of_the_turn(self) -> None:
        turn = Turn()
        given = {"prompt": "Look.", "subagent_type": "Explore"}
        stated = {"input_cost": 0.001, "output_cost": 0.002, "total_cost": 0.003}
        turn.llm(
            [tool_use("t1", "Agent", given)],
            counts=usage(10, 10, read=0, created=0),
            **{"mlflow.llm.cost": stated},
        )
        turn.tool("t1", "Agent", given, "agentId: aa1", background=True, agent_id="aa1")
        session = session_from_trace(turn.end())
        assert session.cost_usd is None
        assert self.verdict(session, "cost_budget", {"max_usd": 1}) == "unknown"


SENT = {"prompt": "Fix it.", "options": {}}


class TestAgentSdkStreams:
    def test_an_interrupted_query_has_no_sum_and_keeps_what_its_spans_say(self) -> None:
        turn = Turn(inputs=SENT)
        turn.llm("I look.", counts=usage(10, 30, read=5, created=3))
        turn.tool("t1", "Bash", {"command": "ls"}, "a.sql")
        session = session_from_trace(turn.end())
        assert session.usage.output_tokens == 30
        assert not session.usage_complete

    def test_half_a_sum_on_the_root_takes_nothing_away_from_the_spans(self) -> None:
        turn = Turn(inputs={"prompt": "Fix it.", "options": {}})
        turn.llm("Done.", counts=usage(5, 7, read=0, created=0))
        session = session_from_trace(turn.end(root_usage={"input_tokens": 9}))
        assert (session.usage.input_tokens, session.usage.output_tokens) == (5, 7)
        assert not session.usage_complete

    def test_thinking_and_text_of_one_message_count_once(self) -> None:
        turn = Turn(inputs=SENT)
        given = {"prompt": "Look.", "subagent_type": "Explore"}
        task = turn.tool("t1", "Task", given, ended=False)
        agent = turn.agent("Explore", task)
        thought = [{"type": "thinking", "thinking": "Hm."}]
        turn.llm(thought, counts=usage(10, 1, read=500, created=3), parent=agent)
        turn.llm("Found.", counts=usage(10, 30, read=500, created=3), parent=agent)
        turn.llm("Also.", counts=usage(10, 30, read=533, created=3), parent=agent)
        turn.close(agent)
        turn.close(task)
        session = session_from_trace(turn.end(root_usage=usage(7, 7, read=0, created=0)))
        own = [step.usage.output_tokens for step in session.steps if step.agent != MAIN_AGENT]
        assert own == [30, 30]

    def test_a_sub_agent_s_answer_without_usage_is_not_in_the_sum(self) -> None:
        turn = Turn(inputs=SENT)
        task = turn.tool("t1", "Task", {"prompt": "Look."}, ended=False)
        agent = turn.agent("Explore", task)
        turn.llm("Found.", parent=agent)
        turn.close(agent)
        turn.close(task)
        session = session_from_trace(turn.end(root_usage=usage(7, 7, read=0, created=0)))
        assert not session.usage_complete


def test_a_writer_that_leaves_a_failure_unmarked_marks_no_success_either() -> None:
    turn = Turn(metadata={"mlflow.trace.permission_mode": "default"})
    turn.llm("I look.", counts=usage(10, 30, read=5, created=3))
    turn.tool("t1", "Bash", {"command": "make"}, "Exit code 2\nmake: *** error")
    turn.tool("t2", "Bash", {"command": "ls"}, "a.sql")
    assert outcomes(session_from_trace(turn.end())) == {"t1": "failed", "t2": "unknown"}


def test_a_turn_traced_again_brings_the_result_that_came_later() -> None:
    call = tool_use("t1", "Bash", {"command": "make"})
    traces = []
    for answer in ("No result found", "built"):
        turn = Turn()
        turn.llm([call], counts=usage(10, 30, read=5, created=3))
        turn.tool("t1", "Bash", {"command": "make"}, answer)
        traces.append(turn.end())
    session = session_from_trace(traces)
    assert [(c.id, c.outcome, c.result) for c in session.tool_calls] == [
        ("t1", "succeeded", "built")
    ]


def test_a_refusal_in_free_words_is_left_open() -> None:
    turn = Turn()
    turn.llm([tool_use("t1", "Write", {"file_path": "/a"})], counts=usage(1, 1, read=0, created=0))
    turn.tool("t1", "Write", {"file_path": "/a"}, "Keep it.", exception="Keep it.")
    spec = get_check("permission_denials")
    outcome = run_check(spec, session_from_trace(turn.end()), spec.parse({"max": 0}))
    assert str(outcome.verdict) == "unknown"
