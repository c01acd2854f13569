"""What Claude Code itself states: usage and cost beyond the messages, and when it is too old."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.pricing import session_cost
from skilltrace_mlflow.report.timeline import totals
from skilltrace_mlflow.session import OUTSIDE, Session, TokenUsage
from skilltrace_mlflow.sources.load import load_file
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.checks.judging import judge
from tests.sources.lines import (
    SESSION,
    assistant,
    dump,
    entry,
    result,
    text,
    tool,
    usage,
    user,
    write_lines,
)

MODEL = "claude-sonnet-4-5-20250929"
HAIKU = "claude-haiku-4-5-20251001"


def figures(
    input: int = 0,  # noqa: A002 - the field's name
    output: int = 0,
    *,
    read: int = 0,
    written: int = 0,
    cost: float = 0.0,
) -> dict[str, Any]:
    return {
        "inputTokens": input,
        "outputTokens": output,
        "cacheReadInputTokens": read,
        "cacheCreationInputTokens": written,
        "webSearchRequests": 0,
        "costUSD": cost,
    }


def cost_state(models: dict[str, Any], *, total: float | None = None, **fields: Any) -> Any:
    costs = sum(model["costUSD"] for model in models.values())
    return {
        "type": "cost-state",
        "sessionId": SESSION,
        "totalCostUSD": costs if total is None else total,
        "modelUsage": models,
        "hasUnknownModelCost": False,
        **fields,
    }


def said(message_id: str, output: int = 50, **fields: Any) -> dict[str, Any]:
    return assistant(
        message_id, text("ok"), usage=usage(2, output), stop_reason="end_turn", **fields
    )


def outside(session: Session) -> list[tuple[str | None, int, int]]:
    return [
        (step.model, step.usage.input_tokens, step.usage.output_tokens)
        for step in session.steps
        if step.agent == OUTSIDE
    ]


def test_figures_equal_to_the_messages_add_nothing() -> None:
    session = parse_transcript(
        dump(user("Go."), said("m1"), cost_state({MODEL: figures(2, 50, cost=0.01)}))
    )
    assert outside(session) == []
    assert (session.cost_usd, session.usage_complete) == (0.01, True)


def test_what_left_no_line_belongs_to_no_response() -> None:
    state = cost_state({MODEL: figures(5019, 957, cost=0.09), HAIKU: figures(7, 3, cost=0.01)})
    session = parse_transcript(dump(user("Go."), said("m1"), state))
    assert outside(session) == [(MODEL, 5017, 907), (HAIKU, 7, 3)]
    assert session.usage == TokenUsage(input_tokens=5026, output_tokens=960)
    assert session_cost(session) == pytest.approx(0.1)
    assert session.turns == 1
    assert session.usage_complete
    assert session.scoped("main").usage.output_tokens == 50
    assert not session.scoped("main").usage_complete
    assert judge("cost_budget", {"max_usd": 0.08}, session).verdict == "fail"
    assert judge("token_budget", {"max_total": 1000}, session).verdict == "fail"


def test_a_mode_in_a_models_name_is_no_other_model() -> None:
    state = cost_state({f"{MODEL}[1m]": figures(2, 50)})
    assert outside(parse_transcript(dump(user("Go."), said("m1"), state))) == []


def test_a_model_under_another_name_does_not_count_twice() -> None:
    state = cost_state({"claude-sonnet-4-5": figures(2, 60, cost=0.02)})
    session = parse_transcript(dump(user("Go."), said("m1"), state))
    assert session.usage == TokenUsage(input_tokens=2, output_tokens=60)


def test_figures_older_than_the_last_response_are_a_lower_bound() -> None:
    state = cost_state({MODEL: figures(2, 90, cost=0.05)})
    session = parse_transcript(dump(user("Go."), said("m1"), state, user("On."), said("m2", 70)))
    assert session.usage.output_tokens == 120
    assert not session.usage_complete
    assert session.cost_usd is None
    assert judge("token_budget", {"max_total": 1000}, session).verdict == "unknown"


def test_the_last_of_several_holds() -> None:
    first, second = (cost_state({MODEL: figures(2 * n, 50 * n)}) for n in (1, 2))
    session = parse_transcript(
        dump(user("Go."), said("m1"), first, user("On."), said("m2"), second)
    )
    assert (session.usage.output_tokens, session.usage_complete) == (100, True)


def test_they_complete_what_a_cut_stream_lost() -> None:
    lines = [
        user("Go."),
        said("m1", 1),
        user("Your response above was cut off mid-stream. Continue.", isMeta=True),
        said("m2"),
    ]
    cut = parse_transcript(dump(*lines))
    assert (cut.usage.output_tokens, cut.usage_complete) == (51, False)
    whole = parse_transcript(dump(*lines, cost_state({MODEL: figures(4, 400)})))
    assert (whole.usage.output_tokens, whole.usage_complete) == (400, True)


def test_a_model_without_a_price_leaves_the_cost_open() -> None:
    state = cost_state({MODEL: figures(2, 50, cost=0.01)}, hasUnknownModelCost=True)
    assert parse_transcript(dump(user("Go."), said("m1"), state)).cost_usd is None


@pytest.mark.parametrize(
    "broken",
    [
        {MODEL: "many"},
        {MODEL: {**figures(2, 50), "inputTokens": -4}},
        {MODEL: {**figures(2, 50), "outputTokens": 2**60}},
        {MODEL: {**figures(2, 50), "outputTokens": "50"}},
        {},
    ],
)
def test_figures_that_are_none_count_as_absent(broken: Any) -> None:
    state = {**cost_state({}), "modelUsage": broken}
    session = parse_transcript(dump(user("Go."), said("m1"), state))
    assert (session.usage.output_tokens, session.usage_complete) == (50, True)


@given(
    messages=st.lists(st.integers(0, 500), min_size=1, max_size=5),
    stated=st.integers(0, 4000),
)
def test_usage_is_the_larger_of_messages_and_statement(messages: list[int], stated: int) -> None:
    lines = [said(f"m{number}", output) for number, output in enumerate(messages)]
    state = cost_state({MODEL: figures(2 * len(messages), stated)})
    session = parse_transcript(dump(user("Go."), *lines, state))
    assert session.usage.output_tokens == max(sum(messages), stated)
    assert session.usage.input_tokens == 2 * len(messages)


BOUNDARY = entry(
    "system", subtype="compact_boundary", compactMetadata={"trigger": "auto", "preTokens": 9000}
)
FETCH = [
    assistant("m0", tool("WebFetch", "toolu_1", url="https://example.org", prompt="?")),
    result("toolu_1", "page", is_error=False),
]


@pytest.mark.parametrize("more", [[BOUNDARY], FETCH], ids=["compaction", "WebFetch"])
def test_without_figures_side_requests_make_a_lower_bound(more: list[Any]) -> None:
    session = parse_transcript(dump(user("Go."), *more, said("m1")))
    assert not session.usage_complete
    total = session.usage.output_tokens
    stated = cost_state({MODEL: figures(5, total + 9)})
    assert parse_transcript(dump(user("Go."), *more, said("m1"), stated)).usage_complete


def test_a_fetch_that_was_refused_asked_nobody() -> None:
    refused = result("toolu_1", "no", is_error=True, toolDenialKind="permission-rule")
    assert parse_transcript(dump(user("Go."), FETCH[0], refused, said("m1"))).usage_complete


def test_a_compaction_is_recorded_where_it_happened() -> None:
    session = parse_transcript(dump(user("Go."), said("m1"), BOUNDARY, user("On."), said("m2")))
    (found,) = session.compactions
    assert (found.trigger, found.pre_tokens) == ("auto", 9000)
    after = next(m for m in session.messages if m.text == "On.")
    assert found.position == after.position


def test_claude_codes_own_agents_count_tokens_and_are_no_sub_agents(tmp_path: Path) -> None:
    path = write_lines(tmp_path / f"{SESSION}.jsonl", user("Go."), said("m1"), BOUNDARY)
    own = tmp_path / SESSION / "subagents" / "agent-acompact-e1f845.jsonl"
    write_lines(own, *(said("m5") | {"isSidechain": True, "agentId": "acompact-e1f845"},))
    session = parse_transcript(path)
    assert session.subagents == ()
    assert session.incomplete == ()
    assert session.usage.output_tokens == 100
    assert session.usage_complete
    assert session.scoped("subagents").usage.output_tokens == 0
    assert judge("subagents", {"max": 0}, session).verdict == "pass"


def workflow(*more: Any) -> list[Any]:
    extra = {
        "status": "async_launched",
        "taskId": "w1",
        "taskType": "local_workflow",
        "runId": "wf_1",
    }
    return [
        user("Go."),
        assistant("m0", tool("Workflow", "toolu_1", script="…")),
        result("toolu_1", "launched", extra=extra),
        said("m1"),
        *more,
    ]


NEWS = user(
    "<task-notification>\n<task-id>w1</task-id>\n<status>completed</status>\n<usage><agent_count>3"
    "</agent_count><subagent_tokens>12000</subagent_tokens><tool_uses>40</tool_uses></usage>\n"
    "</task-notification>",
    origin={"kind": "task-notification"},
)


def test_agents_of_a_workflow_that_are_not_at_hand_are_counted_and_missing() -> None:
    session = parse_transcript(dump(*workflow(NEWS)))
    assert [agent.status for agent in session.subagents] == ["not recorded"] * 3
    assert "3 of 3 agents of workflow wf_1" in session.incomplete[0]
    assert "12,000 tokens, 40 tool uses" in session.incomplete[0]
    assert session.tool_calls[0].outcome == "succeeded"
    assert judge("subagents", {"max": 0}, session).verdict == "fail"
    assert judge("banned_tools", ["WebFetch"], session).verdict == "unknown"
    assert judge("token_budget", {"max_total": 1000}, session).verdict == "unknown"


def test_a_workflow_of_which_nothing_more_is_known_is_a_gap() -> None:
    session = parse_transcript(dump(*workflow()))
    assert "wf_1" in session.incomplete[0]
    assert judge("subagents", {"max": 0}, session).verdict == "unknown"


def test_agents_of_a_workflow_that_are_at_hand_are_its_calls(tmp_path: Path) -> None:
    path = write_lines(tmp_path / f"{SESSION}.jsonl", *workflow(NEWS))
    folder = tmp_path / SESSION / "subagents" / "workflows" / "wf_1"
    for number in range(3):
        agent = f"a{number:08x}"
        lines = said(f"w{number}", 7) | {"isSidechain": True, "agentId": agent}
        write_lines(folder / f"agent-{agent}.jsonl", lines)
    session = parse_transcript(path)
    assert session.incomplete == ()
    assert [agent.parent_call_id for agent in session.subagents] == ["toolu_1"] * 3
    assert session.usage_complete
    (folder / "agent-a00000001.jsonl").unlink()
    partly = parse_transcript(path)
    assert "1 of 3 agents" in partly.incomplete[0]
    assert len(partly.subagents) == 3


COMMAND = user(
    "<command-message>count</command-message>\n<command-name>/count</command-name>\n"
    "<command-args>orders.csv</command-args>"
)
EXPANSION = user("Count the rows of orders.csv.", isMeta=True)
EXIT = [
    user("<command-name>/exit</command-name>\n<command-message>exit</command-message>"),
    user("<local-command-stdout>Bye!</local-command-stdout>"),
]


def test_a_session_that_a_slash_command_begins_has_it_as_its_prompt() -> None:
    session = parse_transcript(dump(COMMAND, EXPANSION, said("m1"), user("Thanks."), said("m2")))
    assert session.prompts == ("/count orders.csv", "Thanks.")


def test_commands_that_ask_no_model_are_no_prompts() -> None:
    session = parse_transcript(dump(*EXIT, user("Go."), said("m1"), *EXIT))
    assert session.prompts == ("Go.",)
    assert session.ending.kind == "finished"


STREAM = [
    {
        "type": "system",
        "subtype": "init",
        "cwd": "/repo",
        "session_id": SESSION,
        "permissionMode": "dontAsk",
        "claude_code_version": "2.1.332",
    },
    assistant(
        "m1",
        tool("Write", "toolu_1", file_path="/repo/a", content="x"),
        stop_reason=None,
        version=None,
    ),
    result("toolu_1", "not allowed here", is_error=True, version=None),
    assistant("m2", text("No."), stop_reason=None, version=None),
]
RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "session_id": SESSION,
    "total_cost_usd": 0.02,
    "modelUsage": {MODEL: figures(6, 300, cost=0.02)},
    "permission_denials": [{"tool_name": "Write", "tool_use_id": "toolu_1", "tool_input": {}}],
}


def test_the_output_of_a_run_is_a_source(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "run.jsonl", *STREAM, RESULT)
    array = tmp_path / "execution.json"
    array.write_text(json.dumps([*STREAM, RESULT], indent=2), encoding="utf-8")
    for path in (lines, array):
        session = load_file(path).session
        assert session.cost_usd == 0.02
        assert session.usage == TokenUsage(input_tokens=6, output_tokens=300)
        assert session.usage_complete
        assert session.ending.kind == "finished"
        assert [call.outcome for call in session.tool_calls] == ["denied"]
        assert (session.version, session.permission_mode) == ("2.1.332", "dontAsk")
        assert session.diagnostics == ()
        assert session.lacks("messages")


def test_what_was_printed_and_what_was_written_of_one_run_are_equal() -> None:
    """Figures alike; the prompt and when it was given are not in what is printed."""
    folder = Path(__file__).resolve().parents[1] / "data" / "bridges"
    printed, written = (
        parse_transcript(folder / f"plugineval-{name}.jsonl") for name in ("trace", "transcript")
    )
    first, second = compute_metrics(printed), compute_metrics(written)
    assert first.usage.total_tokens > 0
    for figure in (
        "session_id",
        "end_time",
        "model",
        "usage",
        "usage_main",
        "usage_complete",
        "cost_usd",
        "tool_counts",
        "tool_category_counts",
        "tool_outcome_counts",
        "num_turns",
        "subagents",
        "skills",
        "files_created",
        "files_modified",
        "files_read",
    ):
        assert getattr(first, figure) == getattr(second, figure), figure
    calls = [
        [(c.id, c.name, dict(c.input or {}), c.outcome) for c in s.tool_calls]
        for s in (printed, written)
    ]
    assert calls[0] == calls[1] != []
    assert printed.response == written.response
    shown = [[row for row in totals(s) if row[0] != "duration"] for s in (printed, written)]
    assert shown[0] == shown[1]
    # From the prompt to the result, and from the first to the last entry: some milliseconds apart.
    assert first.duration_seconds == 0.62
    assert second.duration_seconds == pytest.approx(0.62, abs=0.05)


def test_a_run_that_is_cut_before_its_result_stays_unknown() -> None:
    session = parse_transcript(dump(*STREAM))
    assert session.ending.kind == "unknown"
    assert judge("banned_tools", ["WebFetch"], session).verdict == "unknown"
    assert judge("token_budget", {"max_total": 10**6}, session).verdict == "unknown"


def test_known_entries_are_quiet_and_unknown_ones_are_one_line() -> None:
    kinds = ("api-request", "tools-used", "atis-latch", "isolation-latch", "ended")
    quiet = parse_transcript(dump(user("Go."), *map(entry, kinds), said("m1")))
    assert quiet.diagnostics == ()
    lines = [entry("new-kind"), entry("newer-kind"), entry("new-kind")]
    (note,) = parse_transcript(dump(user("Go."), *lines, said("m1"))).diagnostics
    assert "'new-kind' (2×), 'newer-kind' (1×)" in note.message


def test_metrics_count_what_was_stated() -> None:
    state = cost_state({MODEL: figures(5019, 957, cost=0.09)})
    metrics = compute_metrics(parse_transcript(dump(user("Go."), said("m1"), state)))
    assert metrics.total_output_tokens == 957
    assert metrics.usage_main.output_tokens == 50
    assert metrics.num_turns == 1


def test_a_compaction_is_shown() -> None:
    session = parse_transcript(dump(user("Go."), said("m1"), BOUNDARY, user("On."), said("m2")))
    assert compute_metrics(session).to_dict()["compactions"] == 1
    assert "auto at 9,000 tokens" in dict(totals(session))["compactions"]
