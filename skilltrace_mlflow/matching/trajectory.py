"""Comparing expected steps with the calls that were made: pairing, scores, what is left over.

`alignment` shows expected and actual calls side by side, for people: which pairs met and which keys
differ. It explains a `Comparison`, it decides nothing: an expected call that found no partner is
shown beside the free call of the same tool that comes nearest, so that the difference can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from skilltrace_mlflow.matching.assignment import align, match
from skilltrace_mlflow.matching.steps import (
    UNSET,
    Alternative,
    Step,
    accepts,
    differing_arguments,
    output_meets,
)
from skilltrace_mlflow.session import Session, ToolCall

__all__ = ["Comparison", "Pairing", "alignment", "compare", "nearest_calls"]

_MOST_OTHERS = 100
_LONGEST = 500


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """`pairs` maps a step's index to a call's; `extras` are calls that should not be there."""

    pairs: Mapping[int, int]
    matched: int
    expected: int
    extras: tuple[int, ...]

    @property
    def counted(self) -> int:
        """Calls that count: the matched ones and those that should not have been made."""
        return self.matched + len(self.extras)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The pairing by what is certain, the one by what is possible, and the reasons for misses."""

    certain: Pairing
    possible: Pairing
    reasons: Mapping[int, str]


def compare(
    session: Session,
    steps: Sequence[Step],
    *,
    ordered: bool,
    allowed: Callable[[ToolCall], bool | None] | None = None,
) -> Comparison:
    """Pair steps with calls; `allowed` says which calls may be made beside them (None: all)."""
    calls = session.tool_calls
    places: dict[str, list[int]] = {}
    for index, call in enumerate(calls):
        places.setdefault(call.name, []).append(index)
    sure: list[list[int]] = []
    maybe: list[list[int]] = []
    reasons: dict[int, str] = {}
    for number, step in enumerate(steps):
        certain: list[int] = []
        open_: list[int] = []
        candidates = _candidates(step, places)
        if step.by_name_only:
            certain, candidates = candidates, []
        for index in candidates:
            met, why = accepts(session, step, calls[index], explain=number not in reasons)
            if met:
                certain.append(index)
            elif met is None:
                open_.append(index)
            if not met and why:
                reasons.setdefault(number, why)
        sure.append(certain)
        maybe.append(sorted(certain + open_))
    spare = perhaps = set(range(len(calls)))
    if allowed is not None:
        verdicts = [allowed(call) for call in calls]
        spare = {index for index, verdict in enumerate(verdicts) if verdict}
        perhaps = {index for index, verdict in enumerate(verdicts) if verdict is not False}
    certain_pairing = _pair(steps, sure, len(calls), spare, ordered=ordered)
    same = sure == maybe and spare == perhaps
    return Comparison(
        certain=certain_pairing,
        possible=certain_pairing
        if same
        else _pair(steps, maybe, len(calls), perhaps, ordered=ordered),
        reasons=reasons,
    )


def _candidates(step: Step, places: Mapping[str, list[int]]) -> list[int]:
    """Calls of the tools that the step names, in order."""
    found = [
        indexes
        for name, indexes in places.items()
        if any(choice.tool.selects_name(name) for choice in step.choices)
    ]
    return found[0] if len(found) == 1 else sorted(index for group in found for index in group)


def _pair(
    steps: Sequence[Step],
    rows: list[list[int]],
    calls: int,
    spare: set[int],
    *,
    ordered: bool,
) -> Pairing:
    optional = frozenset(index for index, step in enumerate(steps) if step.optional)
    required = [index for index in range(len(steps)) if index not in optional]
    costly = frozenset(range(calls)) - spare if spare and len(spare) < calls else frozenset()
    if ordered:
        pairs: dict[int, int] = dict(align(rows, optional=optional, prefer=costly))
    else:
        pairs = match(rows, first=required if optional else None)
        if costly:
            _exchange(rows, pairs, costly)
    used = set(pairs.values())
    # Calls that optional steps took count on neither side.
    extras = tuple(i for i in range(calls) if i not in used and i not in spare)
    return Pairing(
        pairs=pairs,
        matched=sum(1 for step in pairs if step not in optional),
        expected=len(required),
        extras=extras,
    )


def _exchange(rows: Sequence[Sequence[int]], pairs: dict[int, int], costly: frozenset[int]) -> None:
    """Shift steps from calls that may be left over to calls that may not, as far as that goes.

    The sets of calls that a given set of steps can occupy form a matroid, so swapping one call at a
    time along alternating ways reaches the best.
    """
    takers: dict[int, list[int]] = {}
    for step, row in enumerate(rows):
        for call in row:
            takers.setdefault(call, []).append(step)
    for start in sorted(costly - set(pairs.values())):
        came_from: dict[int, int] = {}  # step: the call it would take instead
        waiting = [start]
        last: int | None = None
        while waiting and last is None:
            call = waiting.pop()
            for step in takers.get(call, ()):
                if step in came_from or step not in pairs:
                    continue
                came_from[step] = call
                if pairs[step] not in costly:
                    last = step
                    break
                waiting.append(pairs[step])
        holders = {call: step for step, call in pairs.items()}
        while last is not None:
            given = came_from[last]
            pairs[last] = given
            last = holders.get(given)


