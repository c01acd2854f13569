"""`category_limits`: how often the tools of a category may, or must, be called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from skilltrace_mlflow.checks._findings import Outcome, Verdict, conclude, missing
from skilltrace_mlflow.checks._parameters import LIMIT, About, Entries, Limit, declare, parse_limit
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.session_calls import calls_by_name
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import tool_category

__all__ = ["CategoryLimits", "category_limits"]

_FIXED = ("agent", "bash", "file_ops", "other", "planning", "skill", "web")
_SERVER = re.compile(r"mcp_.+")


def _entry(name: str, value: Any, path: tuple[str | int, ...]) -> tuple[str, Limit]:
    if name not in _FIXED and not _SERVER.fullmatch(name):
        known = f"{', '.join(_FIXED)} and mcp_<server>"
        raise ParameterError(f"unknown category {name!r}; known are {known}", path=path)
    return name, parse_limit(value, path)


@dataclass(frozen=True, kw_only=True)
class CategoryLimits:
    """Categories with their limits."""

    limits: Annotated[
        tuple[tuple[str, Limit], ...],
        Entries(schema=LIMIT, read=_entry),
        About("Limits by category.", each="A category, file_ops or mcp_databricks.", offer=_FIXED),
    ]
    threshold: float = 1.0


_DECLARED = declare(CategoryLimits)


@check(
    name="category_limits",
    declared=_DECLARED,
    examples=(
        Example(
            value={"bash": 10, "mcp_databricks": 5},
            calls=({"name": "Bash"}, {"name": "mcp__databricks__execute_sql"}),
            verdict=Verdict.PASS,
            why="one call in either category",
        ),
        Example(
            value={"file_ops": 1},
            calls=({"name": "Read"}, {"name": "Edit"}),
            verdict=Verdict.FAIL,
            why="Read and Edit are both file operations",
        ),
    ),
)
def category_limits(session: Session, parameters: CategoryLimits) -> Outcome:
    """The number of calls of every category is within its limit.

    Categories are `bash`, `file_ops`, `mcp_<server>`, `web`, `agent`, `skill`, `planning` and
    `other`.

    Seen: every call by the category of its tool; tools that nobody knows are `other`, those of
    a server `mcp_<server>`.

    Unknown: a category whose count calls could change which the record lost.

    Out of sight: what a shell command does: `cat` counts as `bash`, not as `file_ops`.
    """
    lost = missing(session, "tool_categories")
    if lost is not None:
        return lost
    made: dict[str, list[ToolCall]] = {}
    for name, calls in calls_by_name(session).items():
        made.setdefault(tool_category(name), []).extend(calls)
    findings, counts = [], {}
    for name, limit in parameters.limits:
        of_it = made.get(name, [])
        counts[name] = len(of_it)
        findings.append(limit.judge(name, len(of_it), len(of_it), of_it))
    details = {"counts": counts}
    return conclude(session, findings, threshold=parameters.threshold, details=details)
