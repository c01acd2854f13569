"""Where the calls of a session meet a command pattern."""

from __future__ import annotations

from dataclasses import dataclass

from skilltrace_mlflow.checks._commands import Sighting
from skilltrace_mlflow.checks._patterns import Pattern
from skilltrace_mlflow.checks._select import calls_by_name
from skilltrace_mlflow.checks._sql import executes_sql, sql_of
from skilltrace_mlflow.metrics import tool_category
from skilltrace_mlflow.session import Session, ToolCall

__all__ = ["Encounter", "encounters", "is_shell"]


@dataclass(frozen=True, kw_only=True)
class Encounter:
    """A call that meets a ban, or may meet it (then `reason` says what is not known)."""

    call: ToolCall
    text: str = ""
    parser: str = ""
    reason: str = ""

    def describe(self) -> str:
        """For a rationale: what was called, whether it was refused, why it is doubtful."""
        shown = f"`{self.text}`" if self.text else f"{self.call.name} was called"
        if self.call.outcome == "denied":
            shown += " (attempted, denied)"
        return f"{shown}, {self.reason}" if self.reason else shown


def is_shell(name: str) -> bool:
    """Whether a tool runs command lines."""
    return tool_category(name) == "bash"


def encounters(session: Session, pattern: Pattern) -> tuple[list[Encounter], list[Encounter]]:
    """Calls that meet the pattern, and calls of which it cannot be told."""
    certain: list[Encounter] = []
    possible: list[Encounter] = []
    for name, calls in calls_by_name(session).items():
        shell = is_shell(name)
        if not shell and (pattern.sql is None or not executes_sql(name)):
            continue
        for call in calls:
            sighting = _look(session, call, pattern, shell=shell)
            if sighting is None:
                continue
            encounter = Encounter(
                call=call,
                text=sighting.command,
                parser=sighting.parser,
                reason="" if sighting.met else (_REASONS.get(sighting.parser, _COMPOSED)),
            )
            (certain if sighting.met else possible).append(encounter)
    return certain, possible


_COMPOSED = "whose words are composed at run time"
_REASONS = {
    "arguments": "whose arguments are not recorded",
    "truncated": "whose arguments were cut short",
    "segments: syntax error": "which could not be parsed",
    "scanner: not tokenized": "which could not be parsed",
}


def _look(session: Session, call: ToolCall, pattern: Pattern, *, shell: bool) -> Sighting | None:
    if call.input is None:
        return Sighting(met=None, parser="arguments")
    found: Sighting | None = None
    line = call.input.get("command") if shell else None
    if shell and not isinstance(line, str):
        # BashOutput and its like take no command line; a Bash call without one is not understood
        if call.name in ("Bash", "PowerShell"):
            return Sighting(met=None, parser="arguments")
        return None
    if isinstance(line, str) and pattern.command is not None:
        found = pattern.command.find(line)
    if pattern.sql is not None and not (found and found.met):
        for text in sql_of(call):
            sighting = pattern.sql.find(text)
            if sighting is not None and (found is None or sighting.met):
                found = sighting
            if sighting is not None and sighting.met:
                break
    if found is None and (call.input_truncated or session.lacks("tool_inputs")):
        return Sighting(met=None, parser="truncated" if call.input_truncated else "arguments")
    return found
