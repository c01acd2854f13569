"""Selectors: which tool calls a text such as `Read`, `mcp__db__*` or `Bash(git push:*)` names.

One parser for three spellings: an exact name, a glob, and Claude Code's permission rules. `Task`
and `Agent` are one tool. What a rule's specifier means is in `permission_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.mistakes import also_called, refuse_mistaken
from skilltrace_mlflow.matching.permission_rules import Specifier, parse_specifier, rule_tools
from skilltrace_mlflow.matching.session_calls import calls_by_name, shell_index, shell_lines
from skilltrace_mlflow.patterns.regex import glob_match
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import is_shell, names_of

__all__ = [
    "Selector",
    "count",
    "looks_like_selector",
    "parse_selector",
    "parse_selectors",
    "select",
    "selector_at",
]

_NAME = re.compile(r"[A-Za-z_][\w.:@-]*")
_GLOB = re.compile(r"(?=.*[*?\[])[\w.:@*?\[\]!^-]+")
_RULE = re.compile(r"([\w.*?\[\]-]+)\((.*)\)", re.DOTALL)
_SERVER = re.compile(r"mcp__(?:(?!__).)+")


@dataclass(frozen=True, kw_only=True)
class Selector:
    """A parsed selector; `specifier` is what a rule has in its parentheses."""

    text: str
    kind: Literal["name", "glob", "rule"]
    names: tuple[str, ...]
    specifier: Specifier | None = field(default=None, compare=False)
    literal: bool = False

    @cached_property
    def rule_name(self) -> str:
        """The tool that it names, `Read` for `Read(./secrets/**)`; a glob as it stands."""
        return self.text.partition("(")[0]

    def selects_name(self, name: str) -> bool:
        """Whether calls of a tool of that name can be meant; a literal one knows no patterns."""
        if self.literal:
            return not set(names_of(name)).isdisjoint(self.names)
        return _selects(self.names, name)

    def may_mean(self, name: str) -> bool:
        """Whether a tool is the one that is named under another name of its server: that of the
        plugin which brings it, or in other letter case."""
        if self.literal:
            return False
        if any(_selects(self.names, other) for other in also_called(name)):
            return True
        return name.startswith("mcp__") and _selects(_folded(self.names), name.casefold())

    def matches(self, call: ToolCall, cwd: str | None = None) -> bool | None:
        """Whether the call is meant; None where its arguments would tell but are not known."""
        if not self.selects_name(call.name):
            return None if self.may_mean(call.name) else False
        return True if self.specifier is None else self.specifier.matches(call, cwd)


@lru_cache(maxsize=512)
def _folded(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.casefold() for name in names)


@lru_cache(maxsize=4096)
def _selects(names: tuple[str, ...], name: str) -> bool:
    candidates = names_of(name)
    for pattern in names:
        globbing = any(char in pattern for char in "*?[")
        if pattern in candidates or (globbing and any(glob_match(pattern, c) for c in candidates)):
            return True
        if _SERVER.fullmatch(pattern) and name.startswith(pattern + "__"):
            return True
    return False


def looks_like_selector(text: str) -> bool:
    """Whether a text is a tool's name, a glob or a rule, rather than a command."""
    text = text.strip()
    return bool(_NAME.fullmatch(text) or _GLOB.fullmatch(text) or _RULE.fullmatch(text))


@lru_cache(maxsize=4096)
def parse_selector(text: str, *, program: bool = False) -> Selector:
    """The selector that a text means; ParameterError if it is none, or one that no call can meet.

    With `program` the text may be a command's name as well.
    """
    stripped = text.strip()
    if not stripped:
        raise ParameterError("a tool's name is empty")
    refuse_mistaken(stripped, program=program)
    rule = _RULE.fullmatch(stripped)
    if rule:
        name, given = rule.group(1), rule.group(2)
        inner = given.strip()
        if inner in ("", "*"):
            return Selector(text=stripped, kind="rule", names=(name,))
        return Selector(
            text=stripped,
            kind="rule",
            names=rule_tools(name),
            specifier=parse_specifier(name, inner, stripped, blank=given != inner),
        )
    if _NAME.fullmatch(stripped):
        return Selector(text=stripped, kind="name", names=(stripped,))
    if _GLOB.fullmatch(stripped):
        return Selector(text=stripped, kind="glob", names=(stripped,))
    hint = "; a command goes to banned_tools or required_commands" if " " in stripped else ""
    raise ParameterError(
        f"{stripped!r} is no tool name, glob or permission rule such as Bash(git push:*){hint}"
    )


def parse_selectors(values: Iterable[Any], path: tuple[str | int, ...]) -> tuple[Selector, ...]:
    """The selectors of a list, in order; ParameterError with the entry's path."""
    return tuple(selector_at(value, (*path, index)) for index, value in enumerate(values))


def selector_at(text: str, path: tuple[str | int, ...]) -> Selector:
    """As `parse_selector`, but an error says where the text stands."""
    try:
        return parse_selector(text)
    except ParameterError as error:
        raise ParameterError(str(error), path=path) from None


def select(session: Session, selector: Selector) -> tuple[list[ToolCall], list[ToolCall]]:
    """The calls that a selector means, and those of which it cannot be told."""
    certain: list[ToolCall] = []
    possible: list[ToolCall] = []
    blind = selector.specifier is not None and session.lacks("tool_inputs") is not None
    for name, calls in calls_by_name(session).items():
        if not selector.selects_name(name):
            if selector.may_mean(name):
                possible.extend(calls)
            continue
        if selector.specifier is None:
            certain.extend(calls)
            continue
        hint = selector.specifier.hint
        if hint is not None and not blind and is_shell(name):
            lines = shell_lines(session)
            places = shell_index(session).which_may_run(hint)
            calls = [lines[at][0] for at in places if lines[at][0].name == name]
        for call in calls:
            met = selector.specifier.matches(call, session.cwd)
            if met:
                certain.append(call)
            elif met is None or blind:
                possible.append(call)
    return certain, possible


def count(session: Session, selectors: Sequence[Selector]) -> tuple[int, int]:
    """How many calls any of the selectors means: at least, and at most."""
    if len(selectors) == 1:
        certain, possible = select(session, selectors[0])
        return len(certain), len(certain) + len(possible)
    sure: set[int] = set()
    maybe: set[int] = set()
    for selector in selectors:
        certain, possible = select(session, selector)
        sure.update(map(id, certain))
        maybe.update(map(id, possible))
    return len(sure), len(sure | maybe)
