"""`doctor`: what a set-up needs, and the way out where it lacks something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skilltrace_mlflow.cli._common import (
    colourful,
    format_option,
    output_option,
    verbosity_options,
    write_files,
    write_result,
)
from skilltrace_mlflow.cli._options import ExpandedPath, store_options

if TYPE_CHECKING:
    pass

__all__ = ["command"]

_STYLES = {"ok": "", "missing": "bold red", "unknown": "yellow", "skipped": "dim"}


@click.command(epilog="Example: skilltrace-mlflow doctor --table main.skilltrace.outcomes")
@click.option(
    "-d",
    "--directory",
    default=".",
    type=ExpandedPath(file_okay=False),
    show_default=True,
    help="The project whose settings are looked at.",
)
@store_options
@click.option("--profile", metavar="NAME", help="Profile of ~/.databrickscfg.")
@click.option(
    "--warehouse",
    metavar="ID",
    help="SQL warehouse of the dashboard [MLFLOW_TRACING_SQL_WAREHOUSE_ID].",
)
@click.option(
    "--table", metavar="TABLE", help="Outcome table (catalog.schema.name) to be written to."
)
@click.option("--here", is_flag=True, help="Look for sessions of the directory alone.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one step may take.",
)
@format_option("table", "json")
@output_option("table", "json")
@verbosity_options
def command(
    directory: Path,
    experiment: str | None,
    tracking_uri: str | None,
    profile: str | None,
    warehouse: str | None,
    table: str | None,
    here: bool,
    timeout: float,
    output_format: str,
    outputs: tuple[Path, ...],
    quiet: bool,
    verbose: bool,
) -> int:
    """Check what a set-up needs, one line each, with the way out. Nothing is changed.

    Looked at are Claude Code, the project's autolog settings, the store, its experiment, sessions
    on this machine that have no trace in it, and on Databricks the profile, the SQL warehouse and
    the grants. Exit codes: 0 all well, 1 something is missing, 2 bad usage, 3 something could not
    be asked and nothing is known to be missing.
    """
    from skilltrace_mlflow.databricks.doctor import examine, exit_code
    from skilltrace_mlflow.report import columns_text

    findings = examine(
        directory,
        experiment=experiment,
        tracking_uri=tracking_uri,
        profile=profile,
        warehouse=warehouse,
        table=table,
        here=here,
        timeout=timeout,
    )
    code = exit_code(findings)

    def text_of(name: str, *, color: bool = False) -> str:
        if name == "json":
            report = {"exit_code": code, "findings": [item.to_dict() for item in findings]}
            return json.dumps(report, indent=2, ensure_ascii=False)
        rows = [
            (item.state, item.name, f"{item.found}; {item.way_out}" if item.way_out else item.found)
            for item in findings
        ]
        styles = [_STYLES[item.state] for item in findings]
        head = ("state", "what", "")
        return columns_text(head, rows, styles=styles, headed=False, color=color)

    write_files(outputs, text_of, quiet=quiet)
    write_result(text_of(output_format, color=colourful()), output_format)
    return code
