"""Which skills a session tried to load, by name or glob, and which way they were loaded."""

from __future__ import annotations

import posixpath
from typing import Literal

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS
from skilltrace_mlflow.commands.file_use import file_uses
from skilltrace_mlflow.matching.session_calls import shell_lines
from skilltrace_mlflow.patterns.regex import glob_match
from skilltrace_mlflow.session import MAIN_AGENT, Session, ToolCall
from skilltrace_mlflow.text import cut, one_line

__all__ = [
    "WAYS",
    "Way",
    "calls_for",
    "has_nameless",
    "is_skill",
    "loads_of",
    "may_show",
    "states_of",
]

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


def may_show(session: Session, name: str) -> str | None:
    """Why a skill of that name may have been read all the same: the line that may have shown it, or
    what is not recorded. None if nothing may have.
    """
    own = name.lstrip("/").rsplit(":", 1)[-1]
    for folder, sure, call, line in _named_by_lines(session):
        if not sure and _could_be(own, folder):
            return f"`{cut(one_line(line), 80)}` of call {call.id} may have read it"
    if any(line is None or call.input_truncated for call, line in shell_lines(session)):
        return "some command lines are not recorded, or not whole"
    return None


def _could_be(own: str, folder: str) -> bool:
    shape = folder.replace(UNKNOWN_WORDS, "*").replace(UNKNOWN, "*")
    if _is_open(own):
        return shape != folder or _is_open(folder) or glob_match(own, folder)
    return glob_match(shape, own)


def _shown_by_lines(session: Session) -> list[tuple[str, ToolCall]]:
    """Skills whose `SKILL.md` a command line reads: `cat skills/deploy/SKILL.md`."""
    return [(name, call) for name, sure, call, _ in _named_by_lines(session) if sure]


def _is_open(name: str) -> bool:
    return any(sign in name for sign in ("*", "?", "[", UNKNOWN, UNKNOWN_WORDS))


def _named_by_lines(session: Session) -> list[tuple[str, bool, ToolCall, str]]:
    """The folder of every `SKILL.md` that a line reads, whether it is sure to, call and line.

    Not sure is what the shell fills in (`skills/*/SKILL.md`, `$S/SKILL.md`), and what is read with
    others of a folder (`skills/deploy/*`).
    """
    return session.from_calls("skills_in_lines", _named)


def _named(session: Session) -> list[tuple[str, bool, ToolCall, str]]:
    found: list[tuple[str, bool, ToolCall, str]] = []
    for call, line in shell_lines(session):
        if line is None or "skill" not in line.text.lower() or call.outcome == "denied":
            continue
        for use in file_uses(line.text, call.name):
            path, name = posixpath.split(use.path)
            folder = posixpath.basename(path)
            if use.kind != "read" or use.spoken or use.below or not folder:
                continue
            if _is_its_text(name, path):
                sure = name == "SKILL.md" and not _is_open(folder)
                found.append((folder, sure, call, line.text))
    return found


def _is_its_text(name: str, folder: str) -> bool:
    """Whether a file's name is a skill's text, or a glob for it in a folder of skills."""
    wide = _is_open(name) and "skill" in (folder + name).lower()
    return name == "SKILL.md" or (wide and glob_match(name.replace(UNKNOWN, "*"), "SKILL.md"))


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
