"""A file or folder of another tool → test cases → the skill's ground truth."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skilltrace_mlflow.agent.bridges._case import Attempt, ImportedCase, unique_ids
from skilltrace_mlflow.agent.bridges._plugin_eval import cases_of_result, cases_of_suite, is_result
from skilltrace_mlflow.agent.bridges._skill_creator import cases_of_evals, is_evals
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.expectations import Manifest, load_ground_truth
from skilltrace_mlflow.proposals import yaml_files
from skilltrace_mlflow.sources.atif import is_atif
from skilltrace_mlflow.sources.load import load_file

__all__ = ["Added", "add_cases", "read_evals"]


def read_evals(path: Path, manifest: Manifest) -> tuple[ImportedCase, ...]:
    """The test cases in a file or a suite's folder.

    Raises InputError for what is none of the known formats, and for what has not their shape.
    """
    try:
        cases = _of_folder(path, manifest) if path.is_dir() else _of_file(path, manifest.name)
    except OSError as error:
        where = error.filename or path
        raise InputError(f"{where}: cannot be read: {error.strerror or error}") from error
    unique_ids([case.id for case in cases], path)
    return cases


def _of_folder(path: Path, manifest: Manifest) -> tuple[ImportedCase, ...]:
    found = tuple(cases_of_suite(path, manifest.name))
    file = path / "evals" / "evals.json"
    if not found and file.is_file():
        return _of_file(file, manifest.name)
    if not found:
        raise InputError(f"{path}: neither a suite of `claude plugin eval` nor evals/evals.json")
    return found


def _of_file(path: Path, skill: str) -> tuple[ImportedCase, ...]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON: {error}") from error
    if is_atif(document):
        return (_trajectory(path, skill),)
    if is_result(document):
        return tuple(cases_of_result(document, path, skill))
    if is_evals(document):
        return tuple(cases_of_evals(document, path, skill))
    raise InputError(
        f"{path}: neither a result of `claude plugin eval --json`, nor evals.json of "
        "skill-creator, nor an ATIF trajectory"
    )


def _trajectory(path: Path, skill: str) -> ImportedCase:
    prompts = load_file(path).session.prompts
    return ImportedCase(
        id=re.sub(r"[^\w.-]", "_", path.stem),
        prompt=prompts[0] if prompts else None,
        expectations={"required_skills": [skill]},
        attempts=(Attempt(attempt=1, trace=path),),
        origin=f"ATIF: {path.name}",
    )


@dataclass(frozen=True, kw_only=True)
class Added:
    """The ids of the cases added, of those there already, and of those that are not added since
    another test case has their name.
    """

    added: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def add_cases(cases: Sequence[ImportedCase], manifest: Manifest) -> Added:
    """Add the cases to the skill's ground truth, each once.

    Raises ConfigurationError where the file or a translated expectation does not hold together;
    then it stays as it is.
    """
    path = manifest.ground_truth
    groups: dict[str, list[str]] = {"added": [], "already": [], "others": []}
    with yaml_files.locked_folder(manifest.folder or Path()):
        found = load_ground_truth(path, manifest=manifest) if path.is_file() else ()
        there = {case.id: case for case in found}
        with yaml_files.undone_on_error(path):
            for case in cases:
                if case.id in there:
                    old = there[case.id]
                    same = (old.metadata.get("imported_from"), old.prompt) == (
                        case.origin,
                        case.prompt,
                    )
                    groups["already" if same else "others"].append(case.id)
                    continue
                yaml_files.append_item(path, "test_cases", case.to_case())
                groups["added"].append(case.id)
            if groups["added"]:
                load_ground_truth(path, manifest=manifest)
    return Added(**{name: tuple(ids) for name, ids in groups.items()})
