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
from skilltrace_mlflow.matching.command_calls import calls_matching
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

    Unknown: what stands behind `||` or `exit` or is a function of that name, what is put together
    at run time and could be it, what an unknown program may run, and a command that is not found
    where the record has gaps.

    Out of sight: the text of script files, and whether the command did what was wanted.
    """
    lost = missing(session, "tool_names")
    if lost is not None:
        return lost
    findings = []
    for pattern in parameters.commands:
        certain, possible = calls_matching(session, pattern, first=True)
        sure = [found_call for found_call in certain if not found_call.otherwise]
        if sure:
            text, met = f"{pattern.text}: {sure[0].describe()}", True
        elif certain:
            why = "which ran only if the command in front of || failed"
            text, met = f"{pattern.text}: {certain[0].describe()}, {why}", None
        elif possible:
            text, met = f"{pattern.text}: {possible[0].describe()}", None
        else:
            text, met = f"{pattern.text}: not run", False
        calls = tuple(found_call.call for found_call in (*certain, *possible))
        findings.append(Finding(text=text, met=met, could_meet=True, calls=calls))
    return conclude(session, findings, threshold=parameters.threshold)
