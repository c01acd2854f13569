"""`completion`: whether the agent came to its own end."""

from __future__ import annotations

from typing import Literal

from skilltrace_mlflow.checks._findings import Outcome, Verdict, unknown
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.session import REFUSED, Ending, EndingKind, Session

__all__ = ["completion", "describe_ending", "ending_notes"]

Demand = Literal["noticed", "required", "ignore"]
_NOTICED: Demand = "noticed"

_SAID: dict[EndingKind, str] = {
    "finished": "the model ended its turn itself",
    "cut_off": "the session was cut off",
    "turn_limit": "the limit of turns was reached",
    "budget_limit": "the budget limit was reached",
    "interrupted": "a person interrupted the session",
    "stopped": "a hook or a rule stopped the session",
    "unknown": "the record does not say how the session ended",
}


def describe_ending(ending: Ending) -> str:
    """How a session ended, in words: what kind of end, and what shows it."""
    said = _SAID[ending.kind]
    if not ending.text or ending.text in said or said in ending.text:
        return ending.text if said in ending.text else said
    return f"{said}: {ending.text}"


def ending_notes(session: Session) -> tuple[str, ...]:
    """What a reader of the result should know of the session's end: a limit, a hook, a cut."""
    ending = session.ending
    if ending.kind == "unknown" or (ending.kind == "finished" and ending.text != REFUSED):
        return ()
    return (f"ended early: {describe_ending(ending)}",)


def parse(value: str | None) -> Demand:
    """`required` or `ignore`; nothing written is `noticed`."""
    if value == "required":
        return "required"
    return "ignore" if value == "ignore" else "noticed"


_FINISHED = {"ending": Ending(kind="finished")}
_OVERLOADED = {"ending": Ending(kind="cut_off", text="API Error: 529 Overloaded")}
_TURNS = {"ending": Ending(kind="turn_limit")}


@check(
    name="completion",
    schema={"enum": ["required", "ignore"]},
    parse=parse,
    implied=_NOTICED,
    ignored="ignore",
    scoped=False,
    examples=(
        Example(
            value="required",
            session=_FINISHED,
            verdict=Verdict.PASS,
            why="the model ended its turn itself",
        ),
        Example(
            value="required",
            session=_TURNS,
            verdict=Verdict.FAIL,
            why="a limit ended the session, not the model",
        ),
        Example(
            value="required",
            verdict=Verdict.UNKNOWN,
            why="a record that cannot say how the session ended proves neither",
        ),
        Example(
            value="ignore",
            session=_OVERLOADED,
            verdict=Verdict.NOT_APPLICABLE,
            why="told not to look",
        ),
    ),
)
def completion(session: Session, parameters: Demand) -> Outcome:
    """The agent came to its end; judged on every session, written or not.

    A session that was cut off (an API error or an overload in place of the last response, a usage
    limit, a killed process as the record shows it) or that a person interrupted has not shown what
    the agent does: `unknown`, so that the test is no pass, with the reason. Where the model ended
    its turn itself, where a limit of turns or money or a hook ended it (which the result says), or
    where an older record cannot say, there is nothing to judge.

    `completion: required` makes every end but the model's own a failure, as it does a refusal of
    the model (`stop_reason: refusal`), which is no work done; a record that cannot say is
    `unknown`. `completion: ignore`, as `disabled: [completion]`, turns the check off. The other
    checks judge what was done, however the session ended. How it ended is seen in transcripts, in
    their dumps and imports and in `TraceMetrics.to_dict()`; MLflow traces of other writers rarely
    say.

    Seen: how the last response ended, errors of the API, limits that Claude Code states, an
    interruption, the mark of a killed process.

    Unknown: a session that was cut off or interrupted; under `required`, a record that cannot
    say.

    Out of sight: whether the work is complete or good: an agent may end its turn early.
    """
    ending = session.ending
    details = {"ending": ending.kind}
    said = describe_ending(ending)
    if parameters == "required":
        if ending.kind == "unknown":
            return unknown(said, details=details)
        met = ending.kind == "finished" and ending.text != REFUSED
        texts = (said,)
        return Outcome.of(
            met,
            hits=texts if met else (),
            misses=() if met else texts,
            rationale=said,
            details=details,
        )
    if parameters == "noticed" and ending.kind in ("cut_off", "interrupted"):
        return unknown(said, details=details)
    return Outcome(verdict=Verdict.NOT_APPLICABLE, rationale=said, details=details)
