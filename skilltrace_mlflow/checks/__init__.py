"""One file per check; see `_base` for what a check is and how it is registered."""

from skilltrace_mlflow.checks._base import (
    NO_TRACE,
    CheckSpec,
    Example,
    Outcome,
    ParameterError,
    Verdict,
    all_checks,
    check,
    get_check,
    run_check,
    unknown,
)

__all__ = [
    "NO_TRACE",
    "CheckSpec",
    "Example",
    "Outcome",
    "ParameterError",
    "Verdict",
    "all_checks",
    "check",
    "get_check",
    "run_check",
    "unknown",
]
