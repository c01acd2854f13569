"""`promote`: approved candidates become test cases."""

from __future__ import annotations

import click

from skilltrace_mlflow.cli._common import note, verbosity_options
from skilltrace_mlflow.cli._options import skills_option

__all__ = ["command"]


@click.command(epilog="Example: skilltrace-mlflow promote my-skill captured_001")
@click.argument("skill")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@skills_option
@verbosity_options
def command(
    skill: str, ids: tuple[str, ...], skills_dir: str | None, quiet: bool, verbose: bool
) -> int:
    """Move SKILL's approved candidates (or those named) into ground_truth.yaml, each once.

    The test case is linked to the candidate's trace and names its reviewer. Comments and layout of
    the file stay as they are.
    """
    from skilltrace_mlflow.agent.review import promote
    from skilltrace_mlflow.expectations import load_manifest

    done = promote(load_manifest(skill, skills_dir=skills_dir), ids)
    if not quiet:
        for name in done.promoted:
            note(f"{name}: a test case in {done.path}")
        for name in done.already:
            note(f"{name}: was one already")
        if not done.promoted and not done.already:
            note("no candidate is approved")
    return 0
