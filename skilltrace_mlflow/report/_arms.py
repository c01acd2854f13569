"""Both arms of a run as words: one table for checks and figures, one line of verdict."""

from __future__ import annotations

from skilltrace_mlflow.arms import ArmRow, Arms
from skilltrace_mlflow.report._attempts import attempts_summary

__all__ = ["ARMS_HEAD", "arms_lines", "arms_rows"]

ARMS_HEAD = ("", "with", "without", "difference", "95 % interval")


def arms_rows(arms: Arms) -> list[tuple[str, str, str, str, str]]:
    """The cells under `ARMS_HEAD`: checks as pass rates, then the means of figures."""
    return [*(_cells(row) for row in arms.checks), *(_cells(row) for row in arms.figures)]


def arms_lines(arms: Arms) -> tuple[str, ...]:
    """The verdict, and the attempts of each arm."""
    return (
        f"The skill: {arms.verdict} ({arms.reason})",
        f"with: {attempts_summary(arms.with_stats)}",
        f"without: {attempts_summary(arms.without_stats)}",
    )


def _cells(row: ArmRow) -> tuple[str, str, str, str, str]:
    interval = "—"
    if row.interval is not None:
        interval = f"{_signed(row.interval[0])} to {_signed(row.interval[1])}"
    return (
        f"{row.name} (of the skill itself)" if row.of_the_skill else row.name,
        _number(row.with_skill),
        _number(row.without),
        "—" if row.difference is None else _signed(row.difference),
        interval,
    )


def _number(value: float | None) -> str:
    return "—" if value is None else _plain(value)


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + _plain(value)


def _plain(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if value and abs(value) < 0.01:
        return f"{value:.3g}"
    return f"{value:.1f}" if abs(value) > 1 else f"{value:.3f}"
