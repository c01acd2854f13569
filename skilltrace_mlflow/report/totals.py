"""Tokens and cost over many sessions, by model and by day: every API message counts once.

Forks and resumed sessions repeat the messages of their predecessors. What Claude Code states beyond
the messages is cumulative, too: of two sessions that share messages, the later one's counts as far
as it exceeds the earlier one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from skilltrace_mlflow.pricing import step_cost
from skilltrace_mlflow.session import OUTSIDE, ModelStep, Session

__all__ = ["Row", "Totals", "rows_of"]

_KINDS = 4  # input, output, cache written, cache read
_UNKNOWN = "unknown"


class Row(NamedTuple):
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
    usage = step.usage
    return Row(
        step.id,
        step.model or _UNKNOWN,
        step.timestamp.date().isoformat() if step.timestamp is not None else last,
        step.agent == OUTSIDE,
        (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_creation_input_tokens,
            usage.cache_read_input_tokens,
        ),
        step_cost(step),
    )


@dataclass(kw_only=True)
class _Sum:
    tokens: list[int] = field(default_factory=lambda: [0] * _KINDS)
    cost: float = 0.0
    messages: int = 0
    unpriced: bool = False

    def add(
        self, tokens: Iterable[int], cost: float | None, *, messages: int, unpriced: bool
    ) -> None:
        self.tokens = [a + b for a, b in zip(self.tokens, tokens, strict=True)]
        self.cost += cost or 0.0
        self.messages += messages
        self.unpriced = self.unpriced or unpriced

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
        self._sums: dict[tuple[str, str], _Sum] = {}  # by model and day

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
        cell = self._sums.get((row.model, row.day))
        if cell is None:
            cell = self._sums[row.model, row.day] = _Sum()
        cell.add(tokens, cost, messages=not row.outside, unpriced=cost is None)

    def _grouped(self, place: int | None) -> dict[str, _Sum]:
        """The sums by one part of their key (0 the model, 1 the day), or all in one."""
        groups: dict[str, _Sum] = {}
        for key, cell in self._sums.items():
            group = groups.setdefault("" if place is None else key[place], _Sum())
            group.add(cell.tokens, cell.cost, messages=cell.messages, unpriced=cell.unpriced)
        return groups

    def to_dict(self, by: Iterable[str] = ()) -> Mapping[str, Any]:
        """The sums as plain JSON values, with those `by` model or by day."""
        complete = not self.incomplete
        made: dict[str, Any] = {
            "sessions": self.sessions,
            "incomplete_sessions": self.incomplete,
            **self._grouped(None).get("", _Sum()).to_dict(complete=complete),
        }
        for kind in by:
            groups = sorted(self._grouped(("model", "day").index(kind)).items())
            made[f"by_{kind}"] = {key: s.to_dict(complete=complete) for key, s in groups}
        return made
