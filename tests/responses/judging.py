"""The verdict of a response check on a text, and sessions with skills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.checks import Outcome
from skilltrace_mlflow.responses import (
    Response,
    all_responses,
    run_response,
)
from skilltrace_mlflow.session import SkillUse
from tests.builders import make_session

__all__ = ["fenced", "judge", "loaded", "routed"]


def judge(name: str, text: str | None, expectations: Mapping[str, Any] | None = None) -> Outcome:
    spec = all_responses()[name]
    parameters = spec.parse(expectations or {})
    assert parameters is not None
    return run_response(spec, Response(text=text), parameters)


def fenced(language: str, code: str) -> str:
    return f"Here it is:\n\n```{language}\n{code}\n```\n"


def routed(
    name: str, expected: list[str], uses: list[SkillUse], several: bool | None = None
) -> Outcome:
    spec = all_responses()[name]
    expectations: dict[str, Any] = {"expected_skills": expected}
    if several is not None:
        expectations["is_multi_skill"] = several
    session = make_session(skills=tuple(uses))
    return run_response(spec, Response(session=session), spec.parse(expectations))


def loaded(*names: str) -> list[SkillUse]:
    return [SkillUse(name=name, status="loaded") for name in names]
