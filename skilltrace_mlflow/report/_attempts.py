"""Figures over several attempts and over both arms, as words.

Of attempts: one row per test case, one line over all. Of arms: one table for checks and figures,
one line of verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from skilltrace_mlflow.arms import ArmRow, Arms
from skilltrace_mlflow.attempts import AttemptStats, Interval, attempt_stats, wilson_interval
from skilltrace_mlflow.confusion import confusion_of
from skilltrace_mlflow.figures import FIGURES, shown_figure
from skilltrace_mlflow.results import Evaluation

__all__ = [
    "ARMS_HEAD",
    "HEAD",
    "arms_lines",
    "arms_rows",
    "attempts_of",
    "attempts_rows",
    "attempts_summary",
    "triggering_summary",
]

HEAD = ("test", "passed", "pass rate", "95 % interval")
_KEYS = {name: key for key, name in FIGURES.items()}
ARMS_HEAD = ("", "with", "without", "difference", "95 % interval")


def attempts_of(evaluation: Evaluation) -> AttemptStats | None:
    """The statistics, None where no test case has several attempts."""
    if all(result.attempt == 1 for result in evaluation.results):
        return None
    return attempt_stats(evaluation.results)


def attempts_rows(stats: AttemptStats) -> list[tuple[str, str, str, str]]:
    """The cells under `HEAD`, the test cases in order; an attempt not judged did not pass."""
    return [
        (
            case.test_id,
            f"{case.passed} of {case.attempts}"
            + (f" ({case.unjudged} not judged)" if case.unjudged else ""),
            f"{case.pass_rate:.3f}",
            _interval(case.interval),
        )
        for case in stats.cases
    ]


def attempts_summary(stats: AttemptStats) -> str:
    """All test cases together; pass@k and pass^k up to the attempts that each of them has."""
    rate = f"pass rate {stats.pass_rate:.3f} (95 % interval {_interval(stats.interval)})"
    several = (
        f"pass@{k} {stats.pass_at[k]:.3f}, pass^{k} {stats.pass_hat[k]:.3f}" for k in stats.shown
    )
    return " · ".join((rate, *several))


def triggering_summary(evaluation: Evaluation) -> str | None:
    """Recall and precision of picking up the skill, with intervals; None where nothing expects it
    to be, or not to be.
    """
    found = confusion_of(evaluation.results)
    parts = []
    for name, rate, others in (
        ("trigger recall", found.recall, found.misses),
        ("trigger precision", found.precision, found.wrong),
    ):
        if rate is not None:
            total = found.hits + others
            interval = _interval(wilson_interval(found.hits, total))
            parts.append(f"{name} {rate:.3f} ({found.hits} of {total}, 95 % interval {interval})")
    if found.unknown:
        parts.append(f"{found.unknown} not known")
    return " · ".join(parts) or None


def _interval(interval: Interval) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def arms_rows(arms: Arms) -> list[tuple[str, str, str, str, str]]:
    """The cells under `ARMS_HEAD`: checks as pass rates, then the means of figures."""
    return [
        *(_cells(row, _rate) for row in arms.checks),
        *(_cells(row, partial(shown_figure, _KEYS[row.name])) for row in arms.figures),
    ]


def arms_lines(arms: Arms) -> tuple[str, ...]:
    """The verdict, and the attempts of each arm."""
    return (
        f"The skill: {arms.verdict} ({arms.reason})",
        f"with: {attempts_summary(arms.with_stats)}",
        f"without: {attempts_summary(arms.without_stats)}",
    )


def _cells(row: ArmRow, said: Callable[[float], str]) -> tuple[str, str, str, str, str]:
    interval = "—"
    if row.interval is not None:
        interval = f"{_signed(row.interval[0], said)} to {_signed(row.interval[1], said)}"
    return (
        f"{row.name} (of the skill itself)" if row.of_the_skill else row.name,
        "—" if row.with_skill is None else said(row.with_skill),
        "—" if row.without is None else said(row.without),
        "—" if row.difference is None else _signed(row.difference, said),
        interval,
    )


def _rate(value: float) -> str:
    return f"{value:.3f}"


def _signed(value: float, said: Callable[[float], str]) -> str:
    sign = "+" if value > 0 else "-" if value < 0 else "±"
    return sign + said(abs(value))
