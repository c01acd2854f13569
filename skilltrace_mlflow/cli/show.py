"""`skilltrace-mlflow show`: what happened in one trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skilltrace_mlflow.cli._common import (
    colourful,
    output_option,
    verbosity_options,
    write_files,
    write_result,
)
from skilltrace_mlflow.cli._options import (
    ExpandedPath,
    newest_options,
    newest_session,
    store_options,
)

if TYPE_CHECKING:
    from skilltrace_mlflow.sources.load import Evidence

__all__ = ["command"]


@click.command(
    "show",
    epilog="Example: skilltrace-mlflow show session.jsonl --output page.html",
)
@click.argument("file", required=False, type=ExpandedPath(dir_okay=False), metavar="[FILE]")
@click.option("--trace-id", metavar="ID", help="One MLflow trace (a user turn).")
@click.option("--session-id", metavar="ID", help="All turns of a session, in MLflow or local.")
@newest_options
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
    "--call",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="One call with all that was asked and answered, by its number in the session.",
)
@output_option("table", "html", "json")
@verbosity_options
def command(
    file: Path | None,
    trace_id: str | None,
    session_id: str | None,
    latest: bool,
    local: bool,
    experiment: str | None,
    tracking_uri: str | None,
    output_format: str,
    call: int | None,
    outputs: tuple[Path, ...],
    quiet: bool,
    verbose: bool,
) -> None:
    """Show the timeline of one trace: prompts, model steps, tool calls and how they ended, files,
    sub-agents, totals. FILE is a transcript (- reads standard input) or a dumped trace.
    """
    given = [name for name in (file, trace_id, session_id) if name is not None]
    if len(given) + latest + local != 1:
        raise click.UsageError(
            "Name one trace: FILE, --trace-id, --session-id, --latest or --local."
        )
    if latest or local:
        evidence = newest_session(latest, experiment, tracking_uri)
    else:
        evidence = _load(file, trace_id, session_id, experiment, tracking_uri)
    write_files(outputs, lambda name: _rendered(evidence, name, call), quiet=quiet)
    write_result(_rendered(evidence, output_format, call, color=colourful()), output_format)


def _rendered(
    evidence: Evidence, output_format: str, call: int | None, *, color: bool = False
) -> str:
    from skilltrace_mlflow.report import (
        call_json,
        call_text,
        session_text,
        timeline_text,
        to_html_page,
    )

    session = evidence.session
    if output_format == "html":
        return to_html_page(session, name=evidence.name, source=evidence.source, call=call)
    if call is not None:
        if output_format == "json":
            return call_json(session, call)
        return call_text(session, call, name=evidence.name, color=color)
    if output_format == "json":
        return session_text(
            evidence.session, whole=evidence.whole_session, trace_id=evidence.trace_id
        )
    return timeline_text(evidence.session, name=evidence.name, color=color)


def _load(
    file: Path | None,
    trace_id: str | None,
    session_id: str | None,
    experiment: str | None,
    tracking_uri: str | None,
) -> Evidence:
    from skilltrace_mlflow.sources.load import load_file, session_of_id, session_of_trace
    from skilltrace_mlflow.sources.prefixes import whole_session_id, whole_trace_id

    if file is not None:
        return load_file(file)
    place = {"experiment": experiment, "tracking_uri": tracking_uri}
    if trace_id is not None:
        return session_of_trace(whole_trace_id(trace_id, **place), tracking_uri=tracking_uri)
    in_store = experiment is not None or tracking_uri is not None
    whole = whole_session_id(session_id or "", in_store=in_store, **place)
    return session_of_id(whole, in_store=in_store, **place)
