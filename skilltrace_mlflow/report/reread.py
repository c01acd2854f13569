"""An evaluation from the file that it was written to: what `convert` renders again.

The writer is `report.lines`. A result line holds no evidence, so what is only in a session (the
timeline) is missing from what is rendered of it; a JSON document also holds notes and metrics of
the whole evaluation, JSONL does not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from skilltrace_mlflow.checks import CallRef, Outcome, Verdict
from skilltrace_mlflow.comparison.records import read_objects
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.figures import AT_LEAST, FIGURES, Figures
from skilltrace_mlflow.metrics import TraceSummary
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult

__all__ = ["read_evaluation"]


def read_evaluation(path: str | os.PathLike[str]) -> Evaluation:
    """The evaluation in a JSONL file of results or in the JSON document of one.

    Raises InputError naming file, line and key.
    """
    objects = read_objects(path)
    document = _document(path) or _of_lines(objects)
    try:
        results = [_result(value) for value in objects]
        arms = [_result(value) for value in document.get("without", [])]
        with_skill = tuple(r for r in results if r.arm != "without")
        without = tuple(r for r in (*results, *arms) if r.arm == "without")
        return Evaluation(
            skill=str(document.get("skill") or next((r.skill for r in results), "")),
            results=with_skill,
            gates=tuple(_gate(gate) for gate in document.get("gates", [])),
            run_id=document.get("run_id") or next((r.run_id for r in results), None),
            experiment_id=document.get("experiment_id"),
            tracking_uri=document.get("tracking_uri"),
            metrics=document.get("metrics", {}),
            notes=tuple(document.get("notes", ())),
            incomplete=tuple(document.get("incomplete", ())),
            without=without,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: is not as this package writes results ({type(error).__name__}: {error}); "
            "expected a file of --output results.jsonl or results.json"
        ) from error


def _document(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """What a JSON document says beside its results; nothing in JSONL."""
    text = Path(path).expanduser().read_text(encoding="utf-8")
    value = json.loads(text) if text.lstrip().startswith("{\n") else {}
    return value if isinstance(value, dict) else {}


def _of_lines(lines: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the lines of JSONL say of the whole evaluation.

    Lines of several evaluations are no evaluation's: then gates that passed excuse nothing, and
    those that failed are kept.
    """
    said = [{key: line.get(key, []) for key in ("gates", "incomplete")} for line in lines]
    if not all("gates" in line for line in lines):
        note = "written by an earlier version: its gates are not known, every check counts"
    elif any(item != said[0] for item in said):
        note = "lines of several evaluations: gates that passed are left out"
    else:
        return said[0] if said else {}
    gates: list[Any] = []
    for gate in (gate for item in said for gate in item["gates"]):
        if not gate["passed"] and gate not in gates:
            gates.append(gate)
    incomplete = dict.fromkeys(text for item in said for text in item["incomplete"])
    return {"gates": gates, "incomplete": list(incomplete), "notes": [note]}


def _result(value: Mapping[str, Any]) -> TestResult:
    summary = value.get("trace_summary")
    numbers = value.get("metrics")
    return TestResult(
        test_id=value["test_id"],
        attempt=value.get("attempt", 1),
        skill=str(value.get("skill") or ""),
        outcomes=tuple(_outcome(check) for check in value["checks"]),
        summary=None if summary is None else _summary(summary),
        numbers=None if numbers is None else _figures(numbers),
        notes=tuple(value.get("notes", ())),
        trace_id=value.get("trace_id"),
        run_id=value.get("run_id"),
        arm=value.get("arm"),
        source=value.get("source"),
        category=value.get("category"),
        error=value.get("error"),
        bad_input=value.get("bad_input", False),
    )


def _outcome(check: Mapping[str, Any]) -> Outcome:
    return Outcome(
        verdict=Verdict(check["verdict"]),
        check=check["name"],
        score=check.get("score"),
        hits=tuple(check.get("hits", ())),
        misses=tuple(check.get("misses", ())),
        rationale=str(check.get("rationale") or ""),
        calls=tuple(_calls(check.get("calls", ()))),
    )


def _calls(values: Iterable[Mapping[str, Any]]) -> Iterable[CallRef]:
    for value in values:
        moment = value.get("time")
        yield CallRef(
            number=value["number"],
            call_id=str(value.get("id", "")),
            tool=str(value.get("tool", "")),
            agent=str(value.get("agent", "")),
            line=value.get("line"),
            # Python 3.10 reads no "Z"
            time=None if moment is None else datetime.fromisoformat(moment.replace("Z", "+00:00")),
            miss=str(value.get("miss", "")),
        )


def _summary(value: Mapping[str, Any]) -> TraceSummary:
    return TraceSummary(
        event_count=value["event_count"],
        tool_names=tuple(value["tool_names"]),
        tool_calls_by_name=value["tool_calls_by_name"],
        error_count=value["error_count"],
    )


def _figures(value: Mapping[str, Any]) -> Figures:
    known = {name: value.get(name) for name in FIGURES}
    return Figures(known, frozenset(value.get(AT_LEAST, ())))


def _gate(value: Mapping[str, Any]) -> GateResult:
    return GateResult(
        name=value["name"],
        required=value["required"],
        got=value["got"],
        coverage=value["coverage"],
        passed=value["passed"],
        reason=str(value.get("reason") or ""),
        checks=tuple(value.get("checks", ())),
    )
