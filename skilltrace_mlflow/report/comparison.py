"""A comparison of two evaluations as table, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from skilltrace_mlflow.comparison.compare import (
    Change,
    CheckComparison,
    Comparison,
    FigureComparison,
)
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.figures import FIGURES, shown_figure
from skilltrace_mlflow.report.markdown import escape, markdown_table
from skilltrace_mlflow.report.terminal.lines import grid, hanging, printed, terminal_width
from skilltrace_mlflow.text import counted, dumps, one_line

__all__ = [
    "CHANGE_HEAD",
    "change_rows",
    "check_rows",
    "figure_rows",
    "render_comparison",
    "verdict",
]

CHANGE_HEAD = ("change", "test", "check", "before", "after", "why")
CHECK_HEAD = ("check", "passed in A", "passed in B", "change", "95 % interval", "p", "tests")
FIGURE_HEAD = ("per test", "A", "B", "change", "95 % interval", "", "tests")

_STYLES = {"worse": "bold red", "vanished": "bold red", "better": "green", "changed": "yellow"}
_MOST_CHANGES = 200


def render_comparison(
    comparison: Comparison,
    format: str,  # noqa: A002 - the option's name
    *,
    width: int | None = None,
    color: bool = False,
) -> str:
    """The comparison as `table`, `markdown` or `json`; ConfigurationError for another format."""
    if format == "json":
        return dumps(comparison.to_dict(), indent=2) + "\n"
    if format == "markdown":
        return _markdown(comparison)
    if format == "table":
        return _table(comparison, width, color)
    raise ConfigurationError(f"format {format!r} is not one of json, markdown, table")


def verdict(comparison: Comparison) -> str:
    """The summary line."""
    count = comparison.count
    by = comparison.paired_by
    if comparison.unpaired and by is not None:
        return (
            f"Nothing could be paired: none of A's {counted(count('vanished'), 'session')} has the "
            f"test, the prompt or the name of one of B's ({count('appeared'):,}); "
            "nothing was compared"
        )
    if comparison.unpaired:
        return (
            f"Nothing could be paired: none of A's tests ({count('vanished'):,}) has the id of one "
            f"of B's ({count('appeared'):,}); nothing was compared"
        )
    found = len(comparison.regressions)
    word = counted(found, "regression") if found else "No regression"
    if by is not None:
        how = ", ".join(f"{number:,} by {kind}" for kind, number in by.items())
        return (
            f"{word}: {counted(comparison.tests_in_both, 'session')} paired ({how}), "
            f"{count('vanished')} only in A, {count('appeared')} only in B"
        )
    return (
        f"{word}: {count('worse')} worse, {count('vanished')} vanished, {count('better')} better, "
        f"{count('appeared')} appeared, {count('changed')} changed otherwise; "
        f"{counted(comparison.tests_in_both, 'test')} in both"
    )


def change_rows(changes: Sequence[Change]) -> list[tuple[str, ...]]:
    """Cells under `CHANGE_HEAD`, as plain text on one line each."""
    return [
        (
            change.kind,
            one_line(change.test_id, 120),
            one_line(change.check, 80) if change.check is not None else "(whole test)",
            change.before,
            change.after,
            one_line(change.rationale, 160),
        )
        for change in changes
    ]


def check_rows(checks: Sequence[CheckComparison]) -> list[tuple[str, ...]]:
    """Cells under `CHECK_HEAD`; effect and interval are in percentage points."""
    return [
        (
            one_line(check.name, 80),
            _share(check.before_passed, check.before_judged),
            _share(check.after_passed, check.after_judged),
            "—" if check.effect is None else f"{_points(check.effect)} pp",
            _interval(check.interval),
            "—" if check.p_value is None else f"{check.p_value:.3f}",
            f"{check.pairs} paired" + (f", {check.unpaired} not judged" if check.unpaired else ""),
        )
        for check in checks
    ]


def figure_rows(figures: Sequence[FigureComparison]) -> list[tuple[str, ...]]:
    """Cells under `FIGURE_HEAD`."""
    return [
        (
            FIGURES[figure.name],
            shown_figure(figure.name, figure.before, figure.before_at_least),
            shown_figure(figure.name, figure.after, figure.after_at_least),
            _signed(figure.name, figure.effect) + _relative(figure),
            _figure_interval(figure),
            figure.verdict,
            f"{figure.pairs} paired",
        )
        for figure in figures
    ]


def _share(passed: int, judged: int) -> str:
    if not judged:
        return "not judged"
    percent = round(100 * passed / judged)
    if 0 < passed < judged:  # 199 of 200 are not all, 1 of 300 is not none
        percent = min(max(percent, 1), 99)
    return f"{passed:,} of {judged:,} ({percent}%)"


def _signed(name: str, value: float) -> str:
    """A change of a figure, in the figure's own style."""
    return _with_sign(value, shown_figure(name, abs(value)), shown_figure(name, 0))


