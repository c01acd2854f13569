"""Redaction walks every text field of a session, those that are added later too."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import pytest

from skilltrace_mlflow.importing.redaction import Redactor
from skilltrace_mlflow.session import Session, ToolCall
from tests.builders import make_session

SECRET = "sk-ant-" + "a1B2c3D4e5" * 4
# What stays as it is, and why it can: ids, and words of Claude Code's own.
EXCEPTIONS = {
    *("agent", "call_id", "id", "message_id", "model", "parent_call_id", "permission_mode"),
    *("session_id", "speed", "stop_reason", "trigger", "version"),
}


def filled(hint: Any, name: str) -> Any:
    """A value of that type with the secret in every text that it has room for."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if name == "load_result":
        return f"result {SECRET}"
    if hint is str:
        return f"text {SECRET}"
    if hint in (int, float, bool):
        return hint()
    if hint is datetime:
        return None
    if is_dataclass(hint):
        return record(hint)  # type: ignore[arg-type]
    if origin is typing.Literal:
        return arguments[0]
    if origin is tuple:
        return (filled(arguments[0], name),)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {} if name == "cache" else {"key": f"text {SECRET}"}
    return filled(next(a for a in arguments if a is not type(None)), name)


def record(cls: type) -> Any:
    hints = typing.get_type_hints(cls)
    return cls(**{item.name: filled(hints[item.name], item.name) for item in fields(cls)})  # type: ignore[arg-type]


def leaks(value: Any, name: str = "") -> Iterator[str]:
    """Names of the fields that still hold the secret."""
    if isinstance(value, str):
        if SECRET in value:
            yield name
    elif is_dataclass(value):
        for item in fields(value):
            yield from leaks(getattr(value, item.name), item.name)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from leaks(item, name)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from leaks(item, name)


def test_every_text_field_is_redacted_save_the_exceptions() -> None:
    session: Session = record(Session)
    before = set(leaks(session))
    assert {"text", "input", "load_result", "cwd", "incomplete", "prompt", "message"} <= before
    assert set(leaks(Redactor().session(session))) == before & EXCEPTIONS


def test_no_exception_is_without_a_field() -> None:
    assert set(leaks(record(Session))) >= EXCEPTIONS - {"trigger"}


def test_a_field_that_is_added_is_redacted() -> None:
    later = dataclasses.make_dataclass(
        "Later",
        [("note", str, ""), ("notes", tuple[str, ...], ()), ("facts", Mapping[str, Any], None)],
        bases=(ToolCall,),
        frozen=True,
        kw_only=True,
    )
    call = later(id="t1", name="Bash", note=SECRET, notes=(SECRET,), facts={"x": [SECRET]})
    session = dataclasses.replace(make_session(), tool_calls=(call,))
    (found,) = Redactor().session(session).tool_calls
    assert set(leaks(found)) == set()


@pytest.mark.parametrize("text", ["", "abc", "no secret here"])
def test_what_is_no_secret_stays(text: str) -> None:
    session = make_session(cwd=text)
    assert Redactor().session(session).cwd == text
