"""`should_trigger`: whether a prompt has to lead to the skill under test, or must not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.skills import calls_for, has_nameless, is_skill, loads_of, states_of
from skilltrace_mlflow.session import Session, SkillUse

__all__ = ["ShouldTrigger", "should_trigger"]


@dataclass(frozen=True, kw_only=True)
class ShouldTrigger:
    """The skill, and whether it is expected."""

    skill: str
    expected: bool


def parse(value: Any) -> ShouldTrigger:
    """`{skill: NAME, expected: true}`; a test case's `true` or `false` means the skill under test.

    Raises ParameterError where no skill is named.
    """
    if isinstance(value, bool):
        raise ParameterError(
            "true or false belongs to a test case, whose skill it means; "
            "elsewhere write {skill: NAME, expected: true}"
        )
    return ShouldTrigger(skill=value["skill"], expected=value["expected"])


@check(
    name="should_trigger",
    schema={
        "anyOf": [
            {"type": "boolean", "description": "In a test case: of the skill under test."},
            {
                "type": "object",
                "properties": {
                    "skill": {
                        "type": "string",
                        "minLength": 1,
                        "description": "The skill's name.",
                    },
                    "expected": {
                        "type": "boolean",
                        "description": "Whether the skill must be loaded, or must not.",
                    },
                },
                "description": "A skill by name.",
                "required": ["skill", "expected"],
                "additionalProperties": False,
            },
        ]
    },
    parse=parse,
    examples=(
        Example(
            value={"skill": "bronze-ingestion", "expected": True},
            session={"skills": (SkillUse(name="bronze-ingestion", status="loaded"),)},
            verdict=Verdict.PASS,
            why="the skill was loaded",
        ),
        Example(
            value={"skill": "bronze-ingestion", "expected": False},
            session={"skills": (SkillUse(name="bronze-ingestion", status="loaded"),)},
            verdict=Verdict.FAIL,
            why="the prompt was none for this skill",
        ),
    ),
)
def should_trigger(session: Session, parameters: ShouldTrigger) -> Outcome:
    """The skill was picked up where it should be, and left alone where it should not.

    Loaded counts in every way: by the Skill tool, as a slash command, by a sub-agent, or its
    `SKILL.md` read as a file. Asked for and failed is neither: it fails both. The gates
    `trigger_recall` and `trigger_precision` are figures over all test cases of this check.

    Seen: the same as `required_skills` and `banned_skills`.

    Unknown: where the record has gaps, a skill that it does not show.

    Out of sight: skills that were not offered in that session; `triggers` counts offers.
    """
    name = parameters.skill
    ways = sorted({way for skill, way in loads_of(session) if is_skill(name, skill)})
    states = states_of(session, name)
    loaded: bool | None = bool(ways)
    said = f"loaded ({', '.join(ways)})" if ways else "not loaded"
    if not ways and "attempted" in states:
        loaded, said = None, "asked for, whether it was loaded is not recorded"
    elif not ways and "failed" in states:
        said = "asked for, and failed to load"
    elif not states and has_nameless(session):
        loaded, said = None, "a skill was asked for whose name the record lost"
    met: bool | None
    if loaded is None and not states:
        met = None
    elif loaded is None:
        met = None if parameters.expected else False
    elif parameters.expected:
        met = loaded
    else:
        met = not loaded and not states
    wanted = "should trigger" if parameters.expected else "should not trigger"
    finding = Finding(
        text=f"{name} {wanted}: {said}",
        met=met,
        could_break=not parameters.expected,
        could_meet=parameters.expected,
        calls=() if met else calls_for(session, name),
    )
    triggered = bool(ways) or (not parameters.expected and bool(states))
    details = {"expected": parameters.expected, "triggered": triggered}
    return conclude(session, [finding], lost=session.lacks("skills"), details=details)
