"""`list-traces`: sessions on this machine, or traces of an experiment."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from skilltrace_mlflow.cli._common import (
    colourful,
    format_option,
    note,
    output_option,
    progress_bar,
    verbosity_options,
    write_files,
    write_result,
)
from skilltrace_mlflow.cli._options import store_options

__all__ = ["command"]

_MAX_PROMPT = 200


@click.command(epilog="Example: skilltrace-mlflow list-traces --local --limit 10")
@click.option("--local", is_flag=True, help="List Claude Code's sessions on this machine.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="List the N newest.",
)
@format_option("table", "json", "jsonl")
@output_option("table", "json", "jsonl")
@store_options
@verbosity_options
def command(
    local: bool,
    limit: int,
    output_format: str,
    outputs: tuple[Path, ...],
    experiment: str | None,
    tracking_uri: str | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """List sessions on this machine (--local) or traces of an MLflow experiment, newest first.

    Shown are id, time (UTC; of a session on this machine that of its last entry), session, project,
    tool calls, errors (failed and denied calls, API errors), tokens (input + output, the cache
    apart; "≥" where the source lost some) and the first prompt. The id of a trace goes to
    --trace-id, that of a session to --session-id of other commands, whole or as far as it is shown.
    """
    if local and (experiment or tracking_uri):
        raise click.UsageError("--local lists files: --experiment and --tracking-uri do not apply")
    with progress_bar("reading", quiet=quiet) as progress:
        rows = (
            _local(limit, progress, verbose=verbose)
            if local
            else _stored(experiment, tracking_uri, limit)
        )
    write_files(outputs, lambda name: _rendered(rows, name), quiet=quiet)
    if rows or output_format != "table":
        write_result(_rendered(rows, output_format, color=colourful()), output_format)
    elif not quiet:
        note("no sessions on this machine" if local else "no traces in this experiment")


def _rendered(rows: list[dict[str, Any]], output_format: str, *, color: bool = False) -> str:
    from skilltrace_mlflow.report import traces_table

    if output_format == "json":
        return json.dumps(rows, indent=2, ensure_ascii=False)
    if output_format == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return traces_table(rows, color=color)


def _local(limit: int, progress: Any, *, verbose: bool) -> list[dict[str, Any]]:
    from skilltrace_mlflow.errors import InputError
    from skilltrace_mlflow.sources.load import short_name
    from skilltrace_mlflow.sources.locate import (
        claude_projects_dir,
        find_sessions,
        last_activity,
        newest_first,
    )
    from skilltrace_mlflow.sources.transcript.reader import parse_transcript

    folder = claude_projects_dir()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; CLAUDE_CONFIG_DIR names another")
    active = {path: last_activity(path) for path in find_sessions(folder) if path.is_file()}
    files = newest_first(active)
    rows: list[dict[str, Any]] = []
    for path in files:
        if len(rows) == limit:
            break
        try:
            session = parse_transcript(path)
        except InputError as error:
            if verbose:
                note(f"left out: {error}")
            continue
        row = _row(short_name(path), session)
        row["time"] = datetime.fromtimestamp(active[path][0], timezone.utc).isoformat()
        rows.append({**row, "path": str(path)})
        progress(len(rows), min(limit, len(files)))
    return rows


def _stored(experiment: str | None, tracking_uri: str | None, limit: int) -> list[dict[str, Any]]:
    from skilltrace_mlflow.errors import InputError
    from skilltrace_mlflow.sources.mlflow import store as mlflow_store
    from skilltrace_mlflow.sources.mlflow.names import copied_from
    from skilltrace_mlflow.sources.mlflow.trace import is_claude_code_trace, session_from_trace

    mlflow_store.probe(tracking_uri)
    traces = mlflow_store.search_experiment_traces(
        experiment, tracking_uri=tracking_uri, limit=limit
    )
    rows = []
    for trace in traces:
        if copied_from(trace.info.tags) is not None:
            continue
        if is_claude_code_trace(trace):
            try:
                rows.append(_row(trace.info.trace_id, session_from_trace(trace)))
                continue
            except InputError as error:  # one damaged trace hides none of the others
                note(f"without figures: {error}")
        # Another program's trace: listed, so that nobody looks for it in vain.
        moment = trace.info.request_time / 1000
        rows.append(_foreign(trace.info.trace_id, moment, trace.info.request_preview))
    return rows


def _row(identity: str, session: Any) -> dict[str, Any]:
    bad = sum(1 for call in session.tool_calls if call.outcome in ("failed", "denied"))
    return {
        "id": identity,
        "time": session.start_time.isoformat() if session.start_time else None,
        "session": session.session_id,
        "project": session.cwd,
        "prompt": " ".join(next(iter(session.prompts), "").split())[:_MAX_PROMPT],
        "calls": len(session.tool_calls),
        "errors": bad + len(session.api_errors),
        "tokens": None if session.lacks("usage") else session.usage.total_tokens,
        "usage_complete": session.usage_complete,
    }


def _foreign(identity: str, seconds: float, preview: str | None) -> dict[str, Any]:
    return {
        "id": identity,
        "time": datetime.fromtimestamp(seconds, timezone.utc).isoformat(),
        "session": None,
        "project": None,
        "prompt": " ".join((preview or "").split())[:_MAX_PROMPT],
        "calls": None,
        "errors": None,
        "tokens": None,
        "usage_complete": False,
    }
