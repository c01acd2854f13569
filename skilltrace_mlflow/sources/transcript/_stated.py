"""What Claude Code itself states about a session's usage, cost and time, beside its messages.

`cost-state` lines (since 2.1.271), written once at the end of a process and cumulative over
resumes, and the `result` line of `claude -p` hold what leaves no assistant line: summaries of
compaction, side requests of WebFetch and WebSearch, responses that were dropped, the rest of a
stream that was cut. What they hold beyond the messages belongs to no response and becomes records
of the agent `OUTSIDE`.

`Printed` is what `claude -p` prints: its runs, how long each took, and whether the last one is
whole. A printed run holds no time of its prompt: only its `result` line says how long it took
(`duration_ms`, from the prompt to the line itself, anew for every prompt of a process and for every
process of a resumed session). `duration_api_ms` and the cost beside it are sums over all requests
so far, those of earlier processes and those that ran side by side: no time on the clock.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from skilltrace_mlflow.pricing import step_cost
from skilltrace_mlflow.session import OUTSIDE, ModelStep, TokenUsage
from skilltrace_mlflow.sources.transcript._wire import amount

__all__ = ["Printed", "Stated", "beyond_messages", "covers", "stated_of"]

_KEYS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_creation_input_tokens": "cacheCreationInputTokens",
    "cache_read_input_tokens": "cacheReadInputTokens",
    "cache_creation_1h_input_tokens": "cacheCreationEphemeral1hInputTokens",
}
_COUNTED = tuple(_KEYS)[:4]
_SEARCHES = "web_search_requests"
_MODE = re.compile(r"\[1m\]$")
_MOST = 2**53
_CENT = 1e-9


@dataclass(frozen=True, kw_only=True)
class Stated:
    """Figures by model (token kinds and `web_search_requests`), costs by model and in all."""

    models: Mapping[str, Mapping[str, int]]
    costs: Mapping[str, float]
    cost: float | None


def stated_of(models: object, cost: float | None, unknown_cost: bool | None) -> Stated | None:
    """The figures of a `modelUsage`; None where it is none, or where a figure is no count.

    `unknown_cost` says that the CLI knew no price for one of the models: the cost is left out.
    """
    if not isinstance(models, Mapping) or not models:
        return None
    figures: dict[str, dict[str, int]] = {}
    costs: dict[str, float] = {}
    for name, usage in models.items():
        if not isinstance(usage, Mapping):
            return None
        known = {kind: _count(usage.get(key)) for kind, key in _KEYS.items()}
        known[_SEARCHES] = _count(usage.get("webSearchRequests"))
        if any(known[kind] is None for kind in _COUNTED):
            return None
        model = _MODE.sub("", str(name))
        sums = figures.setdefault(model, {})
        for kind, value in known.items():
            sums[kind] = sums.get(kind, 0) + (value or 0)
        price = usage.get("costUSD")
        if isinstance(price, (int, float)) and 0 <= price <= sys.float_info.max:
            costs[model] = costs.get(model, 0.0) + float(price)
    return Stated(models=figures, costs=costs, cost=None if unknown_cost else cost)


def covers(stated: Stated, steps: Iterable[ModelStep]) -> bool:
    """Whether the figures are of all these responses: they are not where an earlier process of the
    session was killed before it stated its own.
    """
    own = dict.fromkeys(_COUNTED, 0)
    for step in steps:
        for kind in _COUNTED:
            own[kind] += getattr(step.usage, kind)
    return all(sum(f[kind] for f in stated.models.values()) >= own[kind] for kind in _COUNTED)


def beyond_messages(stated: Stated, steps: Iterable[ModelStep]) -> list[ModelStep]:
    """What the stated figures hold more than the responses, as one record a model."""
    known: dict[str, dict[str, int]] = {}
    costs: dict[str, float | None] = {}
    for step in steps:
        model = _MODE.sub("", step.model or "")
        sums = known.setdefault(model, dict.fromkeys((*_KEYS, _SEARCHES), 0))
        for kind in _KEYS:
            sums[kind] += getattr(step.usage, kind)
        sums[_SEARCHES] += step.web_search_requests
        before, own = costs.get(model, 0.0), step_cost(step)
        costs[model] = None if before is None or own is None else before + own
    found = []
    for model, figures in stated.models.items():
        own_figures = known.get(model, {})
        more = {kind: max(value - own_figures.get(kind, 0), 0) for kind, value in figures.items()}
        if any(more[kind] for kind in (*_COUNTED, _SEARCHES)):
            found.append(_record(model, more, stated.costs.get(model), costs.get(model, 0.0)))
    allowed = {
        kind: sum(f[kind] for f in stated.models.values()) - sum(k[kind] for k in known.values())
        for kind in _COUNTED
    }
    # The CLI may count a model under another name than its messages carry: what is there then
    # looks missing, and would count twice.
    if any(sum(getattr(r.usage, kind) for r in found) > max(allowed[kind], 0) for kind in _COUNTED):
        rest = {kind: max(value, 0) for kind, value in allowed.items()}
        if not any(rest.values()):
            return []
        everything = [c for c in costs.values() if c is not None]
        own = sum(everything) if len(everything) == len(costs) else None
        return [_record(None, rest, stated.cost, own)]
    return found


def _record(
    model: str | None, more: Mapping[str, int], cost: float | None, known: float | None
) -> ModelStep:
    rest = None if cost is None or known is None else max(cost - known, 0.0)
    return ModelStep(
        id=f"stated:{model or 'all models'}",
        model=model,
        agent=OUTSIDE,
        usage=TokenUsage(**{kind: more.get(kind, 0) for kind in _KEYS}),
        web_search_requests=more.get(_SEARCHES, 0),
        cost_usd=None if rest is None else (rest if rest > _CENT else 0.0),
    )


def _count(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        return None
    return value


class Printed:
    """Told of each `result` line, and of each message; `seconds` and `cut` are what it knows.

    `any` says whether there was a result line at all, `cut` whether messages stand behind the last
    one: the record ends before what they led to.
    """

    def __init__(self) -> None:
        self.any = False
        self.cut = False
        self._first: tuple[float, datetime | None] | None = None  # and the last entry before it
        self._sum = 0.0

    def message(self) -> None:
        """A message of a run whose result is still to come."""
        self.cut = self.any

    def result(self, duration_ms: Any, end: datetime | None) -> None:
        """A result line; `end` is the latest time before it."""
        self.any, self.cut = True, False
        if isinstance(duration_ms, bool) or not isinstance(duration_ms, (int, float)):
            return
        took = (amount(duration_ms) or 0.0) / 1000
        self._sum += took
        if self._first is None:
            self._first = took, end

    def seconds(self, start: datetime | None, end: datetime | None) -> float | None:
        """How long the runs took, first to last, where that is more than their entries show.

        Between two runs is the wait for the next prompt, which a transcript's times count as well.
        """
        if self._first is None:
            return None
        took, ended = self._first
        if ended is None or start is None or end is None:
            return self._sum or None
        stated = max(took + (end - ended).total_seconds(), self._sum)
        return stated if stated > (end - start).total_seconds() else None
