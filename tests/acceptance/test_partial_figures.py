"""A dictionary of figures, in part: what it holds is judged, what it lacks is `unknown`."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.scorers import cost_budget, file_existence, token_budget, tool_count


@pytest.mark.parametrize(
    ("tokens", "budget", "value"),
    [
        ({"total": 60_000}, {"max_total": 50_000}, "no"),
        ({"total": 50_000}, {"max_total": 50_000}, "yes"),
        ({"input": 60_000}, {"max_input": 50_000}, "no"),
        ({"input": 100}, {"max_input": 50_000}, "yes"),
        ({"output": 100}, {"max_output": 50}, "no"),
        ({"input": 100, "output": 10}, {"max_input": 100, "max_output": 10}, "yes"),
        ({"input": 100, "output": 10}, {"max_total": 110}, "yes"),
        ({"input": 100, "output": 10}, {"max_total": 109}, "no"),
        ({"total": 110, "input": 100}, {"max_output": 9}, "no"),
        ({"cache_read": 7}, {"max_cache_read": 6}, "no"),
        ({"cache_read": 7}, {"max_cache_read": 7}, "yes"),
        # A part of the sum is enough to exceed it, never to stay under it.
        ({"input": 60_000}, {"max_total": 50_000}, "no"),
        ({"input": 10}, {"max_total": 50_000}, None),
        # The total says nothing about its parts, in either direction.
        ({"total": 60_000}, {"max_input": 50_000}, None),
        ({"total": 60_000}, {"max_output": 50_000}, None),
        ({"total": 10}, {"max_cache_creation": 5}, None),
        ({"input": 100}, {"max_output": 50_000}, None),
        ({"total": 60_000, "input": 10, "output": 10}, {"max_total": 50_000}, None),
        ({"total": 5, "input": 10}, {"max_total": 50_000}, None),
        ({}, {"max_total": 50_000}, None),
    ],
)
def test_a_token_figure_that_is_there_is_judged_by_itself(
    tokens: dict[str, int], budget: dict[str, int], value: str | None
) -> None:
    feedback = token_budget(trace={"tokens": tokens}, expectations={"token_budget": budget})
    assert feedback.value == value
    assert (feedback.error is None) == (value is not None)


def test_usage_that_the_figures_call_incomplete_stays_a_lower_bound() -> None:
    trace = {"tokens": {"total": 10, "input": 5, "output": 5}, "usage_complete": False}
    under = token_budget(trace=trace, expectations={"token_budget": {"max_total": 50}})
    over = token_budget(trace=trace, expectations={"token_budget": {"max_total": 9}})
    assert (under.value, over.value) == (None, "no")


def test_no_price_is_put_on_a_total_alone() -> None:
    trace = {
        "tokens": {"total": 10},
        "tokens_main": {"total": 10},
        "model": "claude-sonnet-4-5-20250929",
        "conversation": {"turns": 1},
        "subagents": [],
    }
    feedback = cost_budget(trace=trace, expectations={"cost_budget": {"max_usd": 1}})
    assert feedback.value is None
    assert feedback.error is not None


@pytest.mark.parametrize(
    ("scorer", "trace", "expectations", "value"),
    [
        (file_existence, {"files": {"created": ["a/x.sql"]}}, {"expected_files": ["*.sql"]}, "yes"),
        (file_existence, {"files": {"created": ["a/x.sql"]}}, {"expected_files": ["*.py"]}, None),
        (
            file_existence,
            {"files": {"created": [], "modified": []}},
            {"expected_files": ["*.py"]},
            "no",
        ),
        (tool_count, {"tools": {"by_name": {}}}, {"tool_limits": {"Bash": 5}}, "yes"),
        (tool_count, {"files": {}}, {"tool_limits": {"Bash": 5}}, None),
    ],
)
def test_other_figures_likewise(
    scorer: Any, trace: dict[str, Any], expectations: dict[str, Any], value: str | None
) -> None:
    assert scorer(trace=trace, expectations=expectations).value == value
