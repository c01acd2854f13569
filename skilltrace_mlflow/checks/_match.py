"""The matching engine behind one door: selectors, values, alignment, command patterns."""

from skilltrace_mlflow.checks._align import align, match
from skilltrace_mlflow.checks._patterns import Pattern, parse_pattern
from skilltrace_mlflow.checks._select import (
    Selector,
    looks_like_selector,
    parse_selector,
    parse_selectors,
    select,
)
from skilltrace_mlflow.checks._values import check_value, difference, json_equal, value_matches

__all__ = [
    "Pattern",
    "Selector",
    "align",
    "check_value",
    "difference",
    "json_equal",
    "looks_like_selector",
    "match",
    "parse_pattern",
    "parse_selector",
    "parse_selectors",
    "select",
    "value_matches",
]
