"""`skilltrace-mlflow compare A B`: better, worse, appeared, vanished."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skilltrace_mlflow.cli._common import (
    colourful,
    format_option,
    note,
    output_option,
    verbosity_options,
    write_files,
    write_result,
)
from skilltrace_mlflow.errors import InputError

if TYPE_CHECKING:
    from skilltrace_mlflow.comparison.compare import Comparison

__all__ = ["command"]

EXIT_REGRESSION = 1
EXIT_UNKNOWN = 3
EXIT_UNREAD = 2


@click.command(
    "compare",
    epilog="Example: skilltrace-mlflow compare last-week.jsonl results.jsonl --fail-on-regression",
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--fail-on-regression",
    is_flag=True,
    help="Exit with 1 if something got worse or vanished, or a figure rose beyond --tolerance.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0.0),
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="How much tokens, calls, turns, seconds and cost may rise before that is a regression.",
)
@click.option("--tracking-uri", metavar="URI", help="MLflow tracking server or store.")
@format_option("table", "markdown", "json")
@output_option("table", "markdown", "json")
@verbosity_options
@click.pass_context
def command(
    ctx: click.Context,
    before: str,
    after: str,
    fail_on_regression: bool,
    tolerance: float,
    tracking_uri: str | None,
    output_format: str,
    outputs: tuple[Path, ...],
    quiet: bool,
    verbose: bool,
) -> None:
    """Compare two evaluations, each the id of an MLflow run, a JSONL file of results, or TABLE@RUN:
    what one run wrote to an outcome table (a Delta folder, or catalog.schema.table). Of two
    directories the sessions below them are compared: their figures, as nothing judges them. They
    are paired by test (as --dump-traces names files), by prompt, or by name.

    A test or a check that vanished, and a pass that became unknown, count as regressions. A figure
    (less is better) is worse only if it rose by more than the tolerance and chance alone does not
    explain it. Where no test is in both, nothing is compared: no regression, and exit code 3 with
    --fail-on-regression.
    """
    from skilltrace_mlflow.report import render_comparison

    comparison, unread = _compared(before, after, tracking_uri, tolerance)
    write_files(outputs, lambda name: render_comparison(comparison, name), quiet=quiet)
    write_result(render_comparison(comparison, output_format, color=colourful()), output_format)
    for reason in unread:
        note(f"error: {reason}")
    if fail_on_regression and comparison.regressions:
        ctx.exit(EXIT_REGRESSION)
    if fail_on_regression and comparison.unpaired:
        ctx.exit(EXIT_UNKNOWN)  # no regression, but nobody has looked either
    if unread:
        ctx.exit(EXIT_UNREAD)


def _compared(
    before: str, after: str, tracking_uri: str | None, tolerance: float
) -> tuple[Comparison, tuple[str, ...]]:
    """The comparison, and which files of two directories could not be read."""
    from skilltrace_mlflow.cli._common import results_of
    from skilltrace_mlflow.comparison.compare import compare_results
    from skilltrace_mlflow.databricks.delta import names_table

    folders = [
        Path(source).expanduser().is_dir() and not names_table(source) for source in (before, after)
    ]
    if any(folders):
        from skilltrace_mlflow.comparison.sessions import pair_directories

        if not all(folders):
            folder, other = (before, after) if folders[0] else (after, before)
            raise InputError(
                f"{folder} is a directory of sessions and {other} is none; give two directories, "
                "or two evaluations"
            )
        paired = pair_directories(Path(before), Path(after))
        sides, by, unread = (paired.before, paired.after), paired.paired_by, paired.failed
    else:
        sides = (results_of(before, tracking_uri), results_of(after, tracking_uri))
        by, unread = None, ()
    comparison = compare_results(
        *sides, before_name=before, after_name=after, tolerance=tolerance, paired_by=by
    )
    return comparison, unread
