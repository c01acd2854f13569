"""Turns and the traces of the agents that they started in the background.

Each stop of a background agent is a trace of its own, in the same session, tagged with the tool
call that started the agent; such an agent may start others. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from skilltrace_mlflow.session import Session

__all__ = ["background_calls", "parent_call", "with_started"]

_PARENT_CALL = "mlflow.claude_code.parent_tool_use_id"
T = TypeVar("T")


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
