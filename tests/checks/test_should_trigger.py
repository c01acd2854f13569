"""should_trigger: picked up where it should be, left alone where it should not."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.session import SkillUse
from tests.builders import make_session
from tests.checks.judging import judge, verdict


@pytest.mark.parametrize(
    ("status", "expected", "answer"),
    [
        ("loaded", True, "pass"),
        ("read", True, "pass"),
        ("failed", True, "fail"),
        (None, True, "fail"),
        ("attempted", True, "unknown"),
        ("loaded", False, "fail"),
        ("read", False, "fail"),
        ("attempted", False, "fail"),
        ("failed", False, "fail"),
        (None, False, "pass"),
    ],
)
def test_should_trigger(status: Any, expected: bool, answer: str) -> None:
    uses = () if status is None else (SkillUse(name="p:naming", status=status),)
    skills = (SkillUse(name="other", status="loaded"), *uses)
    value = {"skill": "naming", "expected": expected}
    assert verdict("should_trigger", value, skills=skills) == answer


def test_lost_evidence() -> None:
    lost = {"missing": {"skills": "some are not logged"}}
    for expected in (True, False):
        value = {"skill": "naming", "expected": expected}
        assert verdict("should_trigger", value, **lost) == "unknown"


@pytest.mark.parametrize("expected", [True, False])
@pytest.mark.parametrize("state", ["loaded", "attempted", "failed", None])
def test_a_skill_that_was_only_asked_for_triggered_where_it_should_not(
    state: str | None, expected: bool
) -> None:
    uses = (SkillUse(name="review", status=state),) if state else ()
    outcome = judge(
        "should_trigger",
        {"skill": "review", "expected": expected},
        make_session(["Bash"], skills=uses),
    )
    wanted = state == "loaded" or (state is not None and not expected)
    assert outcome.details["triggered"] is wanted
