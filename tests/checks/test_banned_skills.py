"""banned_skills: not even asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skilltrace_mlflow.session import SkillUse
from tests.builders import make_call
from tests.checks.judging import bash, verdict


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


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cat .claude/skills/deploy/SKILL.md", "fail"),
        ("cd .claude/skills/deploy && cat SKILL.md", "fail"),
        ("cat .claude/skills/*/SKILL.md", "unknown"),
        ("cat .claude/skills/d*/SKILL.md", "unknown"),
        ('head -50 "$S/SKILL.md"', "unknown"),
        ("cat .claude/skills/deploy/*", "unknown"),
        ("cat .claude/skills/other/*", "pass"),
        ("cat .claude/skills/x*/SKILL.md", "pass"),
        ("cat .claude/skills/deploy/*.py", "pass"),
        ("ls .claude/skills/*/SKILL.md", "pass"),
    ],
)
def test_what_a_line_may_show(line: str, expected: str) -> None:
    assert verdict("banned_skills", ["deploy"], bash(line)) == expected


def test_a_glob_in_both_places_is_not_known() -> None:
    assert verdict("banned_skills", ["dep*"], bash("cat skills/*ploy/SKILL.md")) == "unknown"


def test_a_line_that_is_not_recorded_may_show_any_skill() -> None:
    hidden = make_call("Bash", None, outcome="succeeded")
    lost = make_call("Bash", {"command": "ls"}, input_truncated=True)
    for call in (replace(hidden, input=None), lost):
        assert verdict("banned_skills", ["deploy"], call) == "unknown"
        assert verdict("banned_skills", ["bronze"], call, **uses("loaded")) == "fail"
