"""Results as data: the JSONL line of one test and attempt, and the JSON document of an evaluation.

The line's keys are part of the public interface; `records` reads them back.
"""

from __future__ import annotations

from typing import Any

from skilltrace_mlflow.arms import compare_arms
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from skilltrace_mlflow.sources.session_json import session_to_json
from skilltrace_mlflow.text import dumps, without_password

__all__ = ["evaluation_dict", "result_dict", "to_json", "to_jsonl"]


def to_jsonl(evaluation: Evaluation, *, include_trace: bool = False) -> str:
    """One line per test and attempt; `include_trace` puts the whole session into each.

    Each line also carries the evaluation's gates, and what made it incomplete: whether it passed
    can be told from its lines alone.
    """
    whole = {
        "gates": [_gate_dict(gate) for gate in evaluation.gates],
        **_present(incomplete=list(evaluation.incomplete)),
    }
    lines = (
        dumps(result_dict(result, include_trace=include_trace, run_id=evaluation.run_id) | whole)
        for result in (*evaluation.results, *evaluation.without)
    )
    return "".join(line + "\n" for line in lines)


def to_json(evaluation: Evaluation, *, include_trace: bool = False) -> str:
    """The whole evaluation as one document: totals, gates and the same objects as the JSONL."""
    return dumps(evaluation_dict(evaluation, include_trace=include_trace), indent=2) + "\n"


def result_dict(
    result: TestResult, *, include_trace: bool = False, run_id: str | None = None
) -> dict[str, Any]:
    """The object of one JSONL line; `run_id` is the evaluation's, used where the result has none.

    Keys that say nothing are left out, except that `checks` is always there. `metrics` holds the
    figures that two evaluations are compared by, and under `at_least` the names of those that are
    lower bounds. `calls` of a check are those of the session that its misses, and what cannot be
    told, speak of.
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
                **_present(calls=[ref.to_dict() for ref in outcome.calls]),
            }
            for outcome in result.judged
        ],
    }
    summary = result.trace_summary
    if summary is not None:
        line["trace_summary"] = summary.to_dict()
    if result.figures is not None:
        line["metrics"] = result.figures.to_dict()
    line |= _present(
        trace_id=result.trace_id,
        run_id=result.run_id or run_id,
        arm=result.arm,
        source=result.source,
        category=result.category,
        error=result.error,
        bad_input=result.bad_input,
        notes=list(result.notes),
    )
    if include_trace and result.session is not None:
        line["trace"] = session_to_json(
            result.session, whole=result.whole_session, trace_id=result.trace_id
        )
    return line


def evaluation_dict(evaluation: Evaluation, *, include_trace: bool = False) -> dict[str, Any]:
    """The object that `to_json` writes."""
    arms = compare_arms(evaluation)
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
        tracking_uri=without_password(evaluation.tracking_uri or ""),
        arms=None if arms is None else arms.to_dict(),
        without=[
            result_dict(result, include_trace=include_trace, run_id=evaluation.run_id)
            for result in evaluation.without
        ],
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
