"""How a session ended: the newest evidence holds, and what is not shown is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.session import Ending, Session
from skilltrace_mlflow.sources.session_json import session_from_json, session_to_json
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.lines import assistant, dump, entry, result, text, tool, user

PROMPT = user("Go.")
SAID = assistant("msg_z", text("Done."), stop_reason="end_turn")
CALLED = assistant("msg_c", tool("Read", "toolu_1", file_path="/a"), stop_reason="tool_use")
READ = result("toolu_1", "1\tx")


def api_error(words: str) -> dict[str, Any]:
    return assistant("e", text(words), model="<synthetic>", stop_reason="stop_sequence") | {
        "isApiErrorMessage": True
    }


def attachment(kind: str, **fields: Any) -> dict[str, Any]:
    return entry("attachment", attachment={"type": kind, **fields})


def run_result(subtype: str, **fields: Any) -> dict[str, Any]:
    return {"type": "result", "subtype": subtype, **fields}


INTERRUPTED = user([text("[Request interrupted by user]")])

CASES = {
    "end of turn": ([PROMPT, CALLED, READ, SAID], "finished"),
    "stop reason on another line": (
        [PROMPT, assistant("m", text("a")), assistant("m", text("b"), stop_reason="end_turn")],
        "finished",
    ),
    "no stop reason": ([PROMPT, assistant("m", text("a"), stop_reason=None)], "unknown"),
    "Claude Code's own line behind the turn": (
        [
            PROMPT,
            assistant("m", text("a"), stop_reason=None),
            entry("system", subtype="turn_duration"),
        ],
        "finished",
    ),
    "api error": ([PROMPT, api_error("API Error: 529 Overloaded")], "cut_off"),
    "api error, then a response": ([PROMPT, api_error("API Error: 500"), SAID], "finished"),
    "retries only": (
        [PROMPT, entry("system", subtype="api_error", error={"message": "Connection error."})],
        "cut_off",
    ),
    "a retry that helped": (
        [PROMPT, entry("system", subtype="api_error", error={"message": "x"}), SAID],
        "finished",
    ),
    "call without a result": ([PROMPT, CALLED], "cut_off"),
    "result without a response": ([PROMPT, CALLED, READ], "cut_off"),
    "prompt without a response": ([PROMPT, SAID, user("And now?")], "cut_off"),
    "turn limit": ([PROMPT, CALLED, READ, attachment("max_turns_reached")], "turn_limit"),
    "hook": (
        [PROMPT, CALLED, READ, attachment("hook_stopped_continuation", message="no more")],
        "stopped",
    ),
    "interrupted": ([PROMPT, CALLED, READ, INTERRUPTED], "interrupted"),
    "interrupted, then asked again": ([PROMPT, INTERRUPTED, user("Go on."), SAID], "finished"),
    "cut stream, never resumed": (
        [
            PROMPT,
            SAID,
            user("Your response above was cut off mid-stream. Continue.") | {"isMeta": True},
        ],
        "cut_off",
    ),
    "length": ([PROMPT, assistant("m", text("a"), stop_reason="max_tokens")], "cut_off"),
    "refusal of the model": (
        [PROMPT, assistant("m", text("a"), stop_reason="refusal")],
        "finished",
    ),
    "structured output": (
        [
            PROMPT,
            assistant("m", tool("StructuredOutput", "toolu_1"), stop_reason="tool_use"),
            attachment("structured_output"),
            READ,
        ],
        "finished",
    ),
    "success": (
        [PROMPT, assistant("m", text("a"), stop_reason=None), run_result("success")],
        "finished",
    ),
    "success that is an error": (
        [PROMPT, SAID, run_result("success", is_error=True, result="API Error: 500")],
        "cut_off",
    ),
    "budget": ([PROMPT, CALLED, READ, run_result("error_max_budget_usd")], "budget_limit"),
    "turns": ([PROMPT, CALLED, READ, run_result("error_max_turns", is_error=True)], "turn_limit"),
    "aborted": (
        [PROMPT, CALLED, run_result("error_during_execution", terminal_reason="aborted_tools")],
        "interrupted",
    ),
    "error": ([PROMPT, CALLED, run_result("error_during_execution", is_error=True)], "cut_off"),
    "of an earlier run": ([PROMPT, run_result("error_max_turns"), user("More."), SAID], "finished"),
}


@pytest.mark.parametrize("name", CASES)
def test_how_it_ended(name: str) -> None:
    lines, kind = CASES[name]
    ending = parse_transcript(dump(*lines)).ending
    assert ending.kind == kind
    assert ending.text or kind == "finished"


def test_the_text_says_what_the_record_says() -> None:
    session = parse_transcript(dump(PROMPT, api_error("Invalid API key · Please run /login")))
    assert session.ending == Ending(kind="cut_off", text="Invalid API key · Please run /login")
    stopped = parse_transcript(
        dump(PROMPT, CALLED, attachment("hook_stopped_continuation", message="quota of the team"))
    )
    assert "quota of the team" in stopped.ending.text


def test_a_cut_last_line_hides_the_end() -> None:
    lines = [*dump(PROMPT, CALLED, READ), '{"type":"assistant","mess']
    assert parse_transcript(lines).ending.kind == "unknown"


def test_what_a_sub_agent_meets_is_not_the_sessions_end() -> None:
    inner = api_error("API Error: 500") | {"isSidechain": True, "agentId": "a1"}
    assert parse_transcript(dump(PROMPT, SAID, inner)).ending.kind == "finished"


def test_it_travels_in_a_dump() -> None:
    lines, _ = CASES["turn limit"]
    session = parse_transcript(dump(*lines))
    assert session_from_json(session_to_json(session)).ending == session.ending
    assert Session().ending == Ending(kind="unknown")
