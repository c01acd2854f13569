"""Two evaluations side by side: kinds of change, what is a regression, and the statistics."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skilltrace_mlflow.comparison.compare import Comparison, compare_results
from skilltrace_mlflow.comparison.paired import (
    bootstrap_interval,
    mcnemar_exact,
    paired_difference_interval,
)
from skilltrace_mlflow.comparison.records import CheckRecord, ResultRecord, records_of
from skilltrace_mlflow.report import render_comparison
from tests.report.evaluations import demo


def record(test_id: str = "t", attempt: int = 1, skill: str = "s", **checks: Any) -> ResultRecord:
    """A result whose checks are verdicts, or (verdict, score); `figures=` are its numbers."""
    figures = checks.pop("figures", {})
    verdict = checks.pop("verdict", "pass")
    made = {
        name: CheckRecord(verdict=value[0], score=value[1])
        if isinstance(value, tuple)
        else CheckRecord(verdict=value)
        for name, value in checks.items()
    }
    return ResultRecord(
        test_id=test_id, attempt=attempt, skill=skill, verdict=verdict, checks=made, figures=figures
    )


def kinds(comparison: Comparison) -> list[tuple[str, str | None, str, bool]]:
    return [(c.test_id, c.check, c.kind, c.regression) for c in comparison.changes]


@pytest.mark.parametrize(
    ("before", "after", "kind", "regression"),
    [
        ("pass", "fail", "worse", True),
        ("pass", "unknown", "worse", True),
        ("pass", "error", "worse", True),
        ("fail", "pass", "better", False),
        ("unknown", "pass", "better", False),
        ("error", "pass", "better", False),
        ("fail", "unknown", "changed", False),
        ("unknown", "fail", "changed", False),
        ("fail", "error", "changed", False),
        (("fail", 0.5), ("fail", 0.25), "changed", False),
        (("pass", 1.0), ("pass", 0.9), "changed", False),
    ],
)
def test_a_verdict_that_changed_is_named(
    before: Any, after: Any, kind: str, regression: bool
) -> None:
    comparison = compare_results([record(c=before)], [record(c=after)])
    assert kinds(comparison) == [("t", "c", kind, regression)]
    assert bool(comparison.regressions) is regression


@pytest.mark.parametrize("verdict", ["pass", "fail", "unknown", "error"])
def test_the_same_verdict_is_no_change(verdict: str) -> None:
    comparison = compare_results([record(c=(verdict, 0.5))], [record(c=(verdict, 0.5))])
    assert comparison.changes == ()
    assert comparison.regressions == ()


@pytest.mark.parametrize("verdict", ["pass", "fail", "unknown"])
def test_a_check_or_a_test_that_vanished_is_a_regression_whatever_it_was(verdict: str) -> None:
    both = record(c=verdict, d="pass")
    assert kinds(compare_results([both], [record(d="pass")])) == [("t", "c", "vanished", True)]
    gone = compare_results([both, record("u", c=verdict)], [both])
    assert kinds(gone) == [("u", None, "vanished", True)]


def test_what_is_new_is_no_regression_even_if_it_fails() -> None:
    comparison = compare_results(
        [record(c="pass")], [record(c="pass", d="fail"), record("u", c="fail", verdict="fail")]
    )
    assert kinds(comparison) == [("t", "d", "appeared", False), ("u", None, "appeared", False)]
    assert comparison.changes[1].after == "fail"
    assert comparison.regressions == ()


def test_a_test_that_can_no_longer_be_judged_is_a_regression() -> None:
    comparison = compare_results([record(c="pass")], [record(verdict="error")])
    assert kinds(comparison) == [("t", None, "worse", True), ("t", "c", "vanished", True)]


def test_regressions_come_first() -> None:
    before = [record("a", c="fail"), record("b", c="pass"), record("c", c="unknown")]
    after = [record("a", c="pass"), record("b", c="fail"), record("c", c="fail")]
    assert [c.kind for c in compare_results(before, after).changes] == [
        "worse",
        "changed",
        "better",
    ]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (["pass", "pass"], ["pass", "fail"], "worse"),
        (["pass", "fail"], ["fail", "pass"], None),
        (["fail", "fail"], ["fail", "pass"], "better"),
        (["pass"], ["pass", "pass", "pass"], None),
        (["pass", "pass"], ["pass", None], "worse"),  # an attempt that lost the check
    ],
)
def test_attempts_are_compared_by_their_pass_rate(
    before: list[str | None], after: list[str | None], kind: str | None
) -> None:
    def side(verdicts: list[str | None]) -> list[ResultRecord]:
        return [
            record(attempt=n, **({} if verdict is None else {"c": verdict}))
            for n, verdict in enumerate(verdicts, start=1)
        ]

    comparison = compare_results(side(before), side(after))
    assert [change.kind for change in comparison.changes] == ([] if kind is None else [kind])
    if kind == "worse":
        assert comparison.changes[0].after.endswith("1 of 2 attempts passed")


def test_a_renamed_skill_is_compared_but_two_skills_are_kept_apart() -> None:
    assert (
        compare_results([record(skill="a", c="pass")], [record(skill="b", c="pass")]).changes == ()
    )
    two = [record(skill="a", c="pass"), record(skill="b", c="fail")]
    assert kinds(compare_results(two, [two[0]])) == [("t", None, "vanished", True)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.dictionaries(
                st.sampled_from("xyz"), st.sampled_from(["pass", "fail", "unknown", "error"])
            ),
        ),
        unique_by=lambda pair: pair[0],
        max_size=3,
    )
)
def test_an_evaluation_does_not_differ_from_itself(
    tests: list[tuple[str, dict[str, str]]],
) -> None:
    records = [record(test_id, **checks) for test_id, checks in tests]
    comparison = compare_results(records, records)
    assert comparison.changes == ()
    assert comparison.regressions == ()


def figure_verdicts(before: list[float], after: list[float], tolerance: float = 0.1) -> list[str]:
    a, b = (
        [record(f"t{n}", figures={"total_tokens": value}) for n, value in enumerate(side)]
        for side in (before, after)
    )
    return [f.verdict for f in compare_results(a, b, tolerance=tolerance).figures]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([100, 110, 90, 105], [150, 160, 130, 150], "worse"),
        ([150, 160, 130, 150], [100, 110, 90, 105], "better"),
        ([100, 110, 90, 105], [104, 114, 94, 109], "same"),  # below the tolerance
        ([100, 100, 100, 100], [20, 300, 30, 150], "same"),  # chance explains it
        ([100], [150], "worse"),
        ([100], [105], "same"),
        ([0, 0], [5, 5], "worse"),
        ([0], [0], "same"),
    ],
)
def test_more_tokens_is_worse_if_it_is_more_than_tolerance_and_chance(
    before: list[float], after: list[float], verdict: str
) -> None:
    assert figure_verdicts(before, after) == [verdict]


def test_the_tolerance_is_the_callers() -> None:
    assert figure_verdicts([100], [105], tolerance=0.0) == ["worse"]
    assert figure_verdicts([100], [190], tolerance=1.0) == ["same"]


def test_only_tests_that_have_the_figure_in_both_are_paired() -> None:
    before = [record("a", figures={"tool_calls": 10}), record("b", figures={"tool_calls": 99})]
    after = [record("a", figures={"tool_calls": 12}), record("b")]
    (figure,) = compare_results(before, after).figures
    assert (figure.name, figure.pairs, figure.before, figure.after) == ("tool_calls", 1, 10, 12)
    assert figure.interval is None
    assert figure.relative == pytest.approx(0.2)


def test_a_check_is_paired_over_the_tests_judged_in_both() -> None:
    before = [record(name, c=v) for name, v in zip("abcdef", "PPPFUP", strict=True)]
    after = [record(name, c=v) for name, v in zip("abcdef", "PFFPPU", strict=True)]
    words = {"P": "pass", "F": "fail", "U": "unknown"}
    sides = [
        [record(r.test_id, c=words[r.checks["c"].verdict]) for r in side]
        for side in (before, after)
    ]
    (check,) = compare_results(*sides).checks
    assert (check.pairs, check.lost, check.gained, check.unpaired) == (4, 2, 1, 2)
    assert (check.before_passed, check.before_judged) == (4, 5)
    assert (check.after_passed, check.after_judged) == (3, 5)
    assert check.effect == pytest.approx(-0.25)
    assert check.p_value == 1.0
    assert check.interval is not None
    assert check.interval[0] < -0.25 < check.interval[1]
    assert check.counts == {"worse": 3, "vanished": 0, "changed": 0, "better": 2, "appeared": 0}


@pytest.mark.parametrize(("lost", "gained"), list(itertools.product(range(7), range(7))))
def test_mcnemar_is_the_sum_over_all_ways_the_coins_can_fall(lost: int, gained: int) -> None:
    total = lost + gained
    falls = [sum(fall) for fall in itertools.product((0, 1), repeat=total)]
    extreme = sum(abs(heads - total / 2) >= abs(lost - total / 2) for heads in falls)
    assert mcnemar_exact(lost, gained) == pytest.approx(extreme / len(falls))


def test_mcnemar_holds_for_thousands_of_pairs() -> None:
    assert mcnemar_exact(0, 5000) == 0.0
    assert mcnemar_exact(2500, 2500) == 1.0
    assert 0.04 < mcnemar_exact(2571, 2429) < 0.06


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ((36, 2, 12, 0), (0.0569, 0.3404)),  # the worked example of Newcombe's paper
        ((0, 0, 0, 54), (-0.0664, 0.0664)),
        ((54, 0, 0, 0), (-0.0664, 0.0664)),
    ],
)
def test_the_interval_of_paired_proportions_is_the_published_one(
    pairs: tuple[int, int, int, int], expected: tuple[float, float]
) -> None:
    assert paired_difference_interval(*pairs) == pytest.approx(expected, abs=5e-5)


@given(st.tuples(*[st.integers(0, 40)] * 4).filter(any))
def test_the_interval_holds_the_change_and_mirrors(pairs: tuple[int, int, int, int]) -> None:
    both, lost, gained, neither = pairs
    low, high = paired_difference_interval(both, lost, gained, neither)
    change = (gained - lost) / sum(pairs)
    assert -1.0 <= low <= change + 1e-12
    assert change - 1e-12 <= high <= 1.0
    mirrored = paired_difference_interval(both, gained, lost, neither)
    assert mirrored == pytest.approx((-high, -low))


def test_the_bootstrap_is_repeatable_and_near_the_normal_interval() -> None:
    values = [math.sin(n) * 10 + 3 for n in range(200)]
    interval = bootstrap_interval(values)
    assert interval is not None
    assert interval == bootstrap_interval(values)
    error = 1.96 * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    assert interval == pytest.approx((mean - error, mean + error), rel=0.1)


def test_one_pair_has_no_interval_and_equal_pairs_have_no_width() -> None:
    assert bootstrap_interval([1.0]) is None
    assert bootstrap_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)


def test_the_json_form_holds_everything_and_no_nan() -> None:
    before = records_of(demo())
    after = [record("orders_create", banned_tools="fail", verdict="fail"), record("new", c="pass")]
    comparison = compare_results(before, after, before_name="a", after_name="b")
    document = json.loads(render_comparison(comparison, "json"), parse_constant=pytest.fail)
    assert document["summary"] == {
        "worse": 1, "vanished": 6, "changed": 0, "better": 0, "appeared": 1,
    }  # fmt: skip
    assert document["changes"][0] == {
        "test_id": "orders_create",
        "skill": "s",
        "check": "banned_tools",
        "kind": "worse",
        "before": "pass",
        "after": "fail",
        "regression": True,
        "rationale": "",
    }
    assert len(document["regressions"]) == 7


def test_the_table_names_the_regression_and_sums_up() -> None:
    comparison = compare_results([record(c="pass")], [record(c="unknown")])
    lines = render_comparison(comparison, "table", width=120).splitlines()
    row = next(line for line in lines if line.startswith("worse"))
    assert row.split() == ["worse", "t", "c", "pass", "unknown"]
    assert lines[-1] == (
        "1 regression: 1 worse, 0 vanished, 0 better, 0 appeared, 0 changed otherwise; "
        "1 test in both"
    )
