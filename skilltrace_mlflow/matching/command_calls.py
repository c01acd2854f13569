"""Where the calls of a session meet a command pattern."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from skilltrace_mlflow.commands.command_pattern import CommandMatch, CommandPattern, HeldBack
from skilltrace_mlflow.commands.pattern import Pattern
from skilltrace_mlflow.commands.prefilter import Line
from skilltrace_mlflow.commands.shell import reads_posix
from skilltrace_mlflow.commands.sql.patterns import SqlPattern
from skilltrace_mlflow.commands.sql.sources import (
    SqlText,
    executes_sql,
    hands_over_sql,
    may_take_sql,
    sql_of,
)
from skilltrace_mlflow.matching.session_calls import calls_by_name, shell_index, shell_lines
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import is_shell

__all__ = ["CallMatch", "calls_matching", "near_misses"]


@dataclass(frozen=True, kw_only=True)
class CallMatch:
    """A call that meets a ban, or may meet it (then `reason` says what is not known).

    `otherwise`: only under a condition, as where another command of its line failed. `held_back`
    says what the program was asked for in place of its work.
    """

    call: ToolCall
    text: str = ""
    parser: str = ""
    reason: str = ""
    otherwise: bool = False
    held_back: HeldBack = ""

    def describe(self) -> str:
        """For a rationale: what was called, whether it was refused, why it is doubtful."""
        shown = f"`{self.text}`" if self.text else f"{self.call.name} was called"
        if self.call.outcome == "denied":
            shown += " (attempted, denied)"
        return f"{shown}, {self.reason}" if self.reason else shown


def calls_matching(
    session: Session, pattern: Pattern, *, first: bool = False
) -> tuple[list[CallMatch], list[CallMatch]]:
    """Calls that meet the pattern, and calls of which it cannot be told.

    With `first` the search ends at the first call that certainly meets it.
    """
    matched: list[tuple[ToolCall, CommandMatch]] = []
    blind = session.lacks("tool_inputs") is not None
    statements = _Sql.of(session)
    for call, line in _worth_reading(session, pattern, blind=blind):
        match = _look_at_line(call, line, pattern, statements)
        if match is None and (call.input_truncated or blind):
            match = _HIDDEN
        if match is not None:
            matched.append((call, match))
            if first and match.in_earnest:
                return [_call_match(call, match)], []
    if pattern.sql is not None:
        for name, calls in calls_by_name(session).items():
            if is_shell(name) or not may_take_sql(name):
                continue
            named = executes_sql(name)
            for call in calls:
                found = _look_at_sql(call, pattern, statements)
                if (
                    found is None
                    and named
                    and (call.input is None or call.input_truncated or blind)
                ):
                    found = _HIDDEN
                if found is not None:
                    matched.append((call, found))
    certain: list[CallMatch] = []
    possible: list[CallMatch] = []
    for call, match in matched:
        (certain if match.met else possible).append(_call_match(call, match))
    return certain, possible


def _worth_reading(
    session: Session, pattern: Pattern, *, blind: bool
) -> Iterable[tuple[ToolCall, Line | None]]:
    """Lines in which the pattern may be found, in order; all of them where arguments are lost."""
    lines = shell_lines(session)
    if blind:
        return lines
    places: set[int] = set()
    if pattern.command is not None:
        places.update(shell_index(session).which_may_run(pattern.command.hint))
    if pattern.sql is not None:
        open_, texts = session.from_calls("sql_in_lines", _sql_in_lines)
        word = pattern.sql.words[0]
        places.update(open_)
        places.update(at for at, text in texts if word in text)
    return [lines[at] for at in sorted(places)]


def _sql_in_lines(session: Session) -> tuple[set[int], list[tuple[int, str]]]:
    """Places of lines that may hold any statement; of the others, with their text in capitals."""
    open_: set[int] = set()
    texts: list[tuple[int, str]] = []
    for at, (call, line) in enumerate(shell_lines(session)):
        if (
            line is None
            or call.input_truncated
            or not reads_posix(call.name)
            or _may_hold_any(line)
        ):
            open_.add(at)
        else:
            texts.append((at, line.bare.upper()))
    return open_, texts


def near_misses(session: Session, pattern: CommandPattern) -> list[str]:
    """Commands that have the pattern's program and are not it, the most alike first.

    A few lines are read, those that have the pattern's words before others.
    """
    known = shell_lines(session)
    places = shell_index(session).which_name(pattern.hint)
    lines = [(call, line) for call, line in map(known.__getitem__, places) if line is not None]
    alike = [one for one in lines if pattern.hint.is_named(one[1].text, one[1].bare)]
    found = [pattern.nearest(line.text, call.name) for call, line in (*alike[:3], *lines[:2])]
    ranked = sorted((one for one in found if one is not None), key=lambda one: not one[0])
    return list(dict.fromkeys(text for _, text in ranked))


def _call_match(call: ToolCall, match: CommandMatch) -> CallMatch:
    reason = ""
    if match is _HIDDEN:
        reason = "whose arguments were " + ("cut short" if call.input_truncated else "not recorded")
    elif not match.met:
        reason = match.reason or _REASONS.get(match.parser, _COMPOSED)
    return CallMatch(
        call=call,
        text=match.command,
        parser=match.parser,
        reason=reason,
        otherwise=match.otherwise,
        held_back=match.held_back,
    )


_HIDDEN = CommandMatch(met=None)
_COMPOSED = "whose words are composed at run time"
_REASONS = {
    "segments: syntax error": "which could not be parsed",
    "scanner: not tokenized": "which could not be parsed",
}


def _look_at_line(
    call: ToolCall, line: Line | None, pattern: Pattern, statements: _Sql
) -> CommandMatch | None:
    if line is None:
        return _HIDDEN
    found: CommandMatch | None = None
    command = pattern.command
    foreign = not reads_posix(call.name)
    if command is not None and (
        foreign or line.composes or command.hint.is_named(line.text, line.bare)
    ):
        found = command.find_parsed(line.text, call.name)
    sql = pattern.sql
    if sql is not None and not (found and found.in_earnest) and (foreign or _may_hold(line, sql)):
        match = _look_at_sql(call, pattern, statements)
        if match is not None and (found is None or match.in_earnest or not found.met):
            found = match
    return found


def _may_hold(line: Line, sql: SqlPattern) -> bool:
    """Whether a line may hold a statement that begins with the pattern's word."""
    return sql.words[0] in line.bare.upper() or _may_hold_any(line)


def _may_hold_any(line: Line) -> bool:
    """Whether a line may hold a statement of which it shows no word."""
    text = line.text
    return "$" in text or "`" in text or "\\u00" in text or hands_over_sql(text)


class _Sql(dict[int, tuple[SqlText, ...]]):
    """The statements of calls, by identity; each call is looked through once for all patterns."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        known = shell_lines(session)
        self._lines = {id(call): line.text for call, line in known if line is not None}

    @classmethod
    def of(cls, session: Session) -> _Sql:
        """Those of a session."""
        return session.from_calls("sql_of", cls)

    def texts(self, call: ToolCall) -> tuple[SqlText, ...]:
        """What a call holds."""
        found = self.get(id(call))
        if found is None:
            found = self[id(call)] = tuple(sql_of(call, self._lines.get(id(call))))
        return found


def _look_at_sql(call: ToolCall, pattern: Pattern, sql: _Sql) -> CommandMatch | None:
    if pattern.sql is None:
        return None
    found: CommandMatch | None = None
    for text in sql.texts(call):
        match = pattern.sql.find(text)
        if match is not None and match.in_earnest:
            return match
        if match is not None and (found is None or (match.met and not found.met)):
            found = match
    return found
