"""Figures of a session, and that a lower bound is never written as if it were exact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.comparison.compare import compare_results
from skilltrace_mlflow.comparison.records import read_results, records_of
from skilltrace_mlflow.evaluate._present import run_metrics
from skilltrace_mlflow.figures import FIGURES, figures, shown_figure
from skilltrace_mlflow.report import render
from skilltrace_mlflow.report.comparison import figure_rows
from skilltrace_mlflow.report.html import to_html
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.session import TokenUsage
from tests.builders import make_session

USAGE = TokenUsage(input_tokens=1_200, output_tokens=34)


def _result(test_id: str, *, complete: bool = True, calls: int = 1) -> TestResult:
    session = make_session(["Read"] * calls, usage=USAGE, usage_complete=complete)
    passed = Outcome(check="required_tools", verdict=Verdict.PASS, score=1.0)
    return TestResult(test_id=test_id, skill="s", outcomes=(passed,), session=session)


def _evaluation(*results: TestResult) -> Evaluation:
    return Evaluation(skill="s", results=results)


def test_lost_usage_makes_tokens_and_cost_lower_bounds() -> None:
    found = figures(make_session(["Read"], usage=USAGE, usage_complete=False))
    assert found.at_least == {"total_tokens", "input_tokens", "output_tokens", "cost_usd"}
    assert found.shown("total_tokens") == "at least 1,234"
    assert found.shown("tool_calls") == "1"
    assert found.to_dict()["at_least"] == sorted(found.at_least)


def test_a_gap_in_the_record_makes_counts_lower_bounds() -> None:
    found = figures(make_session(["Read"], usage=USAGE, incomplete=("line 3 is not JSON",)))
    assert {"tool_calls", "turns", "total_tokens"} <= found.at_least
    assert found.shown("tool_calls") == "at least 1"


def test_a_cost_that_the_record_states_is_exact() -> None:
    found = figures(make_session(usage=USAGE, usage_complete=False, cost_usd=0.25))
    assert found.shown("cost_usd") == "$0.2500"


def test_a_whole_record_has_no_lower_bound() -> None:
    found = figures(make_session(["Read"], usage=USAGE))
    assert found.at_least == frozenset()
    assert set(found.to_dict()) == set(FIGURES)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("total_tokens", 1_234_567, "1,234,567"),
        ("tool_calls", 7.5, "7.5"),
        ("duration_seconds", 0.25, "250 ms"),
        ("duration_seconds", 5.04, "5.0 s"),
        ("duration_seconds", 300.0, "5.0 min"),
        ("cost_usd", 0.001755, "$0.0018"),
    ],
)
def test_figures_are_written_in_one_style(name: str, value: float, text: str) -> None:
    assert shown_figure(name, value) == text
    assert shown_figure(name, value, at_least=True) == f"at least {text}"


def test_markdown_and_lines_say_which_figures_are_lower_bounds() -> None:
    evaluation = _evaluation(_result("t", complete=False))
    assert "at least 1,234" in render(evaluation, "markdown")
    line = json.loads(render(evaluation, "jsonl"))
    assert "total_tokens" in line["metrics"]["at_least"]


def test_the_report_says_so_too_and_its_median_is_the_middle() -> None:
    results = [_result(f"t{n}", calls=n, complete=n != 6) for n in (6, 9)]
    results += [_result(f"u{n}", calls=n) for n in (6, 9)]
    page = to_html(_evaluation(*results))
    assert "median 7.5, from 6 to 9, 4 tests" in page
    assert "at least 1,234 tokens" in page
    assert "lower bounds in 1 of them" in page


def test_a_result_read_back_keeps_its_lower_bounds(tmp_path: Path) -> None:
    evaluation = _evaluation(_result("t", complete=False))
    path = tmp_path / "r.jsonl"
    path.write_text(render(evaluation, "jsonl"), encoding="utf-8")
    assert read_results(path) == records_of(evaluation)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(True, True, "same"), (False, True, "unknown"), (True, False, "unknown")],
)
def test_a_comparison_with_a_lower_bound_is_not_certain(
    before: bool, after: bool, verdict: str
) -> None:
    a, b = (records_of(_evaluation(_result("t", complete=side))) for side in (before, after))
    comparison = compare_results(a, b)
    tokens = next(f for f in comparison.figures if f.name == "total_tokens")
    assert tokens.verdict == verdict
    row = next(row for row in figure_rows(comparison.figures) if row[0] == "tokens")
    assert [cell.startswith("at least") for cell in row[1:3]] == [not before, not after]


def test_a_check_that_says_yes_or_no_counts_as_such_in_a_mean() -> None:
    half = Outcome(check="required_tools", verdict=Verdict.FAIL, score=0.5)
    graded = Outcome(check="tool_trajectory", verdict=Verdict.FAIL, score=0.5)
    found = run_metrics([TestResult(test_id="t", skill="s", outcomes=(half, graded))])
    assert found["required_tools/mean"] == 0.0
    assert found["tool_trajectory/mean"] == 0.5
