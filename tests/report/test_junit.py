"""JUnit XML: valid, read back by another's parser, and of one mind with the exit code."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import pytest
import xmlschema
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase

from skilltrace_mlflow.report import render, to_junit
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from tests.report.evaluations import NASTY, demo, outcome, unfriendly

SCHEMA = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))


def cases(evaluation: Evaluation) -> dict[tuple[str, str], TestCase]:
    suites = JUnitXml.fromstring(render(evaluation, "junit").encode())
    return {(case.classname, case.name): case for suite in suites for case in suite}


def kind(case: TestCase) -> str:
    results = case.result
    return type(results[0]).__name__ if results else "passed"


def test_every_test_and_check_is_one_testcase_with_its_verdict() -> None:
    found = {key: kind(case) for key, case in cases(demo()).items()}
    wrong = "bronze-ingestion.orders_create_gone_wrong"
    assert found == {
        ("bronze-ingestion.orders_create", "banned_tools"): "passed",
        ("bronze-ingestion.orders_create", "cost_budget"): "Error",
        ("bronze-ingestion.orders_create", "tool_count"): "passed",
        ("bronze-ingestion.orders_create", "tool_trajectory"): "passed",
        (wrong, "banned_tools"): "Failure",
        (wrong, "cost_budget"): "Error",
        (wrong, "tool_count"): "Skipped",  # its gate alone judges it, and the gate passed
        (wrong, "tool_trajectory"): "Failure",
        ("bronze-ingestion.payments", "banned_tools"): "passed",
        ("bronze-ingestion.payments", "tool_count"): "passed",
        ("bronze-ingestion.no_trace", "(whole test)"): "Error",
        ("bronze-ingestion quality gates", "banned_tools"): "Failure",
        ("bronze-ingestion quality gates", "tool_count"): "passed",
    }


def test_the_message_says_what_was_observed_and_the_type_why() -> None:
    found = cases(demo())
    failure = found["bronze-ingestion.orders_create_gone_wrong", "banned_tools"].result[0]
    assert isinstance(failure, Failure)
    assert failure.message.startswith('"rm -rf": Bash ran')
    assert "missed: rm -rf" in failure.text
    unknown = found["bronze-ingestion.orders_create", "cost_budget"].result[0]
    assert isinstance(unknown, Error)
    assert (unknown.type, unknown.message) == ("unknown", "no price known for claude-next")
    skipped = found["bronze-ingestion.orders_create_gone_wrong", "tool_count"].result[0]
    assert isinstance(skipped, Skipped)
    assert skipped.message == (
        "fail, but gate tool_count passed: 0.667 of 0.5 required: Bash: 5 > 3"
    )


def test_counts_of_the_suites_are_right() -> None:
    suites = list(JUnitXml.fromstring(render(demo(), "junit").encode()))
    assert [(s.tests, s.failures, s.errors, s.skipped) for s in suites] == [
        (11, 2, 3, 1),
        (2, 1, 0, 0),
    ]
    for suite in suites:
        kinds = Counter(kind(case) for case in suite)
        assert (kinds["Failure"], kinds["Error"], kinds["Skipped"]) == (
            suite.failures,
            suite.errors,
            suite.skipped,
        )


@pytest.mark.parametrize(
    ("results", "gates", "green"),
    [
        ((), (), False),
        ((TestResult(test_id="a", skill="s"),), (), False),
        ((TestResult(test_id="a", skill="s", outcomes=(outcome("c"),)),), (), True),
        ((TestResult(test_id="a", skill="s", outcomes=(outcome("c", "unknown"),)),), (), False),
        ((TestResult(test_id="a", skill="s", outcomes=(outcome("c", "fail"),)),),
         (GateResult(name="c", required=0.5, got=0.5, coverage=1.0, passed=True, checks=("c",)),),
         True),
        ((TestResult(test_id="a", skill="s", outcomes=(outcome("c"),)),),
         (GateResult(name="c", required=1.0, got=None, coverage=0.0, passed=False, checks=("c",)),),
         False),
    ],
)  # fmt: skip
def test_the_file_is_green_exactly_where_the_exit_code_is_zero(
    results: tuple[TestResult, ...], gates: tuple[GateResult, ...], green: bool
) -> None:
    evaluation = Evaluation(skill="s", results=results, gates=gates)
    kinds = {kind(case) for case in cases(evaluation).values()}
    assert (not kinds & {"Failure", "Error"}) is green
    assert (evaluation.exit_code == 0) is green


def test_it_is_valid_against_the_common_schema() -> None:
    SCHEMA.validate(render(demo(), "junit"))
    SCHEMA.validate(render(Evaluation(skill="", results=()), "junit"))


@pytest.mark.parametrize("name", NASTY)
def test_any_text_gives_valid_xml_that_shows_it(name: str) -> None:
    text = render(unfriendly(NASTY[name]), "junit")
    SCHEMA.validate(text)
    suite = next(iter(JUnitXml.fromstring(text.encode())))
    assert suite.failures == 1
    assert suite.errors == 4
    visible = NASTY[name].split()[0]
    if visible.isprintable() and "\u202e" not in visible:
        assert visible in suite.name


def test_a_control_character_is_written_as_its_escape() -> None:
    case = next(iter(cases(unfriendly("bell\x07"))))
    assert case == ("bell\\x07.bell\\x07", "tool_count")


def test_the_date_is_the_one_given() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert 'timestamp="2026-01-02T03:04:05"' in to_junit(demo(), now=now)
