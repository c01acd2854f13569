"""Suites of `claude plugin eval`, and their results with the traces that they left."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from skilltrace_mlflow.agent.bridges._case import Attempt, ImportedCase, require
from skilltrace_mlflow.agent.bridges._graders import GRADER, translated
from skilltrace_mlflow.errors import InputError

__all__ = ["cases_of_result", "cases_of_suite", "is_result"]

_VERSION = 1
_RUN = {
    "type": "object",
    "properties": {
        "tracePath": {"type": ["string", "null"]},
        "passed": {"type": ["boolean", "null"]},
    },
}
_RESULT = {
    "type": "object",
    "properties": {
        "schemaVersion": {"const": _VERSION},
        "cases": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "dir": {"type": ["string", "null"]},
                    "promptMarkdown": {"type": ["string", "null"]},
                    "graders": {"type": ["array", "null"], "items": GRADER},
                    "arms": {
                        "type": ["object", "null"],
                        "properties": {
                            "with": {"type": "array", "items": _RUN},
                            "without": {"type": "array", "items": _RUN},
                        },
                        "additionalProperties": False,
                    },
                },
                "required": ["name"],
            },
        },
    },
}
_CASE = {
    "type": "object",
    "properties": {
        "name": {"type": ["string", "null"]},
        "graders": {"type": ["array", "null"], "items": GRADER},
        "execution": {
            "type": ["object", "null"],
            "properties": {"prompt": {"type": ["string", "null"]}},
        },
        "context": {"type": ["object", "null"]},
    },
}


def is_result(document: Any) -> bool:
    """Whether a document claims to be a result of `claude plugin eval --json`."""
    return isinstance(document, Mapping) and "cases" in document


def cases_of_result(document: Mapping[str, Any], path: Path, skill: str) -> Iterator[ImportedCase]:
    """The cases of a result; their traces are where it says, or beside it. Raises InputError."""
    require(document, _RESULT, path)
    beside = _Traces(path.parent)
    names = Counter(item["name"] for item in document["cases"])
    for item in document["cases"]:
        expectations, left_out = translated(item.get("graders") or (), skill)
        attempts = tuple(
            _attempt(arm, number, run, beside)
            for arm, runs in (item.get("arms") or {}).items()
            for number, run in enumerate(runs, start=1)
        )
        if not any(attempt.arm == "with" for attempt in attempts):
            why = f"plugin eval did not run it ({document.get('partialReason') or 'no run'})"
            attempts = (Attempt(attempt=1, error=why), *attempts)
        where = str(item.get("dir") or "").removeprefix("evals/")
        name = where if names[item["name"]] > 1 and where else item["name"]
        yield ImportedCase(
            id=name.replace("/", "-"),
            prompt=item.get("promptMarkdown"),
            expectations=expectations,
            attempts=attempts,
            left_out=left_out,
            origin=f"claude plugin eval: {item['name']}",
        )


def _attempt(arm: str, number: int, run: Mapping[str, Any], beside: _Traces) -> Attempt:
    said = run.get("tracePath") or ""
    error = run.get("error")
    trace = None if error else beside.find(said)
    if error is None and trace is None:
        error = f"{said}: not found (plugin eval keeps traces with --keep-temp)"
    return Attempt(
        attempt=number,
        arm=arm,
        trace=trace,
        error=None
        if error is None
        else f"plugin eval: {error}"
        if run.get("error")
        else str(error),
        said="plugin eval: " + ("passed" if run.get("passed") else "failed"),
    )


class _Traces:
    """Finds the trace of a run, whose folder is mostly deleted: the result's neighbours are asked
    by the working directory that they name. A transcript is preferred, it holds more.
    """

    def __init__(self, folder: Path) -> None:
        self.files = [(path, _head(path)) for path in sorted(folder.glob("*.jsonl"))]

    def find(self, said: str) -> Path | None:
        path = Path(said)
        if said and path.is_file():
            return path
        root = next((part for part in path.parts if part.startswith("claude-eval-")), None)
        if root is None:
            return None
        found = [file for file, head in self.files if f"/{root}/" in head]
        found.sort(key=lambda file: '"type":"system","subtype":"init"' in _compact(_head(file)))
        return found[0] if found else None


def _head(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(20_000)


def _compact(text: str) -> str:
    return text.replace('": "', '":"').replace(', "', ',"')


def cases_of_suite(path: Path, skill: str) -> Iterator[ImportedCase]:
    """The cases of a plugin's suite: folders with `case.yaml`, `prompt.md` and `graders/*.md`, of
    which a case may have any; the prose comes on top. Raises InputError.
    """
    root = path / "evals" if (path / "evals").is_dir() else path
    files = (*root.rglob("case.yaml"), *root.rglob("prompt.md"))
    for folder in sorted({file.parent for file in files}):
        yield _case(folder, folder.relative_to(root).as_posix(), skill)


def _case(folder: Path, name: str, skill: str) -> ImportedCase:
    values: Mapping[str, Any] = {}
    prompt = None
    if (folder / "case.yaml").is_file():
        values = _yaml(folder / "case.yaml", _text(folder / "case.yaml"))
        require(values, _CASE, folder / "case.yaml")
        prompt = (values.get("execution") or {}).get("prompt")
    if (folder / "prompt.md").is_file():
        _, body = _front_matter(folder / "prompt.md")
        prompt = body.strip() or prompt
    graders = [dict(item) for item in values.get("graders") or ()]
    for file in sorted((folder / "graders").glob("*.md")):
        head, body = _front_matter(file)
        require(head, GRADER, file)
        if head:  # a file without front matter is no grader
            graders.append({"name": file.stem, "text": body.strip(), **head})
    expectations, left_out = translated(graders, skill)
    lost = [
        f"its {key} is not used here"
        for key in ("history_file", "scaffold_script", "add_dirs")
        if (values.get("context") or {}).get(key)
    ]
    return ImportedCase(
        id=("-".join(folder.parts[-1:]) if name == "." else name.replace("/", "-")),
        prompt=str(prompt).strip() or None if prompt else None,
        expectations=expectations,
        left_out=(*left_out, *lost),
        origin=f"claude plugin eval: {values.get('name') or name}",
    )


def _front_matter(path: Path) -> tuple[Mapping[str, Any], str]:
    text = _text(path)
    match = re.match(r"---[ \t]*\n(.*?)(?:^|\n)---[ \t]*(?:\n|$)(.*)", text, re.DOTALL)
    if match is None:
        return {}, text
    return _yaml(path, match[1]), match[2]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _yaml(path: Path, text: str) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a mapping of YAML")
    return values
