"""The statistics over attempts, against values known from elsewhere and by enumeration."""

from __future__ import annotations

from itertools import combinations

import pytest

from skilltrace_mlflow.attempts import (
    attempt_metrics,
    attempt_stats,
    clustered_interval,
    pass_at_k,
    pass_hat_k,
    wilson_interval,
)
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.results import TestResult


def results(**cases: str) -> list[TestResult]:
    """One letter per attempt: p(ass), f(ail), u(nknown), e(rror)."""
    verdicts = {"p": Verdict.PASS, "f": Verdict.FAIL, "u": Verdict.UNKNOWN, "e": Verdict.ERROR}
    return [
        TestResult(
            test_id=name,
            skill="s",
            attempt=number,
            outcomes=(Outcome(check="c", verdict=verdicts[letter]),),
        )
        for name, letters in cases.items()
        for number, letter in enumerate(letters, start=1)
    ]


@pytest.mark.parametrize(("n", "c"), [(n, c) for n in range(1, 7) for c in range(n + 1)])
def test_pass_at_k_and_pass_hat_k_equal_the_enumeration_of_all_draws(n: int, c: int) -> None:
    attempts = [True] * c + [False] * (n - c)
    for k in range(1, n + 1):
        draws = list(combinations(attempts, k))
        assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))
        assert pass_hat_k(n, c, k) == pytest.approx(sum(map(all, draws)) / len(draws))


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 0), (3, 1, 4)])
def test_estimators_refuse_what_cannot_be_drawn(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="between"):
        pass_at_k(n, c, k)
    with pytest.raises(ValueError, match="between"):
        pass_hat_k(n, c, k)


@pytest.mark.parametrize(
    ("passed", "attempts", "low", "high"),
    [  # R: prop.test(x, n, correct = FALSE)$conf.int
        (8, 10, 0.4901625, 0.9433178),
        (0, 10, 0.0, 0.2775328),
        (10, 10, 0.7224672, 1.0),
        (1, 2, 0.0945312, 0.9054688),
    ],
)
def test_wilson_interval_is_the_score_interval(
    passed: int, attempts: int, low: float, high: float
) -> None:
    assert wilson_interval(passed, attempts) == pytest.approx((low, high), abs=1e-6)


def test_no_attempts_leave_the_rate_open() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert clustered_interval([]) == (0.0, 1.0)


def test_attempts_that_agree_within_cases_widen_the_interval() -> None:
    """Five cases of ten equal attempts say as much as five attempts, not as fifty."""
    equal = clustered_interval([(10, 10), (10, 10), (10, 10), (0, 10), (0, 10)])
    low, high = wilson_interval(30, 50)
    assert equal[0] < low
    assert equal[1] > high
    assert clustered_interval([(6, 10)] * 5) == pytest.approx((low, high))
    assert clustered_interval([(10, 10)] * 5) == pytest.approx(wilson_interval(5, 5))


def test_single_attempts_give_nearly_the_plain_interval() -> None:
    clustered = clustered_interval([(1, 1)] * 30 + [(0, 1)] * 20)
    assert clustered == pytest.approx(wilson_interval(30, 50), abs=0.002)


def test_an_attempt_that_could_not_be_judged_did_not_pass() -> None:
    stats = attempt_stats(results(a="ppuf", b="pppp"))
    a, b = stats.cases
    assert (a.attempts, a.passed, a.unjudged, a.pass_rate) == (4, 2, 1, 0.5)
    assert (b.passed, b.unjudged) == (4, 0)
    assert stats.pass_rate == 0.75
    assert stats.pass_at[1] == 0.75
    assert stats.pass_hat[4] == 0.5


def test_k_goes_no_further_than_the_case_with_the_fewest_attempts() -> None:
    assert sorted(attempt_stats(results(a="pp", b="ppp")).pass_at) == [1, 2]


def test_metrics_name_pass_at_k_only_where_there_are_several_attempts() -> None:
    single = attempt_metrics(results(a="p", b="f"))
    assert single["pass_rate"] == 0.5
    assert single["test_cases"] == 2
    assert not [name for name in single if name.startswith("pass_at")]
    several = attempt_metrics(results(a="pf", b="pp"))
    assert several["pass_at_2"] == 1.0
    assert several["pass_hat_2"] == 0.5
    assert several["attempts"] == 4
    assert attempt_metrics([]) == {}


def test_many_attempts_show_a_few_k() -> None:
    names = [n for n in attempt_metrics(results(a="p" * 40)) if n.startswith("pass_at")]
    assert names == [f"pass_at_{k}" for k in (1, 2, 3, 4, 5, 6, 7, 8, 21, 40)]
