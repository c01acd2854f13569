"""Rows in columns for a terminal, for whoever has rows and nothing else to say."""

from __future__ import annotations

from collections.abc import Sequence

from skilltrace_mlflow.report.terminal.console import printed, terminal_width
from skilltrace_mlflow.report.terminal.lines import grid
from skilltrace_mlflow.text import one_line

__all__ = ["columns_text"]

_LONGEST = 2_000


def columns_text(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
    styles: Sequence[str] = (),
    headed: bool = True,
    color: bool = False,
) -> str:
    """`rows` below `head` (not shown unless `headed`), as wide as the terminal; see `grid`."""
    shown = [[one_line(cell, _LONGEST) for cell in row] for row in rows]
    width = terminal_width()
    lines = grid(head, shown, width, numbers=numbers, styles=styles, headed=headed)
    return printed(lines, width=width, color=color).rstrip("\n")
