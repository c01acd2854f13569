"""`skilltrace-mlflow show`: what happened in one trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skilltrace_mlflow.cli._common import colourful, note, write_result
from skilltrace_mlflow.cli._options import ExpandedPath, store_options

if TYPE_CHECKING:
    from skilltrace_mlflow.sources.load import Evidence

__all__ = ["command"]


@click.command(
    "show",
    epilog="Example: skilltrace-mlflow show session.jsonl --format html --output page.html",
)
@click.argument("file", required=False, type=ExpandedPath(dir_okay=False), metavar="[FILE]")
@click.option("--trace-id", metavar="ID", help="One MLflow trace (a user turn).")
@click.option("--session-id", metavar="ID", help="All turns of a session, in MLflow or local.")
@store_options
@click.option(
    "--format",
    "output_format",
    type=click.Choice(("table", "html", "json")),
    default="table",
    show_default=True,
    help="A timeline for the terminal, a page, or the session as JSON.",
)
@click.option(
    "--output",
    type=ExpandedPath(dir_okay=False),
    metavar="FILE",
    help="Write to FILE instead of standard output.",
)
def command(
    file: Path | None,
    trace_id: str | None,
    session_id: str | None,
    experiment: str | None,
    tracking_uri: str | None,
    output_format: str,
    output: Path | None,
) -> None:
    """Show the timeline of one trace: prompts, model steps, tool calls and how they ended, files,
    sub-agents, totals. FILE is a transcript (- reads standard input) or a dumped trace.
    """
    from skilltrace_mlflow.report import session_text, timeline_text, to_html_page, write_atomic

    given = [name for name in (file, trace_id, session_id) if name is not None]
    if len(given) != 1:
        raise click.UsageError("Name one trace: FILE, --trace-id or --session-id.")
    evidence = _load(file, trace_id, session_id, experiment, tracking_uri)
    if output_format == "html":
        text = to_html_page(evidence.session, name=evidence.name, source=evidence.source)
    elif output_format == "json":
        text = session_text(
            evidence.session, whole=evidence.whole_session, trace_id=evidence.trace_id
        )
    else:
        color = output is None and colourful()
        text = timeline_text(evidence.session, name=evidence.name, color=color)
    if output is None:
        write_result(text)
    else:
        write_atomic(output, text)
        note(f"written to {output}")


def _load(
    file: Path | None,
    trace_id: str | None,
    session_id: str | None,
    experiment: str | None,
    tracking_uri: str | None,
) -> Evidence:
    from skilltrace_mlflow.sources.load import load_file, session_of_id, session_of_trace

    if file is not None:
        return load_file(file)
    if trace_id is not None:
        return session_of_trace(trace_id, tracking_uri=tracking_uri)
    in_store = experiment is not None or tracking_uri is not None
    return session_of_id(
        session_id or "", in_store=in_store, experiment=experiment, tracking_uri=tracking_uri
    )
