"""Figures over several attempts at the same test cases. Standard library only.

pass@k (any of k attempts passes) and pass^k (all k pass) are the unbiased estimators over the
attempts made, without resampling. Intervals are Wilson's, which stay inside [0, 1] and do not
collapse to a point when every attempt passed; over several test cases the sample size is the
effective one, since attempts at one case resemble each other (Kish's design effect).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import comb, sqrt

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.confusion import confusion_of
from skilltrace_mlflow.results import TestResult

__all__ = [
    "AttemptStats",
    "CaseStats",
    "attempt_metrics",
    "attempt_stats",
    "clustered_interval",
    "pass_at_k",
    "pass_hat_k",
    "wilson_interval",
]

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class CaseStats:
    """One test case: its attempts, how many passed, and the interval of its pass rate.

    An attempt that could not be judged did not pass; `unjudged` counts those.
    """

    test_id: str
    attempts: int
    passed: int
    unjudged: int
    interval: Interval

    @property
    def pass_rate(self) -> float:
        """Share of the attempts that passed."""
        return self.passed / self.attempts


@dataclass(frozen=True, kw_only=True)
class AttemptStats:
    """All test cases together; `pass_at` and `pass_hat` map k to the mean over the cases.

    k runs up to the least number of attempts that any case has, so that every mean is over all.
    """

    cases: tuple[CaseStats, ...]
    pass_rate: float
    interval: Interval
    pass_at: dict[int, float]
    pass_hat: dict[int, float]

    @property
    def shown(self) -> list[int]:
        """The k that are worth showing: all of a few, else 1 to 8, a middle and the last."""
        ks = list(self.pass_at)
        return ks if len(ks) <= 10 else sorted({*ks[:8], ks[len(ks) // 2], ks[-1]})


def pass_at_k(attempts: int, passed: int, k: int) -> float:
    """Probability that at least one of `k` attempts drawn without replacement passed.

    Raises ValueError unless 0 ≤ passed ≤ attempts and 1 ≤ k ≤ attempts.
    """
    _require(attempts, passed, k)
    return 1.0 - comb(attempts - passed, k) / comb(attempts, k)


def pass_hat_k(attempts: int, passed: int, k: int) -> float:
    """Probability that all of `k` attempts drawn without replacement passed (pass^k)."""
    _require(attempts, passed, k)
    return comb(passed, k) / comb(attempts, k)


def wilson_interval(passed: float, attempts: float, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a pass rate; (0, 1) where there were no attempts.

    Both may be fractions: an effective sample size is one.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is between 0 and 1, not {confidence!r}")
    if attempts <= 0:
        return 0.0, 1.0
    from statistics import (
        NormalDist,
    )  # with fractions and random, which a table of one test needs not

    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = passed / attempts
    scale = 1 + z * z / attempts
    centre = (rate + z * z / (2 * attempts)) / scale
    half = z * sqrt(rate * (1 - rate) / attempts + z * z / (4 * attempts * attempts)) / scale
    # At the ends rounding would leave 1 - 1e-17, which reads as a bound that is not there.
    low = 0.0 if rate == 0 else max(0.0, centre - half)
    high = 1.0 if rate == 1 else min(1.0, centre + half)
    return low, high


def clustered_interval(counts: Sequence[tuple[int, int]], *, confidence: float = 0.95) -> Interval:
    """Interval of the pass rate over all attempts, the test case being what was sampled.

    `counts` holds (passed, attempts) per case. The variance between cases gives the effective
    sample size: never more than the attempts made; the number of cases where it cannot be
    estimated (one case, or all attempts alike).
    """
    counts = [(passed, attempts) for passed, attempts in counts if attempts]
    total = sum(attempts for _, attempts in counts)
    if not total:
        return 0.0, 1.0
    cases = len(counts)
    rate = sum(passed for passed, _ in counts) / total
    if cases == 1:
        return wilson_interval(counts[0][0], total, confidence=confidence)
    effective = float(cases)
    if 0 < rate < 1:
        squares = sum((passed - attempts * rate) ** 2 for passed, attempts in counts)
        variance = squares / (total * total) * cases / (cases - 1)
        if variance > 0:
            effective = min(rate * (1 - rate) / variance, float(total))
        else:
            effective = float(total)
    return wilson_interval(rate * effective, effective, confidence=confidence)


def attempt_stats(results: Iterable[TestResult], *, confidence: float = 0.95) -> AttemptStats:
    """Statistics of these results, grouped by test case; raises ValueError without any."""
    groups: dict[str, list[Verdict]] = {}
    for result in results:
        groups.setdefault(result.test_id, []).append(result.verdict)
    if not groups:
        raise ValueError("no results, hence no statistics")
    cases = []
    for test_id, verdicts in groups.items():
        passed = sum(verdict is Verdict.PASS for verdict in verdicts)
        judged = sum(verdict in (Verdict.PASS, Verdict.FAIL) for verdict in verdicts)
        cases.append(
            CaseStats(
                test_id=test_id,
                attempts=len(verdicts),
                passed=passed,
                unjudged=len(verdicts) - judged,
                interval=wilson_interval(passed, len(verdicts), confidence=confidence),
            )
        )
    counts = [(case.passed, case.attempts) for case in cases]
    least = min(case.attempts for case in cases)

    def mean(estimate: Callable[[int, int, int], float], k: int) -> float:
        return sum(estimate(c.attempts, c.passed, k) for c in cases) / len(cases)

    return AttemptStats(
        cases=tuple(cases),
        pass_rate=sum(p for p, _ in counts) / sum(n for _, n in counts),
        interval=clustered_interval(counts, confidence=confidence),
        pass_at={k: mean(pass_at_k, k) for k in range(1, least + 1)},
        pass_hat={k: mean(pass_hat_k, k) for k in range(1, least + 1)},
    )


def attempt_metrics(results: Iterable[TestResult]) -> dict[str, float]:
    """The statistics as figures for an MLflow run; empty without results.

    pass@k and pass^k only where some case has several attempts, and for at most ten k.
    """
    results = tuple(results)
    if not results:
        return {}
    stats = attempt_stats(results)
    figures = {
        "test_cases": float(len(stats.cases)),
        "attempts": float(len(results)),
        "pass_rate": stats.pass_rate,
        "pass_rate/low": stats.interval[0],
        "pass_rate/high": stats.interval[1],
    }
    confusion = confusion_of(results)
    for name, rate, hits, others in (
        ("trigger_recall", confusion.recall, confusion.hits, confusion.misses),
        ("trigger_precision", confusion.precision, confusion.hits, confusion.wrong),
    ):
        if rate is not None:
            low, high = wilson_interval(hits, hits + others)
            figures |= {name: rate, f"{name}/low": low, f"{name}/high": high}
    if max(case.attempts for case in stats.cases) > 1:
        for k in stats.shown:
            figures[f"pass_at_{k}"] = stats.pass_at[k]
            figures[f"pass_hat_{k}"] = stats.pass_hat[k]
    return figures


def _require(attempts: int, passed: int, k: int) -> None:
    if not 0 <= passed <= attempts:
        raise ValueError(f"passed is between 0 and {attempts} attempts, not {passed}")
    if not 1 <= k <= attempts:
        raise ValueError(f"k is between 1 and {attempts} attempts, not {k}")
