"""`expected_messages`: the tool calls of expected assistant messages against the calls made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from skilltrace_mlflow.checks._findings import (
    CallRef,
    Outcome,
    Verdict,
    conclude_score,
    missing,
    refer,
)
from skilltrace_mlflow.checks._parameters import Items, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.selectors import Selector
from skilltrace_mlflow.matching.steps import Alternative, Step
from skilltrace_mlflow.matching.trajectory import alignment, compare, nearest_calls
from skilltrace_mlflow.matching.values import check_value
from skilltrace_mlflow.session import Session

__all__ = ["ExpectedMessages", "expected_messages"]

_MESSAGES: Mapping[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "role": {
                "enum": ["assistant", "system", "tool", "user"],
                "description": "Whose message it is; only an assistant's calls are compared.",
            },
            "content": {
                "description": "The text, for the reader: it is not compared.",
                "examples": ["Look it up"],
            },
            "tool_calls": {
                "type": "array",
                "description": "The calls that the message makes, in order.",
                "items": {
                    "type": "object",
                    "description": "A call.",
                    "properties": {
                        "tool": {
                            "type": "string",
                            "minLength": 1,
                            "description": "The tool's name, exactly.",
                            "offer": "tools",
                        },
                        "input": {
                            "type": "object",
                            "description": "Its arguments: values or matchers.",
                        },
                        "output": {
                            "description": "Its result: a value or a matcher.",
                            "examples": [{"$contains": "ok"}],
                        },
                    },
                    "required": ["tool"],
                    "additionalProperties": False,
                },
            },
        },
        "description": "A message.",
        "required": ["role"],
        "additionalProperties": False,
    },
    "description": "The conversation that is expected.",
}


def _step(call: Mapping[str, Any], path: tuple[str | int, ...]) -> Step:
    # The name is a name here, whatever it looks like: no glob, no rule.
    given: dict[str, Any] = {
        "tool": Selector(text=call["tool"], kind="name", names=(call["tool"],), literal=True)
    }
    for key in ("input", "output"):
        if key in call:
            check_value(call[key], (*path, key))
            given[key] = call[key]
    return Step(choices=(Alternative(**given),))


def _read_messages(items: Mapping[int, Any], path: tuple[str | int, ...]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for number, message in items.items():
        calls: Sequence[Mapping[str, Any]] = message.get("tool_calls", ())
        if calls and message["role"] != "assistant":
            raise ParameterError(
                f"only an assistant message has tool_calls, this one is {message['role']}'s",
                path=(*path, number, "tool_calls"),
            )
        steps.extend(
            _step(call, (*path, number, "tool_calls", index)) for index, call in enumerate(calls)
        )
    if not steps:
        raise ParameterError("no assistant message has tool_calls: nothing to compare", path=path)
    return tuple(steps)


@dataclass(frozen=True, kw_only=True)
class ExpectedMessages:
    """The expected calls of all assistant messages, in order."""

    messages: Annotated[tuple[Step, ...], Items(read=_read_messages, schema=_MESSAGES)]
    threshold: float = 1.0


_DECLARED = declare(ExpectedMessages)


@check(
    name="expected_messages",
    declared=_DECLARED,
    graded=True,
    examples=(
        Example(
            value=[
                {"role": "user", "content": "Look it up"},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"tool": "Read", "input": {"file_path": "/a"}},
                        {"tool": "Edit"},
                    ],
                },
            ],
            calls=({"name": "Read", "input": {"file_path": "/a"}}, {"name": "Edit"}),
            verdict=Verdict.PASS,
            why="inputs are compared only where they are given",
        ),
        Example(
            value=[{"role": "assistant", "tool_calls": [{"tool": "Read"}, {"tool": "Edit"}]}],
            calls=({"name": "Edit"},),
            verdict=Verdict.FAIL,
            why="one of two; the score is 1/2",
        ),
    ),
)
def expected_messages(session: Session, parameters: ExpectedMessages) -> Outcome:
    """The tool calls of the expected assistant messages were made, in order.

    Names are compared exactly, `input` and `output` by deep equality where they are given; the
    messages' content is not compared, other calls may come between. Score: matched / expected.

    Seen: names, arguments and results of the calls in order, all agents' unless `scope` says
    otherwise.

    Unknown: a call that is not found where the record has gaps, and one whose arguments or
    result are not recorded.

    Out of sight: the texts of the messages, and which message a call stood in.
    """
    lost = missing(session, "tool_names", "tool_order")
    if lost is not None:
        return lost
    steps = parameters.messages
    compared = compare(session, steps, ordered=True)
    outcome = conclude_score(
        session,
        compared.certain.matched / len(steps),
        compared.possible.matched / len(steps),
        threshold=parameters.threshold,
        could_meet=True,
    )
    found = compared.certain.pairs
    hits = tuple(step.label for index, step in enumerate(steps) if index in found)
    misses = tuple(
        f"{step.label}: {compared.reasons.get(index, 'not called in this order')}"
        for index, step in enumerate(steps)
        if index not in found
    )
    rationale = f"{len(hits)} of {len(steps)} expected calls were made in order"
    if misses:
        rationale += f"; not: {'; '.join(misses[:5])}"
    if outcome.verdict is Verdict.UNKNOWN:
        why = f" (the record is incomplete: {session.incomplete[0]})" if session.incomplete else ""
        rationale = f"cannot tell: {rationale}{why}"
    matched = [
        {"step": step, "call": session.tool_calls[call].id} for step, call in sorted(found.items())
    ]
    details: dict[str, Any] = {"matched": matched}
    calls: list[CallRef] = []
    if outcome.verdict is not Verdict.PASS:
        details["alignment"] = alignment(session, steps, compared)
        near = nearest_calls(session, steps, compared)
        missed = (index for index in range(len(steps)) if index not in found)
        for index, text in zip(missed, misses, strict=True):
            calls.extend(refer(session, text, (near[index],) if index in near else ()))
    return replace(
        outcome,
        hits=hits,
        misses=misses,
        rationale=rationale,
        details=details,
        calls=tuple(calls),
    )
