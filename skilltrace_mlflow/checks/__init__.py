"""One file per check; `_registry` says what a check is, `_findings` what it answers."""

from skilltrace_mlflow.checks._findings import (
    NO_TRACE,
    CallRef,
    Outcome,
    Verdict,
    places,
    refer,
    unknown,
)
from skilltrace_mlflow.checks._parameters import SCOPE
from skilltrace_mlflow.checks._registry import (
    CheckSpec,
    Example,
    Spec,
    all_checks,
    check,
    get_check,
    guarded,
    judge_session,
    register,
    registered,
    run_check,
)
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.selectors import Selector, parse_selector
from skilltrace_mlflow.patterns.regex import check_regex

__all__ = [
    "NO_TRACE",
    "SCOPE",
    "CallRef",
    "CheckSpec",
    "Example",
    "Outcome",
    "ParameterError",
    "Selector",
    "Spec",
    "Verdict",
    "all_checks",
    "check",
    "check_regex",
    "get_check",
    "guarded",
    "judge_session",
    "parse_selector",
    "places",
    "refer",
    "register",
    "registered",
    "run_check",
    "unknown",
]
