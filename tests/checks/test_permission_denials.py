"""permission_denials: calls that a person, a rule or a hook refused."""

from __future__ import annotations

from tests.checks.judging import ended, verdict


def test_denials() -> None:
    assert verdict("permission_denials", {"max": 0}, *ended("failed")) == "pass"
    assert verdict("permission_denials", {"max": 0}, *ended("denied")) == "fail"
    assert verdict("permission_denials", {"max": 0}, *ended("unknown")) == "unknown"
    assert verdict("permission_denials", {"max": 1}, *ended("denied")) == "pass"
    lost = {"missing": {"tool_outcomes": "x"}}
    assert verdict("permission_denials", {"max": 0}, *ended("succeeded"), **lost) == "unknown"
    assert verdict("permission_denials", {"max": 0}, *ended("denied"), **lost) == "fail"
