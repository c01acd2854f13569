"""Pictures for notebooks: pass rate and tokens over several runs, as plain SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from skilltrace_mlflow.comparison.records import ResultRecord, records_of
from skilltrace_mlflow.figures import FIGURES
from skilltrace_mlflow.report.svg import line
from skilltrace_mlflow.results import Evaluation

__all__ = ["Figure", "figure_over_runs", "pass_rate_over_runs"]

Runs = Mapping[str, Evaluation | Sequence[ResultRecord]]


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
