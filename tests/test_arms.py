"""With and without the skill: differences, intervals, and a verdict that claims no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skilltrace_mlflow.arms import Arms, compare_arms
from skilltrace_mlflow.checks import Outcome
from skilltrace_mlflow.figures import Figures
from skilltrace_mlflow.report import render
from skilltrace_mlflow.results import Evaluation, TestResult


def result(
    test: str, attempt: int, arm: str, passed: bool, *, loaded: bool | None = None, tokens: int = 10
) -> TestResult:
    outcomes = [Outcome.of(passed)]
    checks = ["file_existence"]
    if loaded is not None:
        outcomes.append(Outcome.of(loaded))
        checks.append("required_skills")
    return TestResult(
        test_id=test,
        skill="s",
        attempt=attempt,
        arm=arm,
        outcomes=tuple(replace(o, check=c) for o, c in zip(outcomes, checks, strict=True)),
        numbers=Figures({"total_tokens": tokens, "cost_usd": None}),
    )


def compared(with_: list[TestResult], without: list[TestResult]) -> Arms:
    evaluation = Evaluation(skill="s", results=tuple(with_), without=tuple(without))
    arms = compare_arms(evaluation)
    assert arms is not None
    return arms


def series(arm: str, passes: list[bool], test: str = "a") -> list[TestResult]:
    return [result(test, n, arm, passed) for n, passed in enumerate(passes, start=1)]


@pytest.mark.parametrize(
    ("with_", "without", "verdict"),
    [
        ([True] * 5, [False] * 5, "helps"),
        ([False] * 5, [True] * 5, "harms"),
        ([True] * 5, [True] * 5, "no difference shown"),
        ([True], [False], "no difference shown"),
        ([True, False, True], [False, True, False], "no difference shown"),
    ],
)
def test_the_verdict(with_: list[bool], without: list[bool], verdict: str) -> None:
    assert compared(series("with", with_), series("without", without)).verdict == verdict


def test_checks_of_the_skill_itself_do_not_decide() -> None:
    arms = compared(
        [result("a", n, "with", True, loaded=True) for n in (1, 2, 3, 4, 5)],
        [result("a", n, "without", True, loaded=False) for n in (1, 2, 3, 4, 5)],
    )
    assert arms.verdict == "no difference shown"
    (row,) = (row for row in arms.checks if row.name == "required_skills")
    assert row.of_the_skill
    assert row.difference == 1.0


def test_figures_are_paired_by_test() -> None:
    # Tests differ much more than the arms do: only pairs show it.
    with_ = [result(f"t{n}", 1, "with", True, tokens=1000 * n + 10) for n in range(1, 7)]
    without = [result(f"t{n}", 1, "without", True, tokens=1000 * n + n) for n in range(1, 7)]
    (tokens,) = (row for row in compared(with_, without).figures if row.name == "tokens")
    assert tokens.pairs == 6
    assert tokens.difference == pytest.approx(6.5)
    assert tokens.interval is not None
    assert 0 < tokens.interval[0] < 6.5 < tokens.interval[1] < 20


def test_what_could_not_be_judged_is_no_pair() -> None:
    lost = replace(result("b", 1, "without", True), error="model_error: 529", outcomes=())
    arms = compared(
        [result("a", 1, "with", True), result("b", 1, "with", True)],
        [result("a", 1, "without", True), lost],
    )
    assert arms.checks[0].pairs == 1


@given(
    with_=st.lists(st.booleans(), min_size=1, max_size=12),
    without=st.lists(st.booleans(), min_size=1, max_size=12),
)
def test_intervals_hold_the_difference_and_turn_with_the_arms(
    with_: list[bool], without: list[bool]
) -> None:
    row = compared(series("with", with_), series("without", without)).checks[0]
    turned = compared(series("with", without), series("without", with_)).checks[0]
    assert row.difference is not None
    assert row.interval is not None
    assert turned.interval is not None
    assert -1 <= row.interval[0] <= row.difference <= row.interval[1] <= 1
    assert row.interval[1] - row.interval[0] > 0, "no number of attempts gives certainty"
    assert turned.interval == pytest.approx((-row.interval[1], -row.interval[0]))


def test_both_arms_stand_beside_each_other_in_every_report() -> None:
    evaluation = Evaluation(
        skill="s",
        results=tuple(series("with", [True] * 5)),
        without=tuple(series("without", [False] * 5)),
    )
    assert evaluation.exit_code == 0, "the other arm decides nothing"
    for form in ("table", "markdown", "html", "json"):
        text = render(evaluation, form)
        assert "helps" in text, form
        assert "1.000" in text or '"difference": 1.0' in text, form
    lines = render(evaluation, "jsonl").splitlines()
    assert sum('"arm": "without"' in line or '"arm":"without"' in line for line in lines) == 5
