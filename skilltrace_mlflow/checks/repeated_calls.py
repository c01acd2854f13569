"""`repeated_calls`: no loop of identical calls."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from skilltrace_mlflow.checks._findings import Outcome, Verdict, conclude, missing
from skilltrace_mlflow.checks._parameters import About, Bound, Limit, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.matching.values import json_equal
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import NEEDED

__all__ = ["RepeatedCalls", "repeated_calls"]

_AtLeastOne = Annotated[int, Bound(minimum=1)]


@dataclass(frozen=True, kw_only=True)
class RepeatedCalls:
    """How often the same call may follow itself, and how often it may be made in all."""

    max_identical: Annotated[
        _AtLeastOne | None, About("How often the same call may follow itself.")
    ] = None
    max_total: Annotated[
        _AtLeastOne | None, About("How often the same call may be made in all.", examples=[5])
    ] = None


_DECLARED = declare(RepeatedCalls)


_READ = {"name": "Read", "input": {"file_path": "/a"}}


@check(
    name="repeated_calls",
    declared=_DECLARED,
    examples=(
        Example(
            value={"max_identical": 2},
            calls=(_READ, _READ, {"name": "Edit"}, _READ),
            verdict=Verdict.PASS,
            why="never more than two in a row",
        ),
        Example(
            value={"max_identical": 2},
            calls=(_READ, _READ, _READ),
            verdict=Verdict.FAIL,
            why="the same tool with the same arguments three times in a row",
        ),
    ),
)
def repeated_calls(session: Session, parameters: RepeatedCalls) -> Outcome:
    """No call is repeated too often: the same tool with the same arguments.

    `max_identical` is the most such calls that one agent may make in a row, without another call
    between them; `max_total` the most in the whole session, whatever lies between.

    Seen: name and whole arguments of each call, by agent.

    Unknown: calls whose arguments are not recorded or cut, and a record with gaps that stays
    within the limit.

    Out of sight: the same work in other words (`ls` and `ls .`).
    """
    lost = missing(session, "tool_names")
    if lost is None and parameters.max_identical is not None:
        lost = missing(session, "tool_order")
    if lost is not None:
        return lost
    calls = session.tool_calls
    findings = []
    if parameters.max_identical is not None:
        hidden = {id(call) for call in calls if _hidden(call)}
        run = _longest_run(calls, hidden, lenient=False)
        most = len(_longest_run(calls, hidden, lenient=True)) if hidden else len(run)
        label = "identical in a row" + (f" ({run[0].name})" if run else "")
        findings.append(Limit(maximum=parameters.max_identical).judge(label, len(run), most, run))
    if parameters.max_total is not None:
        alike, most = _most_frequent(calls)
        label = "identical in all" + (f" ({alike[0].name})" if alike else "")
        findings.append(Limit(maximum=parameters.max_total).judge(label, len(alike), most, alike))
    return conclude(session, findings)


def _longest_run(
    calls: tuple[ToolCall, ...], hidden: Container[int], *, lenient: bool
) -> list[ToolCall]:
    """`lenient` takes calls whose arguments are not recorded for repetitions; `hidden` are these,
    by identity.
    """
    runs: dict[str, list[ToolCall]] = {}
    longest: list[ToolCall] = []
    for call in calls:
        run = runs.get(call.agent)
        if run is None or run[-1].name != call.name:
            same = False
        elif hidden and (id(run[-1]) in hidden or id(call) in hidden):
            same = lenient
        else:
            given = run[-1].input
            same = given == call.input and json_equal(given, call.input)
        if run is not None and same:
            run.append(call)
        else:
            run = runs[call.agent] = [call]
        longest = run if len(run) > len(longest) else longest
    return longest


def _hidden(call: ToolCall) -> bool:
    if call.input is None or call.input_truncated:
        return True
    # Without the argument that the tool needs, what is recorded cannot have been done.
    needed = NEEDED.get(call.name)
    broken = needed is not None and bool(call.input) and needed not in call.input
    return broken and call.outcome not in ("failed", "denied")


def _most_frequent(calls: tuple[ToolCall, ...]) -> tuple[list[ToolCall], int]:
    """The calls that are most often alike, and how many it could be at most."""
    alike: dict[tuple[str, str], list[ToolCall]] = {}
    hidden: dict[str, int] = {}
    for call in calls:
        key = _key(call)
        if key is None:
            hidden[call.name] = hidden.get(call.name, 0) + 1
        else:
            alike.setdefault((call.name, key), []).append(call)
    found = max(alike.values(), key=len, default=[])
    most = max(
        [
            len(found),
            *(
                number + max((len(c) for (tool, _), c in alike.items() if tool == other), default=0)
                for other, number in hidden.items()
            ),
        ]
    )
    return found, most


def _key(call: ToolCall) -> str | None:
    """The arguments as one text, equal for equal JSON; None where they are not (fully) known."""
    if _hidden(call):
        return None
    return json.dumps(_plain(call.input), sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
