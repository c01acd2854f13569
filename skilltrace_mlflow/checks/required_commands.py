"""`required_commands`: commands and SQL statements that must be run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude, missing
from skilltrace_mlflow.checks._parameters import About, Items, declare, each
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.commands.pattern import Pattern, parse_pattern
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.command_calls import CallMatch, calls_matching
from skilltrace_mlflow.session import Session

__all__ = ["RequiredCommands", "required_commands"]

_RULE = re.compile(r"[A-Za-z_]\w*\(.*\)", re.DOTALL)


def _read_pattern(text: str, _: object) -> Pattern:
    if _RULE.fullmatch(text.strip()):
        raise ParameterError(f"{text!r} is a permission rule; use required_tools")
    return parse_pattern(text)


def _each_pattern(items: Mapping[int, Any], path: tuple[str | int, ...]) -> tuple[Pattern, ...]:
    found = each(_read_pattern, once=False)(items, path)
    return tuple({pattern.text: pattern for pattern in found}.values())


@dataclass(frozen=True, kw_only=True)
class RequiredCommands:
    """The patterns of which each must be met."""

    commands: Annotated[
        tuple[Pattern, ...],
        Items(read=_each_pattern),
        About("What must be run.", each="A command or an SQL statement, with wildcards."),
    ]
    threshold: float = 1.0


_DECLARED = declare(RequiredCommands)


@check(
    name="required_commands",
    declared=_DECLARED,
    examples=(
        Example(
            value=["pytest", "git commit"],
            calls=(
                {"name": "Bash", "input": {"command": "uv run pytest -q tests"}},
                {"name": "Bash", "input": {"command": "git add -A && git commit -m done"}},
            ),
            verdict=Verdict.PASS,
            why="commands are found behind what carries them and in compound lines",
        ),
        Example(
            value=["pytest"],
            calls=({"name": "Bash", "input": {"command": "echo 'now run pytest'"}},),
            verdict=Verdict.FAIL,
            why="saying it is not running it",
        ),
    ),
)
def required_commands(session: Session, parameters: RequiredCommands) -> Outcome:
    """Every command pattern was met by some call, whatever came of the call.

    Patterns are those of `banned_tools`: `git push` means every spelling of that command, `CREATE
    TABLE` every statement of that kind in the SQL that was executed, `Copy-Item` PowerShell's
    command under any of its names.

    Seen: command lines and SQL as `banned_tools` reads them, behind known launchers too.

    A program that is asked for its help or its version did not do its work, unless the pattern asks
    for that, too.

    Unknown: what may not have run (behind `||` or `exit`, in a branch of `if` or `case`) or is a
    function of that name, a dry run, what is put together at run time and could be it, what an
    unknown program may run, and a command that is not found where the record has gaps.

    Out of sight: the text of script files, and whether the command did what was wanted.
    """
    lost = missing(session, "tool_names")
    if lost is not None:
        return lost
    findings = []
    for pattern in parameters.commands:
        certain, possible = calls_matching(session, pattern, first=True)
        text, met = _said(certain, possible)
        text = f"{pattern.text}: {text}"
        calls = tuple(found.call for found in (*certain, *possible))
        findings.append(Finding(text=text, met=met, could_meet=True, calls=calls))
    return conclude(session, findings, threshold=parameters.threshold)


def _said(certain: list[CallMatch], possible: list[CallMatch]) -> tuple[str, bool | None]:
    """What is to be said of the calls that met a pattern or may have, and whether it was met."""
    at_work = [found for found in certain if not found.held_back]
    ran = [found for found in at_work if not found.otherwise]
    if ran:
        return ran[0].describe(), True
    if at_work:
        return f"{at_work[0].describe()}, which may not have run", None
    rehearsed = [found for found in certain if found.held_back == "dry run"]
    if rehearsed:
        return f"{rehearsed[0].describe()}, a dry run", None
    if possible:
        return possible[0].describe(), None
    if certain:
        return f"not run; {certain[0].describe()} asks for its {certain[0].held_back}", False
    return "not run", False
