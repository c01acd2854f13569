"""Outcome to MLflow Feedback, and what other people's scorers return back to Outcome.

The three ways in which one value ruins an MLflow run are closed here: NaN or infinity (the whole
result frame becomes None), a lone surrogate or NUL in a text (protobuf and PostgreSQL refuse it),
and a missing judgement that looks like a value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mlflow.entities import AssessmentError, AssessmentSource, Feedback, Span

from skilltrace_mlflow._internals import placed_feedback
from skilltrace_mlflow.checks import NO_TRACE, Outcome, Verdict
from skilltrace_mlflow.text import storable

__all__ = [
    "CALLS_KEY",
    "CHECK_KEY",
    "VERDICT_KEY",
    "clean_text",
    "feedbacks_to_outcomes",
    "outcome_to_feedback",
    "span_of",
    "value_to_outcomes",
]

CHECK_KEY = "skilltrace.check"
VERDICT_KEY = "skilltrace.verdict"
_SCORE_KEY = "skilltrace.score"
CALLS_KEY = "skilltrace.calls"

# Attributes under which the tracers keep the id of a tool call.
_CALL_IDS = ("tool_id", "tool_use_id", "gen_ai.tool.call.id")

# Codes of AssessmentError, so that a reader of the trace can tell what is missing from what broke.
_NO_TRACE = "NO_TRACE"
_NO_EVIDENCE = "MISSING_EVIDENCE"
_CRASHED = "CHECK_ERROR"

_LONGEST_TEXT = 4000
_LONGEST_LIST = 20


def outcome_to_feedback(
    outcome: Outcome,
    *,
    name: str | None = None,
    graded: bool = False,
    metadata: Mapping[str, str] | None = None,
    overrides: str | None = None,
    span_id: str | None = None,
) -> Feedback | None:
    """The assessment that says what `outcome` says; None where nothing was expected.

    Pass and fail are "yes" and "no", or the score where `graded`. Unknown and error have no value
    but an error: NO_TRACE, MISSING_EVIDENCE or CHECK_ERROR. `overrides` is the id of the
    assessment that this one supersedes, `span_id` the span that it stands on (see `span_of`); the
    rationale begins with the call that it speaks of.
    """
    if outcome.verdict is Verdict.NOT_APPLICABLE:
        return None
    name = name or outcome.check
    value: str | float | None = None
    error: AssessmentError | None = None
    if outcome.verdict in (Verdict.PASS, Verdict.FAIL):
        passed = outcome.verdict is Verdict.PASS
        value = "yes" if passed else "no"
        if graded:
            value = float(passed) if outcome.score is None else float(outcome.score)
    else:
        code = _CRASHED if outcome.verdict is Verdict.ERROR else _NO_EVIDENCE
        code = _NO_TRACE if outcome.misses == (NO_TRACE,) else code
        error = AssessmentError(error_code=code, error_message=clean_text(outcome.explanation))
    described = {CHECK_KEY: name, VERDICT_KEY: str(outcome.verdict)}
    if outcome.score is not None:
        described[_SCORE_KEY] = repr(float(outcome.score))
    for key, items in (("skilltrace.hits", outcome.hits), ("skilltrace.misses", outcome.misses)):
        if items:
            described[key] = _short_list(items)
    if outcome.calls:
        described[CALLS_KEY] = json.dumps([r.to_dict() for r in outcome.calls[:_LONGEST_LIST]])
    feedback = Feedback(
        name=name,
        value=value,
        error=error,
        source=AssessmentSource(source_type="CODE", source_id=f"skilltrace/{name}"),
        rationale=clean_text(outcome.explanation) or None,
        metadata={**described, **(metadata or {})},
        overrides=overrides,
    )
    return feedback if span_id is None else placed_feedback(feedback, span_id)


def span_of(outcome: Outcome, spans: Iterable[Span]) -> str | None:
    """The id of the span of the call that an outcome speaks of: where it is exactly one, and has
    exactly one span among these.
    """
    called = {ref.call_id for ref in outcome.calls}
    if len(called) != 1:
        return None
    wanted = called.pop()
    found = {
        span.span_id
        for span in spans
        if wanted == span.span_id
        or wanted.endswith(f"#{span.span_id}")
        or any(span.get_attribute(key) == wanted for key in _CALL_IDS)
    }
    return found.pop() if len(found) == 1 else None


def value_to_outcomes(
    name: str, value: Any, *, pass_if: Callable[[Any], bool] | None = None
) -> tuple[Outcome, ...]:
    """What a scorer's return value says, as outcomes; never raises.

    Booleans and yes/no are verdicts; a number is one where the scorer says `pass_if`, else in
    [0, 1], where only 1 passes. Any other text or number is no verdict (`unknown`), NaN, infinity
    and any other type an `error`. None says nothing. A list of Feedbacks gives one outcome each.
    """
    if value is None:
        return ()
    if isinstance(value, Feedback):
        return feedbacks_to_outcomes([value], name=name, pass_if=pass_if)
    if isinstance(value, Sequence) and value and all(isinstance(item, Feedback) for item in value):
        return feedbacks_to_outcomes(value, name=name, pass_if=pass_if)
    return (_judge(name, value, "", pass_if),)


def feedbacks_to_outcomes(
    feedbacks: Sequence[Feedback], *, name: str, pass_if: Callable[[Any], bool] | None = None
) -> tuple[Outcome, ...]:
    """The outcomes of Feedbacks that a scorer returned or a store holds."""
    outcomes = []
    for item in feedbacks:
        check = item.name if item.name and item.name != "feedback" else name
        if item.error is not None:
            missing = item.error.error_code in (_NO_TRACE, _NO_EVIDENCE)
            text = item.error.error_message or item.error.error_code
            outcome = Outcome(
                check=check,
                verdict=Verdict.UNKNOWN if missing else Verdict.ERROR,
                rationale=text,
            )
        elif item.value is None:
            outcome = Outcome(
                check=check,
                verdict=Verdict.UNKNOWN,
                rationale=item.rationale or "the scorer gave no value",
            )
        else:
            outcome = _judge(check, item.value, item.rationale or "", pass_if)
        outcomes.append(outcome)
    return tuple(outcomes)


def clean_text(text: str) -> str:
    """`text` as every store takes it: no lone surrogates, no NUL, at most 4,000 characters."""
    text = storable(text)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def _judge(name: str, value: Any, rationale: str, pass_if: Callable[[Any], bool] | None) -> Outcome:
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()  # numpy's scalars are neither bool nor int
    if isinstance(value, float) and not math.isfinite(value):
        return _error(name, f"the scorer returned {value!r}")
    if not isinstance(value, bool | int | float | str):
        return _error(
            name,
            f"the scorer returned a {type(value).__name__}; it must return a bool, 'yes' or 'no', "
            "a number, a Feedback or a list of Feedbacks",
        )
    if pass_if is not None:
        try:
            passed = bool(pass_if(value))
        except Exception as error:  # a scorer's own predicate may do anything
            return _error(name, f"pass_if raised {type(error).__name__}: {error}")
        unit = isinstance(value, int | float) and 0 <= value <= 1
        return Outcome(
            check=name,
            verdict=Verdict.PASS if passed else Verdict.FAIL,
            score=float(value) if unit else float(passed),
            rationale=rationale or f"value {value!r}",
        )
    verdict = value.strip().lower() if isinstance(value, str) else value
    if isinstance(verdict, bool) or verdict in ("yes", "no"):
        passed = verdict is True or verdict == "yes"
    elif isinstance(verdict, int | float) and 0 <= verdict <= 1:
        passed = verdict == 1
        rationale = rationale or f"score {value!r}"
    else:
        return Outcome(
            check=name,
            verdict=Verdict.UNKNOWN,
            rationale=f"{value!r:.200} is no verdict: a scorer says True/False, 'yes'/'no', a "
            "number in [0, 1], or has pass_if" + (f" ({rationale})" if rationale else ""),
        )
    score = float(verdict) if isinstance(verdict, int | float) else float(passed)
    return Outcome(
        check=name,
        verdict=Verdict.PASS if passed else Verdict.FAIL,
        score=score,
        rationale=rationale,
    )


def _error(name: str, message: str) -> Outcome:
    return Outcome(check=name, verdict=Verdict.ERROR, rationale=message)


def _short_list(items: Sequence[str]) -> str:
    shown = [clean_text(item)[:200] for item in items[:_LONGEST_LIST]]
    if len(items) > _LONGEST_LIST:
        shown.append(f"… {len(items) - _LONGEST_LIST} more")
    return json.dumps(shown, ensure_ascii=False)
