"""`tool_errors`: how many calls may fail, in all, in a row, and for good."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from skilltrace_mlflow.checks._findings import Outcome, Verdict, conclude, missing
from skilltrace_mlflow.checks._parameters import About, Count, Limit, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import current_name, is_shell

__all__ = ["ToolErrors", "tool_errors"]


@dataclass(frozen=True, kw_only=True)
class ToolErrors:
    """The three maxima, None asks nothing; `recovery: tool`: any later success recovers."""

    max: Annotated[Count | None, About("The most failed calls.", examples=[2])] = None
    max_consecutive: Annotated[Count | None, About("The most failures in a row.", examples=[1])] = (
        None
    )
    max_unrecovered: Annotated[
        Count | None, About("The most failures that no later success makes good.", examples=[0])
    ] = None
    recovery: Annotated[
        Literal["same", "tool"],
        About("What makes good: the same call, or any of the same tool; default same."),
    ] = "same"


_DECLARED = declare(ToolErrors)


@check(
    name="tool_errors",
    declared=_DECLARED,
    examples=(
        Example(
            value={"max": 1, "max_unrecovered": 0},
            calls=(
                {"name": "Bash", "outcome": "failed"},
                {"name": "Bash", "outcome": "succeeded", "result": "12 passed, 0 errors"},
            ),
            verdict=Verdict.PASS,
            why="one failure, and the same command succeeded later",
        ),
        Example(
            value={"max_unrecovered": 0},
            calls=(
                {"name": "Bash", "input": {"command": "pytest"}, "outcome": "failed"},
                {"name": "Bash", "input": {"command": "ls"}},
            ),
            verdict=Verdict.FAIL,
            why="that another command succeeded mends nothing",
        ),
        Example(
            value={"max_consecutive": 1},
            calls=({"name": "Edit", "outcome": "failed"}, {"name": "Bash", "outcome": "failed"}),
            verdict=Verdict.FAIL,
            why="two failures in a row",
        ),
    ),
)
def tool_errors(session: Session, parameters: ToolErrors) -> Outcome:
    """Failed calls stay within the limits.

    A call failed if its result is marked as an error, never because of a word in its text; denied
    calls are counted by `permission_denials`. Before version 2.1.205 a rejection in a person's own
    words is marked as nothing but an error, and counts. `max_consecutive` counts failures in a row
    of one agent. A failure is recovered if the same command, or a call of the tool with the same
    input, succeeded later; `max_unrecovered` counts the others. With `recovery: tool` any later
    success of the same tool will do. Calls whose input is not recorded leave it `unknown`.

    Seen: the mark of an error on a result; where a source lost it, a leading `<tool_use_error>`
    or `Exit code N`.

    Unknown: a call whose end or mark is not recorded, a receipt of background work, and a
    record with gaps that stays within the limits.

    Out of sight: a command that fails inside a line and is passed over (`false || true`), an
    error that a tool tells as a result.
    """
    calls = session.tool_calls
    blind = session.lacks("tool_outcomes") is not None
    failed = [c for c in calls if c.outcome == "failed"]
    open_ = [c for c in calls if c.outcome == "unknown" or (blind and c.outcome != "failed")]
    maybe = {id(c) for c in failed} | {id(c) for c in open_}
    findings = []
    if parameters.max is not None:
        limit = Limit(maximum=parameters.max)
        findings.append(limit.judge("failed", len(failed), len(failed) + len(open_), failed))
    if parameters.max_consecutive is not None:
        unordered = missing(session, "tool_order")
        if unordered is not None:
            return unordered
        run = _longest_run(calls, {id(c) for c in failed})
        most = len(_longest_run(calls, maybe)) if open_ else len(run)
        limit = Limit(maximum=parameters.max_consecutive)
        findings.append(limit.judge("failed in a row", len(run), most, run))
    if parameters.max_unrecovered is not None:
        unordered = missing(session, "tool_order", "tool_names")
        if unordered is not None:
            return unordered
        loose = parameters.recovery == "tool"
        lasting = _unrecovered(calls, failed, sure=False, loose=loose)
        least = len(lasting)
        possible = [c for c in calls if id(c) in maybe]
        settled = len(possible) == len(failed) and not any(map(_hidden, calls))
        most = least if settled else len(_unrecovered(calls, possible, sure=True, loose=loose))
        limit = Limit(maximum=parameters.max_unrecovered)
        finding = limit.judge("failed without recovery", least, max(least, most), lasting)
        # the call that recovered may be one that the record has lost
        findings.append(replace(finding, could_meet=True))
    details = {
        "failed": [
            {"tool": c.name, "id": c.id, "agent": c.agent, "reason": c.outcome_reason}
            for c in failed[:100]
        ]
    }
    lost = session.lacks("tool_outcomes", "tool_names")
    return conclude(session, findings, lost=lost, details=details)


def _longest_run(calls: tuple[ToolCall, ...], marked: set[int]) -> list[ToolCall]:
    runs: dict[str, list[ToolCall]] = {}
    longest: list[ToolCall] = []
    for call in calls:
        if id(call) not in marked:
            runs.pop(call.agent, None)
            continue
        run = runs.setdefault(call.agent, [])
        run.append(call)
        longest = run if len(run) > len(longest) else longest
    return longest


def _unrecovered(
    calls: tuple[ToolCall, ...], failures: list[ToolCall], *, sure: bool, loose: bool
) -> list[ToolCall]:
    """Failures after which nothing that would recover them succeeded (`sure`: is known to have).

    A call whose input is not known may be the same as any other of its tool.
    """
    if not failures:
        return []
    last: dict[tuple[str, str | None], int] = {}
    asked = [(current_name(failure.name), _given(failure)) for failure in failures]
    marks = {(current_name(failure.name), _mark(failure)) for failure in failures}
    tools = {tool for tool, _ in asked}
    names = {name: current_name(name) for name in {call.name for call in calls}}
    names = {name: tool for name, tool in names.items() if tool in tools}
    for index, call in enumerate(calls):
        if call.outcome == "succeeded" or (not sure and call.outcome == "unknown"):
            tool = names.get(call.name)
            if tool is None:
                continue
            last[tool, _ANY] = index
            if loose:
                continue
            mark = _mark(call)
            if mark is None or (tool, mark) in marks:  # else it is no failed call's input
                last[tool, _given(call)] = index
    places = {id(call): index for index, call in enumerate(calls)}
    found = []
    for failure, (tool, given) in zip(failures, asked, strict=True):
        if loose:
            recovering: list[str | None] = [_ANY]
        elif given is None:
            recovering = [] if sure else [_ANY]
        else:
            recovering = [given] if sure else [given, None]
        if all(last.get((tool, key), -1) < places[id(failure)] for key in recovering):
            found.append(failure)
    return found


_ANY = "any"  # no input is written like this: they are JSON or begin with `$`


def _hidden(call: ToolCall) -> bool:
    """Whether the call's outcome or its input is not known: then it may have recovered another."""
    return call.outcome == "unknown" or call.input is None or call.input_truncated


def _mark(call: ToolCall) -> int | None:
    """Equal for calls that ask the same; None where `_given` is: a quick look before it."""
    if call.input is None or call.input_truncated:
        return None
    if is_shell(call.name) and isinstance(command := call.input.get("command"), str):
        return hash(" ".join(command.split()))
    return sum([hash(value) for value in call.input.values() if type(value) is str])


def _given(call: ToolCall) -> str | None:
    """What was asked of the tool, None where the record does not hold it whole."""
    if call.input is None or call.input_truncated:
        return None
    if is_shell(call.name) and isinstance(command := call.input.get("command"), str):
        return "$ " + " ".join(command.split())
    return json.dumps(call.input, sort_keys=True, default=str)
