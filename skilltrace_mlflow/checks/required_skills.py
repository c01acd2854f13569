"""`required_skills`: skills that must be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude
from skilltrace_mlflow.checks._parameters import About, Items, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.matching.skills import calls_for, has_nameless, states_of
from skilltrace_mlflow.session import Session, SkillUse

__all__ = ["RequiredSkills", "required_skills"]


@dataclass(frozen=True, kw_only=True)
class RequiredSkills:
    """Names or globs of skills."""

    skills: Annotated[
        tuple[str, ...],
        Items(),
        About("Skills that must be loaded.", each="A skill's name, or a glob."),
    ]
    threshold: float = 1.0


_DECLARED = declare(RequiredSkills)


@check(
    name="required_skills",
    declared=_DECLARED,
    examples=(
        Example(
            value=["bronze-ingestion"],
            session={"skills": (SkillUse(name="bronze-ingestion", status="loaded"),)},
            verdict=Verdict.PASS,
            why="the skill was loaded",
        ),
        Example(
            value=["bronze-ingestion"],
            session={"skills": (SkillUse(name="bronze-ingestion", status="failed"),)},
            verdict=Verdict.FAIL,
            why="asking for a skill is not loading it",
        ),
    ),
)
def required_skills(session: Session, parameters: RequiredSkills) -> Outcome:
    """Every skill was loaded.

    A skill that was asked for and failed to load does not count, nor does one whose `SKILL.md` was
    only read as a file; one of which nothing shows whether it was loaded is `unknown`. The name of
    a plugin's skill may be written with or without the plugin's name in front
    (`databricks:bronze-ingestion`).

    Seen: skills that were loaded by the Skill tool, a slash command or a sub-agent.

    Unknown: a skill that was asked for without a recorded end, and one that is missing where
    the record has gaps.

    Out of sight: whether the agent did what the skill says.
    """
    findings = []
    for name in parameters.skills:
        states = states_of(session, name)
        if "loaded" in states:
            met, said = True, "loaded"
        elif "attempted" in states:
            met, said = None, "asked for, whether it was loaded is not recorded"
        elif "failed" in states:
            met, said = False, "failed to load"
        elif "read" in states:
            met, said = False, "not loaded as a skill; its SKILL.md was read as a file"
        elif has_nameless(session):
            met, said = None, "a skill was asked for whose name is not recorded"
        else:
            met, said = False, "not asked for"
        calls = () if met else calls_for(session, name)
        findings.append(Finding(text=f"{name}: {said}", met=met, could_meet=True, calls=calls))
    return conclude(session, findings, threshold=parameters.threshold, lost=session.lacks("skills"))
