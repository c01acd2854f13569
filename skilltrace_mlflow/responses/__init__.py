"""Deterministic checks of the response text; see `_base` for what one is."""

from skilltrace_mlflow.responses._base import (
    NO_RESPONSE,
    Response,
    ResponseSpec,
    all_responses,
    run_response,
)

__all__ = ["NO_RESPONSE", "Response", "ResponseSpec", "all_responses", "run_response"]
