"""Tokens, turns, cost: one API message is one step, however many lines carry it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from skilltrace_mlflow.pricing import session_cost
from skilltrace_mlflow.session import Session, TokenUsage
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.lines import assistant, dump, entry, result, text, tool, usage, user


def read(*entries: object) -> Session:
    return parse_transcript(dump(user("Count the rows."), *entries))


def test_lines_of_one_message_id_are_one_step_even_when_not_adjacent() -> None:
    figures = usage(3, 40, read=100, write_5m=20)
    session = read(
        assistant("msg_a", text("I look."), usage=figures),
        assistant("msg_a", tool("Read", "toolu_1", file_path="/a"), usage=figures),
        result("toolu_1"),
        assistant("msg_b", text("Two rows."), usage=usage(5, 7), stop_reason="end_turn"),
        assistant("msg_a", tool("Read", "toolu_2", file_path="/b"), usage=figures),
    )
    assert [step.id for step in session.steps] == ["msg_a", "msg_b"]
    assert session.usage == TokenUsage(
        input_tokens=8,
        output_tokens=47,
        cache_read_input_tokens=100,
        cache_creation_input_tokens=20,
    )
    assert [call.id for call in session.tool_calls] == ["toolu_1", "toolu_2"]
    assert session.turns == 2


def test_message_id_alone_is_the_key_although_request_id_is_missing_on_one_copy() -> None:
    copy = assistant("msg_a", text("b"))
    del copy["requestId"]
    assert len(read(assistant("msg_a", text("a")), copy).steps) == 1


def test_without_a_message_id_the_uuid_of_the_line_is_the_key() -> None:
    session = read(assistant(None, text("a")), assistant(None, text("b")))
    assert len(session.steps) == 2
    repeated = assistant(None, text("a"))
    assert len(read(repeated, repeated).steps) == 1


@pytest.mark.parametrize("outputs", [(1, 40), (40, 40), (1, 2, 40)])
def test_the_largest_output_counts(outputs: tuple[int, ...]) -> None:
    lines = [assistant("msg_a", text(str(n)), usage=usage(3, n)) for n in outputs]
    assert read(*lines).usage.output_tokens == 40


def test_the_largest_output_counts_even_when_lines_are_out_of_order() -> None:
    lines = [assistant("msg_a", text(str(n)), usage=usage(3, n)) for n in (40, 1)]
    assert read(*lines).usage.output_tokens == 40


def test_on_equal_output_the_last_line_counts() -> None:
    first = assistant("msg_a", text("a"), usage=usage(3, 40, speed="standard"))
    last = assistant("msg_a", text("b"), usage=usage(3, 40, speed="fast"))
    assert read(first, last).steps[0].speed == "fast"


def test_placeholder_first_and_right_figure_last_is_complete() -> None:
    session = read(
        assistant("msg_a", text("a"), usage=usage(3, 1), stop_reason=None),
        assistant("msg_a", text("b"), usage=usage(3, 40), stop_reason="end_turn"),
    )
    assert session.usage_complete
    assert session.steps[0].stop_reason == "end_turn"
    assert session.usage.output_tokens == 40


def test_stop_reason_null_on_every_line_is_a_lower_bound() -> None:
    session = read(
        assistant("msg_a", text("a"), usage=usage(3, 1), stop_reason=None),
        assistant("msg_a", text("b"), usage=usage(3, 1), stop_reason=None),
        assistant("msg_b", text("c"), stop_reason="end_turn"),
    )
    assert [step.usage_complete for step in session.steps] == [False, True]
    assert not session.usage_complete
    assert session.usage_notes == (
        "1 of 2 API responses record only a lower bound of their tokens",
    )


def test_an_absent_stop_reason_counts_as_null() -> None:
    line = assistant("msg_a", text("a"))
    del line["message"]["stop_reason"]
    assert not read(line).usage_complete


@pytest.mark.parametrize(
    "figures",
    [
        None,
        {},
        {"input_tokens": 3},
        {"input_tokens": 3, "output_tokens": "40"},
        usage(3, -1),
        "n/a",
    ],
)
def test_usage_that_is_missing_or_no_number_is_a_lower_bound(figures: object) -> None:
    session = read(assistant("msg_a", text("a"), usage=figures))
    assert not session.steps[0].usage_complete
    assert session.usage.output_tokens == 0


@pytest.mark.parametrize(
    "name",
    ["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"],
)
@pytest.mark.parametrize("figure", ["7", 1.5, True, [3], -5, 2**64, 10**400])
def test_a_figure_that_is_no_count_is_not_taken_for_none_at_all(name: str, figure: object) -> None:
    session = read(assistant("msg_a", text("a"), usage={**usage(3, 40), name: figure}))
    assert not session.usage_complete
    assert getattr(session.usage, name) == 0
    assert session_cost(session) is not None
    good = assistant("msg_a", text("b"), usage=usage(3, 40, read=5))
    assert read(assistant("msg_a", text("a"), usage={**usage(3, 0), name: figure}), good).usage == (
        TokenUsage(input_tokens=3, output_tokens=40, cache_read_input_tokens=5)
    )


def test_a_whole_number_written_as_a_float_is_a_count() -> None:
    session = read(assistant("msg_a", text("a"), usage={**usage(), "input_tokens": 12.0}))
    assert session.usage_complete
    assert session.usage.input_tokens == 12


@pytest.mark.parametrize("cost", ["-5", "1e400", "NaN"])
def test_a_cost_that_is_no_amount_is_not_recorded(cost: str) -> None:
    line = dump(assistant("msg_a", text("a"), costUSD=777))[0].replace("777", cost)
    session = read(line)
    assert session.cost_usd is None
    assert (session_cost(session) or 0) > 0


def test_synthetic_messages_have_no_tokens_and_are_no_turn() -> None:
    session = read(
        assistant("msg_a", text("a")),
        assistant("58505170", text("No response requested."), model="<synthetic>"),
    )
    assert session.turns == 1
    assert session.api_errors == ()
    assert session.response == "a"


def test_api_error_messages_are_errors_not_turns() -> None:
    session = read(
        assistant("c2", text("API Error: 529"), model="<synthetic>", isApiErrorMessage=True),
        entry("system", subtype="api_error", error={"message": "m", "formatted": "ECONNRESET"}),
        assistant("msg_a", text("a"), isApiErrorMessage=False),
    )
    assert session.turns == 1
    assert session.api_errors == ("API Error: 529", "ECONNRESET")
    assert session.model == "claude-sonnet-4-5-20250929"


def test_cache_writes_of_one_hour_are_told_apart() -> None:
    session = read(assistant("msg_a", text("a"), usage=usage(write_5m=10, write_1h=30)))
    assert session.usage.cache_creation_input_tokens == 40
    assert session.usage.cache_creation_1h_input_tokens == 30


def test_web_search_requests_and_speed_are_kept_per_step() -> None:
    figures = usage(server_tool_use={"web_search_requests": 2}, speed="fast")
    step = read(assistant("msg_a", text("a"), usage=figures)).steps[0]
    assert (step.web_search_requests, step.speed) == (2, "fast")


def test_after_a_refusal_fallback_the_figures_are_a_lower_bound() -> None:
    refused = {"type": "message", "model": "claude-fable-5", **usage(900, 5)}
    answered = {"type": "fallback_message", "model": "claude-opus-4-8", **usage(3, 40)}
    whole = assistant("msg_a", text("a"), usage=usage(3, 40, iterations=[answered]))
    part = assistant("msg_a", text("a"), usage=usage(3, 40, iterations=[refused, answered]))
    assert read(whole).usage_complete
    assert not read(part).usage_complete


def test_recorded_cost_is_kept_when_every_step_has_one() -> None:
    priced = [assistant(f"msg_{n}", text("a"), costUSD=0.25) for n in range(2)]
    assert read(*priced).cost_usd == 0.5
    assert read(*priced, assistant("msg_c", text("a"))).cost_usd is None


def test_compaction_counts_messages_on_both_sides_and_no_summary() -> None:
    session = read(
        assistant("msg_a", text("a")),
        entry("system", subtype="compact_boundary", logicalParentUuid="x", content="Compacted"),
        user("This session is being continued…", isCompactSummary=True),
        assistant("msg_b", text("b")),
    )
    assert session.turns == 2
    assert session.prompts == ("Count the rows.",)


def test_a_fork_that_repeats_lines_counts_them_once() -> None:
    lines = [
        user("Add a row.", uuid="u1"),
        assistant("msg_a", text("a"), tool("Bash", "toolu_1", command="ls"), uuid="u2"),
        result("toolu_1", uuid="u3"),
    ]
    copies = [{**line, "sessionId": "5a4de1b9-0000-4000-8000-000000000000"} for line in lines]
    session = read(*lines, *copies)
    assert session.turns == 1
    assert len(session.tool_calls) == 1
    assert session.prompts == ("Count the rows.", "Add a row.")
    assert [m.text for m in session.messages if m.role == "assistant"] == ["a"]


def test_dangling_parents_are_no_damage() -> None:
    session = read(assistant("msg_a", text("a"), parentUuid="not in this file"))
    assert session.incomplete == ()
    assert session.turns == 1


def test_what_the_session_was_started_with() -> None:
    session = parse_transcript(
        dump(
            entry("permission-mode", permissionMode="plan"),
            user("Go.", permissionMode="plan", timestamp="2026-01-21T06:00:00.000Z"),
            assistant("msg_a", text("a"), version="2.1.198", cwd="/home/dev/shop/src"),
            user("More.", permissionMode="acceptEdits"),
            assistant("msg_b", text("b"), version="2.1.199", stop_reason="max_tokens"),
            entry("system", subtype="turn_duration", timestamp="2026-01-21T09:00:00Z"),
        )
    )
    assert session.cwd == "/home/dev/shop"
    assert session.git_branch == "main"
    assert session.version == "2.1.199"
    assert session.permission_mode == "acceptEdits"
    assert session.stop_reason == "max_tokens"
    assert session.start_time == datetime(2026, 1, 21, 6, tzinfo=timezone.utc)
    assert session.end_time == datetime(2026, 1, 21, 9, tzinfo=timezone.utc)
    assert session.source == "lines"


def test_unknown_entry_types_are_noted_once_per_type() -> None:
    odd = entry("hologram", payload=[1])
    session = read(assistant("msg_a", text("a")), odd, odd)
    assert [d.message for d in session.diagnostics] == ["unknown entry type 'hologram' (2×)"]
    assert session.diagnostics[0].line == 3
    assert session.usage_complete
    assert session.incomplete == ()


@pytest.mark.parametrize(
    "kind",
    [
        "file-history-snapshot",
        "file-history-delta",
        "last-prompt",
        "queue-operation",
        "permission-mode",
        "mode",
        "ai-title",
        "custom-title",
        "summary",
        "pr-link",
        "bridge-session",
        "agent-name",
        "worktree-state",
        "progress",
        "attachment",
        "system",
    ],
)
def test_known_entry_types_are_no_diagnostics(kind: str) -> None:
    assert read(entry(kind), assistant("msg_a", text("a"))).diagnostics == ()
