"""Annotations for GitHub Actions: workflow commands, one line each.

The form, and what has to be escaped in it, are those of "Workflow commands for GitHub Actions" in
GitHub's documentation. A page shows at most ten errors and ten warnings of a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.report._words import problems, what_happened
from skilltrace_mlflow.report.table import headline
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.text import label, one_line

__all__ = ["to_github"]

_MOST = 10
_LEVELS = {Verdict.FAIL: "error", Verdict.ERROR: "error", Verdict.UNKNOWN: "warning"}


def to_github(evaluation: Evaluation) -> str:
    """The evaluation as annotations: failed gates first, then what did not pass, then the headline
    as a notice. What a page would not show is counted in the last line of its kind.
    """
    found: dict[str, list[str]] = {"error": [], "warning": []}
    for gate in evaluation.gates:
        if not gate.passed:
            got = "nothing to judge" if gate.got is None else f"got {gate.shown}"
            text = f"required {gate.required:g}, {got}, coverage {gate.shown_coverage}"
            found["error"].append(_line("error", f"gate {gate.name}", f"{text}. {gate.reason}"))
    for text in evaluation.incomplete:
        found["error"].append(_line("error", "incomplete", text))
    gated = evaluation.allowed_checks
    for result, outcome in problems(evaluation):
        level = "notice" if outcome.check in gated else _LEVELS[outcome.verdict]
        title = f"{outcome.check or str(outcome.verdict)} · {_test(result)}"
        line = _line(level, title, what_happened(outcome), _file(result, outcome.calls))
        found.setdefault(level, []).append(line)
    lines = [line for level in ("error", "warning", "notice") for line in _first(level, found)]
    lines.append(_line("notice", "skilltrace", headline(evaluation)))
    return "".join(f"{line}\n" for line in lines)


def _first(level: str, found: dict[str, list[str]]) -> list[str]:
    lines = found.get(level, [])
    if len(lines) <= _MOST:
        return lines
    rest = len(lines) - _MOST + 1
    return [*lines[: _MOST - 1], _line(level, "skilltrace", f"and {rest} more; see the summary")]


def _test(result: TestResult) -> str:
    return label(result.test_id, result.attempt)


def _file(result: TestResult, calls: Iterable[object]) -> dict[str, str]:
    """File and line, where the session is a file below the current directory (a repository's) and
    exactly one call of the main agent is meant.
    """
    source = result.source
    if source is None or PurePath(source).is_absolute() or ".." in PurePath(source).parts:
        return {}
    lines = {getattr(call, "line", None) for call in calls if getattr(call, "agent", "") == "main"}
    if len(lines) == 1 and (line := lines.pop()) is not None:
        return {"file": source, "line": str(line)}
    return {"file": source}


def _line(level: str, title: str, text: str, place: dict[str, str] | None = None) -> str:
    properties = {**(place or {}), "title": one_line(title, 200)}
    told = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{level} {told}::{_data(one_line(text, 1_000))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
