"""Whatever a caller calls a trace, to the `Session` that checks read."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.metrics import TraceMetrics
from skilltrace_mlflow.responses import Response
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.metrics_dict import is_metrics_dict, session_from_metrics_dict
from skilltrace_mlflow.sources.mlflow.trace import (
    is_claude_code_trace,
    is_of_another_program,
    session_from_trace,
)
from skilltrace_mlflow.sources.session_json import session_from_json
from skilltrace_mlflow.sources.table_row import trace_of_row

__all__ = ["as_response", "as_session"]

# Sessions by the identity of the Trace object they were read from: MLflow hands the same object to
# every scorer of a row, and reading it is what costs. Weak, since traces are large.
_cache: dict[int, tuple[weakref.ref[Any], Session | None]] = {}
_lock = threading.Lock()


def as_session(trace: Any) -> Session | None:
    """The session in a Trace, its dictionary, TraceMetrics (or theirs), or a list of Traces.

    None where there is no evidence: no trace at all, or one that is not Claude Code's. MLflow makes
    a trace of its own for a row that has none; it holds the prompt and no tool call, so it would
    pass every ban. Raises InputError for anything else.
    """
    if trace is None or isinstance(trace, Session):
        return trace
    if isinstance(trace, TraceMetrics):
        return trace.session
    if isinstance(trace, Mapping):
        return _from_mapping(trace)
    if isinstance(trace, list | tuple):
        turns = [turn for turn in trace if not is_of_another_program(turn)]
        # One that lost its root may be a turn: it is refused with the reason, not left out.
        return session_from_trace(turns) if any(map(is_claude_code_trace, turns)) else None
    if hasattr(trace, "info") and hasattr(trace, "data"):
        return _from_trace(trace)
    raise InputError(
        f"trace: expected an mlflow Trace, a Session, TraceMetrics or a dictionary of one, "
        f"got {type(trace).__name__}"
    )


def as_response(
    *,
    inputs: Any = None,
    outputs: Any = None,
    trace: Any = None,
    session: Session | None = None,
) -> Response:
    """What a response check reads: the given output, else what the session ended with.

    With lines missing from the record its last message need not be the answer.
    """
    session = session if session is not None else as_session(trace)
    text: str | None = outputs if isinstance(outputs, str) else None
    if isinstance(outputs, Mapping):
        found = (outputs.get(key) for key in ("response", "text", "result", "content"))
        text = next((value for value in found if isinstance(value, str)), None)
    doubt = None
    if text is None and session is not None:
        text = session.response
        # What a sub-agent said is never the answer, so that its transcript may be missing.
        gaps = [reason for reason in session.incomplete if "sub-agent" not in reason]
        if text is not None and gaps:
            why = "; ".join(gaps[:2])
            doubt = f"not certain which text is the answer, as the record is incomplete ({why})"
    prompt = inputs.get("prompt") if isinstance(inputs, Mapping) else inputs
    if not isinstance(prompt, str):
        prompt = next(iter(session.prompts), None) if session is not None else None
    return Response(
        text=text,
        doubt=doubt,
        outputs=outputs if isinstance(outputs, Mapping) else {},
        prompt=prompt,
        session=session,
    )


def _from_mapping(trace: Mapping[str, Any]) -> Session | None:
    if not trace:
        return None
    if "info" in trace and "data" in trace:
        return session_from_trace(trace) if is_claude_code_trace(trace) else None
    if {"trace_id", "spans"} <= trace.keys():  # a row of a table that holds traces
        row = trace_of_row(trace)
        return session_from_trace(row) if is_claude_code_trace(row) else None
    if "format" in trace:  # of a dumped trace alone; another version's is refused
        return session_from_json(trace, source="trace")
    if is_metrics_dict(trace):
        return session_from_metrics_dict(trace)
    raise InputError(
        "trace: the dictionary is neither TraceMetrics.to_dict() nor Trace.to_dict() nor a dumped "
        f"trace; its keys are {', '.join(map(repr, list(trace)[:8]))}"
    )


def _from_trace(trace: Any) -> Session | None:
    key = id(trace)
    with _lock:
        found = _cache.get(key)
    if found is not None and found[0]() is trace:
        return found[1]
    session = session_from_trace(trace) if is_claude_code_trace(trace) else None
    reference = weakref.ref(trace, lambda _: _cache.pop(key, None))
    with _lock:
        _cache[key] = (reference, session)
    return session
