"""`mlflow-eval`: evaluate a skill's test cases and leave the verdicts in MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from skilltrace_mlflow.cli._common import (
    EXIT_INTERRUPTED,
    ExpandedPath,
    emit,
    evaluation_options,
    format_option,
    load_baseline,
    note,
    output_option,
    progress_bar,
    store_options,
    verbosity_options,
)

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow mlflow-eval my-skill --include-traces --experiment traces",
)
@click.argument("skill")
@click.option(
    "--include-traces", is_flag=True, help="Judge each case's trace too, not only the response."
)
@click.option("--run-name", metavar="NAME", help="Name of the MLflow run.")
@click.option("--filter-category", multiple=True, metavar="NAME", help="Only cases of it.")
@click.option("--test-id", "test_ids", multiple=True, metavar="ID", help="Only this test case.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only cases with this tag.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Bound on everything; what is not done by then is named, and the run can be resumed.",
)
@click.option(
    "--attempts",
    type=click.IntRange(min=1),
    metavar="N",
    help="Judge N traces per case: pass rate, pass@k, pass^k with intervals.",
)
@click.option("--fail-under", multiple=True, metavar="NAME=VALUE", help="A gate, repeatable.")
@click.option("--no-llm", is_flag=True, help="Leave model-based scorers out.")
@click.option(
    "--allow-outside", is_flag=True, help="Let a trace_ref lead out of the skill's folder."
)
@click.option("--resume", metavar="RUN_ID", help="Finish a run that was interrupted.")
@click.option(
    "--report",
    type=ExpandedPath(dir_okay=False),
    metavar="FILE.html",
    help="Write an HTML report as well.",
)
@store_options
@evaluation_options
@format_option()
@output_option
@verbosity_options
def command(
    skill: str,
    include_traces: bool,
    run_name: str | None,
    filter_category: tuple[str, ...],
    test_ids: tuple[str, ...],
    tags: tuple[str, ...],
    timeout: float | None,
    attempts: int | None,
    fail_under: tuple[str, ...],
    no_llm: bool,
    allow_outside: bool,
    resume: str | None,
    report: Path | None,
    experiment: str | None,
    tracking_uri: str | None,
    skills_dir: Path | None,
    include_trace: bool,
    dump_traces: Path | None,
    allow_custom: bool,
    baseline: tuple[str, Any] | None,
    **output_options: Any,
) -> int:
    """Evaluate SKILL's test cases with mlflow.genai.evaluate.

    Each case's response is judged, and with --include-traces its trace: the one it names
    (outputs.trace_ref, metadata.trace_id, trace_run_id, session_id), else the one tagged
    skilltrace.test_id, else the newest with an equal prompt. Verdicts become assessments on the
    traces, under one MLflow run.
    """
    from skilltrace_mlflow.evaluate import Interrupted, evaluate_skill
    from skilltrace_mlflow.gates import parse_gate

    quiet = output_options["quiet"]
    baseline = load_baseline(baseline, tracking_uri)
    try:
        with progress_bar("judging", quiet=quiet) as progress:
            evaluation = evaluate_skill(
                skill,
                include_traces=include_traces,
                experiment=experiment,
                tracking_uri=tracking_uri,
                run_name=run_name,
                skills_dir=skills_dir,
                test_ids=test_ids,
                filter_category=filter_category,
                tags=tags,
                timeout=timeout,
                attempts=attempts,
                fail_under=dict(parse_gate(text) for text in fail_under),
                allow_custom=allow_custom,
                allow_outside=allow_outside,
                no_llm=no_llm,
                resume=resume,
                progress=progress,
            )
    except Interrupted as stop:
        hint = f"; finish it with --resume {stop.run_id}" if stop.run_id else ""
        note(f"interrupted{hint}")
        return EXIT_INTERRUPTED
    if not quiet and output_options["output_format"] != "table":
        for text in evaluation.notes:  # the table has them already
            note(text)
    for text in evaluation.incomplete:
        note(f"incomplete: {text}")
    emit(
        evaluation,
        include_trace=include_trace,
        dump_traces=dump_traces,
        report=report,
        baseline=baseline,
        **output_options,
    )
    return evaluation.exit_code
