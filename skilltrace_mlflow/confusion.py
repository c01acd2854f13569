"""Is the skill picked up when it should be? Recall and precision over results. Standard library.

A result counts by its `should_trigger` outcome. Recall is over the prompts that should trigger the
skill, precision over those that did.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.results import TestResult

__all__ = ["TRIGGER_CHECK", "TRIGGER_GATES", "Confusion", "confusion_of", "trigger_figures"]

TRIGGER_CHECK = "should_trigger"
TRIGGER_GATES = ("trigger_recall", "trigger_precision")


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How often the skill was triggered where it should have been and where not."""

    hits: int = 0
    misses: int = 0
    wrong: int = 0
    left_alone: int = 0
    unknown: int = 0

    @property
    def recall(self) -> float | None:
        """Share of the prompts that should trigger the skill which did; None without any."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else None

    @property
    def precision(self) -> float | None:
        """Share of what triggered the skill that should have; None where nothing did."""
        return self.hits / (self.hits + self.wrong) if self.hits + self.wrong else None


def confusion_of(results: Iterable[TestResult]) -> Confusion:
    """The counts over all results that expect the skill to trigger or not."""
    counts = dict.fromkeys(("hits", "misses", "wrong", "left_alone", "unknown"), 0)
    for result in results:
        for outcome in result.judged:
            if outcome.check == TRIGGER_CHECK:
                counts[_cell(outcome)] += 1
    return Confusion(**counts)


def trigger_figures(
    gate: str, results: Iterable[TestResult]
) -> Iterable[tuple[TestResult, float | None, str]]:
    """What each result contributes to a gate: 1 or 0, or None with the reason; those that say
    nothing about it (precision: the skill was not triggered) are left out.
    """
    recall = gate == TRIGGER_GATES[0]
    for result in results:
        for outcome in result.judged:
            if outcome.check != TRIGGER_CHECK:
                continue
            cell = _cell(outcome)
            if cell == "unknown":
                yield result, None, outcome.rationale or str(outcome.verdict)
            elif cell == "hits":
                yield result, 1.0, ""
            elif cell == ("misses" if recall else "wrong"):
                yield result, 0.0, ""


def _cell(outcome: Outcome) -> str:
    if outcome.verdict not in (Verdict.PASS, Verdict.FAIL) or "expected" not in outcome.details:
        return "unknown"
    triggered = bool(outcome.details["triggered"])
    if outcome.details["expected"]:
        return "hits" if triggered else "misses"
    return "wrong" if triggered else "left_alone"
