"""`turn_limit`: how many turns a session may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from skilltrace_mlflow.checks._findings import Outcome, Verdict, conclude
from skilltrace_mlflow.checks._parameters import About, Count, Limit, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.session import Message, ModelStep, Session

__all__ = ["TurnLimit", "turn_limit"]


@dataclass(frozen=True, kw_only=True)
class TurnLimit:
    """The two maxima; None asks nothing."""

    max_turns: Annotated[Count | None, About("Responses of the main agent.", examples=[20])] = None
    max_user_messages: Annotated[
        Count | None, About("Messages of a person, the first included.", examples=[1])
    ] = None


_DECLARED = declare(TurnLimit, scope=False)


_USED = {
    "steps": (ModelStep(id="msg_1"),),
    "messages": (Message(role="user", text="Do it"),),
}


@check(
    name="turn_limit",
    declared=_DECLARED,
    examples=(
        Example(
            value={"max_turns": 10, "max_user_messages": 1},
            session=_USED,
            verdict=Verdict.PASS,
            why="one API response, one prompt",
        ),
        Example(
            value={"max_turns": 0},
            session=_USED,
            verdict=Verdict.FAIL,
            why="one turn is more than none",
        ),
    ),
)
def turn_limit(session: Session, parameters: TurnLimit) -> Outcome:
    """The main agent's turns (API responses) and a person's messages stay within the limits.

    What is missing of a sub-agent's transcript is of no concern here.

    Seen: the main agent's API responses and a person's messages, however many lines or spans
    carried them.

    Unknown: a source that keeps no span of a message without text, and a main record with gaps
    that stays within the limits.

    Out of sight: how long a turn took, and what hooks and reminders said in a person's place.
    """
    session = session.scoped("main")
    findings = []
    lost = []
    if parameters.max_turns is not None:
        lost.append(session.lacks("turns"))
        findings.append(
            Limit(maximum=parameters.max_turns).judge("turns", session.turns, session.turns)
        )
    if parameters.max_user_messages is not None:
        lost.append(session.lacks("messages"))
        said = len(session.prompts)
        findings.append(
            Limit(maximum=parameters.max_user_messages).judge("user messages", said, said)
        )
    return conclude(session, findings, lost=next((reason for reason in lost if reason), None))
