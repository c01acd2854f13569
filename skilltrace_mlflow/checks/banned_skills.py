"""`banned_skills`: skills that must not be loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude
from skilltrace_mlflow.checks._parameters import LIFTED, About, Items, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.matching.skills import calls_for, has_nameless, may_show, states_of
from skilltrace_mlflow.session import Session, SkillUse

__all__ = ["BannedSkills", "banned_skills"]

_SAID = {"read": "its SKILL.md read as a file"}


@dataclass(frozen=True, kw_only=True)
class BannedSkills:
    """Names or globs of skills, and those lifted by name."""

    skills: Annotated[
        tuple[str, ...],
        Items(ban=True),
        About("Skills that must not be loaded.", each="A skill's name, or a glob."),
    ]
    lifted: Annotated[tuple[str, ...], LIFTED] = ()


_DECLARED = declare(BannedSkills)


@check(
    name="banned_skills",
    declared=_DECLARED,
    examples=(
        Example(
            value=["deploy-production"],
            session={"skills": (SkillUse(name="bronze-ingestion", status="loaded"),)},
            verdict=Verdict.PASS,
            why="another skill was loaded",
        ),
        Example(
            value=["deploy-*"],
            session={"skills": (SkillUse(name="deploy-production", status="failed"),)},
            verdict=Verdict.FAIL,
            why="the attempt counts, although loading failed",
        ),
    ),
)
def banned_skills(session: Session, parameters: BannedSkills) -> Outcome:
    """None of the skills was loaded, and none was even asked for.

    Reading a skill's `SKILL.md` loads it, too, with Read as with a command line (`cat`).

    Seen: skills that were loaded or asked for by the Skill tool, a slash command, a sub-agent
    or a skill that loads others, and a `SKILL.md` that was read.

    Unknown: any skill where the record has gaps, a call of the Skill tool does not say which one
    it was, or a command line is not recorded; one that a wildcard or a variable may mean
    (`cat skills/*/SKILL.md`).

    Out of sight: a skill's text that came into the prompt in other ways (an `@` reference, a
    hook, a program that opens the file).
    """
    findings = []
    for name in parameters.skills:
        states = states_of(session, name)
        said = " and ".join(_SAID.get(state, state) for state in sorted(states)) or "not asked for"
        met: bool | None = not states
        if not states and has_nameless(session):
            met, said = None, "a skill was asked for whose name is not recorded"
        elif not states and (why := may_show(session, name)):
            met, said = None, why
        calls = calls_for(session, name) if states else ()
        findings.append(Finding(text=f"{name}: {said}", met=met, could_break=True, calls=calls))
    note = "; ".join(f"lifted by name: {text}" for text in parameters.lifted)
    lost = session.lacks("skills")
    outcome = conclude(session, findings, all_or_nothing=True, lost=lost, note=note)
    if outcome.verdict is not Verdict.PASS:
        return outcome
    return replace(outcome, rationale=f"none used: {outcome.rationale}")
