"""tool_errors: what is a failure, how many in a row, and what recovers from one."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.session import (
    ToolCall,
)
from tests.builders import make_call
from tests.checks.judging import bash, ended, verdict


class TestErrors:
    @pytest.mark.parametrize(
        ("value", "outcomes", "expected"),
        [
            ({"max": 1}, ["failed", "succeeded"], "pass"),
            ({"max": 0}, ["failed"], "fail"),
            ({"max": 0}, ["denied", "interrupted"], "pass"),
            ({"max": 0}, ["unknown"], "unknown"),
            ({"max": 0}, ["unknown", "failed"], "fail"),
            ({"max_consecutive": 1}, ["failed", "succeeded", "failed"], "pass"),
            ({"max_consecutive": 1}, ["failed", "failed"], "fail"),
            ({"max_consecutive": 1}, ["failed", "unknown"], "unknown"),
            ({"max_unrecovered": 0}, ["failed", "failed", "succeeded"], "pass"),
            ({"max_unrecovered": 0}, ["succeeded", "failed"], "fail"),
            ({"max_unrecovered": 0}, ["failed", "unknown"], "unknown"),
            ({"max_unrecovered": 1}, ["failed", "unknown"], "unknown"),
            ({"max_unrecovered": 2}, ["failed", "unknown"], "pass"),
        ],
    )
    def test_limits(self, value: dict, outcomes: list[str], expected: str) -> None:
        assert verdict("tool_errors", value, *ended(*outcomes)) == expected

    def test_the_word_error_means_nothing(self) -> None:
        fine = bash("pytest", result="12 passed, 0 errors", outcome="succeeded")
        broken = bash("foo", result="command not found", outcome="failed")
        assert verdict("tool_errors", {"max": 0}, fine) == "pass"
        assert verdict("tool_errors", {"max": 0}, broken) == "fail"

    def test_another_tool_does_not_recover(self) -> None:
        calls = [*ended("failed", name="Edit"), *ended("succeeded")]
        assert verdict("tool_errors", {"max_unrecovered": 0}, *calls) == "fail"

    def test_runs_are_counted_by_agent(self) -> None:
        calls = [*ended("failed"), *ended("failed", agent="a1")]
        assert verdict("tool_errors", {"max_consecutive": 1}, *calls) == "pass"

    def test_incomplete_records(self) -> None:
        fields = {"incomplete": ("x",)}
        assert verdict("tool_errors", {"max": 1}, *ended("failed"), **fields) == "unknown"
        assert verdict("tool_errors", {"max": 0}, *ended("failed"), **fields) == "fail"
        # the call that recovered may be the lost one
        assert (
            verdict("tool_errors", {"max_unrecovered": 0}, *ended("failed"), **fields) == "unknown"
        )

    @pytest.mark.parametrize("key", ["max", "max_consecutive", "max_unrecovered"])
    def test_what_is_marked_as_an_error_counts_even_if_somebody_may_have_refused(
        self, key: str
    ) -> None:
        """Up to 2.1.204 the record cannot tell; `permission_denials` does not know then."""
        perhaps = make_call("Write", outcome="failed", details={"maybe_refused": True})
        assert verdict("tool_errors", {key: 0}, perhaps) == "fail"
        assert verdict("tool_errors", {key: 1}, perhaps) == "pass"


@pytest.mark.parametrize(
    ("later", "same", "loose"),
    [
        (bash("pytest -q"), "pass", "pass"),
        (bash("pytest   -q", id="b"), "pass", "pass"),
        (bash("ls"), "fail", "pass"),
        (bash("pytest -q", outcome="failed"), "fail", "fail"),
        (bash("pytest -q", outcome="unknown"), "unknown", "unknown"),
        (make_call("Read"), "fail", "fail"),
        (make_call("Bash", outcome="succeeded", input_truncated=True), "unknown", "pass"),
    ],
)
def test_recovery(later: ToolCall, same: str, loose: str) -> None:
    calls = (bash("pytest -q", outcome="failed", id="first"), later)
    assert verdict("tool_errors", {"max_unrecovered": 0}, *calls) == same
    assert verdict("tool_errors", {"max_unrecovered": 0, "recovery": "tool"}, *calls) == loose


def test_the_same_input_of_another_tool_recovers_too() -> None:
    edit = {"file_path": "/a", "old_string": "x", "new_string": "y"}
    failed = make_call("Edit", edit, outcome="failed", id="1")
    value = {"max_unrecovered": 0}
    assert verdict("tool_errors", value, failed, make_call("Edit", edit, id="2")) == "pass"
    other = make_call("Edit", {**edit, "file_path": "/b"}, id="2")
    assert verdict("tool_errors", value, failed, other) == "fail"
