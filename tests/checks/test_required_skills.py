"""required_skills: loaded, which is neither asked for nor failed."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.session import SkillUse
from tests.builders import make_session
from tests.checks.judging import judge, verdict


def uses(*states: str) -> dict:
    return {"skills": tuple(SkillUse(name="db:bronze", status=state) for state in states)}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["loaded"], "pass"),
        (["attempted"], "unknown"),
        (["failed"], "fail"),
        (["failed", "loaded"], "pass"),
        ([], "fail"),
    ],
)
def test_states_are_never_collapsed(states: list[str], expected: str) -> None:
    for name in ("db:bronze", "bronze", "bro*"):
        assert verdict("required_skills", [name], **uses(*states)) == expected


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (["failed"], "failed to load"),
        (["read"], "not loaded as a skill; its SKILL.md was read as a file"),
        (["failed", "read"], "failed to load"),
        ([], "not asked for"),
    ],
)
def test_a_failure_says_what_became_of_the_skill(states: list[str], said: str) -> None:
    outcome = judge("required_skills", ["bronze"], make_session(["Bash"], **uses(*states)))
    assert (str(outcome.verdict), outcome.misses) == ("fail", (f"bronze: {said}",))


def test_lost_evidence() -> None:
    fields = {**uses("loaded"), "missing": {"skills": "some are not logged"}}
    assert verdict("required_skills", ["bronze"], **fields) == "pass"
    assert verdict("required_skills", ["silver"], **fields) == "unknown"
