"""Both arms of a run as words: one table for checks and figures, one line of verdict."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from skilltrace_mlflow.arms import ArmRow, Arms
from skilltrace_mlflow.figures import FIGURES, shown_figure
from skilltrace_mlflow.report._attempts import attempts_summary

__all__ = ["ARMS_HEAD", "arms_lines", "arms_rows"]

_KEYS = {name: key for key, name in FIGURES.items()}
ARMS_HEAD = ("", "with", "without", "difference", "95 % interval")


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
