"""Which skills a session tried to load, by name or glob, and which way they were loaded."""

from __future__ import annotations

import posixpath
from typing import Literal

from skilltrace_mlflow.commands.file_use import file_uses
from skilltrace_mlflow.matching.session_calls import shell_lines
from skilltrace_mlflow.patterns.regex import glob_match
from skilltrace_mlflow.session import MAIN_AGENT, Session, ToolCall

__all__ = ["WAYS", "Way", "calls_for", "has_nameless", "is_skill", "loads_of", "states_of"]

Way = Literal["tool", "slash", "nested", "read", "forked"]
WAYS: tuple[Way, ...] = ("tool", "slash", "nested", "read", "forked")
"""How a skill comes to be loaded: by the Skill tool, as a person's slash command, by a sub-agent,
its `SKILL.md` read as a file, or run in an agent of its own.
"""


def is_skill(wanted: str, name: str) -> bool:
    """Whether a skill's recorded name is the one (or the glob) meant, a plugin's name in front or
    not.
    """
    wanted = wanted.lstrip("/")
    return glob_match(wanted, name) or glob_match(wanted, name.rsplit(":", 1)[-1])


def has_nameless(session: Session) -> bool:
    """Whether a skill was asked for whose name the record lost: it may be any."""
    return any(not use.name for use in session.skills)


def states_of(session: Session, name: str) -> set[str]:
    """The states of all attempts to load a skill of that name, a plugin's name in front or not."""
    found: set[str] = {use.status for use in session.skills if is_skill(name, use.name)}
    return found | {"read" for read, _ in _shown_by_lines(session) if is_skill(name, read)}


def calls_for(session: Session, name: str) -> tuple[ToolCall, ...]:
    """The calls by which a skill of that name was asked for or read."""
    asked = {use.call_id for use in session.skills if is_skill(name, use.name)}
    shown = [call for read, call in _shown_by_lines(session) if is_skill(name, read)]
    return (*(call for call in session.tool_calls if call.id in asked), *shown)


def _shown_by_lines(session: Session) -> list[tuple[str, ToolCall]]:
    """Skills whose `SKILL.md` a command line reads: `cat skills/deploy/SKILL.md`."""
    found: list[tuple[str, ToolCall]] = []
    for call, line in shell_lines(session):
        if line is None or "SKILL.md" not in line.text or call.outcome == "denied":
            continue
        for use in file_uses(line.text):
            folder, name = posixpath.split(use.path)
            if (
                use.kind == "read"
                and not use.spoken
                and name == "SKILL.md"
                and posixpath.basename(folder)
            ):
                found.append((posixpath.basename(folder), call))
    return found


def loads_of(session: Session) -> tuple[tuple[str, Way], ...]:
    """Name and way of every skill that was loaded; what was only asked for is none."""
    calls = {call.id: call for call in session.tool_calls}
    found: list[tuple[str, Way]] = []
    for use in session.skills:
        call = calls.get(use.call_id or "")
        way: Way = "tool"
        if not use.name:
            continue
        if use.status == "read":
            way = "read"
        elif use.status != "loaded":
            continue
        elif use.call_id is None:
            way = "slash"
        elif call is not None and call.details.get("status") == "forked":
            way = "forked"
        elif use.agent != MAIN_AGENT:
            way = "nested"
        found.append((use.name, way))
    found.extend((name, "read") for name, _ in _shown_by_lines(session))
    return tuple(found)
