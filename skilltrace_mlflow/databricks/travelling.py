"""The verdicts on a trace as MLflow assessments, where nothing but Python and MLflow is installed.

`monitoring` embeds this module and all it needs into the body of a scorer that MLflow stores and
runs elsewhere. Only the standard library and `mlflow.entities` may be imported on the way here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.checks import get_check, judge_session
from skilltrace_mlflow.errors import InputError, ParameterError
from skilltrace_mlflow.feedback import CHECK_KEY, VERDICT_KEY, clean_text, outcome_to_feedback
from skilltrace_mlflow.sources.mlflow.trace import is_claude_code_trace, session_from_trace

if TYPE_CHECKING:
    from mlflow.entities import Feedback

__all__ = ["assess"]


def assess(
    trace: Any, wanted: Sequence[Mapping[str, Any]], metadata: Mapping[str, str]
) -> list[Feedback]:
    """One assessment per check on one trace; [] where the trace is not Claude Code's.

    `wanted` holds plain values: `check`, `value`, `scope`, and `companions` (other keys that the
    check reads). `metadata` is added to every assessment. An expectation that cannot be read here,
    for want of a package, is an assessment with an error, never left out.
    """
    from mlflow.entities import AssessmentError, Feedback

    if not is_claude_code_trace(trace):
        return []
    asked, found = [], []
    for item in wanted:
        spec = get_check(item["check"])
        try:
            parameters = spec.parse(item["value"], **item["companions"])
        except (ParameterError, ImportError) as error:
            found.append(_unread(Feedback, AssessmentError, item["check"], str(error), metadata))
            continue
        asked.append((spec, parameters, item["scope"]))
    try:
        session = session_from_trace(trace)
    except InputError as error:
        unread = [spec.name for spec, _, _ in asked]
        return found + [
            _unread(Feedback, AssessmentError, name, str(error), metadata) for name in unread
        ]
    for outcome in judge_session(session, asked):
        graded = get_check(outcome.check).graded
        feedback = outcome_to_feedback(outcome, graded=graded, metadata=metadata)
        if feedback is not None:
            found.append(feedback)
    return sorted(found, key=lambda feedback: str(feedback.name))


def _unread(
    feedback: Any, assessment_error: Any, name: str, reason: str, metadata: Mapping[str, str]
) -> Feedback:
    made: Feedback = feedback(
        name=name,
        error=assessment_error(error_code="CHECK_ERROR", error_message=clean_text(reason)),
        metadata={CHECK_KEY: name, VERDICT_KEY: "error", **metadata},
    )
    return made
