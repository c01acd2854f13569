"""Small charts as plain SVG: bars, a histogram, a line over runs. Nothing to load, nothing to run.

Colours are presentation attributes, so that a chart is readable by itself in a notebook; the
report's style sheet overrides them. For notebooks there are pictures of pass rate and tokens over
several runs (`pass_rate_over_runs`, `figure_over_runs`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from skilltrace_mlflow.comparison.records import ResultRecord, records_of
from skilltrace_mlflow.figures import FIGURES
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.text import counted, one_line

__all__ = [
    "Figure",
    "bars",
    "figure_over_runs",
    "histogram",
    "line",
    "number",
    "pass_rate_over_runs",
]

Runs = Mapping[str, Evaluation | Sequence[ResultRecord]]
_WIDTH, _HEIGHT = 360, 130
_LEFT, _BOTTOM, _TOP = 46, 18, 8
_PLOT_WIDTH, _PLOT_HEIGHT = _WIDTH - _LEFT - 8, _HEIGHT - _BOTTOM - _TOP
_BLUE, _GREY = "#4a7fb5", "#77818c"


def number(value: float) -> str:
    """A number short enough for an axis: 1,234 · 12.3k · 4.56M · 0.0123."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g}M"
    if size >= 1e4:
        return f"{value / 1e3:.3g}k"
    if size >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"


def bars(items: Sequence[tuple[str, float]], *, title: str) -> str:
    """One bar per (name, value), for a few tests."""
    top = max((value for _, value in items), default=0.0) or 1.0
    step = _PLOT_WIDTH / max(len(items), 1)
    shapes = [
        _bar(index * step + step * 0.1, step * 0.8, value / top, f"{name}: {number(value)}")
        for index, (name, value) in enumerate(items)
    ]
    return _frame(title, shapes, top, first="", last="")


def histogram(values: Sequence[float], *, title: str, unit: str) -> str:
    """How many tests fall into each of about twenty ranges of equal width."""
    low, high = min(values), max(values)
    count = max(1, min(20, math.ceil(math.sqrt(len(values)))))
    width = (high - low) / count
    if width == 0 or not math.isfinite(width):
        count, width = 1, 1.0
    bins = [0] * count
    for value in values:
        bins[min(count - 1, int((value - low) / width))] += 1
    top = max(bins)
    step = _PLOT_WIDTH / count
    shapes = [
        _bar(
            index * step + 0.5,
            step - 1,
            found / top,
            f"{number(low + index * width)} to {number(low + (index + 1) * width)} {unit}: "
            f"{counted(found, 'test')}",
        )
        for index, found in enumerate(bins)
    ]
    return _frame(title, shapes, top, first=number(low), last=number(high))


def line(
    points: Sequence[tuple[str, float | None]], *, title: str, top: float | None = None
) -> str:
    """A value over runs, in order; a run without the value (None) leaves a gap."""
    known = [value for _, value in points if value is not None]
    peak = top or max(known, default=0.0) or 1.0
    step = _PLOT_WIDTH / max(len(points) - 1, 1)
    shapes: list[str] = []
    stretch: list[str] = []
    for index, (name, value) in enumerate(points):
        if value is None:
            shapes += _stroke(stretch)
            stretch = []
            continue
        x = _LEFT + index * step
        y = _TOP + _PLOT_HEIGHT * (1 - value / peak)
        stretch.append(f"{x:.1f},{y:.1f}")
        shapes.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_BLUE}">'
            f"<title>{_text(f'{name}: {number(value)}')}</title></circle>"
        )
    shapes += _stroke(stretch)
    first, last = (points[0][0], points[-1][0]) if points else ("", "")
    return _frame(title, shapes, peak, first=first, last=last if len(points) > 1 else "")


def _stroke(stretch: Sequence[str]) -> list[str]:
    if len(stretch) < 2:
        return []
    return [f'<polyline class="line" points="{" ".join(stretch)}" fill="none" stroke="{_BLUE}"/>']


def _bar(x: float, width: float, share: float, tip: str) -> str:
    height = max(_PLOT_HEIGHT * share, 0.5)
    return (
        f'<rect class="bar" x="{_LEFT + x:.1f}" y="{_TOP + _PLOT_HEIGHT - height:.1f}" '
        f'width="{max(width, 0.5):.1f}" height="{height:.1f}" fill="{_BLUE}">'
        f"<title>{_text(tip)}</title></rect>"
    )


def _frame(title: str, shapes: Sequence[str], top: float, *, first: str, last: str) -> str:
    floor = _TOP + _PLOT_HEIGHT
    label = f'font-size="10" font-family="system-ui, sans-serif" fill="{_GREY}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{_text(title)}">'
        f'<line class="axis" x1="{_LEFT}" y1="{floor}" x2="{_WIDTH - 8}" y2="{floor}" '
        f'stroke="{_GREY}"/>'
        f'<text x="{_LEFT - 4}" y="{_TOP + 8}" text-anchor="end" {label}>'
        f"{_text(number(top))}</text>"
        f'<text x="{_LEFT - 4}" y="{floor}" text-anchor="end" {label}>0</text>'
        f'<text x="{_LEFT}" y="{floor + 12}" {label}>{_text(first)}</text>'
        f'<text x="{_WIDTH - 8}" y="{floor + 12}" text-anchor="end" {label}>{_text(last)}</text>'
        f"{''.join(shapes)}</svg>"
    )


def _text(text: str) -> str:
    return escape(one_line(text, 80), quote=True)


@dataclass(frozen=True)
class Figure:
    """An SVG that a notebook shows; `points` are the numbers it was drawn from."""

    svg: str
    points: tuple[tuple[str, float | None], ...]

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return self.svg


def pass_rate_over_runs(runs: Runs, *, check: str | None = None) -> Figure:
    """The share of tests that passed (that passed `check`, if given), run by run.

    `runs` maps a name to an `Evaluation` or to what `read_results` gives, in the order to draw.
    Tests on which the check was not expected do not count; unknown and error count as not passed.
    """
    points = [(name, _pass_rate(_records(run), check)) for name, run in runs.items()]
    title = f"pass rate of {check} over runs" if check else "pass rate of tests over runs"
    return Figure(line(points, title=title, top=1.0), tuple(points))


def figure_over_runs(runs: Runs, figure: str = "total_tokens") -> Figure:
    """The mean of a figure per test, run by run; ValueError for a name that is not a figure."""
    if figure not in FIGURES:
        raise ValueError(f"figure {figure!r} is not one of {', '.join(FIGURES)}")
    points = [
        (name, _mean(r.figures.get(figure) for r in _records(run))) for name, run in runs.items()
    ]
    return Figure(line(points, title=f"{FIGURES[figure]} per test over runs"), tuple(points))


def _records(run: Evaluation | Sequence[ResultRecord]) -> Sequence[ResultRecord]:
    return records_of(run) if isinstance(run, Evaluation) else run


def _pass_rate(records: Sequence[ResultRecord], check: str | None) -> float | None:
    if check is None:
        return _mean(float(record.verdict == "pass") for record in records)
    verdicts = (record.checks[check].verdict for record in records if check in record.checks)
    return _mean(float(verdict == "pass") for verdict in verdicts)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