def call_text(call: ToolCall) -> dict[str, Any]:
    """A call for the details of an outcome."""
    return {"tool": call.name, "id": call.id, "agent": call.agent, "outcome": call.outcome}


def alignment(
    session: Session, steps: Sequence[Step], compared: Comparison
) -> list[dict[str, Any]]:
    """Rows `{expected, actual, matched, differs}` in order, JSON-ready.

    `expected` or `actual` is None where there is none; `differs` names the keys (`input.query`,
    `outcome`) in which a pair is not what was expected; `extra` marks calls that were not to be
    made, of which (with the other calls) at most a hundred are shown.
    """
    steps = steps or ()
    pairs = dict(compared.certain.pairs)
    calls = session.tool_calls
    nearest = _nearest(steps, calls, pairs)
    rows: list[tuple[int, dict[str, Any]]] = []
    place = -1
    for index, step in enumerate(steps):
        at = pairs.get(index, nearest.get(index))
        if at is None and step.optional:
            continue
        place = place if at is None else at
        rows.append((place, _row(session, step, at, matched=index in pairs)))
    used = {*pairs.values(), *nearest.values()}
    others = [i for i in range(len(calls)) if i not in used][:_MOST_OTHERS]
    extras = set(compared.certain.extras)
    for i in others:
        row: dict[str, Any] = {"expected": None, "actual": _actual(session, calls[i])}
        rows.append((i, {**row, "matched": False, "differs": [], "extra": i in extras}))
    rows.sort(key=lambda row: row[0])  # stable: a step without a call stays behind the one before
    return [row for _, row in rows]


def nearest_calls(
    session: Session, steps: Sequence[Step], compared: Comparison
) -> dict[int, ToolCall]:
    """For each step that was not met the call that came nearest to it, where there is one."""
    found = _nearest(steps, session.tool_calls, dict(compared.certain.pairs))
    return {step: session.tool_calls[at] for step, at in found.items()}


def _nearest(
    steps: Sequence[Step], calls: Sequence[ToolCall], pairs: Mapping[int, int]
) -> dict[int, int]:
    """For each step without a partner the free call of its tool with the fewest differing keys,
    of equals the first behind that of the step before.
    """
    free = set(range(len(calls))) - set(pairs.values())
    found: dict[int, int] = {}
    behind = -1
    for index, step in enumerate(steps):
        if index in pairs:
            behind = pairs[index]
            continue
        same_tool = (i for i in sorted(free) if _choice(step, calls[i]) is not None)
        best = min(
            islice(same_tool, _MOST_OTHERS),
            key=lambda i: (len(_differs(None, step, calls[i])), i < behind, i),
            default=None,
        )
        if best is not None and not step.optional:
            found[index] = behind = best
            free.discard(best)
    return found


def _choice(step: Step, call: ToolCall) -> Alternative | None:
    return next((c for c in step.choices if c.tool.selects_name(call.name)), None)


def _row(session: Session, step: Step, at: int | None, *, matched: bool) -> dict[str, Any]:
    call = None if at is None else session.tool_calls[at]
    choice = step.choices[0] if call is None else _choice(step, call) or step.choices[0]
    return {
        "expected": _expected(step, choice),
        "actual": None if call is None else _actual(session, call),
        "matched": matched,
        "differs": [] if matched or call is None else _differs(session, step, call),
    }


def _differs(session: Session | None, step: Step, call: ToolCall) -> list[str]:
    choice = _choice(step, call)
    if choice is None:
        return ["tool"]
    keys = []
    if call.input is not None:
        keys = [f"input.{key}" for key in differing_arguments(choice, call.input)]
    if choice.outcome is not None and call.outcome != choice.outcome:
        keys.append("outcome")
    if choice.max_duration_ms is not None and (call.duration_ms or 0) > choice.max_duration_ms:
        keys.append("duration_ms")
    if session is not None and choice.output is not UNSET:
        verdict, _ = output_meets(session, choice.output, call)
        if verdict is False:
            keys.append("output")
    return keys


def _expected(step: Step, choice: Alternative) -> dict[str, Any]:
    names = " | ".join(c.tool.text for c in step.choices) if len(step.choices) > 1 else ""
    made: dict[str, Any] = {"tool": names or choice.tool.text}
    for key in ("input", "output"):
        if getattr(choice, key) is not UNSET:
            made[key] = _cut(getattr(choice, key))
    if choice.outcome is not None:
        made["outcome"] = choice.outcome
    if choice.max_duration_ms is not None:
        made["duration_ms"] = {"$le": choice.max_duration_ms}
    return made


def _actual(session: Session, call: ToolCall) -> dict[str, Any]:
    made: dict[str, Any] = {
        "tool": call.name,
        "id": call.id,
        "position": session.number_of(call),
        "input": None if call.input is None else _cut(call.input),
        "outcome": call.outcome,
    }
    if call.duration_ms is not None:
        made["duration_ms"] = call.duration_ms
    return made


def _cut(value: Any) -> Any:
    """`value` with long texts cut: details are for reading, the trace has them whole."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[:_LONGEST] + "…"
    if isinstance(value, Mapping):
        return {str(key): _cut(item) for key, item in list(value.items())[:50]}
    if isinstance(value, list | tuple):
        return [_cut(item) for item in value[:50]]
    return value
