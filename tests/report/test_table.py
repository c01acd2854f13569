"""The terminal's table: problems first, inside the terminal's width, with a summary line."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from skilltrace_mlflow.checks import CallRef
from skilltrace_mlflow.report import render, render_table
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from tests.report.evaluations import demo, large, outcome


def lines(**options: object) -> list[str]:
    return render(demo(), "table", **options).splitlines()  # type: ignore[arg-type]


def test_what_broke_and_what_the_agent_did_stand_in_the_first_lines() -> None:
    first, second = lines(width=140)[:2]
    assert first == "FAIL  orders_create_gone_wrong  3 of 4 checks failed, 1 in error"
    assert second.split() == [
        *("FAIL", "banned_tools", '"rm', '-rf":', "Bash", "ran"),
        *('"cd', "checkpoints", "&&", "rm", "-r", "-f", 'orders"', "(call", "3)"),
    ]


def test_failures_come_before_errors_before_unknowns_before_passes() -> None:
    shown = [line.split() for line in lines(width=140)]
    tests = [words[:2] for words in shown if words and words[0] in ("FAIL", "ERROR", "UNKNOWN")]
    assert tests == [
        ["FAIL", "orders_create_gone_wrong"],
        ["FAIL", "banned_tools"],
        ["FAIL", "tool_count"],
        ["FAIL", "tool_trajectory"],
        ["ERROR", "cost_budget"],
        ["ERROR", "no_trace:"],
        ["UNKNOWN", "orders_create"],
        ["UNKNOWN", "cost_budget"],
    ]
    assert [words[1] for words in shown if words and words[0] == "pass"] == [
        "banned_tools,",  # what a test passed that did not pass stands with it
        "payments:",
    ]


def test_a_line_sums_up() -> None:
    assert lines(width=200)[-1] == "look: https://mlflow.example"
    assert lines(width=200)[-2] == (
        "FAILED  bronze-ingestion · 4 tests: 1 failed, 1 in error, 1 unknown, 1 passed · "
        "10 checks: 3 failed, 1 in error, 1 unknown, 5 passed · 2 gates: 1 failed"
    )


@pytest.mark.parametrize("width", [40, 59, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for line in lines(width=width):
        alone = len(line.removeprefix("look:").split()) == 1  # a name is never broken
        assert len(line) <= width or alone or line.startswith("MLflow run ")


def test_a_narrow_terminal_still_names_check_and_test() -> None:
    text = " ".join(" ".join(lines(width=40)).split())
    assert (
        "FAIL orders_create_gone_wrong 3 of 4 checks failed, 1 in error FAIL banned_tools" in text
    )


def test_the_gates_table_shows_required_and_got() -> None:
    row = next(line for line in lines(width=140) if line.startswith("banned_tools "))
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
    assert "… and 900 more tests" in text
    assert "most: c: 2 > 1 · 1,000 tests" in text
    assert "1,000 tests: 1,000 failed" in text


def test_passes_of_many_tests_are_counted_not_listed() -> None:
    text = render(large(tests=200, checks=2, calls=1), "table", width=100)
    assert "… and 170 more tests passed" in text


IDS = (
    "test_orders[very-long-parameter-" + "x" * 90 + "]",
    "订单管道创建测试_长标识符_没有空格_用于检查换行",
    "اختبار-إنشاء-خط-الأنابيب-الطويل-جدا-للطلبات",
    "a" * 300,
)


@pytest.mark.parametrize("width", [20, 60, 80, 200])
@pytest.mark.parametrize("test_id", IDS)
def test_no_id_is_ever_broken(test_id: str, width: int) -> None:
    checks = (outcome(f"check_{'y' * 40}", "fail", rationale="too much"), outcome("other"))
    bad = TestResult(test_id=test_id, skill="s", outcomes=checks)
    both = Evaluation(
        skill="s",
        results=(bad, replace(bad, attempt=2, outcomes=(outcome("other"),))),
        gates=(GateResult(name="check_" + "y" * 40, required=1, got=0, coverage=1, passed=False),),
    )
    shown = render(both, "table", width=width).split("\n")
    names = (f"{test_id} #1", f"{test_id} #2", "check_" + "y" * 40)
    for name in names:
        assert any(name in line for line in shown), name
    wide = [line for line in shown if cell_len(line) > width]
    assert all(any(name in line for name in names) or len(line.split()) == 1 for line in wide)


def test_attempts_without_a_trace_are_one_line() -> None:
    judged = tuple(outcome(name, "unknown", rationale="No trace available") for name in "abcde")
    note = "No trace available: 1 of 4 attempts were found"
    first = TestResult(test_id="t", skill="s", outcomes=(outcome("a"),))
    lost = [
        TestResult(test_id="t", skill="s", attempt=n, outcomes=judged, notes=(note,))
        for n in (2, 3, 4)
    ]
    text = render(Evaluation(skill="s", results=(first, *lost)), "table", width=120)
    (line,) = [line for line in text.split("\n") if "No trace available" in line]
    assert line == f"UNKNOWN  t #2, #3, #4: {note} (5 checks not judged)"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("sqlite:///s.db", "mlflow ui --backend-store-uri sqlite:///s.db"),
        ("/tmp/my runs", "mlflow ui --backend-store-uri '/tmp/my runs'"),
        ("http://u:p@h:5000", "http://h:5000/#/experiments/7/runs/r1"),
    ],
)
def test_the_last_lines_say_where_to_look(uri: str, said: str) -> None:
    judged = (outcome("c", "fail", calls=(CallRef(number=3, call_id="x", tool="Bash"),)),)
    result = TestResult(test_id="t", skill="s", outcomes=judged, source="a b.jsonl")
    evaluation = Evaluation(
        skill="s", results=(result,), run_id="r1", experiment_id="7", tracking_uri=uri
    )
    text = render(evaluation, "table", width=40, report=Path("r.html"))
    at = text.index("look: r.html\n      skilltrace-mlflow show 'a b.jsonl' --call 3\n")
    assert said in text[at:].split("\n")[2]
    assert text.rstrip().endswith("/#/experiments/7/runs/r1")
