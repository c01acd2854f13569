"""Turns that `skilltrace-mlflow import` logged, back as the session that was imported.

The spans are those of the newest plugin, for people and other readers. What spans have no place for
(message ids, outcomes' reasons, exact order) stands in one attribute of the root span, written and
read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.sources._builder import with_damages
from skilltrace_mlflow.sources.mlflow._build import Parts
from skilltrace_mlflow.sources.mlflow._generation import is_tool
from skilltrace_mlflow.sources.mlflow._outcome import result_text
from skilltrace_mlflow.sources.mlflow._wire import SpanView, TraceView, as_count
from skilltrace_mlflow.sources.mlflow.names import RECORDS, TURN_ATTRIBUTE
from skilltrace_mlflow.sources.session_json import session_from_json

__all__ = ["session_of_turns"]


def session_of_turns(traces: Sequence[TraceView]) -> Session:
    """The session, or the part of it, that these imported turns hold.

    Where all turns are there, the result equals the session that was read from the file.
    """
    turns: dict[int, tuple[Mapping[str, Any], TraceView]] = {}
    for trace in traces:
        document = trace.root.mapping(TURN_ATTRIBUTE) if trace.root else None
        number = as_count(document.get("turn")) if document else None
        if document is None or number is None:
            raise InputError(f"trace {trace.id}: its {TURN_ATTRIBUTE} is damaged; import it again")
        known = turns.get(number)
        # A turn that grew is logged anew before the old trace goes: the longer one holds.
        if known is None or _weight(document) >= _weight(known[0]):
            turns[number] = (document, trace)
    last = turns[max(turns)][0]
    count = as_count(last.get("turns")) or 0
    whole = last.get("session")
    complete = isinstance(whole, Mapping) and set(turns) == set(range(count))
    parts = [_part(document, trace) for document, trace in turns.values()]
    base = session_from_json(whole, source="import") if complete else None  # type: ignore[arg-type]
    merged = base if base is not None else _merge([session for session, _ in parts])
    gathered: dict[str, Any] = {name: _gather(parts, name) for name in RECORDS}
    gaps = Parts()
    for _, trace in turns.values():
        gaps.note_state(trace)
    lost = [reason for session, _ in parts for reason in session.incomplete]
    incomplete = tuple(dict.fromkeys([*merged.incomplete, *lost, *gaps.incomplete]))
    return with_damages(replace(merged, **gathered, incomplete=incomplete))


def _weight(document: Mapping[str, Any]) -> tuple[int, int]:
    record = document.get("record")
    calls = record.get("tool_calls") if isinstance(record, Mapping) else None
    steps = record.get("steps") if isinstance(record, Mapping) else None
    return as_count(document.get("turns")) or 0, len(calls or ()) + len(steps or ())


def _part(document: Mapping[str, Any], trace: TraceView) -> tuple[Session, Mapping[str, Any]]:
    record, places = document.get("record"), document.get("places")
    if not isinstance(record, Mapping) or not isinstance(places, Mapping):
        raise InputError(f"trace {trace.id}: its {TURN_ATTRIBUTE} is damaged; import it again")
    session = session_from_json(record, source=f"trace {trace.id}")
    spans = {span.text("tool_id"): span for span in trace.spans if is_tool(span)}
    silent = set(document.get("no_result") or ())
    hidden = set(document.get("no_input") or ())
    lost = [call.id for call in session.tool_calls if call.id not in spans]
    calls = tuple(
        _with_span(call, spans.get(call.id), call.id in silent, call.id in hidden)
        for call in session.tool_calls
    )
    written = {
        call.id: text
        for call in calls
        if call.name == "Write" and isinstance(text := (call.input or {}).get("content"), str)
    }
    files = tuple(
        replace(item, content=written.get(item.call_id or "")) if item.content is None else item
        for item in session.files
    )
    notes = (f"trace {trace.id}: {len(lost)} of its tool spans are missing",) if lost else ()
    return (
        replace(session, tool_calls=calls, files=files, incomplete=(*session.incomplete, *notes)),
        places,
    )


def _with_span(call: ToolCall, span: SpanView | None, silent: bool, hidden: bool) -> ToolCall:
    if span is None:
        return replace(call, input=None)
    inputs = span.inputs
    return replace(
        call,
        input=inputs if isinstance(inputs, Mapping) and not hidden else None,
        load_result=None if silent else result_text(span.outputs),
    )


def _gather(parts: Iterable[tuple[Session, Mapping[str, Any]]], name: str) -> tuple[Any, ...]:
    """A kind of record from all turns, in the order of the session that was imported."""
    found = [pair for session, places in parts for pair in _placed(session, places, name)]
    return tuple(record for _, record in sorted(found, key=lambda pair: pair[0]))


def _placed(session: Session, places: Mapping[str, Any], name: str) -> Iterable[tuple[int, Any]]:
    records = getattr(session, name)
    given = places.get(name)
    order = given if isinstance(given, list) and len(given) == len(records) else range(len(records))
    for place, record in zip(order, records, strict=True):
        yield as_count(place) or 0, record


def _merge(sessions: Sequence[Session]) -> Session:
    """Some turns of a session: the outer facts of the parts."""
    last = sessions[-1]

    def bound(choose: Callable[..., Any], name: str) -> Any:
        return choose((t for s in sessions if (t := getattr(s, name)) is not None), default=None)

    costs = [s.cost_usd for s in sessions]
    return replace(
        last,
        start_time=bound(min, "start_time"),
        end_time=bound(max, "end_time"),
        usage_complete=all(s.usage_complete for s in sessions),
        usage_notes=tuple(dict.fromkeys(n for s in sessions for n in s.usage_notes)),
        incomplete=tuple(dict.fromkeys(n for s in sessions for n in s.incomplete)),
        api_errors=tuple(e for s in sessions for e in s.api_errors),
        cost_usd=None if None in costs else sum(c for c in costs if c is not None),
    )
