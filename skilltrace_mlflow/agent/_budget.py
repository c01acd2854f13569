"""The bound on what a whole run may cost."""

from __future__ import annotations

import threading
from collections.abc import Iterable

__all__ = ["Budget"]


class Budget:
    """Money spent, money set aside for attempts under way, and what the next one may take.

    `spent` holds the cost of every attempt that is over. Safe for use from several threads.
    """

    def __init__(self, limit: float | None, spent: Iterable[float] = (), *, extra: float = 0.0):
        self.limit = limit
        self._costs = list(spent)
        self._extra = extra
        self._reserved: dict[object, float] = {}
        self._lock = threading.Lock()

    @property
    def spent(self) -> float:
        """What is known to have been spent, by this run as a whole."""
        return sum(self._costs) + self._extra

    @property
    def mean(self) -> float | None:
        """What an attempt has cost so far, None before one is over."""
        return sum(self._costs) / len(self._costs) if self._costs else None

    def reserve(self, key: object, free: int) -> tuple[bool, float | None]:
        """Whether an attempt may start now, with `free` places for attempts at the same time, and
        its own bound. Without a bound on the whole there is none on a part.
        """
        if self.limit is None:
            return True, None
        with self._lock:
            expected = self.mean
            if expected is None and self._reserved:
                return False, None  # the first one tells what the others will cost
            left = self.limit - self.spent - sum(self._reserved.values())
            share = left
            for places in range(max(free, 1), 0, -1):
                share = left / places
                if expected is not None and share >= 2 * expected:
                    break
            if left <= 0 or (expected is not None and share < expected):
                return False, None
            self._reserved[key] = share
            return True, share

    def settle(self, key: object, cost: float | None) -> None:
        """An attempt is over; one of unknown cost is taken to have cost what it was allowed."""
        with self._lock:
            reserved = self._reserved.pop(key, 0.0)
            self._costs.append(reserved if cost is None else cost)

    def release(self, key: object) -> None:
        """An attempt was given up before it cost anything."""
        with self._lock:
            self._reserved.pop(key, None)
