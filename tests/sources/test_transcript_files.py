"""Files created, edited, read; skills attempted, loaded, failed."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.lines import assistant, dump, result, text, tool, user


def session_of(name: str, answer: Any, *more: Any, **arguments: Any) -> Session:
    made = assistant("msg_a", tool(name, "toolu_1", **arguments))
    answers = [] if answer is None else [answer]
    return parse_transcript(dump(user("Go."), made, *answers, *more))


def operations(session: Session) -> list[tuple[str, str]]:
    return [(op.type, op.file_path) for op in session.files]


CREATED = {"type": "create", "filePath": "/p/a.sql", "content": "x", "structuredPatch": []}
UPDATED = {"type": "update", "filePath": "/p/a.sql", "originalFile": "y", "structuredPatch": [{}]}


@pytest.mark.parametrize(
    ("extra", "content", "kind"),
    [
        (CREATED, "File created successfully at: /p/a.sql", "create"),
        ({**CREATED, "originalFile": None}, "…", "create"),
        (UPDATED, "The file /p/a.sql has been updated.", "edit"),
        ({**UPDATED, "originalFile": None}, "…", "edit"),
        (None, "File created successfully at: /p/a.sql", "create"),
        (None, "The file /p/a.sql has been updated successfully.", "edit"),
    ],
)
def test_write_creates_or_edits(extra: Any, content: str, kind: str) -> None:
    session = session_of(
        "Write", result("toolu_1", content, extra=extra), file_path="/p/a.sql", content="x"
    )
    assert operations(session) == [(kind, "/p/a.sql")]
    assert session.files[0].content == "x"
    assert session.files[0].call_id == "toolu_1"


@pytest.mark.parametrize(
    ("name", "arguments", "extra"),
    [
        ("Edit", {"file_path": "/p/a.sql"}, {"filePath": "/p/a.sql", "oldString": "a"}),
        ("Edit", {"file_path": "/p/a.sql"}, None),
        ("MultiEdit", {"file_path": "/p/a.sql"}, {"filePath": "/p/a.sql", "edits": []}),
        ("NotebookEdit", {"notebook_path": "/p/a.sql"}, {"new_source": "x", "error": ""}),
    ],
)
def test_every_edit_is_an_edit_although_it_has_no_type(
    name: str, arguments: Any, extra: Any
) -> None:
    session = session_of(name, result("toolu_1", extra=extra), **arguments)
    assert operations(session) == [("edit", "/p/a.sql")]


@pytest.mark.parametrize(
    "extra",
    [
        {"type": "text", "file": {"filePath": "/p/a", "content": "x"}},
        {"type": "notebook", "file": {"filePath": "/p/a", "cells": []}},
        {"type": "pdf", "file": {"filePath": "/p/a", "base64": "x"}},
        {"type": "image", "file": {"base64": "x", "type": "image/png"}},
        None,
    ],
)
def test_read_of_every_kind_names_its_file(extra: Any) -> None:
    session = session_of("Read", result("toolu_1", extra=extra), file_path="/p/a")
    assert operations(session) == [("read", "/p/a")]


@pytest.mark.parametrize("name", ["Write", "Edit", "MultiEdit", "NotebookEdit", "Read"])
@pytest.mark.parametrize("failed", [True, None])
def test_only_calls_that_succeeded_touch_files(name: str, failed: bool | None) -> None:
    answer = failed and result("toolu_1", "no", is_error=True, extra=UPDATED)
    session = session_of(name, answer, file_path="/p/a", notebook_path="/p/a")
    assert session.files == ()
    assert len(session.tool_calls) == 1


@pytest.mark.parametrize("path", ["C:\\work\\a.sql", "src/a.sql", "/päth/ü.sql", "\\\\host\\a"])
def test_paths_are_kept_as_the_tool_wrote_them(path: str) -> None:
    session = session_of("Read", result("toolu_1"), file_path=path)
    assert operations(session) == [("read", path)]


def test_the_path_of_the_result_is_the_whole_one() -> None:
    extra = {"type": "text", "file": {"filePath": "/p/src/a.py"}}
    session = session_of("Read", result("toolu_1", extra=extra), file_path="src/a.py")
    assert operations(session) == [("read", "/p/src/a.py")]


@pytest.mark.parametrize("path", [None, 7, ["/a"], ""])
def test_a_path_that_is_no_text_is_no_operation(path: Any) -> None:
    assert session_of("Read", result("toolu_1"), file_path=path).files == ()


def test_a_skill_is_loaded_when_its_call_succeeded() -> None:
    body = user([text("Base directory for this skill: /s")], isMeta=True, sourceToolUseID="toolu_1")
    answer = result("toolu_1", "Launching", extra={"success": True, "commandName": "bronze"})
    session = session_of("Skill", answer, body, skill="bronze")
    assert [(s.name, s.status, s.call_id) for s in session.skills] == [
        ("bronze", "loaded", "toolu_1")
    ]
    assert session.prompts == ("Go.",)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (None, "attempted"),
        (
            result("toolu_1", "<tool_use_error>Unknown skill: x</tool_use_error>", is_error=True),
            "failed",
        ),
        (result("toolu_1", "no", extra={"success": False, "commandName": "bronze"}), "failed"),
        (result("toolu_1", "Skill execution blocked by permission rules", is_error=True), "failed"),
        (result("toolu_1", "[Request interrupted by user", is_error=True), "attempted"),
    ],
)
def test_attempted_loaded_and_failed_are_three_states(answer: Any, status: str) -> None:
    session = session_of("Skill", answer, skill="bronze")
    assert [(s.name, s.status) for s in session.skills] == [("bronze", status)]


def test_older_versions_name_the_skill_command() -> None:
    session = session_of("Skill", result("toolu_1"), command="pdf")
    assert session.skills[0].name == "pdf"


def test_a_skill_typed_as_a_slash_command_is_loaded_by_its_body() -> None:
    command = user(
        "<command-message>bronze</command-message>\n<command-name>/bronze</command-name>"
    )
    body = user([text("Base directory for this skill: /s/bronze\n\n# Bronze")], isMeta=True)
    session = parse_transcript(dump(command, body, assistant("msg_a", text("a"))))
    assert [(s.name, s.status, s.call_id) for s in session.skills] == [("bronze", "loaded", None)]
    other = user([text("Please analyze this codebase")], isMeta=True)
    assert parse_transcript(dump(command, other, assistant("msg_a"))).skills == ()
