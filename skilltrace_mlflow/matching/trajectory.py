"""Comparing expected steps with the calls that were made: pairing, scores, what is left over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.matching.assignment import align, match
from skilltrace_mlflow.matching.steps import Step, accepts
from skilltrace_mlflow.session import Session, ToolCall

__all__ = ["Comparison", "Pairing", "compare"]


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
