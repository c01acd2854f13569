"""`required_tools`: tools that must be called at least once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude, missing
from skilltrace_mlflow.checks._parameters import About, Items, declare, each
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.matching.selectors import Selector, count, select, selector_at
from skilltrace_mlflow.session import Session

__all__ = ["RequiredTools", "required_tools"]


@dataclass(frozen=True, kw_only=True)
class RequiredTools:
    """The selectors of which each must mean a call."""

    tools: Annotated[
        tuple[Selector, ...],
        Items(read=each(selector_at)),
        About(
            "Tools that must be called.", each="A tool, a glob or a permission rule.", offer="tools"
        ),
    ]
    threshold: float = 1.0


_DECLARED = declare(RequiredTools)


@check(
    name="required_tools",
    declared=_DECLARED,
    examples=(
        Example(
            value=["Read", "mcp__databricks__*"],
            calls=({"name": "Read"}, {"name": "mcp__databricks__execute_sql"}),
            verdict=Verdict.PASS,
            why="each selector means a call",
        ),
        Example(
            value=["Read", "Bash(pytest:*)"],
            calls=({"name": "Read"}, {"name": "Bash", "input": {"command": "ls"}}),
            verdict=Verdict.FAIL,
            why="Bash was called, but never with pytest",
        ),
    ),
)
def required_tools(session: Session, parameters: RequiredTools) -> Outcome:
    """Every selector was called at least once, whatever came of the call.

    Seen: every call by its recorded name and its older or newer one, whatever came of it.

    Unknown: a tool that was not called where the record has gaps, or whose call's arguments a
    rule asks for and the record lacks.

    Out of sight: the same work done by other means (`cat` for `Read`); ask for commands with
    `required_commands`.
    """
    lost = missing(session, "tool_names")
    if lost is not None:
        return lost
    findings = []
    for selector in parameters.tools:
        at_least, at_most = count(session, (selector,))
        met = True if at_least else (None if at_most else False)
        times = {True: f"{at_least} ×", None: "perhaps", False: "not called"}[met]
        calls = tuple(select(session, selector)[1]) if met is None else ()
        text = f"{selector.text}: {times}"
        findings.append(Finding(text=text, met=met, could_meet=True, calls=calls))
    return conclude(session, findings, threshold=parameters.threshold)
