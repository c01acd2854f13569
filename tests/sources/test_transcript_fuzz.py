"""Whatever happens to recorded lines: a Session comes out, or a SkillTraceError, nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.errors import SkillTraceError
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
_FILES = [path for path in sorted(RECORDINGS.rglob("*.jsonl")) if path.stat().st_size]
LINES = [
    line
    for path in _FILES
    for line in path.read_bytes().split(b"\n")
    if line and len(line) < 20_000
]

_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "assistant", "user", "tool_result", "tool_use", "<synthetic>"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
_fuzz = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def outcome(lines: list[bytes]) -> Session | None:
    """The session, fully looked at, or None for an error that a user may meet."""
    try:
        session = parse_transcript(lines)
        for call in session.tool_calls:
            _ = call.result
        json.dumps(compute_metrics(session).to_dict(inputs=True)).encode()
        assert len(session.events) >= len(session.tool_calls)
        repr(session).encode()
        positions = [
            item.position for item in (*session.steps, *session.tool_calls, *session.messages)
        ]
        assert len(set(positions)) == len(positions)
    except SkillTraceError:
        return None
    return session


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every value inside a JSON value."""
    found = [path] if path else []
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found.extend(places(inner, (*path, key)))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of `value` with `new` at `path`."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@_fuzz
@given(st.data())
def test_lines_dropped_repeated_and_reordered(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(LINES) - 1))
    picked = data.draw(
        st.lists(st.integers(start, min(start + 40, len(LINES) - 1)), min_size=1, max_size=40)
    )
    outcome([LINES[index] for index in picked])


@_fuzz
@given(st.data())
def test_lines_truncated_and_spliced(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(LINES) - 1))
    lines = LINES[start : start + 12]
    index = data.draw(st.integers(0, len(lines) - 1))
    cut = data.draw(st.integers(0, len(lines[index])))
    other = data.draw(st.sampled_from(lines))
    tail = data.draw(st.sampled_from([b"", b"\n", b"\0\0", b"\xff", b"\r", other]))
    mutated = [*lines[:index], lines[index][:cut] + tail, *lines[index + 1 :]]
    session = outcome(mutated)
    bad = not _is_object(mutated[index]) and mutated[index].strip(b"\0 \t\r\n")
    if session is not None and bad:
        assert not session.usage_complete


@_fuzz
@given(st.data())
def test_fields_retyped(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(LINES) - 1))
    lines = list(LINES[start : start + 12])
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(lines) - 1))
        value = json.loads(lines[index])
        found = places(value)
        if not found:
            continue
        path = data.draw(st.sampled_from(found))
        value = replaced(value, path, data.draw(_values))
        lines[index] = json.dumps(value).encode()
    outcome(lines)


@_fuzz
@given(st.data())
def test_fields_removed(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(LINES) - 1))
    lines = list(LINES[start : start + 12])
    index = data.draw(st.integers(0, len(lines) - 1))
    value = json.loads(lines[index])
    path = data.draw(st.sampled_from(places(value)))
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    outcome([*lines[:index], json.dumps(value).encode(), *lines[index + 1 :]])


@_fuzz
@given(st.lists(st.binary(max_size=60) | _values.map(lambda value: json.dumps(value).encode())))
def test_lines_of_anything(lines: list[bytes]) -> None:
    outcome(lines)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line.decode("utf-8", "replace"), strict=False), dict)
    except (ValueError, RecursionError):
        return False
