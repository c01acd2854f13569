"""Suites and results of other tools as test cases, and as evaluations of their traces.

Read are a result of `claude plugin eval --json` and its suite (`evals/**/prompt.md` with graders),
`evals.json` of skill-creator (also its lists of trigger queries), and Harbor's ATIF trajectories.
What a grader says is translated where a check means the same; the rest is named, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.errors import ConfigurationError, InputError, SkillTraceError
from skilltrace_mlflow.expectations import (
    Manifest,
    load_ground_truth,
    merge_expectations,
    parse_expectations,
)
from skilltrace_mlflow.proposals import yaml_files
from skilltrace_mlflow.responses import all_responses, run_response
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.score import score_session
from skilltrace_mlflow.scorers import as_response
from skilltrace_mlflow.sources.atif import is_atif
from skilltrace_mlflow.sources.load import load_file

__all__ = ["Attempt", "ImportedCase", "add_cases", "evaluate_imported", "read_evals"]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A run that the other tool made: its trace, or why there is none, and what the tool said."""

    attempt: int
    arm: str = "with"
    trace: Path | None = None
    error: str | None = None
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class ImportedCase:
    """A test case of another tool. `expectations` are keys of a test case; `left_out` says which
    of its graders no check means.
    """

    id: str
    prompt: str | None
    expectations: Mapping[str, Any] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    left_out: tuple[str, ...] = ()
    origin: str = ""

    def to_case(self) -> dict[str, Any]:
        """As it stands in a ground truth."""
        case: dict[str, Any] = {"id": self.id}
        if self.prompt:
            case["inputs"] = {"prompt": self.prompt}
        case["expectations"] = dict(self.expectations)
        case["metadata"] = {"imported_from": self.origin}
        return case


def read_evals(path: Path, manifest: Manifest) -> tuple[ImportedCase, ...]:
    """The test cases in a file or a suite's folder.

    Raises InputError for what is none of the known formats.
    """
    if path.is_dir():
        found = tuple(_suite(path, manifest.name))
        if not found:
            file = path / "evals" / "evals.json"
            if file.is_file():
                return read_evals(file, manifest)
            raise InputError(
                f"{path}: neither a suite of `claude plugin eval` nor evals/evals.json"
            )
        return found
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: is not JSON: {error}") from error
    if is_atif(document):
        return (_trajectory(path, manifest.name),)
    if isinstance(document, dict) and isinstance(document.get("cases"), list):
        return tuple(_plugin_eval(document, path, manifest.name))
    items = document.get("evals") if isinstance(document, dict) else document
    if isinstance(items, list) and all(isinstance(item, dict) for item in items):
        return tuple(_skill_creator(items, path, manifest.name))
    raise InputError(
        f"{path}: neither a result of `claude plugin eval --json`, nor evals.json of "
        "skill-creator, nor an ATIF trajectory"
    )


def add_cases(cases: Sequence[ImportedCase], manifest: Manifest) -> tuple[list[str], list[str]]:
    """Add the cases to the skill's ground truth; returns the ids added, and those there already.

    Raises ConfigurationError where the file or a translated expectation does not hold together.
    """
    folder = manifest.folder or Path()
    path = manifest.ground_truth
    added, already = [], []
    with yaml_files.locked_folder(folder):
        found = load_ground_truth(path, manifest=manifest) if path.is_file() else ()
        there = {case.id for case in found}
        with yaml_files.undone_on_error(path):
            for case in cases:
                if case.id in there:
                    already.append(case.id)
                    continue
                yaml_files.append_item(path, "test_cases", case.to_case())
                added.append(case.id)
            if added:
                load_ground_truth(path, manifest=manifest)
    return added, already


