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
from skilltrace_mlflow.checks._regex import check_regex
from skilltrace_mlflow.checks._select import Selector, parse_selector

__all__ = [
    "NO_TRACE",
    "CheckSpec",
    "Example",
    "Outcome",
    "ParameterError",
    "Selector",
    "Verdict",
    "all_checks",
    "check",
    "check_regex",
    "get_check",
    "parse_selector",
    "run_check",
    "unknown",
]
