"""token_budget: which figures count, for whom, and what a lower bound leaves open."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from skilltrace_mlflow.session import ModelStep, Session, TokenUsage
from tests.builders import make_session
from tests.checks.judging import judge, parse


def used(**fields: Any) -> Session:
    usage = TokenUsage(
        input_tokens=100,
        output_tokens=20,
        cache_creation_input_tokens=1000,
        cache_read_input_tokens=5000,
    )
    return make_session([], usage=usage, **fields)


class TestTokenBudget:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({"max_input": 100}, "pass"),
            ({"max_input": 99}, "fail"),
            ({"max_output": 20}, "pass"),
            ({"max_total": 120}, "pass"),
            ({"max_total": 119}, "fail"),
            ({"max_cache_creation": 999}, "fail"),
            ({"max_cache_read": 5000}, "pass"),
            ({"max_input": 100, "max_output": 1}, "fail"),
        ],
    )
    def test_limits(self, value: dict, expected: str) -> None:
        assert judge("token_budget", value, used()).verdict == expected

    def test_a_lower_bound_under_and_over_the_limit(self) -> None:
        session = used(usage_complete=False, usage_notes=("3 placeholders",))
        under = judge("token_budget", {"max_input": 200}, session)
        assert under.verdict == "unknown"
        assert "3 placeholders" in under.rationale
        assert judge("token_budget", {"max_input": 50}, session).verdict == "fail"
        value = {"max_input": 200, "allow_incomplete": True}
        assert judge("token_budget", value, session).verdict == "pass"

    def test_allowing_a_lower_bound_allows_no_lost_record(self) -> None:
        lost = used(usage_complete=False, incomplete=("line 3 is not JSON",))
        value = {"max_input": 200, "allow_incomplete": True}
        assert judge("token_budget", value, lost).verdict == "pass"
        assert judge("token_budget", {"max_input": 200}, lost).verdict == "unknown"
        gone = used(missing={"usage": "no usage"}, incomplete=("line 3 is not JSON",))
        assert judge("token_budget", value, gone).verdict == "unknown"

    @pytest.mark.parametrize("limit", [99, 100, 101])
    def test_the_sign_says_on_which_side_of_the_limit_the_figure_is(self, limit: int) -> None:
        outcome = judge("token_budget", {"max_input": limit}, used())
        sign = ">" if limit < 100 else "≤"
        assert outcome.rationale == f"input: 100 {sign} {limit}"

    @pytest.mark.parametrize(
        ("missing", "limit", "expected"),
        [
            ("output_tokens", 99, "fail"),
            ("output_tokens", 100, "unknown"),
            ("input_tokens", 9, "fail"),
            ("input_tokens", 10, "unknown"),
        ],
    )
    def test_a_total_without_one_part_is_at_least_the_other(
        self, missing: str, limit: int, expected: str
    ) -> None:
        usage = TokenUsage(input_tokens=100, output_tokens=10)
        lacks = {missing: "not logged", "total_tokens": "a part is missing"}
        session = make_session(["Bash"], usage=usage, missing=lacks)
        assert judge("token_budget", {"max_total": limit}, session).verdict == expected

    def test_without_usage(self) -> None:
        session = used(missing={"usage": "the trace carries no token usage"})
        assert judge("token_budget", {"max_input": 200}, session).verdict == "unknown"
        value = {"max_input": 200, "allow_incomplete": True}
        assert judge("token_budget", value, session).verdict == "unknown"

    def test_scope(self) -> None:
        steps = (
            ModelStep(id="a", usage=TokenUsage(input_tokens=10)),
            ModelStep(id="b", usage=TokenUsage(input_tokens=90), agent="a1", usage_complete=False),
        )
        session = make_session([], steps=steps, usage_complete=False)
        assert judge("token_budget", {"max_input": 50}, session).verdict == "fail"
        assert judge("token_budget", {"max_input": 50, "scope": "main"}, session).verdict == "pass"

    @pytest.mark.parametrize(
        "value", [{}, {"max_input": -1}, {"max_inputs": 5}, {"allow_incomplete": True}]
    )
    def test_schema_refuses(self, value: dict) -> None:
        with pytest.raises(jsonschema.ValidationError):
            parse("token_budget", value)
