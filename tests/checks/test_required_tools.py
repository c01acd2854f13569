"""required_tools: called at least once, whatever came of the call."""

from __future__ import annotations

from tests.builders import make_call, make_session
from tests.checks.judging import judge, verdict


def test_required() -> None:
    outcome = judge("required_tools", ["Read", "Edit"], make_session(["Read", "Read"]))
    assert (outcome.verdict, outcome.score) == ("fail", 0.5)
    assert outcome.hits == ("Read: 2 ×",)
    assert outcome.misses == ("Edit: not called",)
    assert verdict("required_tools", ["Edit"], make_call("Edit", outcome="denied")) == "pass"


def test_incomplete_records() -> None:
    fields = {"incomplete": ("x",)}
    assert verdict("required_tools", ["Read"], "Read", **fields) == "pass"
    assert verdict("required_tools", ["Edit"], "Read", **fields) == "unknown"
