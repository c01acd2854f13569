"""`init`: a commented manifest and one test case for a skill."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from skilltrace_mlflow.cli._common import note, write_result
from skilltrace_mlflow.cli._options import ExpandedPath
from skilltrace_mlflow.errors import ConfigurationError, InputError
from skilltrace_mlflow.expectations.ground_truth import EXAMPLE_PROMPT
from skilltrace_mlflow.expectations.locate import SKILLS_DIR_VARIABLE
from skilltrace_mlflow.text import below_here

__all__ = ["command"]


_MANIFEST = """\
# yaml-language-server: $schema={schemas}/manifest.schema.json
# What is expected of an agent that was given this skill. Every test case of ground_truth.yaml
# starts from this and may override it. Check it with: skilltrace-mlflow validate {skill}
skill:
  name: {skill}
  # description: What the skill is for.

scorers:
  # Scorers of the response text, by name. A trace check runs wherever its key below is written.
  enabled: [python_syntax, yaml_syntax]
  # Scorers that ask a model, e.g. [Safety, guidelines_from_expectations]; they need its key.
  llm_scorers: []

  # What the trace of a session must show. Remove what you do not need.
  trace_expectations:
    # The agent ends its turn itself; a session cut off by an error or a limit is no pass.
    completion: required
    # At most so many calls; {{min: 1, max: 5}} for both ends.
    tool_limits:
      Bash: 10
    # Tokens of the whole session, sub-agents included.
    token_budget:
      max_total: 200000
    # Tools, globs or permission rules that must be called at least once.
    required_tools: [Read]
    # Tools, commands and SQL statements that must never be called; tests can only add to these.
    banned_tools: ["rm -rf", "DROP DATABASE"]

# The least pass rate (or mean score) over all test cases, by name of check.
quality_gates:
  banned_tools: 1.0

evaluation:
  datasets:
    - {{path: ground_truth.yaml, type: yaml}}
"""

_GROUND_TRUTH = """\
# yaml-language-server: $schema={schemas}/ground_truth.schema.json
# One entry per test case. Keys under `expectations` override the manifest's.
test_cases:
  - id: {identifier}_001
    inputs:
      prompt: {prompt}
    # The trace to judge, if it is a file: relative to this one.
    # outputs: {{trace_ref: traces/session.jsonl}}
    expectations:
      # Files that the agent must create or change.
      expected_files: ["*.py"]
      # Calls in this order, others may come between.
      tool_sequence: [Read, Write]
    metadata:
      category: happy_path
      # trace_id: tr-…       # or the MLflow trace to judge
"""


@click.command(epilog="Example: skilltrace-mlflow init my-skill")
@click.argument("skill")
@click.option(
    "--skills-dir",
    type=ExpandedPath(file_okay=False),
    metavar="DIR",
    help="Where skills are. Default: the folder that SKILL has already, in SKILLTRACE_SKILLS_DIR "
    "or else in skills/, .claude/skills/ or .test/skills/ here or above or the user's "
    "~/.claude/skills/; for a new one the nearest of the first three, else ./skills.",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there already.")
@click.option(
    "--bundle",
    is_flag=True,
    help="Write a Databricks bundle as well: bundle.yml and a dashboard, beside the skills.",
)
def command(skill: str, skills_dir: Path | None, force: bool, bundle: bool) -> int:
    """Write a commented manifest.yaml and a ground_truth.yaml with one test case for SKILL.

    Both are valid as written. The JSON Schemas that their first lines name are written into
    .skilltrace/schemas/ above the skills, where no agent that is given the skill reads them.
    A bundle may be added later: what is there of the skill is then left as it is.
    """
    folder = _folder(skill, skills_dir)
    schemas = _project(folder) / ".skilltrace" / "schemas"
    where = Path(os.path.relpath(schemas.resolve(), folder.resolve())).as_posix()
    identifier = _identifier(folder.name)
    files = {
        folder / "manifest.yaml": _MANIFEST.format(skill=json.dumps(folder.name), schemas=where),
        folder / "ground_truth.yaml": _GROUND_TRUTH.format(
            identifier=identifier, schemas=where, prompt=json.dumps(EXAMPLE_PROMPT)
        ),
        **{schemas / name: text for name, text in _schemas().items()},
    }
    taken = [folder / name for name in ("manifest.yaml", "ground_truth.yaml")]
    taken = [path for path in taken if path.exists()]
    if bundle:
        from skilltrace_mlflow.databricks.bundle import bundle_files

        if taken and not force:
            files, taken = {}, []
        skills = folder.resolve().parent
        here = below_here(skills.parent)
        files |= bundle_files(here, skills, folder.resolve().name, replacing=force)
    if taken and not force:
        raise ConfigurationError(
            f"{taken[0]} exists already; overwrite it with --force, or choose another skill"
        )
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, text)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from None
    write_result("".join(f"{path}\n" for path in files))
    note(f"next: edit them, then skilltrace-mlflow validate {folder}")
    if bundle:
        note("and set the variables at the top of bundle.yml, then databricks bundle validate")
    return 0


def _folder(skill: str, skills_dir: Path | None) -> Path:
    from skilltrace_mlflow.expectations import place_of_skill, skills_root

    given = Path(skill).expanduser()
    if not skill.strip() or given.name in ("", ".", ".."):
        raise ConfigurationError(f"{skill!r} is no name for a skill")
    if given.name != skill:
        return given
    if skills_dir is not None:
        return skills_dir / skill
    named = bool(os.environ.get(SKILLS_DIR_VARIABLE))
    return (None if named else place_of_skill(skill)) or (skills_root() or Path("skills")) / skill


def _project(folder: Path) -> Path:
    """The directory that a skill's folder belongs to: above `skills/`, `.claude/skills/`, …"""
    above = folder.parent
    if above.name == "skills":
        above = above.parent
    return above.parent if above.name in (".claude", ".test") else above


def _schemas() -> dict[str, str]:
    from skilltrace_mlflow.expectations.editor_schema import editor_schema

    return {
        f"{kind.replace('-', '_')}.schema.json": json.dumps(editor_schema(kind), indent=2) + "\n"
        for kind in ("manifest", "ground-truth")
    }


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _identifier(name: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in name).strip("_") or "test"
