"""Calls that cannot have been as they are recorded: what they were, nobody can tell any more.

A name that no tool can have, a command or a path that is no text, and either of them with the sign
that stands for lost characters are damage of the record. A ban or a limit that such a call seems to
keep is not known to be kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from skilltrace_mlflow.session import Session, SkillUse, SubAgent, ToolCall
from skilltrace_mlflow.tools import NEEDED

__all__ = ["damages", "with_damages"]

_TOOL_NAME = re.compile(r"[\w.:@/-]*[^\W\d_][\w.:@/-]*")  # the API takes nothing else
_LOST = "\ufffd"
_NO_NAME = frozenset({"unknown"})  # what readers write where there is none


def damages(
    calls: Iterable[ToolCall], skills: Iterable[SkillUse] = (), agents: Iterable[SubAgent] = ()
) -> Iterator[str]:
    """Why single records are no evidence of what was called; nothing where all are."""
    sound: set[str] = set()
    for call in calls:
        name = call.name
        if name not in sound:
            if name in _NO_NAME or _TOOL_NAME.fullmatch(name) is None:
                yield f"which tool call {call.id} was of is damaged ({name[:40]!r})"
                continue
            sound.add(name)
        if _is_argument_damaged(call):
            yield f"the arguments of {name} call {call.id} are damaged"
        if _LOST in call.agent:
            yield f"whose call {call.id} was is damaged ({call.agent!r})"
    named = [("skill", skill.name) for skill in skills]
    named += [("sub-agent", agent.type or "") for agent in agents]
    yield from (
        f"the name of a {kind} is damaged ({name!r})" for kind, name in named if _LOST in name
    )


def with_damages(session: Session) -> Session:
    """The session, incomplete where the record of a call, a skill or a sub-agent is damaged."""
    found = damages(session.tool_calls, session.skills, session.subagents)
    new = [text for text in dict.fromkeys(found) if text not in session.incomplete]
    return replace(session, incomplete=(*session.incomplete, *new)) if new else session


def _is_argument_damaged(call: ToolCall) -> bool:
    needed = NEEDED.get(call.name)
    if needed is None or not call.input or needed not in call.input:
        return False  # a tool may have had other arguments once; who compares them asks for more
    value = call.input[needed]
    if not isinstance(value, str):
        return call.outcome not in ("failed", "denied")
    return _LOST in value
