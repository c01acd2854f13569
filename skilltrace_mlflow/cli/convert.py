"""`convert`: earlier results in other formats, without evaluating again."""

from __future__ import annotations

from pathlib import Path

import click

from skilltrace_mlflow.cli._common import (
    colourful,
    format_option,
    note_remarks,
    output_option,
    verbosity_options,
    write_files,
    write_result,
)
from skilltrace_mlflow.cli._options import ExpandedPath

__all__ = ["command"]


@click.command(
    "convert",
    epilog="Example: skilltrace-mlflow convert results.jsonl --output junit.xml --output r.html",
)
@click.argument("results", type=ExpandedPath(dir_okay=False), metavar="RESULTS")
@format_option()
@output_option()
@verbosity_options
def command(
    results: Path, output_format: str, outputs: tuple[Path, ...], quiet: bool, verbose: bool
) -> int:
    """Write RESULTS, a .jsonl or .json file of an evaluation, in other formats.

    A result holds no trace, so the report of it has no timeline. Exit code 0 says that it was
    written, whatever the verdicts are.
    """
    from skilltrace_mlflow.report import render
    from skilltrace_mlflow.report.reread import read_evaluation

    evaluation = read_evaluation(results)
    note_remarks(evaluation, quiet=quiet, output_format="" if outputs else output_format)
    write_files(outputs, lambda name: render(evaluation, name), quiet=quiet)
    if not outputs:
        write_result(render(evaluation, output_format, color=colourful()), output_format)
    return 0
