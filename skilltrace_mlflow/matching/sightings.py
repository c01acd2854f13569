"""Where the calls of a session meet a command pattern."""

from __future__ import annotations

from dataclasses import dataclass

from skilltrace_mlflow.commands.command_pattern import CommandPattern, Sighting
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

__all__ = ["Encounter", "encounters", "near_misses"]


@dataclass(frozen=True, kw_only=True)
class Encounter:
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


def encounters(
    session: Session, pattern: Pattern, *, first: bool = False
) -> tuple[list[Encounter], list[Encounter]]:
    """Calls that meet the pattern, and calls of which it cannot be told.

    With `first` the search ends at the first call that certainly meets it.
    """
    sightings: list[tuple[ToolCall, Sighting]] = []
    blind = session.lacks("tool_inputs") is not None
    for call, line in shell_lines(session):
        sighting = _look_at_line(call, line, pattern)
        if sighting is None and (call.input_truncated or blind):
            sighting = _HIDDEN
        if sighting is not None:
            sightings.append((call, sighting))
            if first and sighting.met and not sighting.otherwise:
                return [_encounter(call, sighting)], []
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
                    sightings.append((call, found))
    certain: list[Encounter] = []
    possible: list[Encounter] = []
    for call, sighting in sightings:
        (certain if sighting.met else possible).append(_encounter(call, sighting))
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


def _encounter(call: ToolCall, sighting: Sighting) -> Encounter:
    reason = ""
    if sighting is _HIDDEN:
        reason = "whose arguments were " + ("cut short" if call.input_truncated else "not recorded")
    elif not sighting.met:
        reason = sighting.reason or _REASONS.get(sighting.parser, _COMPOSED)
    return Encounter(
        call=call,
        text=sighting.command,
        parser=sighting.parser,
        reason=reason,
        otherwise=sighting.otherwise,
    )


_HIDDEN = Sighting(met=None)
_COMPOSED = "whose words are composed at run time"
_REASONS = {
    "segments: syntax error": "which could not be parsed",
    "scanner: not tokenized": "which could not be parsed",
}


def _look_at_line(call: ToolCall, line: Line | None, pattern: Pattern) -> Sighting | None:
    if line is None:
        return _HIDDEN
    found: Sighting | None = None
    command = pattern.command
    foreign = not reads_posix(call.name)
    if command is not None and (
        foreign or line.composes or command.hint.is_named(line.text, line.bare)
    ):
        found = command.find_parsed(line.text, call.name)
    sql = pattern.sql
    if sql is not None and not (found and found.met) and (foreign or _may_hold(line, sql)):
        sighting = _look_at_sql(call, pattern)
        if sighting is not None and (found is None or sighting.met):
            found = sighting
    return found


def _may_hold(line: Line, sql: SqlPattern) -> bool:
    """Whether a line may hold a statement that begins with the pattern's word."""
    if "$" in line.text or "`" in line.text or sql.words[0] in line.bare.upper():
        return True
    return hands_over_sql(line.text)  # of which the line may show no word


def _look_at_sql(call: ToolCall, pattern: Pattern) -> Sighting | None:
    found: Sighting | None = None
    for text in sql_of(call) if pattern.sql is not None else ():
        sighting = pattern.sql.find(text) if pattern.sql is not None else None
        if sighting is not None and sighting.met:
            return sighting
        found = found or sighting
    return found
