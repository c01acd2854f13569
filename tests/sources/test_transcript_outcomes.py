"""How calls ended: `is_error` decides, fixed wordings tell refusals from failures."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.checks._findings import Verdict
from skilltrace_mlflow.checks._registry import get_check, run_check
from skilltrace_mlflow.session import ToolCall
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.lines import assistant, dump, entry, result, tool, user

REJECTED = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was"
    " a file edit, the new_string was NOT written to the file). STOP what you are doing and wait"
    " for the user to tell you how to proceed."
)


def call_of(name: str, answer: object, *more: object, **arguments: object) -> ToolCall:
    lines = [user("Go."), assistant("msg_a", tool(name, "toolu_1", **arguments))]
    if answer is not None:
        lines.append(answer)  # type: ignore[arg-type]
    return parse_transcript(dump(*lines, *more)).tool_calls[0]


@pytest.mark.parametrize(
    ("name", "content", "extra", "reason"),
    [
        ("Bash", "Exit code 1\nls: no such file", "Error: Exit code 1\nls: no", "Exit code 1"),
        ("Bash", "ls: cannot access 'x'", "Error: ls: cannot access", "ls: cannot access 'x'"),
        (
            "Edit",
            "<tool_use_error>File has not been read yet.</tool_use_error>",
            "Error: File has not been read yet.",
            "File has not been read yet.",
        ),
        ("Read", "EISDIR: illegal operation", "Error: EISDIR", "EISDIR: illegal operation"),
        ("mcp__db__sql", [{"type": "text", "text": "TABLE_NOT_FOUND"}], None, "TABLE_NOT_FOUND"),
        ("Bash", "<tool_use_error>Blocked: sleep 180</tool_use_error>", None, "Blocked: sleep 180"),
    ],
)
def test_is_error_is_a_failure(name: str, content: object, extra: object, reason: str) -> None:
    call = call_of(name, result("toolu_1", content, is_error=True, extra=extra))
    assert (call.outcome, call.outcome_reason) == ("failed", reason)
    assert not call.success


@pytest.mark.parametrize(
    "content",
    [
        "12 passed, 0 errors",
        "Error: this is what the log said",
        "Exit code 1 was printed by the script itself",
        "<tool_use_error> as documented </tool_use_error>",
        "The user doesn't want to proceed with this tool use.",
        "",
    ],
)
@pytest.mark.parametrize("flag", [False, None])
def test_the_word_error_in_an_output_means_nothing(content: str, flag: bool | None) -> None:
    extra = {"stdout": content, "stderr": "", "interrupted": False}
    assert call_of("Bash", result("toolu_1", content, is_error=flag, extra=extra)).success


@pytest.mark.parametrize(
    ("content", "extra"),
    [
        (REJECTED, "Error: " + REJECTED),
        (REJECTED, "User rejected tool use"),
        ("The user doesn't want to take this action right now. STOP.", None),
        ("no.", "User rejected tool use"),
        ("User rejected tool use", None),
        ("Error: Permission to use Bash has been denied.", None),
        ("Claude requested permissions to write to /x, but you haven't granted it yet.", None),
        ("This command requires approval", "Error: This command requires approval"),
        ("Permission to use Bash with command rm -rf x has been denied.", None),
        (
            "<tool_use_error>File is in a directory that is denied by your permission settings."
            "</tool_use_error>",
            None,
        ),
        ("Permission for this action has been denied. Reason: too broad", None),
        ("Permission for this action was denied by the Claude Code auto mode classifier.", None),
        ("opus is unavailable, so auto mode cannot determine the safety of Bash right now.", None),
        ("PreToolUse:Bash hook error: [guard.sh]: no pushes", None),
        ("Skill execution blocked by permission rules", None),
        ("cd to '/etc' was blocked. For security, Claude Code may only change directories", None),
    ],
)
def test_refusals_of_every_kind_are_denied(content: str, extra: object) -> None:
    call = call_of("Bash", result("toolu_1", content, is_error=True, extra=extra))
    assert call.outcome == "denied", call.outcome_reason
    assert call.outcome_reason


@pytest.mark.parametrize(
    "kind", ["user-rejected", "permission-rule", "automode-blocked", "new-one"]
)
def test_tool_denial_kind_marks_a_refusal_whatever_the_words(kind: str) -> None:
    answer = result("toolu_1", "Use the other table.", is_error=True, toolDenialKind=kind)
    assert call_of("Bash", answer).outcome == "denied"


def test_a_blocking_hook_on_record_makes_its_call_denied() -> None:
    hook = entry(
        "attachment",
        attachment={
            "type": "hook_blocking_error",
            "hookName": "PreToolUse:Write",
            "toolUseID": "toolu_1",
            "hookEvent": "PreToolUse",
            "blockingError": {"blockingError": "no", "command": "guard.sh"},
        },
    )
    answer = result("toolu_1", "Files are written by the release job only.", is_error=True)
    assert call_of("Write", answer).outcome == "failed"
    assert call_of("Write", answer, hook).outcome == "denied"
    after = {**hook, "attachment": {**hook["attachment"], "hookEvent": "PostToolUse"}}
    assert call_of("Write", answer, after).outcome == "failed"


@pytest.mark.parametrize(
    ("content", "extra"),
    [
        ("[Request interrupted by user for tool use]", None),
        ("Exit code 137\n[Request interrupted by user for tool use]\n\n42 rows", None),
        ("Permission prompt was aborted.", "Error: Permission prompt was aborted."),
        ("<tool_use_error>Sibling tool call errored</tool_use_error>", None),
        ("partial output", {"stdout": "partial output", "interrupted": True}),
    ],
)
def test_interrupted_calls(content: str, extra: object) -> None:
    call = call_of("Bash", result("toolu_1", content, is_error=True, extra=extra))
    assert call.outcome == "interrupted"


@pytest.mark.parametrize("duration", ["1e400", "NaN", "-3"])
def test_a_duration_that_is_none_is_measured_instead(duration: str) -> None:
    extra = {"stdout": "", "durationMs": 777}
    call = call_of("Bash", dump(result("toolu_1", extra=extra))[0].replace("777", duration))
    assert call.duration_ms is not None
    assert 0 <= call.duration_ms < 3_600_000


@pytest.mark.parametrize("flag", [False, None])
def test_an_interrupted_call_that_is_no_error_has_not_succeeded(flag: bool | None) -> None:
    extra = {"stdout": "partial", "stderr": "", "interrupted": True}
    call = call_of("Bash", result("toolu_1", "partial", is_error=flag, extra=extra))
    assert (call.outcome, call.outcome_reason) == ("interrupted", "interrupted")


def test_a_call_without_a_result_is_unknown() -> None:
    call = call_of("Bash", None)
    assert (call.outcome, call.result, call.end_timestamp) == ("unknown", None, None)


@pytest.mark.parametrize("flag", ["true", 1, [], {}])
def test_a_flag_that_is_neither_true_nor_false_is_no_evidence(flag: object) -> None:
    assert call_of("Bash", result("toolu_1", "x", is_error=flag)).outcome == "unknown"


@pytest.mark.parametrize(
    ("name", "extra", "details"),
    [
        ("WebFetch", {"code": 404, "bytes": 9, "durationMs": 31}, {"code": 404}),
        ("TaskUpdate", {"success": False, "taskId": "1"}, {"success": False}),
        ("Bash", {"stdout": "", "returnCodeInterpretation": "No matches found"}, {}),
    ],
)
def test_soft_failures_are_details_of_a_success(
    name: str, extra: object, details: dict[str, object]
) -> None:
    call = call_of(name, result("toolu_1", "…", extra=extra))
    assert call.success
    assert call.details == details


@pytest.mark.parametrize("extra", [None, [], [{"type": "text", "text": "x"}], "Error: x", {}, 7])
def test_tool_use_result_may_be_absent_an_object_a_list_or_a_string(extra: object) -> None:
    assert call_of("mcp__db__sql", result("toolu_1", "x", extra=extra)).success
    failed = call_of("mcp__db__sql", result("toolu_1", "x", is_error=True, extra=extra))
    assert failed.outcome == "failed"


def test_a_result_line_may_stand_before_its_call() -> None:
    session = parse_transcript(
        dump(
            user("Go."),
            result("toolu_1", "early", extra={"stdout": "early"}),
            assistant("msg_a", tool("Bash", "toolu_1", command="ls")),
        )
    )
    assert session.tool_calls[0].success
    assert session.incomplete == ()


def test_several_results_in_one_line_share_no_structured_result() -> None:
    blocks = [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a"},
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": "b", "is_error": True},
    ]
    session = parse_transcript(
        dump(
            user("Go."),
            assistant(
                "msg_a", tool("Read", "toolu_1", file_path="/right"), tool("Bash", "toolu_2")
            ),
            user(blocks, toolUseResult={"type": "text", "file": {"filePath": "/wrong"}}),
        )
    )
    assert [call.outcome for call in session.tool_calls] == ["succeeded", "failed"]
    assert [op.file_path for op in session.files] == ["/right"]
    assert [call.result for call in session.tool_calls] == ["a", "b"]


def test_a_result_without_a_call_leaves_a_gap() -> None:
    session = parse_transcript(dump(user("Go."), result("toolu_9"), assistant("msg_a")))
    assert session.incomplete == ("line 2: result of a call that is not recorded (toolu_9)",)
    assert not session.usage_complete


def test_calls_and_results_without_ids_pair_by_the_entry_they_answer() -> None:
    nameless = {"type": "tool_use", "name": "Bash", "input": {"command": "ls"}}
    made = assistant("msg_a", nameless, uuid="a1")
    block = {"type": "tool_result", "content": "ok"}
    session = parse_transcript(dump(user("Go."), made, user([block], parentUuid="a1")))
    assert session.tool_calls[0].success
    assert session.tool_calls[0].result == "ok"
    stray = parse_transcript(dump(user("Go."), made, user([block], parentUuid="a2")))
    assert stray.tool_calls[0].outcome == "unknown"


def test_a_tool_name_with_markup_in_it_is_kept_as_recorded() -> None:
    name = 'Read" <invoke name="Bash'
    assert call_of(name, result("toolu_1")).name == name


def test_durations_are_the_tool_s_own_where_it_reports_them() -> None:
    made = assistant("m", tool("WebFetch", "toolu_1"), timestamp="2026-01-21T06:00:00.000Z")
    came = result("toolu_1", extra={"durationMs": 31}, timestamp="2026-01-21T06:00:02.500Z")
    session = parse_transcript(dump(user("Go."), made, came))
    assert session.tool_calls[0].duration_ms == 31
    del came["toolUseResult"]
    session = parse_transcript(dump(user("Go."), made, came))
    assert session.tool_calls[0].duration_ms == 2500


def test_the_first_result_of_a_call_counts() -> None:
    session = parse_transcript(
        dump(
            user("Go."),
            assistant("msg_a", tool("Bash", "toolu_1", command="ls")),
            result("toolu_1", "first"),
            result("toolu_1", "Exit code 1", is_error=True),
        )
    )
    assert session.tool_calls[0].success
    assert session.tool_calls[0].result == "first"


@pytest.mark.parametrize(
    ("name", "content", "version", "open_"),
    [
        ("Write", "Keep a.txt as it is, please.", "2.1.197", True),
        ("Bash", "Deploying is Anna's job.", "2.0.5", True),
        ("Bash", "ls: cannot access 'x'", "1.0.98", True),
        ("Write", "Keep a.txt as it is, please.", "2.1.205", False),
        ("Bash", "Exit code 1\nls: cannot access 'x'", "2.1.197", False),
        ("Read", "EISDIR: illegal operation on a directory, read", "2.1.197", False),
        ("Edit", "<tool_use_error>File has changed.</tool_use_error>", "2.1.197", False),
        ("mcp__db__sql", "PERMISSION_DENIED: no CREATE on catalog", "2.1.197", False),
    ],
)
def test_a_failure_in_words_that_are_no_tool_s_may_have_been_a_refusal(
    name: str, content: str, version: str, open_: bool
) -> None:
    answer = result("toolu_1", content, is_error=True, extra=f"Error: {content}", version=version)
    lines = dump(user("Go."), assistant("msg_a", tool(name, "toolu_1")), answer)
    session = parse_transcript(lines)
    assert session.tool_calls[0].outcome == "failed"
    spec = get_check("permission_denials")
    verdict = run_check(spec, session, spec.parse({"max": 0})).verdict
    assert verdict is (Verdict.UNKNOWN if open_ else Verdict.PASS)


def test_a_call_that_was_perhaps_refused_does_not_break_the_allow_rules() -> None:
    answer = result("toolu_1", "Keep it.", is_error=True, extra="Error: Keep it.")
    call = tool("Write", "toolu_1", file_path="/home/dev/shop/a.txt")
    session = parse_transcript(dump(user("Go."), assistant("msg_a", call), answer))
    spec = get_check("permissions")
    assert run_check(spec, session, spec.parse({"allow": ["Read"]})).verdict is Verdict.UNKNOWN


def test_an_id_that_is_used_again_is_another_call() -> None:
    # Servers of other models count their calls anew in every message: Bash:0, Bash:0, ...
    first = assistant("msg_a", tool("Bash", "Bash:0", command="ls"))
    lines = [
        user("Go."),
        first,
        result("Bash:0", "a.sql"),
        assistant("msg_b", tool("Bash", "Bash:0", command="rm -rf x")),
        result("Bash:0", "Exit code 1", is_error=True),
        first,  # a copy, as a fork makes it
        result("Bash:0", "a.sql"),
    ]
    calls = parse_transcript(dump(*lines)).tool_calls
    assert [(call.input, call.outcome, call.result) for call in calls] == [
        ({"command": "ls"}, "succeeded", "a.sql"),
        ({"command": "rm -rf x"}, "failed", "Exit code 1"),
    ]
    assert len({call.id for call in calls}) == 2
