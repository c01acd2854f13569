"""The terminal's table: problems first, inside the terminal's width, with a summary line."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from skilltrace_mlflow.report import render, render_table
from skilltrace_mlflow.results import Evaluation, TestResult
from tests.report.evaluations import demo, large, outcome


def lines(**options: object) -> list[str]:
    return render(demo(), "table", **options).splitlines()  # type: ignore[arg-type]


def test_what_broke_and_what_the_agent_did_stand_in_the_first_row() -> None:
    first = next(line for line in lines(width=140) if line.startswith("FAIL"))
    assert "banned_tools" in first
    assert 'Bash ran "cd checkpoints && rm -r -f orders" (call 3)' in first
    assert "orders_create_gone_wrong" in first


def test_failures_come_before_errors_before_unknowns_before_passes() -> None:
    words = [line.split()[0] for line in lines(width=140) if line]
    verdicts = [w for w in words if w in ("FAIL", "ERROR", "UNKNOWN", "pass")]
    assert verdicts == ["FAIL"] * 3 + ["ERROR"] * 2 + ["UNKNOWN"] + ["pass"] * 2


def test_the_last_line_sums_up() -> None:
    assert lines(width=200)[-1] == (
        "FAILED  bronze-ingestion · 4 tests: 1 failed, 1 in error, 1 unknown, 1 passed · "
        "10 checks: 3 failed, 1 in error, 1 unknown, 5 passed · 2 gates: 1 failed"
    )


@pytest.mark.parametrize("width", [20, 40, 59, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, lines(width=width))) <= width


def test_a_narrow_terminal_still_names_check_and_test() -> None:
    text = " ".join(" ".join(lines(width=40)).split())
    assert "FAIL banned_tools in orders_create_gone_wrong" in text


def test_the_gates_table_shows_required_and_got() -> None:
    row = next(line for line in lines(width=140) if line.startswith("banned_tools"))
    assert row.split() == [
        "banned_tools",
        "1",
        "0.667",
        "75%",
        "FAIL",
        "2",
        "of",
        "3",
        "tests",
        "passed",
    ]


def test_colours_only_when_asked() -> None:
    assert "\x1b[" not in render(demo(), "table", width=100)
    assert "\x1b[1;31mFAIL" in render(demo(), "table", width=100, color=True)


def test_a_given_console_gets_the_same_lines() -> None:
    stream = io.StringIO()
    render_table(demo(), Console(file=stream, width=100, markup=False, emoji=False))
    assert [line.rstrip() for line in stream.getvalue().split("\n")] == render(
        demo(), "table", width=100
    ).split("\n")


@pytest.mark.parametrize(
    ("results", "word"),
    [
        ((), "NOT FULLY JUDGED"),
        ((TestResult(test_id="a", skill="s"),), "NOT FULLY JUDGED"),
        ((TestResult(test_id="a", skill="s", outcomes=(outcome("c"),)),), "PASSED"),
        ((TestResult(test_id="a", skill="s", outcomes=(outcome("c", "fail"),)),), "FAILED"),
        ((TestResult(test_id="a", skill="s", outcomes=(outcome("c", "unknown"),)),),
         "NOT FULLY JUDGED"),
        ((TestResult(test_id="a", skill="s", error="x", bad_input=True),), "UNREADABLE INPUT"),
    ],
)  # fmt: skip
def test_the_summary_agrees_with_the_exit_code(results: tuple[TestResult, ...], word: str) -> None:
    last = render(Evaluation(skill="s", results=results), "table", width=200).splitlines()[-1]
    assert last.startswith(f"{word}  s · ")


def test_attempts_are_told_apart() -> None:
    result = TestResult(test_id="a", skill="s", outcomes=(outcome("c", "fail"),))
    both = Evaluation(skill="s", results=(result, replace(result, attempt=2)))
    text = render(both, "table", width=100)
    assert "a #1" in text
    assert "a #2" in text


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_figures_over_attempts_are_shown_where_there_are_several(form: str) -> None:
    verdicts = {"a": "pass pass fail", "b": "pass unknown unknown"}
    results = tuple(
        TestResult(
            test_id=test_id,
            skill="s",
            attempt=number,
            outcomes=(outcome("tool_count", verdict),),
        )
        for test_id, row in verdicts.items()
        for number, verdict in enumerate(row.split(), start=1)
    )
    text = render(Evaluation(skill="s", results=results), form).replace("\\", "")
    shown = [" ".join(line.replace("|", " ").split()) for line in text.splitlines()]
    assert "a 2 of 3 0.667 0.208 to 0.939" in shown
    assert "b 1 of 3 (2 not judged) 0.333 0.061 to 0.792" in shown
    assert "pass rate 0.500" in text
    assert "pass@2 0.833, pass^2 0.167" in " ".join(shown)
    once = Evaluation(skill="s", results=results[:1])
    assert "pass rate" not in render(once, form)


def test_a_thousand_failing_tests_do_not_flood_the_terminal() -> None:
    results = tuple(
        TestResult(test_id=f"t{n}", skill="s", outcomes=(outcome("c", "fail", rationale="2 > 1"),))
        for n in range(1_000)
    )
    text = render(Evaluation(skill="s", results=results), "table", width=100)
    assert len(text.splitlines()) < 220
    assert "… and 800 more" in text
    assert "1,000 tests: 1,000 failed" in text


def test_passes_of_many_tests_are_counted_not_listed() -> None:
    text = render(large(tests=200, checks=2, calls=1), "table", width=100)
    assert "… and passes in 170 more tests" in text
