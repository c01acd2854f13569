"""`trace-eval`: score traces against expectations, without MLflow where they are files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from skilltrace_mlflow.cli._common import (
    EXIT_INTERRUPTED,
    emit,
    format_option,
    load_baseline,
    note,
    note_remarks,
    output_option,
    progress_bar,
    resolve_format,
    result_options,
    verbosity_options,
)
from skilltrace_mlflow.cli._options import ExpandedPath, door_options, told_apart
from skilltrace_mlflow.options import TRACE_EVAL, EvaluationOptions

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow trace-eval my-skill --trace session.jsonl",
)
@click.argument("named", nargs=-1, metavar="[SKILL]")
@click.option(
    "--trace",
    "traces",
    multiple=True,
    type=ExpandedPath(),
    metavar="FILE",
    help="A transcript or a dumped trace; several as --trace A --trace B or --trace *.jsonl (- "
    "reads standard input).",
)
@click.option(
    "--trace-dir",
    type=ExpandedPath(),
    metavar="DIR",
    help="Every session below DIR.",
)
@click.option(
    "--manifest",
    type=ExpandedPath(dir_okay=False),
    metavar="FILE",
    help="A manifest file instead of SKILL.",
)
@click.option("--log", is_flag=True, help="Write the verdicts to MLflow as assessments.")
@door_options(TRACE_EVAL)
@result_options
@format_option()
@output_option()
@verbosity_options
def command(
    named: tuple[str, ...],
    traces: tuple[Path, ...],
    trace_dir: Path | None,
    manifest: Path | None,
    log: bool,
    include_trace: bool,
    dump_traces: Path | None,
    report: Path | None,
    baseline: tuple[str, Any] | None,
    output_format: str,
    outputs: tuple[Path, ...],
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> int:
    """Score traces against SKILL's expectations.

    SKILL is a skill's name, its folder, or (with --manifest) left out. Name the traces by one of
    --trace, --trace-dir, --run-id, --trace-id, --session-id, --latest, --local.
    """
    from skilltrace_mlflow.evaluation import trace_eval

    options = EvaluationOptions(**given)
    skill, more = told_apart(named, behind_trace=bool(traces))
    traces = (*traces, *more)
    source = skill if manifest is None else manifest
    if source is None or (skill is not None and manifest is not None):
        raise click.UsageError("Give either SKILL or --manifest FILE.")
    _require_one(traces, trace_dir, options)
    baseline = load_baseline(baseline, options.tracking_uri)
    page = any(resolve_format(path) == "html" for path in outputs)
    with progress_bar("scoring", quiet=quiet) as progress:
        evaluation = trace_eval(
            source,
            [str(trace) for trace in traces],
            trace_dir=trace_dir,
            keep_sessions=bool(include_trace or dump_traces or report or log or page),
            progress=progress,
            **replace(options, workers=options.workers or os.cpu_count()).of(TRACE_EVAL),
        )
    note_remarks(evaluation, quiet=quiet, output_format=output_format)
    if log:
        from skilltrace_mlflow.evaluate import Interrupted, log_evaluation

        try:
            evaluation = log_evaluation(
                evaluation, experiment=options.experiment, tracking_uri=options.tracking_uri
            )
        except Interrupted as stop:
            kept = f"; run {stop.run_id} holds what was logged until then" if stop.run_id else ""
            note(f"interrupted{kept}")
            return EXIT_INTERRUPTED
        for text in evaluation.incomplete:
            note(f"incomplete: {text}")
    emit(
        evaluation,
        output_format=output_format,
        outputs=outputs,
        report=report,
        dump_traces=dump_traces,
        include_trace=include_trace,
        baseline=baseline,
        quiet=quiet,
        verbose=verbose,
    )
    return evaluation.exit_code


def _require_one(
    traces: tuple[Path, ...], trace_dir: Path | None, options: EvaluationOptions
) -> None:
    given = {
        "--trace": bool(traces),
        "--trace-dir": trace_dir is not None,
        "--run-id": options.run_id is not None,
        "--trace-id": options.trace_id is not None,
        "--session-id": options.session_id is not None,
        "--latest": options.latest,
        "--local": options.local and options.session_id is None,
    }
    names = [name for name, present in given.items() if present]
    if len(names) != 1:
        got = " and ".join(names) or "none"
        raise click.UsageError(f"Name the traces by exactly one of {', '.join(given)}; got {got}.")
