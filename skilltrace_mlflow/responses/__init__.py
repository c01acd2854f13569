"""Deterministic checks of the response text; see `_base` for what one is."""

from skilltrace_mlflow.responses._base import (
    NO_RESPONSE,
    TEXTS,
    Response,
    ResponseSpec,
    all_responses,
    response_check,
    run_response,
    texts,
)

__all__ = [
    "NO_RESPONSE",
    "TEXTS",
    "Response",
    "ResponseSpec",
    "all_responses",
    "response_check",
    "run_response",
    "texts",
]
