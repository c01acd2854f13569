"""`import`: transcripts into MLflow, once each."""

from __future__ import annotations

import json
from pathlib import Path

import click

from skilltrace_mlflow.cli._common import (
    format_option,
    note,
    output_option,
    progress_bar,
    verbosity_options,
    write_files,
    write_result,
)
from skilltrace_mlflow.cli._options import ExpandedPath, store_options

__all__ = ["command"]


@click.command(
    name="import",
    epilog="Example: skilltrace-mlflow import --experiment sessions --redact ~/.claude/projects",
)
@click.argument("paths", nargs=-1, required=True, type=ExpandedPath(), metavar="FILE_OR_DIR...")
@click.option("--redact", is_flag=True, help="Replace secrets (detect-secrets' rules) beforehand.")
@click.option(
    "--workers",
    type=click.IntRange(min=1, max=64),
    metavar="N",
    help="Sessions imported at the same time.  [default: 8]",
)
@format_option("table", "json")
@output_option("table", "json")
@store_options
@verbosity_options
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    redact: bool,
    workers: int | None,
    output_format: str,
    outputs: tuple[Path, ...],
    experiment: str | None,
    tracking_uri: str | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Log transcripts as MLflow traces, one per user turn, with their original times.

    FILE is a transcript; a folder is searched for sessions. Importing again adds nothing: a turn
    that has grown since replaces its trace. The experiment is created if it does not exist. A file
    that cannot be read is reported, the others are imported, and the exit code is 2.
    """
    from skilltrace_mlflow.importing import import_transcripts

    with progress_bar("importing", quiet=quiet) as progress:
        report = import_transcripts(
            paths,
            experiment=experiment,
            tracking_uri=tracking_uri,
            redact=redact,
            workers=workers,
            progress=progress,
        )
    for path, reason in report.failed.items():
        note(f"error: {reason if path in reason else f'{path}: {reason}'}")
    if verbose:
        for trace_id in report.trace_ids:
            note(f"logged {trace_id}")

    def rendered(name: str) -> str:
        return json.dumps(report.to_dict(), indent=2) if name == "json" else report.in_words()

    write_files(outputs, rendered, quiet=quiet)
    write_result(rendered(output_format), output_format)
    if report.failed:
        ctx.exit(2)
