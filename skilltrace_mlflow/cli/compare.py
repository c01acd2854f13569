"""`skilltrace-mlflow compare A B`: better, worse, appeared, vanished."""

from __future__ import annotations

from pathlib import Path

import click

from skilltrace_mlflow.cli._common import (
    colourful,
    format_option,
    output_option,
    verbosity_options,
    write_files,
    write_result,
)

__all__ = ["command"]

EXIT_REGRESSION = 1
EXIT_UNKNOWN = 3


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
    what one run wrote to an outcome table (a Delta folder, or catalog.schema.table).

    A test or a check that vanished, and a pass that became unknown, count as regressions. A figure
    (less is better) is worse only if it rose by more than the tolerance and chance alone does not
    explain it. Where no test is in both, nothing is compared: no regression, and exit code 3 with
    --fail-on-regression.
    """
    from skilltrace_mlflow.cli._common import results_of
    from skilltrace_mlflow.comparison.compare import compare_results
    from skilltrace_mlflow.report import render_comparison

    comparison = compare_results(
        results_of(before, tracking_uri),
        results_of(after, tracking_uri),
        before_name=before,
        after_name=after,
        tolerance=tolerance,
    )
    write_files(outputs, lambda name: render_comparison(comparison, name), quiet=quiet)
    write_result(render_comparison(comparison, output_format, color=colourful()), output_format)
    if fail_on_regression and comparison.regressions:
        ctx.exit(EXIT_REGRESSION)
    if fail_on_regression and comparison.unpaired:
        ctx.exit(EXIT_UNKNOWN)  # no regression, but nobody has looked either
