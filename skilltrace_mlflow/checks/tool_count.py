"""`tool_limits`: how often tools may, or must, be called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from skilltrace_mlflow.checks._findings import Outcome, Verdict, conclude, missing
from skilltrace_mlflow.checks._parameters import LIMIT, About, Entries, Limit, declare, parse_limit
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.mistakes import refuse_half_absolute
from skilltrace_mlflow.matching.selectors import Selector, count, select, selector_at
from skilltrace_mlflow.session import Session

__all__ = ["ToolLimits", "tool_count"]


def _entry(name: str, value: Any, path: tuple[str | int, ...]) -> tuple[Selector, Limit]:
    selector = selector_at(name, path)
    try:
        refuse_half_absolute(name)
    except ParameterError as error:
        raise ParameterError(str(error), path=path) from None
    return selector, parse_limit(value, path)


@dataclass(frozen=True, kw_only=True)
class ToolLimits:
    """Selectors with their limits."""

    limits: Annotated[
        tuple[tuple[Selector, Limit], ...],
        Entries(schema=LIMIT, read=_entry),
        About("Limits by tool.", each="A tool, a glob or a permission rule.", offer="tools"),
    ]
    threshold: float = 1.0


_DECLARED = declare(ToolLimits)


@check(
    name="tool_count",
    key="tool_limits",
    declared=_DECLARED,
    examples=(
        Example(
            value={"Bash": 5, "Read": {"min": 1}},
            calls=({"name": "Read"}, {"name": "Bash"}),
            verdict=Verdict.PASS,
            why="one Bash call of at most five, one Read call of at least one",
        ),
        Example(
            value={"mcp__databricks__*": 1},
            calls=(
                {"name": "mcp__databricks__execute_sql"},
                {"name": "mcp__databricks__list_jobs"},
            ),
            verdict=Verdict.FAIL,
            why="the calls of all tools that a glob means are counted together",
        ),
    ),
)
def tool_count(session: Session, parameters: ToolLimits) -> Outcome:
    """The number of calls of every selector is within its limit.

    A number is the maximum, `{min, max}` names either or both. A call counts whatever came of it,
    and sub-agents' calls count unless `scope` says otherwise.

    Seen: every call in the record by its recorded name and its older or newer one, whatever
    came of it; a rule's specifier (`Bash(git:*)`) by the arguments.

    Unknown: a count that calls could change which the record lost (a maximum that is kept, a
    minimum that is not reached), and a call whose arguments are not recorded, where a rule asks
    for them.

    Out of sight: what a program that was run calls by itself; calls of Claude Code's own
    helpers (summaries, titles), which are no tool calls.
    """
    lost = missing(session, "tool_names")
    if lost is not None:
        return lost
    findings = []
    counts = {}
    for selector, limit in parameters.limits:
        at_least, at_most = count(session, (selector,))
        counts[selector.text] = at_least
        over = limit.maximum is not None and at_least > limit.maximum
        calls = select(session, selector)[0] if over else ()
        findings.append(limit.judge(selector.text, at_least, at_most, calls))
    return conclude(session, findings, threshold=parameters.threshold, details={"counts": counts})
