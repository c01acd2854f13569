"""`validate`: check manifests and ground truths before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skilltrace_mlflow.cli._common import note, verbosity_options, write_result
from skilltrace_mlflow.cli._options import ExpandedPath
from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError
from skilltrace_mlflow.text import counted

if TYPE_CHECKING:
    from skilltrace_mlflow.expectations import Manifest, TestCase

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow validate my-skill --skills-dir .test/skills",
)
@click.argument("skills", nargs=-1)
@click.option(
    "--skills-dir",
    type=ExpandedPath(file_okay=False),
    metavar="DIR",
    help="Where skills are. Default: SKILLTRACE_SKILLS_DIR, else the nearest skills/ upward.",
)
@click.option("--strict", is_flag=True, help="Treat notices as problems.")
@verbosity_options
def command(
    skills: tuple[str, ...], skills_dir: Path | None, strict: bool, quiet: bool, verbose: bool
) -> int:
    """Check the manifest and the ground truth of each SKILL, or of all skills found.

    SKILL is a skill's name, its folder, or a manifest file. Every problem is said with its file,
    line and column; expectations that can never pass or never fail are problems too. Exit code 0
    if there is none, else 2.
    """
    problems: list[str] = []
    notices: list[str] = []
    lines: list[str] = []
    for source in skills or _all_skills(skills_dir):
        try:
            manifest, cases = _load(source, skills_dir)
        except ConfigurationError as error:
            problems += error.problems
            continue
        except SkillTraceError as error:
            problems.append(str(error))
            continue
        found = _lint(manifest, cases)
        problems += found[0]
        notices += found[1]
        lines.append(_summary(manifest, cases))
    if strict:
        problems, notices = [*problems, *notices], []
    if not quiet:
        for notice in notices:
            note(f"notice: {notice}")
    if problems:
        raise ConfigurationError(*dict.fromkeys(problems))
    write_result("".join(f"{line}\n" for line in lines))
    return 0


def _all_skills(skills_dir: Path | None) -> Iterable[str]:
    from skilltrace_mlflow.expectations import all_skills

    return [str(folder) for folder in all_skills(skills_dir)]


def _load(source: str, skills_dir: Path | None) -> tuple[Manifest, tuple[TestCase, ...]]:
    """Manifest and cases; where both are wrong, the problems of both."""
    from skilltrace_mlflow.expectations import load_ground_truth, load_manifest

    path = Path(source).expanduser()
    if path.is_dir():
        manifest = load_manifest(path)
    else:
        manifest = load_manifest(source, skills_dir=skills_dir)
    return manifest, load_ground_truth(manifest)


def _lint(
    manifest: Manifest, cases: tuple[TestCase, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from skilltrace_mlflow.expectations.lint import lint

    found = lint(manifest, cases)
    return found.problems, found.notices


def _summary(manifest: Manifest, cases: tuple[TestCase, ...]) -> str:
    from skilltrace_mlflow.expectations import parse_expectations

    own = (manifest.trace_expectations, manifest.session_expectations)
    expected = [item for raw in own for item in parse_expectations(raw)]
    for case in cases:
        expected += [*case.expectations, *case.session_expectations]
    off = frozenset(manifest.disabled)
    checks = {i.spec.name for i in expected if i.asks and not i.spec.named_in(off)}
    told = f"{counted(len(cases), 'test case')}, {counted(len(checks), 'trace check')}"
    return f"{manifest.name}: valid: {told}, {counted(len(manifest.quality_gates), 'gate')}"
