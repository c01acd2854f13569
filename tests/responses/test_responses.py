"""What holds for every check of the response."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow import responses
from skilltrace_mlflow.checks import Example, Outcome, Verdict
from skilltrace_mlflow.expectations.explain import find_problems
from skilltrace_mlflow.expectations.responses import response_keys, response_problems
from skilltrace_mlflow.responses import (
    NO_RESPONSE,
    Response,
    ResponseSpec,
    all_responses,
    run_response,
)
from tests.builders import make_session

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE
# Keys that model-based and custom scorers read.
READ_ELSEWHERE = {"assertions", "custom", "expected_response", "guidelines"}


def test_every_key_is_read_by_a_check_or_by_scorers_of_others() -> None:
    read = {key for spec in all_responses().values() for key in spec.keys}
    assert not read & READ_ELSEWHERE
    assert read | READ_ELSEWHERE == set(response_keys())
    assert all(spec.summary for spec in all_responses().values())


EXAMPLES = [
    pytest.param(spec, example, id=f"{name}-{number}")
    for name, spec in all_responses().items()
    for number, example in enumerate(spec.examples)
]


@pytest.mark.parametrize(("spec", "example"), EXAMPLES)
def test_examples(spec: ResponseSpec, example: Example) -> None:
    assert not list(response_problems(example.value))
    for key, value in example.value.items():
        assert not list(find_problems(value, spec.keys[key]))
    session = make_session([], **example.session) if example.session else None
    response = Response(text=example.response, outputs=example.outputs, session=session)
    outcome = run_response(spec, response, spec.parse(example.value))
    assert (outcome.verdict, outcome.check) == (example.verdict, spec.name), outcome.rationale


@pytest.mark.parametrize("name", sorted(set(all_responses()) - {"databricks_outcomes"}))
def test_every_check_has_an_example_that_passes_and_one_that_fails(name: str) -> None:
    verdicts = {example.verdict for example in all_responses()[name].examples}
    assert {PASS, FAIL} <= verdicts


@pytest.mark.parametrize("name", [n for n, s in all_responses().items() if s.needs_text])
def test_no_response_is_unknown(name: str) -> None:
    spec = all_responses()[name]
    outcome = run_response(spec, Response(), ("anything",))
    assert (outcome.verdict, outcome.rationale, outcome.check) == (UNKNOWN, NO_RESPONSE, name)


@pytest.mark.parametrize(
    ("behaviour", "verdict"),
    [
        (lambda response, parameters: 1 / 0, ERROR),
        (lambda response, parameters: Outcome.of(True, score=float("nan")), ERROR),
        (lambda response, parameters: Outcome.of(True, score=1.5), ERROR),
        (lambda response, parameters: Outcome.of(True), PASS),
    ],
)
def test_a_crash_or_an_impossible_score_is_an_error(behaviour: Any, verdict: Verdict) -> None:
    spec = ResponseSpec(name="x", parse=lambda expectations: (), judge=behaviour)
    assert run_response(spec, Response(text=""), ()).verdict is verdict


@pytest.mark.parametrize("name", all_responses())
def test_a_check_with_keys_says_nothing_where_they_are_absent(name: str) -> None:
    spec = all_responses()[name]
    if spec.listed or name == "execution_success":
        assert spec.parse({}) is not None
    else:
        assert spec.parse({}) is None


def test_every_module_of_checks_has_a_file_of_tests() -> None:
    modules = sorted(Path(responses.__file__).parent.glob("[a-z]*.py"))
    here = Path(__file__).parent
    assert len(modules) > 5
    assert [m.name for m in modules if not (here / f"test_{m.name}").is_file()] == []
