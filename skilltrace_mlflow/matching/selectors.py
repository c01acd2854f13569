"""Selectors: which tool calls a text such as `Read`, `mcp__db__*` or `Bash(git push:*)` names.

One parser for three spellings: an exact name, a glob, and Claude Code's permission rules. `Task`
and `Agent` are one tool. What a rule's specifier means is in `permission_rules`.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

from skilltrace_mlflow.commands.prefilter import Line, Lines, line_of
from skilltrace_mlflow.commands.shell import reads_posix
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.mistakes import also_called, refuse_mistaken
from skilltrace_mlflow.matching.permission_rules import Specifier, parse_specifier, rule_tools
from skilltrace_mlflow.patterns.regex import glob_match
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import is_shell, names_of, tool_category

__all__ = [
    "Selector",
    "calls_by_name",
    "count",
    "looks_like_selector",
    "parse_selector",
    "parse_selectors",
    "select",
    "selector_at",
    "shell_index",
    "shell_lines",
]

_NAME = re.compile(r"[A-Za-z_][\w.:@-]*")
_GLOB = re.compile(r"(?=.*[*?\[])[\w.:@*?\[\]!^-]+")
_RULE = re.compile(r"([\w.*?\[\]-]+)\((.*)\)", re.DOTALL)
_ARGUMENTS = ("args", "arguments", "argv")
# Names of arguments, in small letters alone: a line for a shell, whatever the tool's name says; a
# program, and what is typed, where that says that it runs something, or that it is a shell.
_LINE_KEYS: tuple[str, ...] = ("command", "cmd", "commandline", "cmdline", "shellcommand")
_PROGRAM_KEYS = ("program", "executable", "bashcommand")
_SHELL_KEYS = ("script", "input", "text")
_RUNS = re.compile(
    r"(?i)(?P<shell>shell|bash|zsh|terminal|console|command|(?<![a-z])(?:cmd|ssh|sh)(?![a-z]))"
    r"|exec|process|spawn|(?<![a-z])run"
)
_NO_LETTER = re.compile(r"[^A-Za-z]")
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
        """Whether a tool that a plugin brings is one that is named as its server's own."""
        return not self.literal and any(_selects(self.names, other) for other in also_called(name))

    def matches(self, call: ToolCall, cwd: str | None = None) -> bool | None:
        """Whether the call is meant; None where its arguments would tell but are not known."""
        if not self.selects_name(call.name):
            return None if self.may_mean(call.name) else False
        return True if self.specifier is None else self.specifier.matches(call, cwd)


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


def calls_by_name(session: Session) -> dict[str, list[ToolCall]]:
    """The session's calls grouped by recorded name, in order; made once per session."""
    return session.from_calls("calls_by_name", _calls_by_name)


def _calls_by_name(session: Session) -> dict[str, list[ToolCall]]:
    groups: defaultdict[str, list[ToolCall]] = defaultdict(list)
    for call in session.tool_calls:
        groups[call.name].append(call)
    return dict(groups)


def shell_lines(session: Session) -> list[tuple[ToolCall, Line | None]]:
    """The calls that run command lines, with their lines; looked at once per session.

    Besides Claude Code's shells these are other servers' tools with a `command` argument. None
    where a line should be and is not.
    """
    return session.from_calls("shell_lines", _shell_lines)


def _shell_lines(session: Session) -> list[tuple[ToolCall, Line | None]]:
    found: list[tuple[ToolCall, Line | None]] = []
    for name, group in calls_by_name(session).items():
        shell = is_shell(name)
        if not shell and not _may_be_shell(name):
            continue
        for call in group:
            text = _command_text(call)
            if text is not None:
                found.append((call, line_of(text)))
            elif shell:
                found.append((call, None))
    return found


def shell_index(session: Session) -> Lines:
    """The lines of `shell_lines`, to be asked for programs; made once per session.

    Lines that were cut short, and those of other shells, are worth reading for any.
    """
    return session.from_calls("shell_index", _shell_index)


def _shell_index(session: Session) -> Lines:
    lines = shell_lines(session)
    return Lines(
        [line for _, line in lines],
        [
            at
            for at, (call, _) in enumerate(lines)
            if call.input_truncated or not reads_posix(call.name)
        ],
    )


def _may_be_shell(name: str) -> bool:
    return name.startswith("mcp__") or tool_category(name) == "other"


def _command_text(call: ToolCall) -> str | None:
    """The line in a call's `command`, its `args` behind it where they are given apart."""
    own = is_shell(call.name)
    if own and call.input is not None and isinstance(line := call.input.get("command"), str):
        return line  # as nearly always
    arguments = (call.input or {}) if own else _by_plain_name(call.input or {})
    runs = not own and _RUNS.search(call.name.rsplit("__", 1)[-1])
    keys = _LINE_KEYS
    if runs:
        keys += _PROGRAM_KEYS if runs["shell"] is None else (*_PROGRAM_KEYS, *_SHELL_KEYS)
    for key in keys:
        given = arguments.get(key)
        if isinstance(given, str):
            return given if own else " ".join([given, *_words_apart(arguments)])
        if isinstance(given, (list, tuple)) and _are_words(given):
            return shlex.join([*given, *_plain_words(arguments)])
    lines = None if own else arguments.get("commands")
    if lines and _are_words(lines):
        return "\n".join(lines)
    words = arguments.get("argv") if runs else None
    return shlex.join(words) if words and _are_words(words) else None


def _by_plain_name(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments by their names in small letters alone, those of `params` among them."""
    plain = {_NO_LETTER.sub("", str(key)).lower(): value for key, value in given.items()}
    for key in ("params", "parameters", "options", "request"):
        inner = plain.get(key)
        if isinstance(inner, Mapping):
            plain = {**_by_plain_name(inner), **plain}
    return plain


def _are_words(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and all(isinstance(word, str) for word in given)


def _plain_words(arguments: Mapping[str, Any]) -> list[str]:
    given = next((arguments[key] for key in _ARGUMENTS if _are_words(arguments.get(key))), ())
    return list(given)


def _words_apart(arguments: Mapping[str, Any]) -> list[str]:
    """The words of `args`, quoted; a text is for a shell to cut."""
    text = next((arguments[key] for key in _ARGUMENTS if isinstance(arguments.get(key), str)), "")
    return [shlex.quote(word) for word in _plain_words(arguments)] or ([text] if text else [])


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
