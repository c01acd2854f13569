"""`mlflow-eval`: evaluate a skill's test cases and leave the verdicts in MLflow."""

from __future__ import annotations

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
    result_options,
    verbosity_options,
)
from skilltrace_mlflow.cli._options import door_options
from skilltrace_mlflow.options import EVALUATE_SKILL, EvaluationOptions

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow mlflow-eval my-skill --include-traces --experiment traces",
)
@click.argument("skill")
@door_options(EVALUATE_SKILL)
@result_options
@format_option()
@output_option()
@verbosity_options
def command(
    skill: str,
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
    """Evaluate SKILL's test cases with mlflow.genai.evaluate.

    Each case's response is judged, and with --include-traces its trace: the one it names
    (outputs.trace_ref, metadata.trace_id, trace_run_id, session_id), else the one tagged
    skilltrace.test_id, else the newest with an equal prompt. Verdicts become assessments on the
    traces, under one MLflow run.
    """
    from skilltrace_mlflow.evaluate import Interrupted, evaluate_skill

    options = EvaluationOptions(**given)
    baseline = load_baseline(baseline, options.tracking_uri)
    try:
        with progress_bar("judging", quiet=quiet) as progress:
            evaluation = evaluate_skill(skill, progress=progress, **options.of(EVALUATE_SKILL))
    except Interrupted as stop:
        hint = f"; finish it with --resume {stop.run_id}" if stop.run_id else ""
        note(f"interrupted{hint}")
        return EXIT_INTERRUPTED
    note_remarks(evaluation, quiet=quiet, output_format=output_format)
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
