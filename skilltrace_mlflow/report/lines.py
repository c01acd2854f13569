"""Results as data: the JSONL line of one test and attempt, and the JSON document of an evaluation.

The line's keys are part of the public interface; `records` reads them back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.report._text import safe_json
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.session_json import session_to_json

__all__ = ["evaluation_dict", "figures", "result_dict", "to_json", "to_jsonl"]

_DEEPEST = 200


def to_jsonl(evaluation: Evaluation, *, include_trace: bool = False) -> str:
    """One line per test and attempt; `include_trace` puts the whole session into each."""
    lines = (
        _dumps(result_dict(result, include_trace=include_trace, run_id=evaluation.run_id))
        for result in evaluation.results
    )
    return "".join(line + "\n" for line in lines)


def to_json(evaluation: Evaluation, *, include_trace: bool = False) -> str:
    """The whole evaluation as one document: totals, gates and the same objects as the JSONL."""
    return _dumps(evaluation_dict(evaluation, include_trace=include_trace), indent=2) + "\n"


def result_dict(
    result: TestResult, *, include_trace: bool = False, run_id: str | None = None
) -> dict[str, Any]:
    """The object of one JSONL line; `run_id` is the evaluation's, used where the result has none.

    Keys that say nothing are left out, except that `checks` is always there. `metrics` holds the
    figures that `compare` compares.
    """
    line: dict[str, Any] = {
        "test_id": result.test_id,
        "attempt": result.attempt,
        "skill": result.skill,
        "verdict": str(result.verdict),
        "checks": [
            {
                "name": outcome.check,
                "verdict": str(outcome.verdict),
                "score": outcome.score,
                "hits": list(outcome.hits),
                "misses": list(outcome.misses),
                "rationale": outcome.rationale,
            }
            for outcome in result.judged
        ],
    }
    summary = result.trace_summary
    if summary is not None:
        line["trace_summary"] = summary.to_dict()
    if result.session is not None:
        line["metrics"] = figures(result.session)
    line |= _present(
        trace_id=result.trace_id,
        run_id=result.run_id or run_id,
        source=result.source,
        category=result.category,
        error=result.error,
        notes=list(result.notes),
    )
    if include_trace and result.session is not None:
        line["trace"] = session_to_json(result.session)
    return line


def figures(session: Session) -> dict[str, float | int | None]:
    """The numbers of a session that two evaluations are compared by; None where unknown."""
    metrics = compute_metrics(session)
    usage = session.lacks("usage") is None
    return {
        "input_tokens": metrics.total_input_tokens if usage else None,
        "output_tokens": metrics.total_output_tokens if usage else None,
        "total_tokens": metrics.total_tokens if usage else None,
        "tool_calls": metrics.total_tool_calls,
        "turns": None if session.lacks("turns") else metrics.num_turns,
        "duration_seconds": None if session.lacks("times") else metrics.duration_seconds,
        "cost_usd": metrics.cost_usd,
    }


def evaluation_dict(evaluation: Evaluation, *, include_trace: bool = False) -> dict[str, Any]:
    """The object that `to_json` writes."""
    tally = {"tests": len(evaluation.results), "pass": 0, "fail": 0, "unknown": 0, "error": 0}
    for result in evaluation.results:
        tally[str(result.verdict)] += 1
    document: dict[str, Any] = {
        "skill": evaluation.skill,
        "exit_code": evaluation.exit_code,
        "summary": tally,
        "gates": [_gate_dict(gate) for gate in evaluation.gates],
        "results": [
            result_dict(result, include_trace=include_trace, run_id=evaluation.run_id)
            for result in evaluation.results
        ],
    }
    return document | _present(
        run_id=evaluation.run_id,
        experiment_id=evaluation.experiment_id,
        tracking_uri=evaluation.tracking_uri,
        metrics=dict(evaluation.metrics),
        notes=list(evaluation.notes),
        incomplete=list(evaluation.incomplete),
    )


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _gate_dict(gate: GateResult) -> dict[str, Any]:
    return {
        "name": gate.name,
        "required": gate.required,
        "got": gate.got,
        "coverage": gate.coverage,
        "passed": gate.passed,
        "reason": gate.reason,
        "checks": list(gate.checks),
    }


def _dumps(value: Any, *, indent: int | None = None) -> str:
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, indent=indent)
    return safe_json(text)


def _finite(value: Any, depth: int = 0) -> Any:
    """`value` as JSON can hold it: NaN and infinity become null, strange objects their text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > _DEEPEST:
        return "… nested too deeply to show"
    if isinstance(value, Mapping):
        return {str(key): _finite(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_finite(item, depth + 1) for item in value]
    return str(value)
