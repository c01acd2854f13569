"""Suites of `claude plugin eval`, and their results with the traces that they left.

Their graders are read as expectations. What these mean was read off Claude Code 2.1.332: a regular
expression is JavaScript's and minds the case unless flagged, `tool_used` counts calls of exactly
one tool (at least one, unless `min` says otherwise), `target` and `focus` are the last message
where nothing is said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from skilltrace_mlflow.agent.bridges._case import Attempt, ImportedCase, require
from skilltrace_mlflow.errors import ConfigurationError, InputError
from skilltrace_mlflow.expectations import parse_expectations
from skilltrace_mlflow.expectations.responses import response_problems
from skilltrace_mlflow.text import cut

__all__ = ["GRADER", "cases_of_result", "cases_of_suite", "is_result", "translated"]

_COUNT = {"type": ["integer", "null"], "minimum": 0}
_OWN = {
    "type": {"type": "string"},
    "tool": {"type": "string"},
    "min": _COUNT,
    "max": _COUNT,
    "pattern": {"type": "string"},
    "flags": {"type": ["string", "null"]},
    "path": {"type": "string"},
}
GRADER: Mapping[str, Any] = {
    "type": "object",
    "properties": {**_OWN, "config": {"type": ["object", "null"], "properties": _OWN}},
}
"""What is read of a grader, whose settings stand in it or, in results, under `config`."""

_LAST = (None, "last_message")
_INLINE = "ims"


class _NoCheckError(Exception):
    """No check means what a grader says."""


def translated(graders: Sequence[Any], skill: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Keys of a test case for a case's graders, and in words those that no check means.

    The skill has to be loaded, although plugin eval leaves graders of its call out of the score;
    where a grader forbids it, it must not be.
    """
    found: dict[str, Any] = {}
    left_out = []
    skill_is_banned = False
    for item in graders:
        config = {**item, **(item.get("config") or {})}
        name, kind = str(item.get("name") or "?"), config.get("type")
        try:
            if _bans_the_skill(config, skill):
                skill_is_banned = True
                continue
            for key, value in _expectations(config, skill):
                _require_sense(key, value)
                _add(found, key, value)
        except _NoCheckError as error:
            left_out.append(f"grader {name!r} ({kind}) {error}")
    about: dict[str, Any] = {"required_skills": [skill]}
    if skill_is_banned:
        about = {"should_trigger": {"skill": skill, "expected": False}}
    return {**about, **found}, tuple(left_out)


def _bans_the_skill(config: Mapping[str, Any], skill: str) -> bool:
    match = config.get("input_match")
    return (
        config.get("type") == "tool_used"
        and config.get("tool") == "Skill"
        and config.get("max") == 0
        and (match is None or skill in str(match))
    )


def _expectations(config: Mapping[str, Any], skill: str) -> Iterator[tuple[str, Any]]:
    kind = config.get("type")
    if kind == "tool_used":
        yield from _tool_used(config, skill)
    elif kind == "regex":
        yield "expected_patterns", [_pattern(config)]
    elif kind == "file_exists" and config.get("exists") in (None, True):
        path = str(config.get("path") or "")
        # A bare name means any folder here, the working directory there.
        yield "expected_files", [path if "/" in path else f"./{path}"]
    elif kind == "llm" and config.get("focus") in _LAST:
        texts = (config.get(key) for key in ("criteria", "rubric", "graderMarkdown", "text"))
        text = next((t.strip() for t in texts if isinstance(t, str) and t.strip()), None)
        if text is None:
            raise _NoCheckError("has no criteria")
        yield "assertions", [text]
    else:
        raise _NoCheckError("has no check that means the same")


def _tool_used(config: Mapping[str, Any], skill: str) -> Iterator[tuple[str, Any]]:
    tool, match = config.get("tool"), config.get("input_match")
    most = config.get("max")
    least = config.get("min")
    if not isinstance(tool, str) or not tool:
        raise _NoCheckError("names no tool")
    if match is not None and not (tool == "Skill" and skill in str(match)):
        raise _NoCheckError("has no check that means the same: input_match is matched with JSON")
    least = (0 if most == 0 else 1) if least is None else least
    if tool == "Skill" and most is None and least <= 1:
        return  # required_skills says which one it has to be
    if least == 1 and most is None:
        yield "required_tools", [tool]
    elif least or most is not None:
        if most == 0 and not least:
            yield "tool_limits", {tool: 0}
        else:
            limits = {"min": least or None, "max": most}
            yield "tool_limits", {tool: {k: v for k, v in limits.items() if v is not None}}


def _pattern(config: Mapping[str, Any]) -> dict[str, Any]:
    pattern, flags = config.get("pattern"), str(config.get("flags") or "")
    if not isinstance(pattern, str) or not pattern:
        pattern = config.get("text")  # a grader of its own file has it there
    if not isinstance(pattern, str) or not pattern:
        raise _NoCheckError("has no pattern")
    if config.get("target") not in _LAST:
        raise _NoCheckError("has no check that means the same: it does not look at the response")
    if "y" in flags:
        raise _NoCheckError("has no check that means the same: the flag y")
    inline = "".join(flag for flag in _INLINE if flag in flags)
    # Patterns here do not mind the case by themselves.
    text = f"(?{inline}){pattern}" if "i" in flags else f"(?{inline}-i:{pattern})"
    how = config.get("match") or "contains"
    if how == "contains":
        return {"pattern": text}
    if how == "not_contains":
        return {"pattern": text, "max_count": 0}
    count = str(how).removeprefix("count:")
    if how == f"count:{count}" and count.isdecimal():
        return {"pattern": text, "min_count": int(count), "max_count": int(count)}
    raise _NoCheckError(f"has no check that means the same: match {how!r}")


def _require_sense(key: str, value: Any) -> None:
    """Raise _NoCheckError for what this package would refuse: another dialect, a slip."""
    try:
        parse_expectations({key: value})
        problem = next(response_problems({key: value}), None)
    except ConfigurationError as error:
        raise _NoCheckError(f"cannot be read here: {cut(str(error), 200)}") from None
    if problem is not None:
        raise _NoCheckError(f"cannot be read here: {cut(problem[1], 200)}")


def _add(found: dict[str, Any], key: str, value: Any) -> None:
    if key not in found:
        found[key] = value
    elif isinstance(value, list):
        found[key] += [item for item in value if item not in found[key]]
    else:
        for tool, limit in value.items():
            if found[key].setdefault(tool, limit) != limit:
                raise _NoCheckError(f"says something else of {tool} than another one")


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
