"""What commands share: option groups, messages on standard error, writing the result."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skilltrace_mlflow.cli._options import ExpandedPath
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.text import plain

if TYPE_CHECKING:
    from skilltrace_mlflow.comparison.compare import Comparison
    from skilltrace_mlflow.comparison.records import ResultRecord
    from skilltrace_mlflow.results import Evaluation

__all__ = [
    "EXIT_INTERRUPTED",
    "colourful",
    "drop_output",
    "emit",
    "format_option",
    "load_baseline",
    "note",
    "note_remarks",
    "output_option",
    "progress_bar",
    "remark",
    "resolve_format",
    "result_options",
    "results_of",
    "verbosity_options",
    "write_files",
    "write_result",
]

F = TypeVar("F", bound=Callable[..., Any])

EXIT_INTERRUPTED = 130
# Texts that programs read; the runner's own commands are among them.
_DATA = ("json", "jsonl", "junit", "github", "yaml")
# What the runner of GitHub Actions takes for a command (actions/runner, ActionCommand.cs): the new
# form at the start of a line, white space aside, the old one anywhere.
_COMMAND = re.compile(r"(?:^|[\r\n])\s*::|##\[")
FORMATS = ("table", "json", "jsonl", "junit", "markdown", "github")


class _OutputFile(ExpandedPath):
    """A file for a result; an ending that names none of `formats` is refused before anything is
    done.
    """

    def __init__(self, formats: Sequence[str]) -> None:
        super().__init__(dir_okay=False)
        self.formats = formats

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        resolve_format(path, self.formats)
        return path


def note(message: str) -> None:
    """A message to the person, on standard error: an error, or what was lost."""
    click.echo(_inert(plain(message)), err=True)


def remark(message: str) -> None:
    """A message that `-q` keeps back."""
    if not _quiet():
        note(message)


def _quiet() -> bool:
    """Whether the command that runs was given `-q`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get("quiet"))


def note_remarks(evaluation: Evaluation, *, quiet: bool, output_format: str) -> None:
    """What a reader should know of the evaluation, on standard error; a table shows it itself."""
    if not quiet and output_format != "table":
        for text in evaluation.notes:
            note(text)


