"""A user's own function as an MLflow scorer that can ask for our evidence and cannot hurt a run."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from mlflow.genai.scorers import Scorer, scorer

from skilltrace_mlflow._internals import function_of
from skilltrace_mlflow.bounded import HangingCall, call_bounded
from skilltrace_mlflow.checks import NO_TRACE, Outcome, Verdict
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.feedback import outcome_to_feedback, value_to_outcomes
from skilltrace_mlflow.metrics import compute_trace_summary
from skilltrace_mlflow.scorers._evidence import as_session
from skilltrace_mlflow.session import Session

__all__ = ["LONGEST_CALL", "custom_judge", "outcomes_within", "wrap_custom"]

LONGEST_CALL = 300.0
"""Seconds that a scorer may take where nobody says otherwise: MLflow's own limit."""

_MLFLOW = ("expectations", "inputs", "outputs", "trace")
_OURS = ("session", "trace_summary")
_MARK = "skilltrace_judge"

Judge = Callable[..., tuple[Outcome, ...]]


def wrap_custom(
    function: Callable[..., Any], *, name: str | None = None, timeout: float | None = None
) -> Scorer:
    """`function` as a scorer; it may ask for any of inputs, outputs, expectations, trace, session
    (our Session), trace_summary.

    Whatever it does wrong (raise, return NaN, a dictionary) becomes an assessment error of this
    scorer alone. A function that needs the session and gets no trace is `unknown`. One that is an
    MLflow scorer already is returned as it is. Raises ConfigurationError for a parameter that
    nobody can fill.
    """
    if isinstance(function, Scorer):
        return function
    label: str = name or getattr(function, "__name__", type(function).__name__) or "custom"
    judge = _judge_of(function, label)

    def run(
        inputs: Any = None, outputs: Any = None, expectations: Any = None, trace: Any = None
    ) -> Any:
        outcomes = judge(inputs=inputs, outputs=outputs, expectations=expectations, trace=trace)
        feedbacks = [
            feedback
            for feedback in (outcome_to_feedback(o, graded=_is_graded(o)) for o in outcomes)
            if feedback is not None
        ]
        return feedbacks[0] if len(feedbacks) == 1 else feedbacks or None

    setattr(run, _MARK, judge)
    return scorer(run, name=label, timeout=timeout)


def custom_judge(item: Scorer) -> Judge | None:
    """The judging function behind a scorer that `wrap_custom` made, which also takes `session`."""
    judge: Judge | None = getattr(function_of(item), _MARK, None)
    return judge


def _judge_of(function: Callable[..., Any], label: str) -> Judge:
    parameters = inspect.signature(function).parameters.values()
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    names = [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    for parameter in parameters:
        known = parameter.name in _MLFLOW or parameter.name in _OURS
        required = parameter.default is inspect.Parameter.empty
        if required and not known and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            raise ConfigurationError(
                f"scorer {label}: parameter {parameter.name!r} is none of "
                f"{', '.join(sorted((*_MLFLOW, *_OURS)))}"
            )
    wanted = {*_MLFLOW, *_OURS} if anything else set(names)
    needs_session = not wanted.isdisjoint(_OURS) and not anything

    def judge(
        *,
        inputs: Any = None,
        outputs: Any = None,
        expectations: Mapping[str, Any] | None = None,
        trace: Any = None,
        session: Session | None = None,
    ) -> tuple[Outcome, ...]:
        try:
            session = session if session is not None else as_session(trace)
            if needs_session and session is None:
                return (
                    Outcome(
                        check=label,
                        verdict=Verdict.UNKNOWN,
                        score=0.0,
                        misses=(NO_TRACE,),
                        rationale=NO_TRACE,
                    ),
                )
            available = {
                "inputs": inputs,
                "outputs": outputs,
                "expectations": expectations or {},
                "trace": trace,
                "session": session,
                "trace_summary": None,
            }
            if "trace_summary" in wanted and session is not None:
                available["trace_summary"] = compute_trace_summary(session)
            value = function(**{key: available[key] for key in available if key in wanted})
            if inspect.isawaitable(value):
                value = asyncio.run(_result(value))
        except (Exception, SystemExit) as error:
            # A stranger's code may do anything, and sys.exit(0) would end us with "all is well".
            message = f"{type(error).__name__}: {error}"
            return (Outcome(check=label, verdict=Verdict.ERROR, rationale=message),)
        return value_to_outcomes(label, value)

    return judge


def outcomes_within(
    seconds: float, judged: Callable[[], tuple[Outcome, ...]], *, name: str
) -> tuple[Outcome, ...]:
    """What `judged()` returns; an error of the check `name` where it raises or takes longer.

    One that hangs is left behind in a thread that does not hold up the exit.
    """

    def contained() -> tuple[Outcome, ...]:
        try:
            return judged()
        except SystemExit as error:  # of this scorer alone, it must not end the evaluation
            raise RuntimeError(f"SystemExit: {error}") from error

    try:
        outcomes: tuple[Outcome, ...] = call_bounded(contained, seconds, name=name)
    except HangingCall:
        message = f"the scorer did not return within {seconds:.0f} s"
        return (Outcome(check=name, verdict=Verdict.ERROR, rationale=message),)
    except Exception as error:  # a stranger's code may do anything; the other checks go on
        message = f"{type(error).__name__}: {error}"
        return (Outcome(check=name, verdict=Verdict.ERROR, rationale=message),)
    return outcomes


async def _result(value: Any) -> Any:
    return await value


def _is_graded(outcome: Outcome) -> bool:
    return outcome.score is not None and outcome.score not in (0.0, 1.0)
