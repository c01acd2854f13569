"""A gate passes on its figure and on full coverage, never on missing evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.gates import gates_concerning, judge_gates, parse_gate
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE


def result(
    test_id: str, *outcomes: Outcome, attempt: int = 1, error: str | None = None
) -> TestResult:
    return TestResult(test_id=test_id, skill="s", attempt=attempt, outcomes=outcomes, error=error)


def outcome(check: str, verdict: Verdict, score: float | None = None) -> Outcome:
    if score is None and verdict in (PASS, FAIL):
        score = 1.0 if verdict is PASS else 0.0
    return Outcome(check=check, verdict=verdict, score=score, rationale=f"{check} said {verdict}")


def gate(
    name: str, required: float, results: Sequence[TestResult], **options: object
) -> GateResult:
    (found,) = judge_gates({name: required}, results, **options)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("verdicts", "required", "got", "passed"),
    [
        ([PASS, PASS], 1.0, 1.0, True),
        ([PASS, FAIL], 0.5, 0.5, True),
        ([PASS, FAIL], 0.6, 0.5, False),
        ([FAIL, FAIL], 0.0, 0.0, True),
        ([PASS] * 9 + [FAIL], 0.9, 0.9, True),
    ],
)
def test_the_figure_of_a_check_is_its_pass_rate(
    verdicts: list[Verdict], required: float, got: float, passed: bool
) -> None:
    results = [result(f"t{i}", outcome("tool_count", v)) for i, v in enumerate(verdicts)]
    found = gate("tool_count", required, results)
    assert (found.passed, found.coverage) == (passed, 1.0)
    assert found.got == pytest.approx(got)


def test_the_figure_of_a_graded_check_is_its_mean_score() -> None:
    results = [
        result("a", outcome("pattern_adherence", PASS, 1.0)),
        result("b", outcome("pattern_adherence", FAIL, 0.8)),
    ]
    assert gate("pattern_adherence", 0.9, results).passed
    assert not gate("pattern_adherence", 0.91, results).passed


def test_so_is_that_of_a_graded_check_on_traces_and_on_sessions() -> None:
    for name in ("tool_trajectory", "session.tool_trajectory"):
        results = [result("a", outcome(name, PASS, 1.0)), result("b", outcome(name, FAIL, 0.5))]
        found = gate(name, 0.75, results)
        assert (found.passed, found.got) == (True, 0.75)
        assert not gate(name, 0.76, results).passed


def test_a_partial_score_of_a_yes_or_no_check_does_not_count() -> None:
    results = [result("a", outcome("tool_count", FAIL, 0.9))]
    assert gate("tool_count", 0.5, results).got == 0.0


@pytest.mark.parametrize("verdict", [UNKNOWN, ERROR])
def test_one_test_that_could_not_be_evaluated_fails_the_gate(verdict: Verdict) -> None:
    results = [
        result("a", outcome("tool_count", PASS)),
        result("b", outcome("tool_count", verdict)),
    ]
    found = gate("tool_count", 0.0, results)
    assert (found.passed, found.got, found.coverage) == (False, 1.0, 0.5)
    assert "not evaluated on 1: b #1: tool_count" in found.reason


def test_all_checks_errored_fails_the_gate() -> None:
    found = gate("tool_count", 0.0, [result(t, outcome("tool_count", ERROR)) for t in "ab"])
    assert (found.passed, found.got, found.coverage) == (False, None, 0.0)


def test_a_test_without_a_trace_fails_the_gate_of_its_trace_check() -> None:
    no_trace = Outcome(
        check="tool_count", verdict=UNKNOWN, score=0.0, misses=("No trace available",)
    )
    found = gate(
        "tool_count", 0.5, [result("a", outcome("tool_count", PASS)), result("b", no_trace)]
    )
    assert not found.passed


def test_a_test_that_broke_as_a_whole_fails_the_gate() -> None:
    results = [result("a", outcome("tool_count", PASS)), result("b", error="the file is gone")]
    found = gate("tool_count", 1.0, results)
    assert not found.passed
    assert "b #1: the file is gone" in found.reason


def test_a_check_judged_nowhere_fails_its_gate() -> None:
    for verdicts in ([], [NOT_APPLICABLE]):
        results = [result("a", *(outcome("tool_count", v) for v in verdicts))]
        found = gate("tool_count", 0.0, results)
        assert not found.passed
        assert "no test was judged by tool_count" in found.reason


def test_a_check_that_vanished_on_one_attempt_fails_its_gate() -> None:
    results = [result("a", outcome("tool_count", PASS)), result("a", attempt=2)]
    found = gate("tool_count", 1.0, results)
    assert not found.passed
    assert "a #2: tool_count gave no verdict" in found.reason


def test_a_test_that_expects_nothing_of_the_check_does_not_count() -> None:
    results = [
        result("a", outcome("tool_count", PASS)),
        result("b", outcome("required_tools", PASS)),
    ]
    assert gate("tool_count", 1.0, results).passed


@pytest.mark.parametrize("score", [math.nan, math.inf, -1.0, 2.0])
def test_a_score_that_is_no_share_never_passes(score: float) -> None:
    results = [result("a", Outcome(check="my_scorer", verdict=PASS, score=score))]
    found = gate("my_scorer", 0.0, results)
    assert (found.passed, found.got) == (False, None)


def test_no_results_at_all_fail_every_gate() -> None:
    found = gate("tool_count", 0.0, [])
    assert (found.passed, found.reason) == (False, "no test was evaluated")


def test_syntax_valid_stands_for_all_syntax_checks() -> None:
    results = [
        result("a", outcome("python_syntax", PASS), outcome("sql_syntax", NOT_APPLICABLE)),
        result("b", outcome("yaml_syntax", FAIL)),
    ]
    found = gate("syntax_valid", 1.0, results)
    assert (found.got, found.passed) == (0.5, False)
    assert set(found.checks) == {"python_syntax", "sql_syntax", "yaml_syntax"}


def test_an_error_in_one_member_fails_its_group() -> None:
    results = [result("a", outcome("python_syntax", PASS), outcome("sql_syntax", ERROR))]
    assert not gate("syntax_valid", 0.0, results).passed


def test_routing_accuracy_stands_for_skill_routing_accuracy() -> None:
    results = [result("a", outcome("skill_routing_accuracy", PASS))]
    assert gate("routing_accuracy", 1.0, results).checks == ("skill_routing_accuracy",)


@pytest.mark.parametrize(
    ("name", "groups", "passed"),
    [
        ("tier1_pass_rate", {}, False),
        ("tier1_pass_rate", {"tier1": ("python_syntax",)}, True),
        ("tier2_pass_rate", {}, True),
        ("tier3_pass_rate", {}, True),
        ("tier3_pass_rate", {"tier3": ("Safety", "Guidelines:tone")}, True),
    ],
)
def test_the_older_form_gates_on_tiers(
    name: str, groups: dict[str, tuple[str, ...]], passed: bool
) -> None:
    results = [
        result(
            "a",
            outcome("python_syntax", PASS),
            outcome("tool_count", FAIL),
            outcome("execution_success", PASS),
            outcome("safety", PASS),
            outcome("tone", PASS),
        )
    ]
    assert gate(name, 1.0, results, groups=groups).passed is passed


def test_mlflows_scorers_are_found_under_their_logged_name() -> None:
    results = [result("a", outcome("relevance_to_query", PASS))]
    assert gate("RelevanceToQuery", 1.0, results).passed


def test_a_gate_that_names_nothing_known_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"gate 'tool_cuont'.*did you mean 'tool_count'"):
        judge_gates({"tool_cuont": 1.0}, [])
    with pytest.raises(ConfigurationError, match="did you mean 'tool_count'"):
        judge_gates({"tool_limits": 1.0}, [])
    with pytest.raises(ConfigurationError, match="known: Completeness, Conv"):
        judge_gates({"zzzz": 1.0}, [])


@pytest.mark.parametrize("required", [math.nan, -0.1, 1.1, True])
def test_a_required_value_that_is_no_share_is_an_error(required: float) -> None:
    with pytest.raises(ConfigurationError, match="no number from 0 to 1"):
        judge_gates({"tool_count": required}, [])


def test_figures_next_to_the_required_one_are_not_rounded_to_it() -> None:
    nearly = GateResult(name="g", required=1.0, got=2999 / 3000, coverage=0.9996, passed=False)
    assert (nearly.shown, nearly.shown_coverage) == ("0.9997", "99%")
    assert replace(nearly, got=0.5).shown == "0.5"
    assert replace(nearly, got=1.0, coverage=1.0).shown_coverage == "100%"
    results = [result(f"t{n}", outcome("tool_count", PASS if n else FAIL)) for n in range(3000)]
    assert gate("tool_count", 1.0, results).reason == "0.9997 < 1"


def test_a_failed_gate_decides_the_exit_code() -> None:
    results = (result("a", outcome("tool_count", FAIL)),)
    for required, code in ((0.0, 0), (1.0, 1)):
        gates = judge_gates({"tool_count": required}, results)
        assert Evaluation(skill="s", results=results, gates=gates).exit_code == code


def test_an_unknown_verdict_under_a_gate_fails_the_run() -> None:
    results = (result("a", outcome("tool_count", UNKNOWN)),)
    gates = judge_gates({"tool_count": 0.0}, results)
    assert Evaluation(skill="s", results=results, gates=gates).exit_code == 1


@pytest.mark.parametrize(
    ("text", "parsed"), [("tool_count=0.9", ("tool_count", 0.9)), (" a = 1 ", ("a", 1.0))]
)
def test_fail_under_is_name_and_value(text: str, parsed: tuple[str, float]) -> None:
    assert parse_gate(text) == parsed


@pytest.mark.parametrize("text", ["tool_count", "=1", "a=", "a=x", "a=1.1", "a=nan", "a=90%"])
def test_fail_under_refuses_anything_else(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--fail-under"):
        parse_gate(text)


@pytest.mark.parametrize(("count", "more"), [(3, False), (4, True)])
def test_a_reason_names_three_tests_and_says_that_there_are_more(count: int, more: bool) -> None:
    results = [result(f"t{n}", outcome("tool_count", UNKNOWN)) for n in range(count)]
    reason = gate("tool_count", 0.5, results).reason
    assert reason.startswith(f"not evaluated on {count}: t0 #1: ")
    assert ("t2 #1" in reason, "t3 #1" in reason) == (True, False)
    assert reason.endswith("; …") == more


def test_a_reason_gives_the_verdict_where_there_is_no_rationale() -> None:
    silent = Outcome(check="tool_count", verdict=UNKNOWN)
    assert gate("tool_count", 0.5, [result("a", silent)]).reason.endswith("tool_count: unknown")
    said = gate("tool_count", 0.5, [result("a", outcome("tool_count", UNKNOWN))]).reason
    assert said.endswith("tool_count: tool_count said unknown")


def test_the_gate_on_whole_tests_says_what_broke_one() -> None:
    broken = result("a", error="its trace is gone")
    assert gate("pass_rate", 0.5, [broken]).reason.endswith("a #1: its trace is gone")
    open_test = result("b", outcome("tool_count", UNKNOWN))
    assert gate("pass_rate", 0.5, [open_test]).reason.endswith("b #1: unknown")


def test_of_tiers_without_groups_the_second_is_execution_and_the_third_the_rest() -> None:
    results = [
        result(
            "a",
            outcome("tool_count", PASS),
            outcome("execution_success", FAIL),
            outcome("my_own_judge", PASS),
        )
    ]
    found = {name: gate(name, 0.5, results) for name in ("tier2_pass_rate", "tier3_pass_rate")}
    assert found["tier2_pass_rate"].checks == ("execution_success",)
    assert not found["tier2_pass_rate"].passed
    assert found["tier3_pass_rate"].checks == ("my_own_judge",)
    assert found["tier3_pass_rate"].passed


def test_gates_on_what_is_not_judged_are_named_apart() -> None:
    gates = {"tool_count": 0.9, "syntax_valid": 0.8, "tier1_pass_rate": 0.7}
    groups = {"tier1": ["token_budget"]}
    kept, others = gates_concerning(gates, ["tool_count", "python_syntax"], groups=groups)
    assert kept == {"tool_count": 0.9, "syntax_valid": 0.8}
    assert others == ("tier1_pass_rate",)
