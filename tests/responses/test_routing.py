"""skill_routing_accuracy, routing_precision and routing_recall: the skills that were loaded."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.responses import (
    Response,
    all_responses,
    run_response,
)
from skilltrace_mlflow.session import SkillUse
from tests.builders import make_session
from tests.responses.judging import loaded, routed

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("expected", "used", "several", "accuracy", "precision", "recall"),
    [
        (["a"], ["a"], None, PASS, 1.0, 1.0),
        (["a"], ["a", "a"], False, PASS, 1.0, 1.0),
        (["a"], ["b"], None, FAIL, 0.0, 0.0),
        (["a"], ["a", "b"], False, FAIL, 0.5, 1.0),
        (["a", "b"], ["a"], True, FAIL, 1.0, 0.5),
        (["a", "b"], ["b", "a"], True, PASS, 1.0, 1.0),
        (["a"], [], None, FAIL, 0.0, 0.0),
        ([], [], False, PASS, 1.0, 1.0),
        ([], ["a"], False, FAIL, 0.0, 1.0),
        (["a"], ["plugin:a"], None, PASS, 1.0, 1.0),
    ],
)
def test_routing_compares_expected_with_loaded_skills(
    expected: list[str],
    used: list[str],
    several: bool | None,
    accuracy: Verdict,
    precision: float,
    recall: float,
) -> None:
    uses = loaded(*used)
    assert routed("skill_routing_accuracy", expected, uses, several).verdict is accuracy
    assert routed("routing_precision", expected, uses, several).score == precision
    assert routed("routing_recall", expected, uses, several).score == recall


@pytest.mark.parametrize("name", ["skill_routing_accuracy", "routing_precision", "routing_recall"])
def test_routing_without_a_trace_is_unknown(name: str) -> None:
    spec = all_responses()[name]
    outcome = run_response(spec, Response(text="x"), spec.parse({"expected_skills": []}))
    assert (outcome.verdict, outcome.misses) == (UNKNOWN, ("No trace available",))


def test_routing_without_evidence_of_skills_is_unknown() -> None:
    spec = all_responses()["skill_routing_accuracy"]
    session = make_session(missing={"skills": "counts only"})
    outcome = run_response(spec, Response(session=session), spec.parse({"expected_skills": []}))
    assert (outcome.verdict, outcome.rationale) == (UNKNOWN, "counts only")


def test_a_failed_load_is_no_load_and_an_attempt_may_be_one() -> None:
    failed = [SkillUse(name="a", status="failed")]
    attempted = [SkillUse(name="a", status="attempted")]
    assert routed("skill_routing_accuracy", ["a"], failed).verdict is FAIL
    assert routed("skill_routing_accuracy", ["a"], attempted).verdict is UNKNOWN
    assert routed("skill_routing_accuracy", [], attempted).verdict is UNKNOWN
    assert routed("skill_routing_accuracy", ["b"], [*loaded("c"), *attempted]).verdict is FAIL
    assert routed("skill_routing_accuracy", [], [*attempted, *failed]).verdict is UNKNOWN
    both = [*attempted, SkillUse(name="b", status="attempted")]
    assert routed("skill_routing_accuracy", ["a"], both).verdict is UNKNOWN
    assert routed("routing_precision", ["a"], [*loaded("a", "c"), *both]).score == 1 / 3


@pytest.mark.parametrize(
    ("name", "expected", "used", "verdict"),
    [
        ("skill_routing_accuracy", [], [], UNKNOWN),
        ("skill_routing_accuracy", ["a"], ["a"], UNKNOWN),
        ("skill_routing_accuracy", ["a"], ["b"], FAIL),
        ("routing_precision", ["a"], ["a"], UNKNOWN),
        ("routing_precision", ["a"], ["a", "b"], FAIL),
        ("routing_recall", ["a"], ["a"], PASS),
        ("routing_recall", ["a"], [], UNKNOWN),
    ],
)
def test_an_incomplete_record_may_hide_a_skill(
    name: str, expected: list[str], used: list[str], verdict: Verdict
) -> None:
    session = make_session(skills=tuple(loaded(*used)), incomplete=("line 3 is damaged",))
    spec = all_responses()[name]
    parameters = spec.parse({"expected_skills": expected})
    assert run_response(spec, Response(session=session), parameters).verdict is verdict
