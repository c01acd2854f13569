"""A manifest's own functions, judged on traces that were scored without MLflow's evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from skilltrace_mlflow.expectations import Manifest
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.scorer_config import build_scorers
from skilltrace_mlflow.scorers import custom_judge

__all__ = ["judge_custom"]


def judge_custom(
    evaluation: Evaluation, manifest: Manifest, *, expectations: Mapping[str, Any]
) -> Evaluation:
    """Add what the manifest's `package.module:function` scorers say of each result's session.

    Runs the user's code, so it is called only where that was allowed. Raises ConfigurationError if
    a function cannot be found.
    """
    judges = [
        judge
        for judge in map(custom_judge, build_scorers(manifest, allow_custom=True, no_llm=True))
        if judge is not None
    ]
    results = []
    for result in evaluation.results:
        outcomes = list(result.outcomes)
        for judge in judges:
            response = None if result.session is None else result.session.response
            outcomes += judge(
                inputs={"prompt": result.prompt},
                outputs={"response": response},
                expectations=expectations,
                session=result.session,
            )
        results.append(replace(result, outcomes=tuple(sorted(outcomes, key=lambda o: o.check))))
    return replace(evaluation, results=tuple(results))
