"""Attempts that were made beforehand, as `run` makes them, handed to an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Given"]


@dataclass(frozen=True, kw_only=True)
class Given:
    """One attempt at a test case: its transcript and the MLflow traces of its turns, or why there
    is nothing to judge (`error`).

    `response` is what the agent answered, in place of the one that the test case records.
    """

    attempt: int
    file: Path | None = None
    trace_ids: tuple[str, ...] = ()
    response: str | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
