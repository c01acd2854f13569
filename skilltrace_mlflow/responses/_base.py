"""What a check of the response text is, and all of them by name.

A response check is one module in this folder with a tuple `SPECS`. Its keys and their schemas stand
in `expectations`, so that files are validated without importing a parser.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from skilltrace_mlflow.checks import Outcome, Verdict, unknown
from skilltrace_mlflow.expectations.names import RESPONSE_CHECKS
from skilltrace_mlflow.session import Session

__all__ = ["NO_RESPONSE", "Response", "ResponseSpec", "all_responses", "run_response"]

NO_RESPONSE = "No response available"


@dataclass(frozen=True, kw_only=True)
class Response:
    """What an agent answered: the text, the test's `outputs`, the prompt, and the trace if any.

    `doubt` says why the text may not be the answer: it was taken from a record with gaps.
    """

    text: str | None = None
    doubt: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    session: Session | None = None


@dataclass(frozen=True, kw_only=True)
class ResponseSpec:
    """A check of the response.

    `parse` turns a test's expectations into parameters, None where nothing is expected; it raises
    ParameterError for what no schema can see. `keys` are the expectations it reads.
    `needs_text` checks are `unknown` without a response text. `listed` checks expect something of
    every response, so they run only where a manifest lists them or gates on them.
    """

    name: str
    parse: Callable[[Mapping[str, Any]], Any]
    judge: Callable[[Response, Any], Outcome]
    keys: tuple[str, ...] = ()
    summary: str = ""
    graded: bool = False
    needs_text: bool = True
    listed: bool = False


@lru_cache(maxsize=1)
def all_responses() -> Mapping[str, ResponseSpec]:
    """Every response check by name, sorted."""
    package = importlib.import_module(__package__ or "skilltrace_mlflow.responses")
    found: dict[str, ResponseSpec] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("_"):
            continue
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        for spec in loaded.SPECS:
            found[spec.name] = replace(
                spec,
                keys=RESPONSE_CHECKS[spec.name],
                summary=spec.summary or (spec.judge.__doc__ or "").strip(),
            )
    return dict(sorted(found.items()))


def run_response(spec: ResponseSpec, response: Response, parameters: Any) -> Outcome:
    """Judge one response; never raises for what a check or a response does."""
    if spec.needs_text and response.text is None:
        return replace(unknown(NO_RESPONSE), check=spec.name)
    if spec.needs_text and response.doubt is not None:
        return replace(unknown(response.doubt), check=spec.name)
    try:
        outcome = spec.judge(response, parameters)
    except Exception as error:  # a check's crash is a verdict on that check, not on the run
        message = f"{type(error).__name__}: {error}"
        return Outcome(check=spec.name, verdict=Verdict.ERROR, rationale=message)
    score = outcome.score
    if score is not None and not (math.isfinite(score) and 0.0 <= score <= 1.0):
        return Outcome(
            check=spec.name,
            verdict=Verdict.ERROR,
            rationale=f"the check returned the score {score!r}, which is not in [0, 1]",
        )
    return replace(outcome, check=spec.name)
