"""What a skill changes: the same prompts with and without it, side by side. Standard library only.

Differences are paired by test case (with one test case, by attempt). The interval of a difference
of pass rates joins the arms' Wilson intervals (Newcombe's square-and-add), which does not collapse
where all attempts agree; that of a figure is Student's over the pairs. Checks of the skill's being
loaded fail without the skill by nature; they are shown, and left out of the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

from skilltrace_mlflow.attempts import AttemptStats, attempt_stats, clustered_interval
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.figures import FIGURES
from skilltrace_mlflow.results import Evaluation, TestResult

__all__ = ["OF_THE_SKILL", "ArmRow", "Arms", "compare_arms"]

OF_THE_SKILL = frozenset(
    (
        "required_skills",
        "routing_precision",
        "routing_recall",
        "should_trigger",
        "skill_routing_accuracy",
    )
)
"""Checks of whether the skill was loaded."""

OVERALL = "all checks"
_LEFT = ("total_tokens", "cost_usd", "duration_seconds", "turns", "tool_calls")
# Student's t at 97.5 %, by degrees of freedom.
_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)

ArmVerdict = Literal["helps", "no difference shown", "harms"]


@dataclass(frozen=True, kw_only=True)
class ArmRow:
    """One thing that was measured in both arms: a check's pass rate, or the mean of a figure.

    `difference` is with minus without, None where the arms have nothing in common; `pairs` is how
    many were compared. `of_the_skill` marks checks that the verdict leaves out.
    """

    name: str
    with_skill: float | None
    without: float | None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    pairs: int = 0
    of_the_skill: bool = False


@dataclass(frozen=True, kw_only=True)
class Arms:
    """Both arms: rows for checks (the first is over all that are not of the skill), rows for
    figures, the statistics over attempts, and what it comes to.
    """

    verdict: ArmVerdict
    reason: str
    checks: tuple[ArmRow, ...]
    figures: tuple[ArmRow, ...]
    with_stats: AttemptStats
    without_stats: AttemptStats

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "checks": [_row_dict(row) for row in self.checks],
            "figures": [_row_dict(row) for row in self.figures],
            "with": _stats_dict(self.with_stats),
            "without": _stats_dict(self.without_stats),
        }


def compare_arms(evaluation: Evaluation) -> Arms | None:
    """The comparison of an evaluation's arms; None where it has only one."""
    if not evaluation.without or not evaluation.results:
        return None
    arms = (evaluation.results, evaluation.without)
    names = sorted({o.check for arm in arms for result in arm for o in result.judged})
    overall = _rate_row(OVERALL, arms, _overall)
    checks = [
        _rate_row(name, arms, _of_check(name), of_the_skill=name in OF_THE_SKILL) for name in names
    ]
    verdict, reason = _verdict(overall)
    return Arms(
        verdict=verdict,
        reason=reason,
        checks=(overall, *checks),
        figures=tuple(_figure_row(key, arms) for key in _LEFT),
        with_stats=attempt_stats(arms[0]),
        without_stats=attempt_stats(arms[1]),
    )


_Arms = tuple[Sequence[TestResult], Sequence[TestResult]]
_Judge = Callable[[TestResult], "bool | None"]


def _overall(result: TestResult) -> bool | None:
    """Whether everything passed that is not about the skill's being loaded; None: not known."""
    outcomes = [o for o in result.judged if o.check not in OF_THE_SKILL]
    if result.error is not None or not outcomes:
        return None
    verdicts = [_passed(outcome) for outcome in outcomes]
    return False if False in verdicts else None if None in verdicts else True


def _of_check(name: str) -> _Judge:
    def judge(result: TestResult) -> bool | None:
        return next((_passed(o) for o in result.judged if o.check == name), None)

    return judge


def _passed(outcome: Outcome) -> bool | None:
    if outcome.verdict not in (Verdict.PASS, Verdict.FAIL):
        return None
    return outcome.verdict is Verdict.PASS


