"""The figures of a run, over all its rows: MLflow's own means cover one call at a time."""

from __future__ import annotations

from collections.abc import Sequence

from skilltrace_mlflow.attempts import attempt_metrics
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.gates import is_graded
from skilltrace_mlflow.results import TestResult

__all__ = ["run_metrics"]


def run_metrics(results: Sequence[TestResult]) -> dict[str, float]:
    """For each check `/mean` of what could be judged, `/pass_rate` and `/coverage` of all that
    were expected; then the figures over attempts.
    """
    outcomes: dict[str, list[Outcome]] = {}
    for result in results:
        for outcome in result.judged:
            outcomes.setdefault(outcome.check, []).append(outcome)
    figures: dict[str, float] = {}
    for check, found in sorted(outcomes.items()):
        judged = [o for o in found if o.verdict in (Verdict.PASS, Verdict.FAIL)]
        passed = sum(o.verdict is Verdict.PASS for o in judged)
        if judged:
            values = [_value(outcome) for outcome in judged]
            figures[f"{check}/mean"] = sum(values) / len(values)
        figures[f"{check}/pass_rate"] = passed / len(found)
        figures[f"{check}/coverage"] = len(judged) / len(found)
    return figures | attempt_metrics(results)


def _value(outcome: Outcome) -> float:
    """What MLflow's own mean counts: the score of a graded check, 1 or 0 for a yes or no."""
    if outcome.score is not None and is_graded(outcome.check):
        return outcome.score
    return float(outcome.verdict is Verdict.PASS)
