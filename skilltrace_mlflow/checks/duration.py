"""`duration`: how long a session may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude, missing, unknown
from skilltrace_mlflow.checks._parameters import About, Bound, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.session import Session

__all__ = ["Duration", "duration"]


@dataclass(frozen=True, kw_only=True)
class Duration:
    """The most in seconds."""

    max_seconds: Annotated[float, Bound(above=0), About("The most, in seconds.")]


_DECLARED = declare(Duration, scope=False)


@check(
    name="duration",
    declared=_DECLARED,
    examples=(
        Example(
            value={"max_seconds": 60},
            calls=({"name": "Read"}, {"name": "Edit"}),
            verdict=Verdict.PASS,
            why="two seconds between the first and the last entry",
        ),
        Example(
            value={"max_seconds": 1},
            calls=({"name": "Read"}, {"name": "Edit"}),
            verdict=Verdict.FAIL,
            why="two seconds are more than one",
        ),
    ),
)
def duration(session: Session, parameters: Duration) -> Outcome:
    """The time between the session's first and last entry stays within the limit.

    Seen: the times of the first and the last entry; the time that the result of `claude -p` states,
    whose output does not hold when it was asked.

    Unknown: a session without times, and one whose record has gaps and stays under the limit.

    Out of sight: waiting for a person is counted; work in the background behind the last entry
    is not.
    """
    lost = missing(session, "times")
    if lost is not None:
        return lost
    seconds = session.duration_seconds
    if seconds is None:
        return unknown("the session has no times")
    met = seconds <= parameters.max_seconds
    text = f"duration: {seconds:,.1f} s {'≤' if met else '>'} {parameters.max_seconds:,g} s"
    finding = Finding(text=text, met=met, could_break=True)
    return conclude(session, [finding], details={"seconds": seconds})
