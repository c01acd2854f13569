"""`permission_denials`: how many calls may be refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from skilltrace_mlflow.checks._findings import Outcome, Verdict, conclude
from skilltrace_mlflow.checks._parameters import About, Count, Limit, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.session import Session

__all__ = ["PermissionDenials", "permission_denials"]


@dataclass(frozen=True, kw_only=True)
class PermissionDenials:
    """The most refusals."""

    max: Annotated[Count, About("The most refusals.")]


_DECLARED = declare(PermissionDenials)


@check(
    name="permission_denials",
    declared=_DECLARED,
    examples=(
        Example(
            value={"max": 0},
            calls=({"name": "Bash", "outcome": "failed"},),
            verdict=Verdict.PASS,
            why="a command that failed was not refused",
        ),
        Example(
            value={"max": 0},
            calls=({"name": "Bash", "outcome": "denied"},),
            verdict=Verdict.FAIL,
            why="refused by a person, a rule or a hook",
        ),
        Example(
            value={"max": 0},
            calls=({"name": "Write", "outcome": "failed", "details": {"maybe_refused": True}},),
            verdict=Verdict.UNKNOWN,
            why="a person's or a hook's own words, which the record does not tell from an error",
        ),
    ),
)
def permission_denials(session: Session, parameters: PermissionDenials) -> Outcome:
    """The number of calls that a person, a rule or a hook refused stays within the limit.

    Up to version 2.1.204 Claude Code marks neither a rejection with the person's own words nor a
    hook's or an SDK's refusal in words: a call that failed with words that are no tool's may have
    been one, and counts as not known.

    Seen: calls that are marked as refused, or whose result is Claude Code's own sentence of
    refusal.

    Unknown: up to version 2.1.204 a failure in words that are no tool's, a call without a
    recorded end, and a record with gaps that stays within the limit.

    Out of sight: questions that a person answered with yes, and rules that kept the model from
    asking at all.
    """
    calls = session.tool_calls
    denied = [call for call in calls if call.outcome == "denied"]
    blind = session.lacks("tool_outcomes") is not None
    open_ = [
        c
        for c in calls
        if c.outcome == "unknown" or c.maybe_refused or (blind and c.outcome != "denied")
    ]
    finding = Limit(maximum=parameters.max).judge(
        "denied", len(denied), len(denied) + len(open_), denied
    )
    details = {
        "denied": [
            {"tool": c.name, "id": c.id, "agent": c.agent, "reason": c.outcome_reason}
            for c in denied[:100]
        ]
    }
    note = ", ".join(sorted({call.name for call in denied}))
    lost = session.lacks("tool_outcomes", "tool_names")
    return conclude(session, [finding], lost=lost, note=note, details=details)
