"""What a person said, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.lines import assistant, dump, entry, result, text, user


def prompts(*entries: Any) -> tuple[str, ...]:
    return parse_transcript(dump(*entries, assistant("msg_a", text("a")))).prompts


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Add a row.", "Add a row."),
        ([text("Add a row.")], "Add a row."),
        ([text("Like this:"), {"type": "image", "source": {"data": "x"}}], "Like this:"),
        ([{"type": "image", "source": {"data": "x"}}], "[image]"),
        ([text("<ide_opened_file>a.py</ide_opened_file>"), text("Fix it.")], "Fix it."),
        ([text("one"), text("two")], "one\ntwo"),
        ("Explain <command-name> to me", "Explain <command-name> to me"),
        ("a\u2028b", "a\u2028b"),
    ],
)
def test_a_person_s_words(content: Any, said: str) -> None:
    assert prompts(user(content)) == (said,)


@pytest.mark.parametrize(
    "content",
    [
        "<command-message>init is analyzing…</command-message>\n<command-name>/init</command-name>",
        "<command-name>/clear</command-name>\n            <command-message>clear</command-message>",
        "<local-command-stdout>Bye!</local-command-stdout>",
        "<local-command-stderr>Error</local-command-stderr>",
        "<local-command-caveat>Caveat: …</local-command-caveat>",
        "<bash-input>ls</bash-input>",
        "<bash-stdout>a.py</bash-stdout><bash-stderr></bash-stderr>",
        "<task-notification>\n<task-id>b1</task-id></task-notification>\nRead the output.",
        "<system-reminder>Remember the rules.</system-reminder>",
        '<teammate-message teammate_id="lead">Go on.</teammate-message>',
        "[Request interrupted by user]",
        [text("[Request interrupted by user for tool use]")],
        "",
        [],
    ],
)
def test_what_is_wrapped_is_not_a_person_s(content: Any) -> None:
    assert prompts(user(content)) == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"isMeta": True},
        {"isCompactSummary": True},
        {"isSidechain": True, "agentId": "a1"},
        {"sourceToolUseID": "toolu_1"},
        {"origin": {"kind": "task-notification"}},
        {"origin": {"kind": "channel"}},
    ],
)
def test_marked_entries_are_not_a_person_s(fields: Any) -> None:
    assert prompts(user("Looks like a prompt.", **fields)) == ()


@pytest.mark.parametrize("origin", [None, {"kind": "human"}, {}])
def test_origin_human_is_a_person(origin: Any) -> None:
    assert prompts(user("Add a row.", origin=origin)) == ("Add a row.",)


def test_tool_results_are_not_a_person_s() -> None:
    mixed = user([{"type": "tool_result", "tool_use_id": "t", "content": "x"}, text("and words")])
    assert prompts(result("toolu_1"), mixed) == ()


def queued(prompt: Any, **fields: Any) -> dict[str, Any]:
    attachment = {"type": "queued_command", "prompt": prompt, "commandMode": "prompt", **fields}
    return entry("attachment", attachment=attachment)


@pytest.mark.parametrize("prompt", ["And the tests.", [text("And the tests.")]])
def test_prompts_typed_while_the_agent_was_busy(prompt: Any) -> None:
    assert prompts(user("Go."), queued(prompt)) == ("Go.", "And the tests.")


@pytest.mark.parametrize(
    "line",
    [
        queued("<task-notification>done</task-notification>", commandMode="task-notification"),
        queued("<task-notification>done</task-notification>"),
        queued("Go on.", origin={"kind": "task-notification"}),
        queued("Go on.", commandMode="bash"),
        queued(7),
    ],
)
def test_other_queued_commands_are_not_a_person_s(line: dict[str, Any]) -> None:
    assert prompts(user("Go."), line) == ("Go.",)


def test_a_queued_prompt_that_is_written_again_counts_once() -> None:
    again = user("And the tests.", uuid="q1")
    assert prompts(user("Go."), queued("And the tests.", source_uuid="q1"), again) == (
        "Go.",
        "And the tests.",
    )


def test_the_same_words_said_twice_are_two_prompts() -> None:
    assert prompts(user("commit"), user("commit")) == ("commit", "commit")


def test_answers_are_text_blocks_of_api_messages() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "x"}
    session = parse_transcript(
        dump(
            user("Go."),
            assistant("msg_a", thinking, text("I look.")),
            assistant("msg_b", text("(no content)")),
            assistant("msg_c", text("  ")),
            {**assistant("msg_d"), "message": {"id": "msg_d", "content": "Plain."}},
        )
    )
    assert [m.text for m in session.messages] == ["Go.", "I look.", "Plain."]
    assert session.response == "Plain."
