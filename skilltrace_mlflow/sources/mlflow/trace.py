"""MLflow traces to a `Session`: every way in which Claude Code has been traced so far.

Standard library only: traces arrive as entities, as `Trace.to_dict()`/`to_json()`, or as rows of a
table, and MLflow need not be installed to read them. What a writer lost is said in the session
(`missing`, `usage_complete`, `incomplete`), never guessed.

Each stop of a background agent is a trace of its own, in the same session, tagged with the tool
call that started the agent; such an agent may start others. `with_started` finds them for a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.mlflow import _otel as _trace_otel
from skilltrace_mlflow.sources.mlflow import _plugin as _trace_plugin
from skilltrace_mlflow.sources.mlflow._build import Parts
from skilltrace_mlflow.sources.mlflow._generation import (
    AGENT_ID_TAG,
    IMPORTED,
    OTEL,
    Generation,
    detect,
)
from skilltrace_mlflow.sources.mlflow._imported import session_of_turns
from skilltrace_mlflow.sources.mlflow._wire import TraceView, read_trace
from skilltrace_mlflow.sources.mlflow.names import copied_from

__all__ = [
    "background_calls",
    "is_claude_code_trace",
    "is_of_another_program",
    "parent_call",
    "session_from_trace",
    "with_started",
]

_SESSION_KEY = "mlflow.trace.session"
_PARENT_CALL = "mlflow.claude_code.parent_tool_use_id"
T = TypeVar("T")


def session_from_trace(trace: Any) -> Session:
    """The session that a trace shows: one user turn with its sub-agents.

    `trace` is an `mlflow.entities.Trace`, its `to_dict()` or `to_json()`, a row with spans, or a
    list of these: all traces of one session, whose turns (and background sub-agents, which are
    traced apart) are put together in time order. Messages, calls and traces count once.

    Raises InputError if something is no trace, does not come from Claude Code (MLflow's own minimal
    traces are no evidence of what an agent did), has no spans, or if the sessions differ.
    """
    views = _views(trace)
    found = [(view, _generation_of(view)) for view in views]
    session_id = _common_session(views)
    source = views[0].id if len(views) == 1 else f"{len(views)} traces from {views[0].id}"
    imported = [view for view, generation in found if generation is IMPORTED]
    traced = [(view, generation) for view, generation in found if generation is not IMPORTED]
    if not imported:
        return _of_writers(traced, session_id, source)
    session = replace(session_of_turns(imported), source=source)
    if not traced:
        return session
    # The import holds the transcript, whole: a hook's traces of the same turns add nothing. What
    # they hold beyond it was not imported (yet), and must not be taken for not done.
    known = {call.id for call in session.tool_calls}
    others = _of_writers(traced, session_id, source)
    lost = sum(1 for call in others.tool_calls if call.id not in known)
    said = {prompt.strip() for prompt in session.prompts}
    unheard = sum(1 for prompt in others.prompts if prompt.strip() not in said)
    if not lost and not unheard:
        return session
    gap = (
        f"{lost} calls and {unheard} prompts of {traced[0][0].id} and others are not in the "
        "imported turns: import again"
    )
    return replace(session, incomplete=(*session.incomplete, gap), usage_complete=False)


def _of_writers(
    traced: Sequence[tuple[TraceView, Generation]], session_id: str | None, source: str
) -> Session:
    parts = Parts(session_id=session_id, source=source)
    for view, generation in traced:
        if generation is OTEL:
            _trace_otel.add_trace(parts, view)
        else:
            _trace_plugin.add_trace(parts, view, generation)
    return parts.session()


def is_claude_code_trace(trace: Any) -> bool:
    """Whether a trace was made from a Claude Code session; False for what is no trace at all, and
    for a copy that MLflow made of one.
    """
    try:
        return detect(read_trace(trace)) is not None
    except InputError:
        return False


def is_of_another_program(trace: Any) -> bool:
    """Whether a trace is whole and its root is some other program's: no evidence, and no damage.
    So is MLflow's copy of a trace.
    """
    try:
        view = read_trace(trace)
    except InputError:
        return False
    if copied_from(view.tags) is not None:
        return True
    root = view.root
    if root is None or not root.name:
        return False
    if AGENT_ID_TAG in view.tags or root.name.startswith("claude_code"):
        return False
    return detect(view) is None


def _views(trace: Any) -> list[TraceView]:
    # MLflow's entities are iterable themselves (over their own properties).
    single = isinstance(trace, str | bytes | Mapping) or hasattr(trace, "info")
    several = isinstance(trace, Iterable) and not single
    items: Sequence[Any] = list(trace) if several else [trace]
    if not items:
        raise InputError("no trace given: the list is empty")
    views: dict[str, TraceView] = {}
    for item in items:
        view = read_trace(item)
        if not view.spans:
            raise InputError(f"trace {view.id}: it has no spans; fetch it with its spans")
        views.setdefault(view.id if view.id != "?" else f"?{len(views)}", view)
    return sorted(views.values(), key=lambda view: (view.spans[0].start_ns, view.id))


def _generation_of(view: TraceView) -> Generation:
    generation = detect(view)
    if generation is None:
        original = copied_from(view.tags)
        if original is not None:
            raise InputError(
                f"trace {view.id}: MLflow's copy of {original}, made by an evaluation; "
                "it may lack spans, so name the original"
            )
        root = view.root
        name = repr(root.name) if root else "missing"
        raise InputError(
            f"trace {view.id}: not a Claude Code trace (its root span is {name}, expected "
            "'claude_code_conversation' or 'claude_code.interaction')"
        )
    return generation


def _common_session(views: Sequence[TraceView]) -> str | None:
    ids: dict[str, str] = {}
    for view in views:
        session_id = view.metadata.get(_SESSION_KEY) or next(
            (text for span in view.spans if (text := span.text("session.id"))), None
        )
        if session_id:
            ids.setdefault(session_id, view.id)
    if len(ids) > 1:
        (one, first), (other, second) = list(ids.items())[:2]
        raise InputError(
            f"traces of different sessions: {first} is of {one}, {second} of {other}; "
            "give the traces of one session at a time"
        )
    return next(iter(ids), None)


def parent_call(tags: Mapping[str, str]) -> str | None:
    """The tool call that started the agent whose trace has these tags, None for a turn's trace."""
    return tags.get(_PARENT_CALL)


def background_calls(session: Session) -> set[str]:
    """Ids of the tool calls by which a session started agents in the background."""
    return {
        agent.parent_call_id
        for agent in session.subagents
        if agent.background and agent.parent_call_id
    }


def with_started(
    turns: Sequence[T],
    held: Sequence[T],
    *,
    calls_of: Callable[[T], Collection[str]],
    parent_of: Callable[[T], str | None],
) -> list[T]:
    """The turns and, of all traces held, those of agents that they started, however deep.

    `calls_of` gives the calls by which a trace started agents, `parent_of` the call that started
    it.
    """
    found = list(turns)
    seen = {id(trace) for trace in found}
    calls = {call for trace in found for call in calls_of(trace)}
    while calls and (started := [t for t in held if id(t) not in seen and parent_of(t) in calls]):
        found += started
        seen.update(id(trace) for trace in started)
        calls |= {call for trace in started for call in calls_of(trace)}
    return found