def format_option(*formats: str, default: str | None = None) -> Callable[[F], F]:
    """`--format`; without `formats` all that results are printed in. Default: a table."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats or FORMATS),
        default=default or "table",
        show_default=True,
        help="How the result is printed on standard output.",
    )


def output_option(*formats: str) -> Callable[[F], F]:
    """`--output FILE`, repeatable, as `outputs`: written as well as printed, in the format that
    its ending names. `formats` are those that the command knows; without them, a result's.
    """
    known = formats or tuple(_RESULT_FORMATS)
    return click.option(
        "--output",
        "outputs",
        multiple=True,
        type=_OutputFile(known),
        metavar="FILE",
        help=f"Write the result to FILE as well (repeatable); the ending ({_endings(known)}) names "
        "its format.",
    )


def verbosity_options(function: F) -> F:
    """`-q` and `-v`."""
    function = click.option(
        "-v",
        "--verbose",
        is_flag=True,
        callback=_show_log,
        help="Say more on standard error, the package's log included.",
    )(function)
    return click.option(
        "-q",
        "--quiet",
        is_flag=True,
        help="Print no table and say nothing but errors; what --format names is printed.",
    )(function)


def _show_log(ctx: click.Context, _parameter: click.Parameter, verbose: bool) -> bool:
    """Show what the package logs, until the command is over."""
    if verbose:
        import logging

        class Notes(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                note(self.format(record))

        handler, logger = Notes(), logging.getLogger("skilltrace_mlflow")
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        ctx.call_on_close(partial(logger.setLevel, logger.level))
        ctx.call_on_close(partial(logger.removeHandler, handler))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    return verbose


class _Baseline(click.ParamType):  # type: ignore[type-arg] # not generic before click 8.2
    """Results to compare with: a file is read at once, a run by `load_baseline`."""

    name = "baseline"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        from skilltrace_mlflow.comparison.records import is_run_id

        return value, None if is_run_id(value) else results_of(value)


def load_baseline(
    baseline: tuple[str, Any] | None, tracking_uri: str | None
) -> tuple[str, Any] | None:
    """The results of `--baseline`, those of a run fetched: before anything costly is done, and
    without losing its result to a run that is not there.
    """
    if baseline is None or baseline[1] is not None:
        return baseline
    return baseline[0], results_of(baseline[0], tracking_uri)


def results_of(source: str, tracking_uri: str | None = None) -> tuple[ResultRecord, ...]:
    """Earlier results: a JSONL file, an MLflow run, or an outcome table, perhaps at one run."""
    from skilltrace_mlflow.comparison.records import load_results
    from skilltrace_mlflow.databricks.delta import load_outcomes, names_table

    if names_table(source):
        return load_outcomes(source)
    return load_results(source, tracking_uri=tracking_uri)


def result_options(function: F) -> F:
    """What else an evaluation is written to, and what it is compared with."""
    for option in (
        click.option(
            "--report",
            type=ExpandedPath(dir_okay=False),
            metavar="FILE.html",
            help="Write an HTML report as well.",
        ),
        click.option(
            "--dump-traces",
            is_flag=False,
            flag_value=".skilltrace/traces",
            default=None,
            type=ExpandedPath(file_okay=False),
            metavar="[DIR]",
            help="Write each trace to DIR/<test_id>__<attempt>.json [.skilltrace/traces].",
        ),
        click.option(
            "--baseline",
            type=_Baseline(),
            metavar="RUN_OR_FILE",
            help="Compare with an earlier evaluation (a run's id, a JSONL file or TABLE@RUN); "
            "--report shows what got better and worse.",
        ),
        click.option(
            "--include-trace", is_flag=True, help="Put the whole trace into each result line."
        ),
    ):
        function = option(function)
    return function


_FORMAT_OF_ENDING = {
    ".html": "html",
    ".json": "json",
    ".jsonl": "jsonl",
    ".md": "markdown",
    ".txt": "table",
    ".xml": "junit",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_RESULT_FORMATS = (*FORMATS, "html")


def resolve_format(path: Path, formats: Sequence[str] = _RESULT_FORMATS) -> str:
    """The one of `formats` that a file's ending names; ConfigurationError for an ending that names
    none of them.
    """
    found = _FORMAT_OF_ENDING.get(path.suffix.lower())
    if found is None or found not in formats:
        raise ConfigurationError(
            f"--output {path}: the ending {path.suffix!r} names no format of this command; "
            f"use one of {_endings(formats)}"
        )
    return found


def _endings(formats: Sequence[str]) -> str:
    return ", ".join(ending for ending, name in _FORMAT_OF_ENDING.items() if name in formats)


def write_files(
    outputs: Sequence[Path], text_of: Callable[[str], str], *, quiet: bool = False
) -> None:
    """Write each file of `--output`, as the text that `text_of` makes of its format."""
    from skilltrace_mlflow.report import write_atomic

    for path in outputs:
        write_atomic(path, text_of(_FORMAT_OF_ENDING[path.suffix.lower()]))
        if not quiet:
            note(f"written to {path}")


def write_result(text: str, output_format: str = "table") -> None:
    """The result itself, to standard output and nowhere else; with `-q` no table, since the exit
    code says it.

    In a job of GitHub Actions no line of a text for people is a command to its runner, whatever a
    transcript says; `output_format` tells which texts are data and stay as they are.

    What an old code page cannot show is written as an escape; a verdict must not die of a dash. A
    reader that went away (`| head`) is no error, and the verdict's exit code stays what it is.
    Raises ConfigurationError for an output that cannot be written.
    """
    if output_format == "table" and _quiet():
        return
    encoding = sys.stdout.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    if output_format not in _DATA:
        text = _inert(text)
    try:
        sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
        sys.stdout.flush()
    except OSError as error:
        drop_output()
        if not isinstance(error, BrokenPipeError):
            raise ConfigurationError(
                f"standard output: cannot be written: {error.strerror or error}; send it elsewhere"
            ) from error


def _inert(text: str) -> str:
    """The text, in a job of GitHub Actions between lines that stop its runner from taking commands
    out of it: there `::set-output …` in an agent's words would be one.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true" or not _COMMAND.search(text):
        return text
    import secrets  # brings a library of cryptography with it

    token = secrets.token_hex(16)  # a text cannot end what it cannot guess
    end = "" if text.endswith("\n") else "\n"
    return f"::stop-commands::{token}\n{text}{end}::{token}::" + ("" if end else "\n")


