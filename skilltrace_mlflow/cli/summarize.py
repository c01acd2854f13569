"""`summarize`: metrics of transcripts, no expectations needed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from skilltrace_mlflow.cli._options import ExpandedPath
from skilltrace_mlflow.text import plain

if TYPE_CHECKING:
    from skilltrace_mlflow.errors import SkillTraceError

__all__ = ["command"]

_MANY_BYTES = 20_000_000  # below it, starting processes costs more than they save


@click.command(
    epilog="Example: skilltrace-mlflow summarize --format json ~/.claude/projects/*/*.jsonl"
)
@click.argument("files", nargs=-1, required=True, type=ExpandedPath(), metavar="FILE...")
@click.option("--inputs", is_flag=True, help="Put each tool call's arguments into the JSON.")
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(["model", "day"]),
    help="Divide the totals by model, by day, or both; JSON has totals only with it.",
)
@format_option("table", "json", "jsonl")
@output_option("table", "json", "jsonl")
@verbosity_options
@click.pass_context
def command(
    ctx: click.Context,
    files: tuple[Path, ...],
    inputs: bool,
    by: tuple[str, ...],
    output_format: str,
    outputs: tuple[Path, ...],
    quiet: bool,
    verbose: bool,
) -> None:
    """Print the metrics of transcripts: tokens, tools, files, turns, cost.

    FILE is a transcript (.jsonl, .jsonl.gz, - for standard input), a dumped trace, or a directory:
    all sessions below it. JSON is one object for one file, a list for several; jsonl is one object
    a line. Several sessions end with totals that count every API message once, whichever files
    repeat it. A file that cannot be read is reported, the others are printed, and the exit code
    is 2.
    """
    from skilltrace_mlflow.errors import InputError, SkillTraceError
    from skilltrace_mlflow.report.totals import Totals
    from skilltrace_mlflow.sources.locate import find_sessions

    named: list[Path] = []
    for file in files:
        named += find_sessions(file) if file.is_dir() else [file]
    if not named:
        where = ", ".join(map(str, files))
        raise InputError(f"{where}: no Claude Code session (a .jsonl file) in this directory")
    several = len(files) > 1 or any(file.is_dir() for file in files)
    found: list[tuple[str, _Read]] = []
    totals = Totals()
    failed = 0
    # A file may want a table beside JSON that is printed.
    tables = output_format == "table" or bool(outputs)
    for file, read in zip(named, _read_all(named, inputs=inputs, tables=tables), strict=True):
        if isinstance(read, SkillTraceError):
            if not several:
                raise read
            note(f"error: {read}")
            failed = read.exit_code
            continue
        if not quiet:
            for place, message in read.diagnostics:
                note(f"{place}: {message}")
        if verbose:
            for reason in read.usage_notes:
                note(f"{file}: {reason}")
        found.append((str(file), read))
        totals.add(read.rows, complete=read.complete)
    if found:
        sums = totals.to_dict(by) if several else None

        def rendered(name: str, *, color: bool = False) -> str:
            return _render(found, name, sums=sums, by=by, color=color)

        write_files(outputs, rendered, quiet=quiet)
        write_result(rendered(output_format, color=colourful()), output_format)
    if failed:
        ctx.exit(failed)


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What is printed of one file; it can come from another process.

    `data` is None where only JSON was asked for: its `text` is there already, made by the process
    that read the file.
    """

    data: dict[str, Any] | None
    text: str
    complete: bool
    rows: list[Any]
    diagnostics: list[tuple[str, str]]
    usage_notes: tuple[str, ...]


