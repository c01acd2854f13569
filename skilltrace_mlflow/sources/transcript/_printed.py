"""What `claude -p` prints: its runs, how long each took, and whether the last one is whole.

A printed run holds no time of its prompt: only its `result` line says how long it took
(`duration_ms`, from the prompt to the line itself, anew for every prompt of a process and for every
process of a resumed session). `duration_api_ms` and the cost beside it are sums over all requests
so far, those of earlier processes and those that ran side by side: no time on the clock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from skilltrace_mlflow.sources.transcript._wire import amount

__all__ = ["Printed"]


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
