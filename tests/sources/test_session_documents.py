"""A dumped session that was changed by hand: what does not fit is named by its key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.sources.session_json import session_from_json, session_to_json
from tests.builders import make_session

SESSION = make_session(["Bash"], created=["a.sql"])


def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(session_to_json(SESSION)))
    return made


def test_what_is_written_is_read() -> None:
    assert session_from_json(document()).tool_calls == SESSION.tool_calls


def test_a_part_of_a_session_says_so() -> None:
    written = session_to_json(SESSION, trace_id="tr-1", whole=False)
    assert (written["trace_id"], written["whole_session"]) == ("tr-1", False)
    assert session_from_json(written).tool_calls == SESSION.tool_calls


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("format",), "skilltrace.session/9", "skilltrace.session/9"),
        (("tool_calls",), {}, "tool_calls: expected a list"),
        (("tool_calls", 0), "Bash", r"tool_calls\[0\]: expected an object"),
        (("tool_calls", 0, "outcome"), "fine", r"tool_calls\[0\].outcome: 'fine' is not one of"),
        (("tool_calls", 0, "name"), 3, r"tool_calls\[0\].name: expected str"),
        (("tool_calls", 0, "timestamp"), "noon", r"tool_calls\[0\].timestamp: 'noon' is not"),
        (("tool_calls", 0, "input"), [], r"tool_calls\[0\].input: expected an object"),
        (("tool_calls", 0, "duration_ms"), -1, r"tool_calls\[0\].duration_ms: .* not negative"),
        (("tool_calls", 0, "duration_ms"), 10**400, r"duration_ms: .* a session can have"),
        (("tool_calls", 0, "duration_ms"), float("nan"), r"duration_ms: .* a session can have"),
        (("files", 0, "file_path"), None, r"files\[0\].file_path"),
    ],
)
def test_what_does_not_fit_is_named(place: tuple[Any, ...], value: Any, said: str) -> None:
    changed = document()
    holder: Any = changed
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    with pytest.raises(InputError, match=said):
        session_from_json(changed)
