"""What results are called on a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from skilltrace_mlflow.results import TestResult
from skilltrace_mlflow.text import label

__all__ = ["WHOLE_TEST", "labels"]

WHOLE_TEST = "(whole test)"
"""Stands for the check's name where no check is meant."""


def labels(results: Sequence[TestResult], *, limit: int = 120) -> dict[int, str]:
    """The name of each result, by its `id()`; the attempt is shown where there are several."""
    attempts = Counter(result.test_id for result in results)
    return {
        id(r): label(r.test_id, r.attempt, attempts=attempts[r.test_id], limit=limit)
        for r in results
    }