def drop_output() -> None:
    """Give up on standard output: Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def colourful() -> bool:
    """Whether standard output wants colours: a terminal that knows some, or FORCE_COLOR, and no
    NO_COLOR.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def emit(
    evaluation: Evaluation,
    *,
    output_format: str,
    outputs: Sequence[Path] = (),
    report: Path | None = None,
    dump_traces: Path | None = None,
    include_trace: bool = False,
    baseline: tuple[str, Any] | None = None,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """Write an evaluation everywhere it was asked for; standard output comes last.

    Files are written before anything is printed, so that a full disk is not hidden behind a table.
    """
    from skilltrace_mlflow.report import render

    if dump_traces is not None:
        from skilltrace_mlflow.report import dump_sessions

        for path in dump_sessions(evaluation, dump_traces):
            if verbose:
                note(f"trace written to {path}")
    write_files(
        outputs, lambda name: render(evaluation, name, include_trace=include_trace), quiet=quiet
    )
    comparison = None if baseline is None else _compared(evaluation, *baseline, quiet=quiet)
    if report is not None:
        from skilltrace_mlflow.report import write_atomic

        write_atomic(report, render(evaluation, "html", comparison=comparison))
        if not quiet:
            note(f"report written to {report}")
    write_result(
        render(
            evaluation,
            output_format,
            include_trace=include_trace,
            color=colourful(),
            report=report,
        ),
        output_format,
    )
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _tell_github(evaluation, annotate=output_format == "table" and not quiet)


def _tell_github(evaluation: Evaluation, *, annotate: bool) -> None:
    """In a job of GitHub Actions: annotations beside the table (of other formats standard output is
    data), and the Markdown on the step's summary page, behind what is there already.
    """
    from skilltrace_mlflow.report import render

    if annotate:
        write_result(render(evaluation, "github"), "github")
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as page:
                page.write(render(evaluation, "markdown") + "\n")
        except OSError as error:  # a page less is no reason to lose a verdict
            note(f"GITHUB_STEP_SUMMARY {summary}: cannot be written: {error.strerror or error}")


def _compared(evaluation: Evaluation, name: str, records: Any, *, quiet: bool) -> Comparison:
    from skilltrace_mlflow.comparison.compare import compare_results
    from skilltrace_mlflow.comparison.records import records_of
    from skilltrace_mlflow.report.comparison import verdict

    comparison = compare_results(
        records, records_of(evaluation), before_name=name, after_name="this evaluation"
    )
    if not quiet:
        note(f"compared with {name}: {verdict(comparison)}")
    return comparison


@contextlib.contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A callable (done, total) that draws a bar on standard error if that is a terminal.

    The bar starts with the first call, not before: it has a thread of its own, and worker processes
    are forked while there is only one. Calls that come after the block draw nothing, and standard
    output is left alone: whoever the bar found there need not be its owner.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True, redirect_stdout=False)
    task = bar.add_task(label, total=None)
    over = False

    def show(done: int, total: int) -> None:
        if not over:
            bar.start()
            bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        over = True
        bar.stop()
