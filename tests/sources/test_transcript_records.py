"""Records that are filled in while reading are whole: every field of the dataclass is set."""

from __future__ import annotations

import copy
import pickle
from dataclasses import fields, replace
from pathlib import Path

import pytest

from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"


def test_every_field_of_every_record_is_set() -> None:
    kinds = set()
    for path in find_sessions(RECORDINGS):
        session = parse_transcript(path)
        usages = [step.usage for step in session.steps]
        groups = (session.steps, session.tool_calls, session.messages, session.files, usages)
        for item in (item for group in groups for item in group):
            kinds.add(type(item).__name__)
            assert set(vars(item)) == {field.name for field in fields(item)}
    assert kinds == {"ModelStep", "ToolCall", "Message", "FileOperation", "TokenUsage"}


def test_records_behave_like_any_other() -> None:
    session = parse_transcript(find_sessions(RECORDINGS / "read-edit")[0])
    call = session.tool_calls[0]
    assert replace(call) == call
    assert copy.deepcopy(call) == call
    assert pickle.loads(pickle.dumps(session)) == session  # noqa: S301 - our own bytes
    assert repr(call).startswith("ToolCall(id=")
    with pytest.raises(AttributeError):
        call.name = "other"  # type: ignore[misc]
