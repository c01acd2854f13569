"""A manifest's own functions, judged on traces that were scored without MLflow's evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from mlflow.genai.scorers import Scorer

from skilltrace_mlflow._internals import function_of
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.expectations import Manifest
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.scorer_config import build_scorers, is_model_based
from skilltrace_mlflow.scorers import LONGEST_CALL, custom_judge, outcomes_within, spec_of
from skilltrace_mlflow.streams import reserved_output

__all__ = ["judge_custom"]


def judge_custom(
    evaluation: Evaluation, manifest: Manifest, *, expectations: Mapping[str, Any]
) -> Evaluation:
    """Add what the manifest's `package.module:function` scorers say of each result's session.

    Runs the user's code, so it is called only where that was allowed. Raises ConfigurationError if
    a function cannot be found. A function that hangs is an error after its time limit. What it
    prints to standard output is swallowed, which belongs to the result.
    """
    with reserved_output():
        scorers = build_scorers(manifest, allow_custom=True, no_llm=True)
        judges = [(item, judge) for item in scorers if (judge := custom_judge(item)) is not None]
        # Scorer objects of the user's: they may need the MLflow trace, which a file does not have.
        unheard = tuple(
            Outcome(
                check=item.name,
                verdict=Verdict.UNKNOWN,
                rationale="an MLflow scorer, not a plain function: mlflow-eval runs it",
            )
            for item in scorers
            if custom_judge(item) is None and spec_of(item) is None and _is_users(item)
        )
        results = []
        for result in evaluation.results:
            outcomes = [*result.outcomes, *unheard]
            for item, judge in judges:
                response = None if result.session is None else result.session.response
                judged = partial(
                    judge,
                    inputs={"prompt": result.prompt},
                    outputs={"response": response},
                    expectations=expectations,
                    session=result.session,
                )
                longest = float(item.timeout or LONGEST_CALL)
                outcomes += outcomes_within(longest, judged, name=item.name)
            results.append(replace(result, outcomes=tuple(sorted(outcomes, key=lambda o: o.check))))
    return replace(evaluation, results=tuple(results))


def _is_users(item: Scorer) -> bool:
    """Whether a scorer is the user's own object, not one of MLflow's."""
    if function_of(item) is not None:
        return not is_model_based(item)
    return not type(item).__module__.startswith("mlflow.")
