"""Builders for sessions and calls: name what matters to a test, leave out the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from skilltrace_mlflow.session import FileOperation, ModelStep, Session, TokenUsage, ToolCall

__all__ = ["START", "make_call", "make_session"]

START = datetime(2026, 1, 13, 18, 47, 29, tzinfo=timezone.utc)


def make_call(name: str, input: Mapping[str, Any] | None = None, **fields: Any) -> ToolCall:  # noqa: A002 - the field's name
    """A succeeded call of `name`; `result=` is its text, other keywords are ToolCall fields."""
    fields.setdefault("outcome", "succeeded")
    if "result" in fields:
        fields["load_result"] = fields.pop("result")
    fields.setdefault("id", f"toolu_{name}")
    return ToolCall(name=name, input={} if input is None else input, **fields)


def make_session(
    calls: Sequence[ToolCall | str] = (), *, usage: TokenUsage | None = None, **fields: Any
) -> Session:
    """A session of these calls (a bare name is a succeeded call), one second apart.

    `usage` becomes one API response; `created`/`edited`/`read` are lists of paths. Without calls
    there is one response of the model, or nobody would have done anything.
    """
    made = []
    for index, item in enumerate(calls):
        call = make_call(item) if isinstance(item, str) else item
        values = {**vars(call), "position": index * 2 + 1}
        if call.id == f"toolu_{call.name}":
            values["id"] = f"toolu_{index:03d}"
        if call.timestamp is None:
            values["timestamp"] = START + timedelta(seconds=index)
            values["end_timestamp"] = START + timedelta(seconds=index, milliseconds=500)
        made.append(ToolCall(**values))
    if usage is not None:
        fields.setdefault("steps", (ModelStep(id="msg_0", model="claude-sonnet-4-5", usage=usage),))
    if not made and not fields.get("subagents"):
        fields.setdefault("steps", (ModelStep(id="msg_0"),))
    operations = [
        FileOperation(type=kind, file_path=path)
        for kind, key in (("create", "created"), ("edit", "edited"), ("read", "read"))
        for path in fields.pop(key, ())
    ]
    if operations:
        fields["files"] = tuple(operations)
    fields.setdefault("session_id", "session-1")
    fields.setdefault("start_time", START)
    fields.setdefault("end_time", START + timedelta(seconds=max(len(made), 1)))
    return Session(tool_calls=tuple(made), **fields)
