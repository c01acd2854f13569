"""`summarize`: metrics of transcripts, no expectations needed."""

from __future__ import annotations

import json
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
    remark,
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
    from skilltrace_mlflow.errors import SkillTraceError
    from skilltrace_mlflow.session import Session

__all__ = ["command"]

_MANY_BYTES = 20_000_000  # below it, starting processes costs more than they save


@click.command(
    epilog="Example: skilltrace-mlflow summarize --format json ~/.claude/projects/*/*.jsonl"
)
@click.argument("files", nargs=-1, type=ExpandedPath(), metavar="[FILE]...")
@newest_options
@store_options
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
    latest: bool,
    local: bool,
    experiment: str | None,
    tracking_uri: str | None,
    inputs: bool,
    by: tuple[str, ...],
    output_format: str,
    outputs: tuple[Path, ...],
    quiet: bool,
    verbose: bool,
) -> None:
    """Print the metrics of transcripts: tokens, tools, files, turns, cost.

    FILE is a transcript (.jsonl, .jsonl.gz, - for standard input), a dumped trace, or a directory:
    all sessions below it. Without one, --latest and --local name the newest session. JSON is one
    object for one file, a list for several; jsonl is one object a line. Several sessions end with
    totals that count every API message once, whichever files repeat it. A file that cannot be read
    is reported, the others are printed, and the exit code is 2.
    """
    from skilltrace_mlflow.errors import InputError, SkillTraceError
    from skilltrace_mlflow.report.totals import Totals
    from skilltrace_mlflow.sources.locate import find_sessions

    if bool(files) + latest + local != 1:
        raise click.UsageError("Name FILEs, or the newest session by --latest or --local.")
    if (experiment or tracking_uri) and not latest:
        raise click.UsageError("--experiment and --tracking-uri say where --latest looks")
    if not files:
        newest = newest_session(latest, experiment, tracking_uri)
        summed = _summed(newest.session, newest.source, tables=True, inputs=inputs)
        _remark_on(newest.source, summed, verbose=verbose)
        _print([(newest.source, summed)], output_format, outputs, quiet=quiet)
        return
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
        _remark_on(str(file), read, verbose=verbose)
        found.append((str(file), read))
        totals.add(read.rows, complete=read.complete)
    if found:
        sums = totals.to_dict(by) if several else None
        _print(found, output_format, outputs, sums=sums, by=by, quiet=quiet)
    if failed:
        ctx.exit(failed)


def _remark_on(name: str, read: _Read, *, verbose: bool) -> None:
    for place, message in read.diagnostics:
        remark(f"{place}: {message}")
    if verbose:
        for reason in read.usage_notes:
            note(f"{name}: {reason}")


def _print(
    found: list[tuple[str, _Read]],
    output_format: str,
    outputs: tuple[Path, ...],
    *,
    sums: Mapping[str, Any] | None = None,
    by: Sequence[str] = (),
    quiet: bool,
) -> None:
    def rendered(name: str, *, color: bool = False) -> str:
        return _render(found, name, sums=sums, by=by, color=color)

    write_files(outputs, rendered, quiet=quiet)
    write_result(rendered(output_format, color=colourful()), output_format)


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

    # Loaded once, before the processes part.
    import skilltrace_mlflow.metrics
    import skilltrace_mlflow.sources.load  # noqa: F401

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
    from skilltrace_mlflow.sources.load import load_file

    try:
        session = load_file(file).session
    except SkillTraceError as error:
        return error
    return _summed(session, str(file), inputs=inputs, tables=tables)


def _summed(session: Session, file: str, *, inputs: bool, tables: bool) -> _Read:
    from skilltrace_mlflow.metrics import compute_metrics
    from skilltrace_mlflow.report.totals import rows_of

    said = []
    for found in session.diagnostics:
        line = f":{found.line}" if found.line is not None else ""
        said.append((f"{found.file or file}{line}", found.message))
    data = compute_metrics(session).to_dict(inputs=inputs)
    return _Read(
        data=data if tables else None,
        text=_json({"file": file, **data}),
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
    from skilltrace_mlflow.report import metrics_table, totals_table

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
    tables = [metrics_table(name, read.data or {}, color=color) for name, read in found]
    if sums is not None:
        tables.append(totals_table(sums, by, color=color))
    return "\n".join(tables)


def _json(value: Mapping[str, Any]) -> str:
    """As JSON in ASCII, by the fastest that can write it."""
    import msgspec

    try:
        made = msgspec.json.encode(value)
    except (UnicodeEncodeError, msgspec.MsgspecError, TypeError):  # lone surrogates, huge numbers
        return json.dumps(value)
    return made.decode() if made.isascii() else json.dumps(value)


def _indented(text: str) -> str:
    """JSON with line ends, as `json.dumps(…, indent=2)` writes it, but in a fifth of its time."""
    import msgspec

    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.DecodeError:  # a lone surrogate, which JSON can write and not every parser reads
        return json.dumps(json.loads(text), indent=2)
