"""`duration`: how long a session may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude, missing, unknown
from skilltrace_mlflow.checks._parameters import fixed, to_float
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.session import Session

__all__ = ["duration"]


def parse(value: Mapping[str, Any]) -> float:
    """`{max_seconds}`."""
    return to_float(value["max_seconds"], "max_seconds")


@check(
    name="duration",
    schema=fixed({"max_seconds": {"type": "number", "exclusiveMinimum": 0}}, scope=False),
    parse=parse,
    scoped=False,
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
def duration(session: Session, parameters: float) -> Outcome:
    """The time between the session's first and last entry stays within the limit."""
    lost = missing(session, "times")
    if lost is not None:
        return lost
    if session.start_time is None or session.end_time is None:
        return unknown("the session has no times")
    seconds = (session.end_time - session.start_time).total_seconds()
    met = seconds <= parameters
    text = f"duration: {seconds:,.1f} s {'≤' if met else '>'} {parameters:,g} s"
    finding = Finding(text=text, met=met, could_break=True)
    return conclude(session, [finding], details={"seconds": seconds})
