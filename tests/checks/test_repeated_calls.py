"""repeated_calls: the same tool with the same arguments, in a row and in all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import make_call
from tests.checks.judging import verdict


class TestRepeatedCalls:
    def run(self, *given: Any) -> list:
        return [make_call("mcp__a__b", {"n": item}) for item in given]

    @pytest.mark.parametrize(
        ("value", "given", "expected"),
        [
            ({"max_identical": 2}, [1, 1], "pass"),
            ({"max_identical": 2}, [1, 1, 1], "fail"),
            ({"max_identical": 2}, [1, 1.0, 1], "fail"),
            ({"max_identical": 2}, [1, True, 1], "pass"),
            ({"max_identical": 2}, [1, 2, 1, 1, 2, 1], "pass"),
            ({"max_identical": 1}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], "fail"),
            ({"max_total": 2}, [1, 2, 1, 2, 1], "fail"),
            ({"max_total": 3}, [1, 2, 1, 2, 1], "pass"),
        ],
    )
    def test_limits(self, value: dict, given: list, expected: str) -> None:
        assert verdict("repeated_calls", value, *self.run(*given)) == expected

    def test_agents_have_runs_of_their_own(self) -> None:
        calls = [
            make_call("mcp__a__b", {"n": 1}, agent=agent) for agent in ("main", "a", "main", "a")
        ]
        assert verdict("repeated_calls", {"max_identical": 2}, *calls) == "pass"
        assert verdict("repeated_calls", {"max_identical": 1}, *calls) == "fail"

    def test_unrecorded_arguments(self) -> None:
        hidden = [replace(call, input=None) for call in self.run(1, 1, 1)]
        assert verdict("repeated_calls", {"max_identical": 2}, *hidden) == "unknown"
        assert verdict("repeated_calls", {"max_identical": 3}, *hidden) == "pass"
        assert verdict("repeated_calls", {"max_total": 2}, *hidden) == "unknown"
