"""The words of every format: what results are called, what did not pass, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.text import label, one_line

__all__ = ["WHOLE_TEST", "WORST_FIRST", "labels", "missed", "problems", "what_happened"]

WHOLE_TEST = "(whole test)"
"""Stands for the check's name where no check is meant."""

WORST_FIRST = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.UNKNOWN: 2, Verdict.PASS: 3}
_NOTHING_ASKED = "nothing was expected of this test, so nothing was judged"


def labels(results: Sequence[TestResult], *, limit: int = 120) -> dict[int, str]:
    """The name of each result, by its `id()`; the attempt is shown where there are several."""
    attempts = Counter(result.test_id for result in results)
    return {
        id(r): label(r.test_id, r.attempt, attempts=attempts[r.test_id], limit=limit)
        for r in results
    }


def problems(evaluation: Evaluation) -> list[tuple[TestResult, Outcome]]:
    """Everything that did not pass, failures before errors before unknowns, tests in order."""
    found = [(result, outcome) for result in evaluation.results for outcome in missed(result)]
    return sorted(found, key=lambda pair: WORST_FIRST[pair[1].verdict])


def missed(result: TestResult) -> list[Outcome]:
    """What did not pass of one test, the worst first.

    What kept the whole test from being judged comes as an outcome without a check's name.
    """
    found: list[Outcome] = []
    if result.error is not None:
        found.append(Outcome(verdict=Verdict.ERROR, rationale=result.error))
    elif not result.judged:
        found.append(Outcome(verdict=Verdict.UNKNOWN, rationale=_NOTHING_ASKED))
    found += [outcome for outcome in result.judged if outcome.verdict is not Verdict.PASS]
    return sorted(found, key=lambda outcome: WORST_FIRST[outcome.verdict])


def what_happened(outcome: Outcome, limit: int = 400) -> str:
    """Expected and observed on one line, behind the calls that it speaks of: the rationale, or what
    was missed where there is none.
    """
    text = outcome.explanation or "; ".join(outcome.misses[:5]) or "no reason given"
    return one_line(text, limit)
