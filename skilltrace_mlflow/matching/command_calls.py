"""Where the calls of a session meet a command pattern."""

from __future__ import annotations

from dataclasses import dataclass

from skilltrace_mlflow.commands.command_pattern import CommandMatch, CommandPattern
from skilltrace_mlflow.commands.pattern import Pattern
from skilltrace_mlflow.commands.prefilter import Line
from skilltrace_mlflow.commands.shell import reads_posix
from skilltrace_mlflow.commands.sql.patterns import SqlPattern
from skilltrace_mlflow.commands.sql.sources import (
    executes_sql,
    hands_over_sql,
    may_take_sql,
    sql_of,
)
from skilltrace_mlflow.matching.selectors import calls_by_name, shell_lines
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import is_shell

__all__ = ["CallMatch", "calls_matching", "near_misses"]


@dataclass(frozen=True, kw_only=True)
class CallMatch:
    """A call that meets a ban, or may meet it (then `reason` says what is not known).

    `otherwise`: only where another command of its line failed.
    """

    call: ToolCall
    text: str = ""
    parser: str = ""
    reason: str = ""
    otherwise: bool = False

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
    for call, line in shell_lines(session):
        match = _look_at_line(call, line, pattern)
        if match is None and (call.input_truncated or blind):
            match = _HIDDEN
        if match is not None:
            matched.append((call, match))
            if first and match.met and not match.otherwise:
                return [_call_match(call, match)], []
    if pattern.sql is not None:
        for name, calls in calls_by_name(session).items():
            if is_shell(name) or not may_take_sql(name):
                continue
            named = executes_sql(name)
            for call in calls:
                found = _look_at_sql(call, pattern)
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


def near_misses(session: Session, pattern: CommandPattern) -> list[str]:
    """Commands that have the pattern's program and are not it, the most alike first.

    A few lines are read, those that have the pattern's words before others.
    """
    lines = [
        (call, line)
        for call, line in shell_lines(session)
        if line is not None and pattern.hint.stands_in(line.text, line.bare)
    ]
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
    )


_HIDDEN = CommandMatch(met=None)
_COMPOSED = "whose words are composed at run time"
_REASONS = {
    "segments: syntax error": "which could not be parsed",
    "scanner: not tokenized": "which could not be parsed",
}


def _look_at_line(call: ToolCall, line: Line | None, pattern: Pattern) -> CommandMatch | None:
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
    if sql is not None and not (found and found.met) and (foreign or _may_hold(line, sql)):
        match = _look_at_sql(call, pattern)
        if match is not None and (found is None or match.met):
            found = match
    return found


def _may_hold(line: Line, sql: SqlPattern) -> bool:
    """Whether a line may hold a statement that begins with the pattern's word."""
    if "$" in line.text or "`" in line.text or sql.words[0] in line.bare.upper():
        return True
    return hands_over_sql(line.text)  # of which the line may show no word


def _look_at_sql(call: ToolCall, pattern: Pattern) -> CommandMatch | None:
    found: CommandMatch | None = None
    for text in sql_of(call) if pattern.sql is not None else ():
        match = pattern.sql.find(text) if pattern.sql is not None else None
        if match is not None and match.met:
            return match
        found = found or match
    return found
