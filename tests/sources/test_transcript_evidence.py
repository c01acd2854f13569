"""Evidence of newer versions: denials, hooks that change arguments, changes by shell commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.sources.session_json import session_from_json, session_to_json
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.checks.judging import judge
from tests.sources.lines import assistant, dump, entry, result, tool, user

REJECTED = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was"
    " a file edit, the new_string was NOT written to the file)."
)
STOPPED = REJECTED + (
    " STOP what you are doing and wait for the user to tell you how to proceed. Correction to the"
    " text above: this call was stopped while running, not refused before it ran."
)


def session_of(command: str, *later: Any, version: str = "2.1.332") -> Session:
    made = assistant("msg_a", tool("Bash", "toolu_1", command=command), version=version)
    return parse_transcript(dump(user("Go."), made, *later))


def ended(words: str, version: str = "2.1.332", **fields: Any) -> ToolCall:
    answer = result("toolu_1", words, is_error=True, version=version, **fields)
    return session_of("make", answer, version=version).tool_calls[0]


@pytest.mark.parametrize(
    "words",
    [
        "File is covered by a Read deny rule in your permission settings and cannot be edited.",
        "File is in a directory that is denied by your permission settings.",
        "Permission to read /repo/.env has been denied.",
        "Agent type 'Explore' has been denied by permission rule 'Agent(Explore)' from settings.",
        "Permission for this tool use was denied. It requires approval, and this session has none",
        "Permission for this tool use was denied: it requires interactive approval",
        "Permission for this command was denied by a built-in Claude Code safety check",
        "This call was denied and did not run. It needs the user's answer",
        "WebFetch denied access to domain:example.org",
        "<tool_use_error>File is covered by a Read deny rule in your settings.</tool_use_error>",
    ],
)
def test_refusals_in_words_are_denials(words: str) -> None:
    assert ended(words).outcome == "denied"


@pytest.mark.parametrize("kind", ["interrupted", "cancelled"])
def test_kinds_that_are_no_refusals(kind: str) -> None:
    assert ended("Cancelled.", toolDenialKind=kind).outcome == "interrupted"
    lost = "The connection closed before the tool call was answered. The tool may have run: check"
    assert ended(lost, toolDenialKind=kind).outcome == "unknown"


def test_a_call_that_was_stopped_while_it_ran_was_not_refused() -> None:
    call = ended(STOPPED, toolDenialKind="user-rejected")
    assert (call.outcome, call.maybe_ran) == ("interrupted", False)


def test_before_the_correction_a_rejection_may_have_been_a_stop() -> None:
    older = ended(REJECTED, "2.1.300", toolDenialKind="user-rejected")
    newer = ended(REJECTED, "2.1.331", toolDenialKind="user-rejected")
    assert (older.outcome, older.maybe_ran) == ("denied", True)
    assert (newer.outcome, newer.maybe_ran) == ("denied", False)


def test_what_a_rejected_command_of_an_older_version_wrote_is_not_known() -> None:
    for version, verdict in (("2.1.300", "unknown"), ("2.1.331", "pass")):
        answer = result(
            "toolu_1", REJECTED, is_error=True, version=version, toolDenialKind="user-rejected"
        )
        session = session_of("echo K=2 > .env", answer, version=version)
        assert judge("file_scope", {"forbidden": [".env"]}, session).verdict == verdict, version


@pytest.mark.parametrize(
    "words",
    [
        "File content (31204 tokens) exceeds maximum allowed tokens (25000).",
        "File content (1.2MB) exceeds maximum allowed size (256KB).",
        "No changes to make: old_string and new_string are exactly the same.",
    ],
)
def test_sentences_of_tools_are_no_possible_refusals(words: str) -> None:
    assert not ended(words, "2.1.100").maybe_refused


def test_how_a_question_for_permission_was_answered_is_kept() -> None:
    decision = {"decision": "accept", "source": "user_temporary"}
    answer = result("toolu_1", "ok", is_error=False, permissionDecision=decision)
    details = session_of("make", answer).tool_calls[0].details
    assert details["permission_decision"] == "accept"


def hook(given: dict[str, Any], *, event: str = "PreToolUse") -> dict[str, Any]:
    said = json.dumps({"hookSpecificOutput": {"hookEventName": event, "updatedInput": given}})
    attachment = {"type": "hook_success", "toolUseID": "toolu_1", "stdout": said}
    return entry("attachment", attachment={**attachment, "hookEvent": event})


ASKED, RAN = "git push --force", "echo no"


@pytest.mark.parametrize("first", ["hook", "result"])
def test_a_hook_that_changes_the_arguments_leaves_both(first: str) -> None:
    lines = [hook({"command": RAN}), result("toolu_1", "no", is_error=False)]
    session = session_of(ASKED, *(lines if first == "hook" else reversed(lines)))
    call = session.tool_calls[0]
    assert call.input == {"command": RAN}
    assert call.requested_input == {"command": ASKED}
    again = session_from_json(session_to_json(session)).tool_calls[0]
    assert again.requested_input == {"command": ASKED}


@pytest.mark.parametrize(("asked", "ran"), [(ASKED, RAN), (RAN, ASKED)])
def test_a_ban_holds_for_what_was_asked_and_for_what_ran(asked: str, ran: str) -> None:
    answer = result("toolu_1", "no", is_error=False)
    session = session_of(asked, hook({"command": ran}), answer)
    assert judge("banned_tools", ["git push"], session).verdict == "fail"
    assert judge("banned_tools", ["git pull"], session).verdict == "pass"
    requirement = judge("required_commands", ["git push"], session)
    assert requirement.verdict == "fail"


def test_arguments_of_a_call_that_was_refused_are_those_that_were_asked() -> None:
    answer = result("toolu_1", "no", is_error=True, toolDenialKind="permission-rule")
    call = session_of(ASKED, hook({"command": RAN}), answer).tool_calls[0]
    assert (call.input, call.requested_input) == ({"command": ASKED}, None)


def test_a_hooks_answer_that_cannot_be_read_leaves_the_record_incomplete() -> None:
    attachment = {"type": "hook_success", "toolUseID": "toolu_1", "stdout": '{"updatedInput": '}
    session = session_of(ASKED, entry("attachment", attachment=attachment))
    assert "hook" in session.incomplete[0]


def test_files_that_a_command_is_known_to_have_changed() -> None:
    diff = {
        "files": [{"filePath": "/home/dev/shop/.env", "hunks": [], "created": True}],
        "moreFiles": 1,
        "changedFiles": ["/home/dev/shop/.env", "/home/dev/shop/a.py"],
    }
    answer = result("toolu_1", "", extra={"stdout": "", "bashEditDiff": diff}, is_error=False)
    session = session_of("python gen.py", answer)
    assert {(op.type, op.file_path) for op in session.files} == {
        ("create", "/home/dev/shop/.env"),
        ("edit", "/home/dev/shop/a.py"),
    }
    assert judge("file_scope", {"forbidden": [".env"]}, session).verdict == "fail"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/repo/.claude/skills/deploy/SKILL.md", "deploy"),
        ("/home/dev/.claude/plugins/x/skills/deploy/skill.md", "deploy"),
        ("/repo/skills/deploy/SKILL.md.bak", None),
        ("/repo/skills/deploy/reference.md", None),
    ],
)
def test_a_skill_whose_file_was_read(path: str, name: str | None) -> None:
    lines = [assistant("msg_a", tool("Read", "toolu_1", file_path=path)), result("toolu_1", "…")]
    session = parse_transcript(dump(user("Go."), *lines))
    assert [(use.name, use.status) for use in session.skills] == ([(name, "read")] if name else [])
    if name:
        assert judge("banned_skills", ["deploy"], session).verdict == "fail"
        outcome = judge("required_skills", ["deploy"], session)
        assert outcome.verdict == "fail"
        assert "SKILL.md" in outcome.rationale


def test_two_whole_entries_on_one_line_are_two() -> None:
    call, answer, more = dump(
        assistant("msg_a", tool("Bash", "toolu_1", command="make")),
        result("toolu_1", "made", is_error=False),
        user("Thanks."),
    )
    session = parse_transcript([*dump(user("Go.")), call + answer, more])
    assert session.incomplete == ()
    assert session.diagnostics == ()
    assert session.tool_calls[0].outcome == "succeeded"
    assert session.tool_calls[0].result == "made"
    assert session.prompts == ("Go.", "Thanks.")


@pytest.mark.parametrize("rest", ['{"type":"user","mess', "3", "]"])
def test_an_entry_and_something_else_on_one_line_is_damage(rest: str) -> None:
    (call,) = dump(assistant("msg_a", tool("Bash", "toolu_1", command="make")))
    lines = [*dump(user("Go.")), call + rest, *dump(user("Thanks."))]
    assert parse_transcript(lines).incomplete != ()