def evaluate_imported(cases: Sequence[ImportedCase], manifest: Manifest) -> Evaluation:
    """Judge the traces that the other tool left, by the manifest and what was translated."""
    arms: dict[str, list[TestResult]] = {"with": [], "without": []}
    for case in cases:
        for attempt in case.attempts:
            arms[attempt.arm].append(_judged(case, attempt, manifest))
    if not arms["with"]:
        raise ConfigurationError("there is no trace to evaluate; import the cases, then `run` them")
    both = bool(arms["without"])
    results = [replace(r, arm="with") if both else r for r in arms["with"]]
    notes = tuple(f"{case.id}: {text}" for case in cases for text in case.left_out)
    return Evaluation(
        skill=manifest.name,
        results=tuple(results),
        without=tuple(replace(r, arm="without") for r in arms["without"]),
        notes=notes,
    )


def _judged(case: ImportedCase, attempt: Attempt, manifest: Manifest) -> TestResult:
    result = TestResult(
        test_id=case.id, skill=manifest.name, attempt=attempt.attempt, prompt=case.prompt
    )
    said = (attempt.said,) if attempt.said else ()
    if attempt.trace is None:
        return replace(result, error=attempt.error or "no trace was found", notes=said)
    try:
        session = load_file(attempt.trace).session
    except SkillTraceError as error:
        return replace(result, error=str(error), notes=said)
    responses = {k: v for k, v in case.expectations.items() if k in _RESPONSE_KEYS}
    traces = {k: v for k, v in case.expectations.items() if k not in responses}
    expected = parse_expectations(merge_expectations(manifest.trace_expectations, traces))
    outcomes: list[Outcome] = [*score_session(session, expected)]
    response = as_response(inputs={"prompt": case.prompt}, outputs=None, session=session)
    for spec in all_responses().values():
        parameters = spec.parse(responses) if responses and not spec.listed else None
        if parameters is not None:
            outcomes.append(run_response(spec, response, parameters))
    judged = (o for o in outcomes if o.verdict is not Verdict.NOT_APPLICABLE)
    return replace(
        result,
        outcomes=tuple(sorted(judged, key=lambda outcome: outcome.check)),
        session=session,
        source=str(attempt.trace),
        notes=said,
    )


_RESPONSE_KEYS = ("expected_patterns", "expected_facts", "assertions")


