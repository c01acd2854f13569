"""Damaged traces: whatever stands in them, reading gives a session or an error of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.errors import SkillTraceError
from skilltrace_mlflow.importing.spans import build_trace
from skilltrace_mlflow.importing.turns import split_turns
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.mlflow.trace import session_from_trace
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

DATA = Path(__file__).parent.parent / "data"


def imported() -> dict[str, Any]:
    (path,) = (DATA / "recordings" / "subagent").glob("*.jsonl")
    (turn,) = split_turns(parse_transcript(path), name="x")
    trace = build_trace(turn, f"tr-{'0' * 32}")
    return {"info": {"trace_id": trace.trace_id}, "data": {"spans": trace.spans}}


DOCUMENTS = [
    imported(),
    *(
        json.loads((DATA / "traces" / name).read_text(encoding="utf-8"))
        for name in (
            "process_transcript/read-edit.json",
            "claude_code_otel/detailed-subagent.json",
        )
    ),
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["{", '"', "[]", "{}", "null", '{"result": 3}', '{"messages": [1, {}]}', "NaN"]
    ),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        found += places(item, (*path, key))
    return found


PLACES = [places(document) for document in DOCUMENTS]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_trace_gives_a_session_or_our_error(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(DOCUMENTS) - 1))
    document = json.loads(json.dumps(DOCUMENTS[index]))
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(PLACES[index]))
        target = document
        try:
            for key in path[:-1]:
                target = target[key]
            if data.draw(st.booleans()):
                target[path[-1]] = data.draw(JUNK)
            else:
                del target[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    try:
        session = session_from_trace(document)
    except SkillTraceError:
        return
    assert isinstance(session, Session)
    compute_metrics(session).to_dict(inputs=True)
    assert all(isinstance(call.result, str | None) for call in session.tool_calls)
    assert len(session.events) >= len(session.tool_calls)


def test_the_documents_are_readable() -> None:
    for document in DOCUMENTS:
        assert session_from_trace(document).tool_calls
