"""Tokens and cost over many sessions, by model and by day: every API message counts once.

Forks and resumed sessions repeat the messages of their predecessors. What Claude Code states beyond
the messages is cumulative, too: of two sessions that share messages, the later one's counts as far
as it exceeds the earlier one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skilltrace_mlflow.pricing import step_cost
from skilltrace_mlflow.session import OUTSIDE, ModelStep, Session

__all__ = ["Row", "Totals", "rows_of"]

_KINDS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)
_UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What counts of one API message: small enough to come from another process."""

    id: str
    model: str
    day: str
    outside: bool
    tokens: tuple[int, ...]
    cost: float | None


def rows_of(session: Session) -> list[Row]:
    """The rows of a session's messages and of what Claude Code states beyond them."""
    last = session.end_time.date().isoformat() if session.end_time else _UNKNOWN
    return [_row(step, last) for step in session.steps]


def _row(step: ModelStep, last: str) -> Row:
    return Row(
        id=step.id,
        model=step.model or _UNKNOWN,
        day=step.timestamp.date().isoformat() if step.timestamp is not None else last,
        outside=step.agent == OUTSIDE,
        tokens=tuple(getattr(step.usage, kind) for kind in _KINDS),
        cost=step_cost(step),
    )


@dataclass(kw_only=True)
class _Sum:
    tokens: list[int] = field(default_factory=lambda: [0] * len(_KINDS))
    cost: float = 0.0
    messages: int = 0
    unpriced: bool = False

    def add(self, row: Row, tokens: Iterable[int], cost: float | None) -> None:
        self.tokens = [a + b for a, b in zip(self.tokens, tokens, strict=True)]
        self.cost += cost or 0.0
        self.messages += not row.outside
        self.unpriced = self.unpriced or cost is None

    def to_dict(self, *, complete: bool) -> dict[str, Any]:
        read, written, created, hits = self.tokens
        return {
            "messages": self.messages,
            "tokens": {
                "total": read + written,
                "input": read,
                "output": written,
                "cache_creation": created,
                "cache_read": hits,
            },
            "cost_usd": self.cost,
            "usage_complete": complete,
            "cost_complete": complete and not self.unpriced,
        }


class Totals:
    """Sums over sessions that are added one by one, in any order but each once."""

    def __init__(self) -> None:
        self.sessions = 0
        self.incomplete = 0
        self._seen: dict[str, int] = {}  # message: the session it was first met in
        self._outside: dict[int, dict[str, tuple[tuple[int, ...], float]]] = {}
        self._all = _Sum()
        self._by: dict[str, dict[str, _Sum]] = {"model": {}, "day": {}}

    def add(self, rows: Iterable[Row], *, complete: bool) -> None:
        """Count a session; `complete` says whether its figures are whole."""
        number = self.sessions
        self.sessions += 1
        self.incomplete += not complete
        shared: set[int] = set()
        beyond = []
        for row in rows:
            if row.outside:
                beyond.append(row)
                continue
            known = self._seen.get(row.id)
            if known is not None:
                shared.add(known)
                continue
            self._seen[row.id] = number
            self._count(row, row.tokens, row.cost)
        own = self._outside[number] = {}
        for row in beyond:
            own[row.model] = (row.tokens, row.cost or 0.0)
            tokens, cost = list(row.tokens), row.cost
            for other in shared:
                before = self._outside.get(other, {}).get(row.model)
                if before is not None:
                    tokens = [max(a - b, 0) for a, b in zip(tokens, before[0], strict=True)]
                    cost = None if cost is None else max(cost - before[1], 0.0)
            self._count(row, tokens, cost)

    def _count(self, row: Row, tokens: Iterable[int], cost: float | None) -> None:
        counted = tuple(tokens)
        self._all.add(row, counted, cost)
        for kind, key in (("model", row.model), ("day", row.day)):
            self._by[kind].setdefault(key, _Sum()).add(row, counted, cost)

    def to_dict(self, by: Iterable[str] = ()) -> Mapping[str, Any]:
        """The sums as plain JSON values, with those `by` model or by day."""
        complete = not self.incomplete
        made: dict[str, Any] = {
            "sessions": self.sessions,
            "incomplete_sessions": self.incomplete,
            **self._all.to_dict(complete=complete),
        }
        for kind in by:
            groups = sorted(self._by[kind].items())
            made[f"by_{kind}"] = {key: s.to_dict(complete=complete) for key, s in groups}
        return made