def _plugin_eval(document: Mapping[str, Any], path: Path, skill: str) -> Iterator[ImportedCase]:
    """A result of `claude plugin eval --json`; its traces are where it says, or beside it."""
    beside = _Traces(path.parent)
    for item in document["cases"]:
        expectations, left_out = _graders(item.get("graders") or (), skill)
        attempts = []
        for arm, runs in (item.get("arms") or {}).items():
            for number, run in enumerate(runs if isinstance(runs, list) else (), start=1):
                trace = beside.find(str(run.get("tracePath") or ""))
                said = "plugin eval: " + ("passed" if run.get("passed") else "failed")
                error = run.get("error")
                attempts.append(
                    Attempt(
                        attempt=number,
                        arm="without" if arm == "without" else "with",
                        trace=None if error else trace,
                        error=str(error) if error else f"{run.get('tracePath')}: not found",
                        said=said,
                    )
                )
        yield ImportedCase(
            id=str(item.get("name")),
            prompt=item.get("promptMarkdown"),
            # Plugin eval leaves graders of the skill's call out of its score; here they count.
            expectations={"required_skills": [skill], **expectations},
            attempts=tuple(attempts),
            left_out=left_out,
            origin=f"claude plugin eval: {item.get('name')}",
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


def _suite(path: Path, skill: str) -> Iterator[ImportedCase]:
    """The cases of a plugin's suite: `case.yaml`, or `prompt.md` with `graders/*.md`."""
    root = path / "evals" if (path / "evals").is_dir() else path
    for file in sorted((*root.rglob("case.yaml"), *root.rglob("prompt.md"))):
        name = file.parent.relative_to(root).as_posix()
        if file.name == "prompt.md" and (file.parent / "case.yaml").is_file():
            continue
        head, body = _front_matter(file)
        graders = list(head.get("graders") or ())
        for grader in sorted((file.parent / "graders").glob("*.md")):
            values, text = _front_matter(grader)
            graders.append({"name": grader.stem, "text": text, **values})
        expectations, left_out = _graders(graders, skill)
        prompt = head.get("prompt") if file.name == "case.yaml" else body
        yield ImportedCase(
            id=name.replace("/", "-"),
            prompt=str(prompt).strip() if prompt else None,
            expectations={"required_skills": [skill], **expectations},
            left_out=left_out,
            origin=f"claude plugin eval: {name}",
        )


def _front_matter(path: Path) -> tuple[Mapping[str, Any], str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        if path.suffix == ".yaml":
            values = yaml.safe_load(text)
            return (values if isinstance(values, dict) else {}), ""
        match = re.match(r"---\n(.*?)\n---\n?(.*)", text, re.DOTALL)
        if match is None:
            return {}, text
        values = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    return (values if isinstance(values, dict) else {}), match[2]


def _graders(items: Sequence[Any], skill: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    expectations: dict[str, Any] = {}
    left_out = []
    for item in items:
        if not isinstance(item, Mapping):
            continue
        config = {**item, **(item.get("config") or {})}
        name, kind = str(item.get("name") or "?"), item.get("type")
        tool, pattern = config.get("tool"), config.get("pattern")
        if kind == "tool_used" and isinstance(tool, str) and config.get("max") in (None,):
            if tool != "Skill":  # which skill it has to be is said by required_skills
                expectations.setdefault("required_tools", []).append(tool)
        elif kind == "tool_used" and isinstance(tool, str) and config.get("max") == 0:
            expectations.setdefault("tool_limits", {})[tool] = 0
        elif (
            kind == "regex"
            and isinstance(pattern, str)
            and config.get("target") in (None, "last_message")
        ):
            flags = "".join(f for f in str(config.get("flags") or "") if f in "ims")
            text = f"(?{flags}){pattern}" if flags else pattern
            counts = {"max_count": 0} if config.get("match") == "not_contains" else {}
            expectations.setdefault("expected_patterns", []).append({"pattern": text, **counts})
        elif kind == "llm" and str(item.get("text") or config.get("rubric") or "").strip():
            text = str(item.get("text") or config.get("rubric")).strip()
            expectations.setdefault("assertions", []).append(text)
        else:
            left_out.append(f"grader {name!r} ({kind}) has no check that means the same")
    return expectations, tuple(left_out)


def _skill_creator(
    items: Sequence[Mapping[str, Any]], path: Path, skill: str
) -> Iterator[ImportedCase]:
    """`evals.json`: prompts with statements for a grader, or queries that should trigger or not."""
    for number, item in enumerate(items, start=1):
        prompt = item.get("prompt") or item.get("query")
        if not isinstance(prompt, str) or not prompt.strip():
            raise InputError(f"{path}: evals[{number - 1}] has no prompt")
        expectations: dict[str, Any] = {}
        left_out = []
        if isinstance(item.get("should_trigger"), bool):
            expectations["should_trigger"] = {
                "skill": skill,
                "expected": item["should_trigger"],
            }
        statements = item.get("expectations") or item.get("assertions") or ()
        texts = [text for text in map(_statement, statements) if text]
        if texts:
            expectations["assertions"] = texts
        if isinstance(item.get("expected_output"), str):
            expectations["expected_response"] = item["expected_output"]
        if item.get("files"):
            left_out.append("its files belong into the folder that agent.workspace names")
        yield ImportedCase(
            id=f"eval_{item.get('id', number)}",
            prompt=prompt,
            expectations=expectations,
            left_out=tuple(left_out),
            origin=f"skill-creator: {path.name}",
        )


def _statement(item: Any) -> str:
    if isinstance(item, Mapping):
        item = item.get("text") or item.get("statement") or ""
    return str(item).strip()


def _trajectory(path: Path, skill: str) -> ImportedCase:
    prompts = load_file(path).session.prompts
    return ImportedCase(
        id=re.sub(r"[^\w.-]", "_", path.stem),
        prompt=prompts[0] if prompts else None,
        expectations={"required_skills": [skill]},
        attempts=(Attempt(attempt=1, trace=path),),
        origin=f"ATIF: {path.name}",
    )
