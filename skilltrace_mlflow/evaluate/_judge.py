"""Outcomes of the attempts, computed once and without MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mlflow.genai.scorers import Scorer

from skilltrace_mlflow._internals import function_of
from skilltrace_mlflow.checks import CheckSpec, Outcome
from skilltrace_mlflow.evaluate._deadline import Deadline
from skilltrace_mlflow.evaluate._rows import Attempt
from skilltrace_mlflow.expectations import TestCase
from skilltrace_mlflow.responses import ResponseSpec, run_response
from skilltrace_mlflow.score import other_prompt, prompt_outcome, score_session, score_whole
from skilltrace_mlflow.scorer_config import is_model_based
from skilltrace_mlflow.scorers import (
    LONGEST_CALL,
    as_response,
    custom_judge,
    outcomes_within,
    spec_of,
    value_to_outcomes,
)

__all__ = ["AttemptJudges", "expectations_of", "other_prompt_of", "response_of"]

_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class AttemptJudges:
    """Who judges: our trace checks, our response checks, functions of users, and MLflow's own."""

    traces: bool
    strict_prompts: bool = False
    responses: tuple[ResponseSpec, ...] = ()
    functions: tuple[Scorer, ...] = ()
    models: tuple[Scorer, ...] = ()

    @classmethod
    def of(
        cls, scorers: Iterable[Scorer], *, traces: bool, strict_prompts: bool = False
    ) -> AttemptJudges:
        """Tell scorers apart by what is behind them."""
        responses: list[ResponseSpec] = []
        functions: list[Scorer] = []
        models: list[Scorer] = []
        for item in scorers:
            spec = spec_of(item)
            if isinstance(spec, ResponseSpec):
                responses.append(spec)
            elif isinstance(spec, CheckSpec):
                continue  # every trace expectation is judged, listed or not
            elif is_model_based(item) or function_of(item) is None:
                models.append(item)
            else:
                functions.append(item)
        return cls(
            traces=traces,
            strict_prompts=strict_prompts,
            responses=tuple(responses),
            functions=tuple(functions),
            models=tuple(models),
        )

    def judge(
        self,
        attempts: Sequence[Attempt],
        deadline: Deadline,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[tuple[Outcome, ...]]:
        """The outcomes of each attempt, in order of name; models judge later, inside MLflow."""
        outcomes = []
        for done, found in enumerate(attempts, start=1):
            deadline.require("all attempts were judged")
            outcomes.append([*self._trace_outcomes(found), *self._response_outcomes(found)])
            if progress is not None:
                progress(done, len(attempts))
        for index, extra in self._function_outcomes(attempts, deadline):
            outcomes[index] += extra
        return [tuple(sorted(found, key=lambda outcome: outcome.check)) for found in outcomes]

    def _trace_outcomes(self, found: Attempt) -> Iterable[Outcome]:
        if not self.traces:
            return ()
        other = other_prompt_of(found)
        return (
            *score_session(found.session, found.case.expectations),
            *score_whole(found.whole, found.case.session_expectations),
            *([prompt_outcome(other)] if other is not None and self.strict_prompts else ()),
        )

    def _response_outcomes(self, found: Attempt) -> Iterable[Outcome]:
        for spec in self.responses:
            if spec.name in found.case.disabled:
                continue
            parameters = spec.parse(found.case.response_expectations)
            if parameters is not None:
                yield run_response(spec, response_of(found), parameters)

    def _function_outcomes(
        self, attempts: Sequence[Attempt], deadline: Deadline
    ) -> Iterable[tuple[int, tuple[Outcome, ...]]]:
        """All calls of users' functions, a few at once; hanging ones take half the time at most."""
        jobs = [
            (index, found, item)
            for index, found in enumerate(attempts)
            for item in self.functions
            if item.name not in found.case.disabled
        ]
        if not jobs:
            return []
        end = None if deadline.seconds is None else time.monotonic() + deadline.left() / 2

        def run(job: tuple[int, Attempt, Scorer]) -> tuple[int, tuple[Outcome, ...]]:
            index, found, item = job
            longest = LONGEST_CALL if not item.timeout else float(item.timeout)
            if end is not None:
                longest = max(0.1, min(longest, end - time.monotonic()))
            return index, _call(item, found, longest)

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="skilltrace-judge") as pool:
            return list(pool.map(run, jobs))


def other_prompt_of(found: Attempt) -> str | None:
    """What to say of a session that was chosen for a test and not given its prompt; of one that was
    made for the test, nothing.
    """
    if found.method == "given":
        return None
    return other_prompt(found.case, found.whole or found.session)


def response_of(found: Attempt) -> Any:
    """What response checks read of an attempt."""
    outputs: Any = dict(found.case.outputs)
    if found.case.response is not None:
        outputs["response"] = found.case.response
    inputs = {**found.case.inputs, "prompt": found.case.prompt}
    return as_response(inputs=inputs, outputs=outputs or None, session=found.session)


def expectations_of(case: TestCase, *, traces: bool) -> dict[str, Any]:
    """The expectations as MLflow keeps them on the trace.

    Keys of trace checks stand together under `trace_expectations`: MLflow writes one assessment per
    key, each a transaction, and a check's key is often its name, which its verdict has too. Keys
    of the response stay flat, where MLflow's own scorers look for them.
    """
    kept = dict(case.response_expectations)
    if traces and case.trace_expectations:
        kept["trace_expectations"] = dict(case.trace_expectations)
    if traces and case.session_expectations:
        kept["session_expectations"] = {
            item.spec.key: item.value for item in case.session_expectations
        }
    return kept


def _call(item: Scorer, found: Attempt, seconds: float) -> tuple[Outcome, ...]:
    response = response_of(found)
    arguments = {
        "inputs": {**found.case.inputs, "prompt": found.case.prompt},
        "outputs": dict(response.outputs) or response.text,
        "expectations": {**found.case.response_expectations, **found.case.trace_expectations},
    }
    judge = custom_judge(item)

    run: Callable[..., Any] = item.run

    def judged() -> tuple[Outcome, ...]:
        if judge is not None:
            return judge(**arguments, trace=found.trace, session=found.session)
        if item.is_session_level_scorer:
            value = run(session=[found.trace] if found.trace is not None else [])
        else:
            value = run(**arguments, trace=found.trace)
        return value_to_outcomes(item.name, value, pass_if=item.pass_if)

    return outcomes_within(seconds, judged, name=item.name)
