"""Whether the right skills were loaded for a prompt, as the trace shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks import NO_TRACE, Example, Outcome, Verdict, unknown
from skilltrace_mlflow.responses._base import Response, response_check
from skilltrace_mlflow.session import SkillUse

__all__ = ["Routing"]


@dataclass(frozen=True, kw_only=True)
class Routing:
    """The skills that a test expects to be loaded."""

    skills: frozenset[str]
    several: bool | None = None


_UNSEEN = "(a skill that is not in the record)"
Figure = Callable[[Routing, frozenset[str]], tuple[float, str]]


def _parse(expectations: Mapping[str, Any]) -> Routing | None:
    skills = expectations.get("expected_skills")
    several = expectations.get("is_multi_skill")
    if skills is None:
        return None
    return Routing(skills=frozenset(skills), several=several)


def _with(figure: Figure) -> Callable[[Response, Routing], Outcome]:
    """A judge from a figure of expected and loaded skills.

    An attempt of which nothing shows whether it loaded is counted both ways, and so is any skill
    where the record is incomplete; if that decides between pass and fail, the verdict is unknown.
    """

    def judge(response: Response, parameters: Routing) -> Outcome:
        session = response.session
        if session is None:
            return Outcome(
                verdict=Verdict.UNKNOWN, score=0.0, misses=(NO_TRACE,), rationale=NO_TRACE
            )
        lacking = session.lacks("skills")
        if lacking is not None:
            return unknown(lacking)
        expected = parameters.skills
        states: dict[str, frozenset[str]] = {
            status: frozenset(
                _match(s.name, expected) for s in session.skills if s.status == status
            )
            for status in ("loaded", "attempted")
        }
        loaded = states["loaded"]
        perhaps = states["attempted"] - loaded
        unseen = (expected - loaded) | {_UNSEEN} if session.incomplete else frozenset()
        # Every figure rises with each expected skill and falls with each other one.
        best, _ = figure(parameters, loaded | ((perhaps | unseen) & expected))
        worst, _ = figure(parameters, loaded | ((perhaps | unseen) - expected))
        score, rationale = figure(parameters, loaded)
        score = min(score, worst)
        if score < 1.0 <= best:
            if perhaps:
                return unknown(f"nothing shows whether these skills loaded: {_list(perhaps)}")
            why = "; ".join(session.incomplete[:2])
            return unknown(f"not certain, as the record is incomplete ({why}): {rationale}")
        return Outcome.of(
            score >= 1.0,
            score=score,
            hits=tuple(sorted(parameters.skills & loaded)),
            misses=tuple(
                [f"not loaded: {name}" for name in sorted(parameters.skills - loaded)]
                + [f"not expected: {name}" for name in sorted(loaded - parameters.skills)]
            ),
            rationale=rationale,
            details={"expected": sorted(parameters.skills), "loaded": sorted(loaded)},
        )

    judge.__doc__ = figure.__doc__
    return judge


def _accuracy(expected: Routing, loaded: frozenset[str]) -> tuple[float, str]:
    """Exactly the skills of `expected_skills` were loaded (`[]`: none at all).

    `is_multi_skill` adds that more than one was loaded (true) or at most one (false). Judged on
    the skills that the trace shows loaded; without a trace the verdict is unknown.
    """
    told = f"expected {_list(expected.skills)}, loaded {_list(loaded)}"
    if loaded != expected.skills:
        return 0.0, told
    if expected.several is not None and expected.several != (len(loaded) > 1):
        wanted = "more than one skill" if expected.several else "at most one skill"
        return 0.0, f"expected {wanted}, loaded {_list(loaded)}"
    return 1.0, told


def _precision(expected: Routing, loaded: frozenset[str]) -> tuple[float, str]:
    """Share of the loaded skills that were expected; 0 if none was loaded but some expected."""
    told = f"expected {_list(expected.skills)}, loaded {_list(loaded)}"
    if not loaded:
        return (0.0 if expected.skills else 1.0), told
    return len(loaded & expected.skills) / len(loaded), told


def _recall(expected: Routing, loaded: frozenset[str]) -> tuple[float, str]:
    """Share of the expected skills that were loaded; 1 if none is expected."""
    told = f"expected {_list(expected.skills)}, loaded {_list(loaded)}"
    if not expected.skills:
        return 1.0, told
    return len(loaded & expected.skills) / len(expected.skills), told


def _match(name: str, expected: frozenset[str]) -> str:
    """A plugin's skill is recorded as `plugin:skill` and may be expected by its short name."""
    short = name.rpartition(":")[2]
    return short if name not in expected and short in expected else name


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


_EXPECTED: Mapping[str, Any] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "description": "A skill's name."},
    "uniqueItems": True,
    "description": "Skills that the trace must show loaded; [] for none.",
}
_SEVERAL: Mapping[str, Any] = {
    "type": "boolean",
    "description": "Whether more than one skill must be loaded.",
}
_LOADED = {"skills": (SkillUse(name="bronze-ingestion", status="loaded"),)}


def _register(name: str, figure: Figure, *, passes: str, fails: str) -> None:
    """One of the three checks: they differ in their figure, and accuracy is yes or no."""
    exact = figure is _accuracy
    other = [] if figure is _precision or exact else ["bronze-ingestion", "dashboards"]
    response_check(
        name=name,
        parse=_parse,
        graded=not exact,
        needs_text=False,
        keys={"expected_skills": _EXPECTED, **({"is_multi_skill": _SEVERAL} if exact else {})},
        examples=(
            Example(
                value={"expected_skills": ["bronze-ingestion"]},
                session=_LOADED,
                verdict=Verdict.PASS,
                why=passes,
            ),
            Example(
                value={"expected_skills": other},
                session=_LOADED,
                verdict=Verdict.FAIL,
                why=fails,
            ),
        ),
    )(_with(figure))


_register(
    "skill_routing_accuracy",
    _accuracy,
    passes="exactly the expected skill was loaded",
    fails="no skill was to be loaded",
)
_register(
    "routing_precision",
    _precision,
    passes="what was loaded was expected",
    fails="what was loaded was not expected; the score is 0",
)
_register(
    "routing_recall",
    _recall,
    passes="what was expected was loaded",
    fails="one of the two expected skills was loaded; the score is 0.5",
)