def _rate_row(name: str, arms: _Arms, judge: _Judge, *, of_the_skill: bool = False) -> ArmRow:
    counts = [_counts(arm, judge) for arm in arms]
    shared = [test for test in counts[0] if test in counts[1]]
    rates = [_rate(found.values()) for found in counts]
    row = ArmRow(
        name=name, with_skill=rates[0], without=rates[1], pairs=0, of_the_skill=of_the_skill
    )
    if not shared:
        return row
    one, other = ([found[test] for test in shared] for found in counts)
    from statistics import fmean

    difference = fmean(a[0] / a[1] - b[0] / b[1] for a, b in zip(one, other, strict=True))
    (p, low, high), (q, low2, high2) = (
        (_rate(part) or 0.0, *clustered_interval(part)) for part in (one, other)
    )
    below = sqrt((p - low) ** 2 + (high2 - q) ** 2)
    above = sqrt((high - p) ** 2 + (q - low2) ** 2)
    return ArmRow(
        name=name,
        with_skill=rates[0],
        without=rates[1],
        difference=difference,
        interval=(max(-1.0, difference - below), min(1.0, difference + above)),
        pairs=len(shared),
        of_the_skill=of_the_skill,
    )


def _counts(results: Sequence[TestResult], judge: _Judge) -> dict[str, tuple[int, int]]:
    """Passed and judged attempts by test."""
    counts: dict[str, tuple[int, int]] = {}
    for result in results:
        passed = judge(result)
        if passed is not None:
            before = counts.get(result.test_id, (0, 0))
            counts[result.test_id] = (before[0] + passed, before[1] + 1)
    return counts


def _rate(counts: Iterable[tuple[int, int]]) -> float | None:
    counts = list(counts)
    total = sum(judged for _, judged in counts)
    return sum(passed for passed, _ in counts) / total if total else None


def _figure_row(key: str, arms: _Arms) -> ArmRow:
    from statistics import fmean

    values = [_values(arm, key) for arm in arms]
    means = [
        fmean(v for test in found.values() for v in test.values()) if found else None
        for found in values
    ]
    shared = [test for test in values[0] if test in values[1]]
    if len(shared) == 1:
        one, other = values[0][shared[0]], values[1][shared[0]]
        differences = [one[n] - other[n] for n in one if n in other]
    else:
        differences = [
            fmean(values[0][test].values()) - fmean(values[1][test].values()) for test in shared
        ]
    return ArmRow(
        name=FIGURES[key],
        with_skill=means[0],
        without=means[1],
        difference=fmean(differences) if differences else None,
        interval=_student(differences),
        pairs=len(differences),
    )


def _values(results: Sequence[TestResult], key: str) -> dict[str, dict[int, float]]:
    """A figure by test and attempt, of the attempts that could be judged."""
    found: dict[str, dict[int, float]] = {}
    for result in results:
        figures = result.figures
        if figures is None or result.error is not None or key in figures.at_least:
            continue  # a lower bound is no figure to subtract
        value = figures.get(key)
        if value is not None:
            found.setdefault(result.test_id, {})[result.attempt] = float(value)
    return found


def _student(differences: Sequence[float]) -> tuple[float, float] | None:
    if len(differences) < 2:
        return None
    from statistics import fmean, stdev

    degrees = len(differences) - 1
    t = _T[degrees - 1] if degrees <= len(_T) else 1.96 + 2.4 / degrees
    half = t * stdev(differences) / sqrt(len(differences))
    middle = fmean(differences)
    return middle - half, middle + half


def _verdict(row: ArmRow) -> tuple[ArmVerdict, str]:
    if row.interval is None or row.difference is None:
        return "no difference shown", "nothing was judged in both arms but the skill itself"
    low, high = row.interval
    shown = (
        f"pass rate {row.difference:+.3f} with the skill, 95 % interval {low:+.3f} to {high:+.3f}"
    )
    if low > 0:
        return "helps", shown
    return ("harms", shown) if high < 0 else ("no difference shown", shown)


def _row_dict(row: ArmRow) -> dict[str, Any]:
    low, high = row.interval or (None, None)
    return {
        "name": row.name,
        "with": row.with_skill,
        "without": row.without,
        "difference": row.difference,
        "low": low,
        "high": high,
        "pairs": row.pairs,
        **({"of_the_skill": True} if row.of_the_skill else {}),
    }


def _stats_dict(stats: AttemptStats) -> Mapping[str, Any]:
    return {
        "pass_rate": stats.pass_rate,
        "low": stats.interval[0],
        "high": stats.interval[1],
        "pass_at": {str(k): v for k, v in stats.pass_at.items()},
        "pass_hat": {str(k): v for k, v in stats.pass_hat.items()},
    }
