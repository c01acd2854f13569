"""`mlflow-eval`: evaluate a skill's test cases and leave the verdicts in MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skilltrace_mlflow import __version__
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
from skilltrace_mlflow.results import EXIT_UNKNOWN

if TYPE_CHECKING:
    from skilltrace_mlflow.evaluate.registry import RegisteredVersion
    from skilltrace_mlflow.results import Evaluation

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow mlflow-eval my-skill --include-traces --experiment traces",
)
@click.version_option(__version__, prog_name="mlflow-eval")
@click.argument("skill")
@click.option(
    "--promote",
    metavar="ALIAS",
    help="Move this alias to the version of skills:/… if everything was judged and passed.",
)
@door_options(EVALUATE_SKILL)
@result_options
@format_option()
@output_option()
@verbosity_options
def command(
    skill: str,
    promote: str | None,
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

    SKILL may be skills:/name@alias, skills:/name/3 or skills:/name of MLflow's Skill Registry: the
    version's content is evaluated, and the verdict becomes tags of the version.
    """
    from skilltrace_mlflow.evaluate import Interrupted, evaluate_skill

    options = EvaluationOptions(**given)
    version = _registered(skill, promote, options)
    baseline = load_baseline(baseline, options.tracking_uri)
    try:
        with progress_bar("judging", quiet=quiet) as progress:
            evaluation = evaluate_skill(
                skill if version is None else version.folder,
                progress=progress,
                run_tags=None if version is None else {"skilltrace.skill_version": version.uri},
                **options.of(EVALUATE_SKILL),
            )
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
    if version is None:
        return evaluation.exit_code
    settled = _settle(version, evaluation, promote, options)
    return evaluation.exit_code or settled


def _registered(
    skill: str, promote: str | None, options: EvaluationOptions
) -> RegisteredVersion | None:
    from skilltrace_mlflow.evaluate.registry import is_registered, pull_version

    if is_registered(skill):
        return pull_version(skill, tracking_uri=options.tracking_uri)
    if promote is not None:
        raise click.UsageError("--promote moves an alias of a registered skill: skills:/name@alias")
    return None


def _settle(
    version: RegisteredVersion,
    evaluation: Evaluation,
    promote: str | None,
    options: EvaluationOptions,
) -> int:
    """Tell the registry; 3 where a version was to be promoted that was not judged whole."""
    from skilltrace_mlflow.evaluate.registry import lacks, settle_version

    problems = lacks(version, evaluation, options)
    notes = settle_version(
        version, evaluation, problems, alias=promote, tracking_uri=options.tracking_uri
    )
    for text in notes:
        note(text)
    return EXIT_UNKNOWN if promote is not None and problems else 0
