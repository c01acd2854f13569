"""banned_skills: not even asked for."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.session import SkillUse
from tests.checks.judging import verdict


def uses(*states: str) -> dict:
    return {"skills": tuple(SkillUse(name="db:bronze", status=state) for state in states)}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["loaded"], "fail"),
        (["attempted"], "fail"),
        (["failed"], "fail"),
        (["failed", "loaded"], "fail"),
        ([], "pass"),
    ],
)
def test_an_attempt_is_enough(states: list[str], expected: str) -> None:
    for name in ("db:bronze", "bronze", "bro*"):
        assert verdict("banned_skills", [name], **uses(*states)) == expected


def test_lost_evidence() -> None:
    fields = {**uses("loaded"), "missing": {"skills": "some are not logged"}}
    assert verdict("banned_skills", ["silver"], **fields) == "unknown"
    assert verdict("banned_skills", ["bronze"], **fields) == "fail"
