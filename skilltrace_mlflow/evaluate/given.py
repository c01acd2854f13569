"""Attempts that were made beforehand, as `run` makes them, handed to an evaluation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["REQUEST_TAG", "Given", "request_id"]

REQUEST_TAG = "mlflow.eval.requestId"
"""The trace tag by which MLflow pairs the traces of two runs."""


def request_id(skill: str, test_id: str, attempt: int) -> str:
    """The same attempt at the same test is the same request, in whichever run."""
    text = "\0".join((skill, test_id, str(attempt)))
    return "eval-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


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