def _relative(figure: FigureComparison) -> str:
    """The change as a percentage, with the sign of the change beside it."""
    if figure.relative is None:
        return ""
    sign = _signed(figure.name, figure.effect)[0]
    return f" ({sign}{abs(figure.relative):.1%})"


def _points(share: float) -> str:
    """A change of a share in percentage points."""
    return _with_sign(share, f"{abs(100 * share):.1f}", "0.0")


def _with_sign(value: float, shown: str, zero: str) -> str:
    """A change as it is shown; what rounds to nothing has no direction."""
    return ("±" if shown == zero else "+" if value > 0 else "-") + shown


def _figure_interval(figure: FigureComparison) -> str:
    if figure.interval is None:
        return "—"
    low, high = figure.interval
    return f"{_signed(figure.name, low)} to {_signed(figure.name, high)}"


def _interval(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return "—"
    return f"{_points(interval[0])} to {_points(interval[1])}"


def _markdown(comparison: Comparison) -> str:
    parts = [
        f"## {escape(comparison.before_name)} → {escape(comparison.after_name)}",
        f"**{escape(verdict(comparison))}**",
    ]
    for title, head, rows in _sections(comparison):
        shown = ([escape(cell) for cell in row] for row in rows[:_MOST_CHANGES])
        parts += [f"### {title}", markdown_table([cell or " " for cell in head], shown)]
        if len(rows) > _MOST_CHANGES:
            parts.append(f"… and {len(rows) - _MOST_CHANGES:,} more.")
    return "\n\n".join(parts) + "\n"


def _sections(
    comparison: Comparison,
) -> Iterable[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    if comparison.changes:
        yield "Changes", CHANGE_HEAD, change_rows(comparison.changes)
    if comparison.checks:
        yield "Checks", CHECK_HEAD, check_rows(comparison.checks)
    if comparison.figures:
        yield "Figures", FIGURE_HEAD, figure_rows(comparison.figures)


def _table(comparison: Comparison, width: int | None, color: bool) -> str:
    from rich.text import Text

    names = (("A", comparison.before_name), ("B", comparison.after_name))
    parts = [Text(f"{side}  {one_line(name)}", no_wrap=True) for side, name in names]
    parts.append(Text())
    columns = width or terminal_width()
    for _, head, rows in _sections(comparison):
        shown = rows[:_MOST_CHANGES]
        styles = [next((_STYLES[cell] for cell in row if cell in _STYLES), "") for row in shown]
        parts += [*grid(head, shown, columns, styles=styles), Text()]
        if len(rows) > _MOST_CHANGES:
            parts.append(Text(f"… and {len(rows) - _MOST_CHANGES:,} more; --format json has all"))
    style = (
        "bold red"
        if comparison.regressions
        else "bold yellow"
        if comparison.unpaired
        else "bold green"
    )
    parts.append(hanging([], verdict(comparison), columns, style=style))
    return printed(parts, width=columns, color=color)
