"""Checks as MLflow scorers: `from skilltrace_mlflow.scorers import tool_count`.

Every registered check is an attribute of this module, and `TRACE_SCORER_MAP` holds all of them.
"""

from __future__ import annotations

from typing import Any

from skilltrace_mlflow.checks import all_checks
from skilltrace_mlflow.feedback import (
    VERDICT_KEY,
    feedbacks_to_outcomes,
    outcome_to_feedback,
    value_to_outcomes,
)
from skilltrace_mlflow.scorers._adapter import (
    get_trace_scorers,
    make_scorer,
    scorer_map,
    spec_of,
)
from skilltrace_mlflow.scorers._custom import (
    LONGEST_CALL,
    custom_judge,
    outcomes_within,
    wrap_custom,
)
from skilltrace_mlflow.scorers._evidence import as_response, as_session

__all__ = [
    "LONGEST_CALL",
    "TRACE_SCORER_MAP",
    "VERDICT_KEY",
    "as_response",
    "as_session",
    "custom_judge",
    "feedbacks_to_outcomes",
    "get_trace_scorers",
    "make_scorer",
    "outcome_to_feedback",
    "outcomes_within",
    "spec_of",
    "value_to_outcomes",
    "wrap_custom",
    *all_checks(),
]


def __getattr__(name: str) -> Any:
    scorers = scorer_map()
    if name == "TRACE_SCORER_MAP":
        return scorers
    if name in scorers:
        return scorers[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
