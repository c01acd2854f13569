"""`category_limits`: how often the tools of a category may, or must, be called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks._findings import Outcome, Verdict, conclude, missing
from skilltrace_mlflow.checks._parameters import LIMIT, Limit, mapping_or_long, parse_limit, unfold
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.selectors import calls_by_name
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import tool_category

__all__ = ["CategoryLimits", "category_limits"]

_FIXED = ("agent", "bash", "file_ops", "other", "planning", "skill", "web")
_SERVER = re.compile(r"mcp_.+")


@dataclass(frozen=True, kw_only=True)
class CategoryLimits:
    """Categories with their limits."""

    limits: tuple[tuple[str, Limit], ...]
    threshold: float = 1.0


def parse(value: Mapping[str, Any]) -> CategoryLimits:
    """`{bash: 10, mcp_databricks: 5}`; ParameterError for a category that does not exist."""
    limits, threshold, path = unfold(value, "limits")
    for name in limits:
        if name not in _FIXED and not _SERVER.fullmatch(name):
            raise ParameterError(
                f"unknown category {name!r}; known are {', '.join(_FIXED)} and mcp_<server>",
                path=(*path, name),
            )
    return CategoryLimits(
        limits=tuple((name, parse_limit(limit, (*path, name))) for name, limit in limits.items()),
        threshold=threshold,
    )


@check(
    name="category_limits",
    main="limits",
    schema=mapping_or_long("limits", LIMIT),
    parse=parse,
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