def _read_all(
    files: Sequence[Path], *, inputs: bool, tables: bool
) -> Iterator[_Read | SkillTraceError]:
    """The files in order, read by all processors where there is enough to read."""
    from functools import partial

    read = partial(_read, inputs=inputs, tables=tables)
    sizes = [file.stat().st_size for file in files if file.is_file()]
    workers = min(_processors(), len(sizes))
    if workers < 2 or sum(sizes) < _MANY_BYTES or Path("-") in files:
        yield from map(read, files)
        return
    import gc
    from concurrent.futures import ProcessPoolExecutor

    # Sessions hold no cycles, and the search for some would be a tenth of the work.
    with ProcessPoolExecutor(workers, initializer=gc.disable) as pool:
        yield from pool.map(read, files, chunksize=max(1, len(files) // (workers * 8)))


def _processors() -> int:
    import os

    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(file: Path, *, inputs: bool, tables: bool) -> _Read | SkillTraceError:
    from skilltrace_mlflow.errors import SkillTraceError
    from skilltrace_mlflow.metrics import compute_metrics
    from skilltrace_mlflow.report.totals import rows_of
    from skilltrace_mlflow.sources.load import load_file

    try:
        session = load_file(file).session
    except SkillTraceError as error:
        return error
    said = []
    for found in session.diagnostics:
        line = f":{found.line}" if found.line is not None else ""
        said.append((f"{found.file or file}{line}", found.message))
    data = compute_metrics(session).to_dict(inputs=inputs)
    return _Read(
        data=data if tables else None,
        text=json.dumps({"file": str(file), **data}),
        complete=bool(data["usage_complete"]),
        rows=rows_of(session),
        diagnostics=said,
        usage_notes=session.usage_notes,
    )


def _render(
    found: list[tuple[str, _Read]],
    output_format: str,
    *,
    sums: Mapping[str, Any] | None,
    by: Sequence[str],
    color: bool,
) -> str:
    if output_format == "jsonl":
        lines = [read.text for _, read in found]
        if by and sums is not None:
            lines.append(json.dumps({"totals": sums}))
        return "".join(line + "\n" for line in lines)
    if output_format == "json":
        if sums is None:
            return _indented(found[0][1].text)
        whole = f"[{', '.join(read.text for _, read in found)}]"
        return _indented(f'{{"sessions": {whole}, "totals": {json.dumps(sums)}}}' if by else whole)
    tables = [_table(name, read.data or {}, color=color) for name, read in found]
    if sums is not None:
        tables.append(_totals_table(sums, by, color=color))
    return "\n".join(tables)


def _indented(text: str) -> str:
    """JSON with line ends, as `json.dumps(…, indent=2)` writes it, but in a fifth of its time."""
    import msgspec

    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.DecodeError:  # a lone surrogate, which JSON can write and not every parser reads
        return json.dumps(json.loads(text), indent=2)


def _tokens(tokens: Mapping[str, int], *, complete: bool) -> str:
    """Token figures in words, "at least" in front where they are a lower bound."""
    said = (
        f"{tokens['input']:,} in, {tokens['output']:,} out, "
        f"{tokens['cache_creation']:,} cache written, {tokens['cache_read']:,} cache read"
    )
    return said if complete else f"at least {said}"


def _cost(cost: float | None, *, complete: bool) -> str:
    if cost is None:
        return "unknown"
    return f"${cost:,.4f}" if complete else f"at least ${cost:,.4f}"


def _totals_table(sums: Mapping[str, Any], by: Sequence[str], *, color: bool) -> str:
    rows = [
        ("sessions", f"{sums['sessions']:,}"),
        ("API messages", f"{sums['messages']:,}, each counted once"),
        ("tokens", _tokens(sums["tokens"], complete=sums["usage_complete"])),
        ("cost", _cost(sums["cost_usd"], complete=sums["cost_complete"])),
    ]
    if sums["incomplete_sessions"]:
        rows.append(("lower bounds", f"of {sums['incomplete_sessions']} sessions"))
    for kind in by:
        for key, group in sums[f"by_{kind}"].items():
            cost = _cost(group["cost_usd"], complete=group["cost_complete"])
            tokens = _tokens(group["tokens"], complete=group["usage_complete"])
            rows.append((key, f"{cost}: {tokens}"))
    return _printed("totals", rows, color=color)


def _table(name: str, data: dict[str, Any], *, color: bool) -> str:
    tools, files = data["tools"], data["files"]
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
            _tokens(data["tokens"], complete=data["usage_complete"]),
        ),
        ("cost", _cost(cost, complete=data["usage_complete"])),
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
        agents = Counter(map(_agent, data["subagents"]))
        said = (f"{count} × {text}" if count > 1 else text for text, count in agents.items())
        rows.append(("sub-agents", ", ".join(said)))
    if data["skills"]:
        rows.append(("skills", ", ".join(f"{s['name']} ({s['status']})" for s in data["skills"])))
    if data["compactions"]:
        rows.append(("compactions", str(data["compactions"])))
    return _printed(name, rows, color=color)


def _agent(agent: Mapping[str, Any]) -> str:
    """A sub-agent in words; one whose transcript is not at hand is missing, not idle."""
    kind = agent["type"] or "agent"
    if not agent["recorded"]:
        stated = agent.get("stated") or {}
        figures = "".join(f", {what}: {count:,}" for what, count in stated.items())
        return f"{kind} (missing{figures})"
    return f"{kind} ({agent['tool_calls']} calls)"


def _printed(name: str, rows: Sequence[tuple[str, str]], *, color: bool) -> str:
    import io

    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, show_header=False, title=Text(plain(name)), title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in rows:
        table.add_row(key, Text(plain(value)))
    console = Console(file=io.StringIO(), force_terminal=color, width=_width())
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns
