"""`summarize`: metrics of transcripts, no expectations needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from skilltrace_mlflow.cli._common import (
    format_option,
    note,
    verbosity_options,
    write_result,
)
from skilltrace_mlflow.cli._options import ExpandedPath
from skilltrace_mlflow.text import plain

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow summarize --format json ~/.claude/projects/*/*.jsonl"
)
@click.argument("files", nargs=-1, required=True, type=ExpandedPath(), metavar="FILE...")
@click.option("--inputs", is_flag=True, help="Put each tool call's arguments into the JSON.")
@format_option("table", "json", "jsonl")
@click.option(
    "--output", type=ExpandedPath(dir_okay=False), metavar="FILE", help="Write there instead."
)
@verbosity_options
@click.pass_context
def command(
    ctx: click.Context,
    files: tuple[Path, ...],
    inputs: bool,
    output_format: str,
    output: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Print the metrics of transcripts: tokens, tools, files, turns, cost.

    FILE is a transcript (.jsonl, .jsonl.gz, - for standard input) or a dumped trace. JSON is one
    object for one file, a list for several; jsonl is one object a line. A file that cannot be read
    is reported, the others are printed, and the exit code is 2.
    """
    from skilltrace_mlflow.errors import SkillTraceError
    from skilltrace_mlflow.metrics import compute_metrics
    from skilltrace_mlflow.sources.load import load_file

    found: list[tuple[str, dict[str, Any]]] = []
    failed = 0
    for file in files:
        try:
            session = load_file(file).session
        except SkillTraceError as error:
            if len(files) == 1:
                raise
            note(f"error: {error}")
            failed = error.exit_code
            continue
        if not quiet:
            for diagnostic in session.diagnostics:
                place = diagnostic.file or str(file)
                line = f":{diagnostic.line}" if diagnostic.line is not None else ""
                note(f"{place}{line}: {diagnostic.message}")
        if verbose:
            for reason in session.usage_notes:
                note(f"{file}: {reason}")
        found.append((str(file), compute_metrics(session).to_dict(inputs=inputs)))
    if found:
        text = _render(found, output_format, several=len(files) > 1)
        if output is None:
            write_result(text)
        else:
            from skilltrace_mlflow.report import write_atomic

            write_atomic(output, text)
    if failed:
        ctx.exit(failed)


def _render(found: list[tuple[str, dict[str, Any]]], output_format: str, *, several: bool) -> str:
    if output_format == "jsonl":
        return "".join(json.dumps({"file": name, **data}) + "\n" for name, data in found)
    if output_format == "json":
        objects = [{"file": name, **data} for name, data in found]
        return json.dumps(objects if several else objects[0], indent=2)
    return "\n".join(_table(name, data) for name, data in found)


def _table(name: str, data: dict[str, Any]) -> str:
    import io

    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    tokens, tools, files = data["tokens"], data["tools"], data["files"]
    at_least = "" if data["usage_complete"] else " (at least: this source lost usage)"
    seconds = data["duration_seconds"]
    cost = data["cost_usd"]
    bad = ", ".join(
        f"{tools[kind]} {kind}"
        for kind in ("failed", "denied", "interrupted", "unknown")
        if tools[kind]
    )
    calls = ", ".join(f"{tool} {count}" for tool, count in tools["by_name"].items())
    rows = [
        ("session", str(data["session_id"])),
        ("model", str(data["model"] or "unknown")),
        ("duration", "unknown" if seconds is None else f"{seconds:,.1f} s"),
        (
            "tokens",
            f"{tokens['input']:,} in, {tokens['output']:,} out, "
            f"{tokens['cache_creation']:,} cache written, "
            f"{tokens['cache_read']:,} cache read{at_least}",
        ),
        ("cost", "unknown" if cost is None else f"${cost:,.4f}"),
        (
            "conversation",
            f"{data['conversation']['turns']} turns, "
            f"{data['conversation']['user_messages']} prompts",
        ),
        ("tool calls", f"{tools['total_calls']}" + (f" ({bad})" if bad else "")),
        ("by tool", calls or "none"),
        ("files created", ", ".join(files["created"]) or "none"),
        ("files modified", ", ".join(files["modified"]) or "none"),
        ("files read", ", ".join(files["read"]) or "none"),
    ]
    if data["subagents"]:
        agents = (f"{a['type'] or 'agent'} ({a['tool_calls']} calls)" for a in data["subagents"])
        rows.append(("sub-agents", ", ".join(agents)))
    if data["skills"]:
        rows.append(("skills", ", ".join(f"{s['name']} ({s['status']})" for s in data["skills"])))
    table = Table(box=SIMPLE, show_header=False, title=Text(plain(name)), title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in rows:
        table.add_row(key, Text(plain(value)))
    console = Console(file=io.StringIO(), force_terminal=_color(), width=_width())
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def _color() -> bool:
    import os
    import sys

    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns
