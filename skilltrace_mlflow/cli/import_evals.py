"""`import-evals`: other tools' suites and results as test cases, or as an evaluation."""

from __future__ import annotations

from pathlib import Path

import click

from skilltrace_mlflow.cli._common import (
    emit,
    format_option,
    note,
    output_option,
    remark,
    verbosity_options,
)
from skilltrace_mlflow.cli._options import ExpandedPath

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow import-evals evals/results/latest.json --skill my-skill "
    "--evaluate",
)
@click.argument("path", type=ExpandedPath(exists=True))
@click.option("--skill", required=True, metavar="SKILL", help="The skill under test.")
@click.option(
    "--evaluate",
    is_flag=True,
    help="Judge the traces that the tool left, instead of adding test cases.",
)
@click.option(
    "--skills-dir",
    type=ExpandedPath(file_okay=False),
    metavar="DIR",
    help="Where skills are [SKILLTRACE_SKILLS_DIR, else the nearest skills/ upward].",
)
@format_option()
@output_option()
@verbosity_options
def command(
    path: Path,
    skill: str,
    evaluate: bool,
    skills_dir: str | None,
    output_format: str,
    outputs: tuple[Path, ...],
    quiet: bool,
    verbose: bool,
) -> int:
    """Read a suite or a result of `claude plugin eval`, evals.json of skill-creator, or an ATIF
    trajectory of Harbor.

    Its cases are added to SKILL's ground_truth.yaml, each once. With --evaluate the traces of a
    result are judged by SKILL's manifest and the translated expectations; a skill that was not
    loaded fails, whatever the other tool said.
    """
    from skilltrace_mlflow.agent.bridges import add_cases, evaluate_imported, read_evals
    from skilltrace_mlflow.expectations import load_manifest

    manifest = load_manifest(skill, skills_dir=skills_dir)
    cases = read_evals(path, manifest)
    if evaluate:
        evaluation = evaluate_imported(cases, manifest)
        emit(
            evaluation,
            output_format=output_format,
            outputs=outputs,
            quiet=quiet,
            verbose=verbose,
        )
        return evaluation.exit_code
    done = add_cases(cases, manifest)
    for case in cases:
        for text in case.left_out:
            remark(f"{case.id}: {text}")
    for name in done.added:
        remark(f"{name}: added")
    for name in done.already:
        remark(f"{name}: was there already")
    for name in done.others:
        note(f"{name}: not added, the ground truth has another test case of this name")
    return 0
