"""What results are called on a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from skilltrace_mlflow.results import TestResult
from skilltrace_mlflow.text import label

__all__ = ["labels"]


def labels(results: Sequence[TestResult]) -> dict[int, str]:
    """The name of each result, by its `id()`; the attempt is shown where there are several."""
    attempts = Counter(result.test_id for result in results)
    return {id(r): label(r.test_id, r.attempt, attempts=attempts[r.test_id]) for r in results}
