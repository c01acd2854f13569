"""duration: from the first entry to the last."""

from __future__ import annotations

from tests.checks.judging import verdict


def test_duration() -> None:
    assert verdict("duration", {"max_seconds": 3}, "A", "B", "C") == "pass"
    assert verdict("duration", {"max_seconds": 2.9}, "A", "B", "C") == "fail"
    assert verdict("duration", {"max_seconds": 3}, start_time=None) == "unknown"
    assert verdict("duration", {"max_seconds": 3}, missing={"times": "synthetic"}) == "unknown"
