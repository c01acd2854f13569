"""Small charts as plain SVG: bars, a histogram, a line over runs. Nothing to load, nothing to run.

Colours are presentation attributes, so that a chart is readable by itself in a notebook; the
report's style sheet overrides them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from skilltrace_mlflow.text import counted, one_line

__all__ = ["bars", "histogram", "line", "number"]

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
