"""Checks as MLflow scorers: what they take, what they give, and what MLflow makes of it."""

from __future__ import annotations

import math
import sys
from typing import Any

import mlflow
import pytest
from mlflow.entities import Feedback

from skilltrace_mlflow import scorers
from skilltrace_mlflow.checks import NO_TRACE, Outcome, Verdict, all_checks
from skilltrace_mlflow.errors import ConfigurationError, InputError
from skilltrace_mlflow.expectations import Manifest
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.responses import all_responses
from skilltrace_mlflow.scorers import (
    TRACE_SCORER_MAP,
    get_trace_scorers,
    make_scorer,
    outcome_to_feedback,
    tool_count,
    tool_trajectory,
    value_to_outcomes,
    wrap_custom,
)
from skilltrace_mlflow.session import Message
from tests.builders import make_session

LIMIT = {"tool_limits": {"Bash": 5}}


def test_every_check_is_a_scorer_of_this_module() -> None:
    for name in all_checks():
        assert getattr(scorers, name) is TRACE_SCORER_MAP[name]
        assert name in scorers.__all__
        assert TRACE_SCORER_MAP[name].name == name
    with pytest.raises(AttributeError, match="no_such_check"):
        _ = scorers.no_such_check


def test_the_plans_example() -> None:
    feedback = tool_count(trace={"tools": {"by_name": {"Bash": 10}}}, expectations=LIMIT)
    assert feedback.value == "no"
    assert "10 > 5" in feedback.rationale


def test_a_row_may_disable_a_bound_check_but_lifts_no_ban() -> None:
    bound = {"tool_limits": {"Bash": 1}, "banned_tools": ["Bash"]}
    by_name = {scorer.name: scorer for scorer in get_trace_scorers(bound)}
    trace = {"tools": {"by_name": {"Bash": 10}}}
    row = {"trace_expectations": {"disabled": ["tool_count", "banned_tools"]}}
    assert by_name["tool_count"](trace=trace, expectations=row) is None
    assert by_name["banned_tools"](trace=trace, expectations=row).value == "no"
    row = {"trace_expectations": {"disabled": ["bannd_tools"]}}
    with pytest.raises(ConfigurationError, match="banned_tools"):
        by_name["tool_count"](trace=trace, expectations=row)


@pytest.mark.parametrize("facts", ["abc", [" "], [3]])
def test_a_row_cannot_expect_what_no_file_could_say(facts: Any) -> None:
    facts_present = make_scorer(all_responses()["expected_facts_present"])
    with pytest.raises(ConfigurationError, match="expected_facts"):
        facts_present(outputs="a, b and c", expectations={"expected_facts": facts})


def test_the_last_text_of_a_record_with_gaps_is_not_taken_for_the_answer() -> None:
    facts_absent = make_scorer(all_responses()["expected_facts_present"])
    expected = {"unexpected_facts": ["DROP TABLE"]}
    message = Message(role="assistant", text="I will see.")
    whole = make_session(messages=(message,))
    assert facts_absent(trace=whole, expectations=expected).value == "yes"
    damaged = make_session(messages=(message,), incomplete=("line 9 is damaged",))
    feedback = facts_absent(trace=damaged, expectations=expected)
    assert feedback.error.error_code == "MISSING_EVIDENCE"
    assert "line 9 is damaged" in feedback.error.error_message
    without_agent = ("the transcript of sub-agent a1 is not at hand",)
    partial = make_session(messages=(message,), incomplete=without_agent)
    assert facts_absent(trace=partial, expectations=expected).value == "yes"
    given = facts_absent(trace=damaged, outputs="Done.", expectations=expected)
    assert given.value == "yes"


def test_every_kind_of_trace_gives_the_same_verdict() -> None:
    session = make_session(["Bash"] * 6)
    metrics = compute_metrics(session)
    for trace in (session, metrics, metrics.to_dict(), metrics.to_dict(inputs=True)):
        feedback = tool_count(trace=trace, expectations=LIMIT)
        assert feedback.value == "no"
        assert feedback.rationale.startswith("call 6 (")
        assert feedback.rationale.endswith("Bash: 6 > 5")
    with pytest.raises(InputError, match="got int"):
        tool_count(trace=3, expectations=LIMIT)
    with pytest.raises(InputError, match="'sools'"):
        tool_count(trace={"sools": {}}, expectations=LIMIT)


@pytest.mark.parametrize("trace", [None, {}])
def test_no_trace_is_an_error_assessment_and_no_value(trace: Any) -> None:
    for name, check in (("tool_count", LIMIT), ("banned_tools", {"banned_tools": ["Bash"]})):
        feedback = TRACE_SCORER_MAP[name](trace=trace, expectations=check)
        assert feedback.value is None
        assert feedback.error.error_code == "NO_TRACE"
        assert feedback.metadata["skilltrace.score"] == "0.0"
        assert NO_TRACE in feedback.rationale


def test_mlflows_own_trace_of_a_row_is_no_evidence(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the prompt and no tool call, so it would pass every ban."""
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    try:
        with mlflow.start_span("root_span") as span:
            span.set_inputs({"prompt": "do it"})
        trace = mlflow.get_trace(span.trace_id)
    finally:
        mlflow.set_tracking_uri(before)
    for given in (trace, trace.to_dict()):
        feedback = scorers.banned_tools(trace=given, expectations={"banned_tools": ["Bash"]})
        assert feedback.error.error_code == "NO_TRACE"


class TestExpectations:
    def test_keys_stand_directly_or_under_trace_expectations(self) -> None:
        session = make_session(["Bash"] * 6)
        for expectations in (LIMIT, {"trace_expectations": LIMIT}, {**LIMIT, "guidelines": ["x"]}):
            assert tool_count(trace=session, expectations=expectations).value == "no"

    def test_what_is_not_expected_is_not_logged(self) -> None:
        session = make_session(["Bash"] * 6)
        assert tool_count(trace=session, expectations={"required_tools": ["Read"]}) is None
        assert tool_count(trace=session, expectations=None) is None
        assert tool_count(trace=None, expectations={}) is None

    def test_a_typo_is_an_error_and_not_a_check_less(self) -> None:
        with pytest.raises(ConfigurationError, match="did you mean 'tool_limits'"):
            tool_count(trace=make_session(), expectations={"tool_limit": {"Bash": 1}})
        with pytest.raises(ConfigurationError, match="Bash"):
            tool_count(trace=make_session(), expectations={"tool_limits": {"Bash": "many"}})

    def test_those_bound_to_a_scorer_hold_for_every_row_and_bans_add_up(self) -> None:
        bound = {"banned_tools": ["Bash"], "tool_limits": {"Read": 1}}
        by_name = {item.name: item for item in get_trace_scorers(bound)}
        assert sorted(by_name) == ["banned_tools", "completion", "tool_count"]
        session = make_session(["Bash", "Read", "Read"])
        row = {"banned_tools": ["Write"], "tool_limits": {"Read": 9}}
        assert by_name["banned_tools"](trace=session, expectations=row).value == "no"
        assert by_name["tool_count"](trace=session, expectations=row).value == "yes"
        assert by_name["tool_count"](trace=session).value == "no"

    def test_a_manifest_gives_what_it_lists_and_expects_but_not_what_it_disables(self) -> None:
        manifest = Manifest(
            name="demo",
            enabled=("token_budget", "python_syntax"),
            trace_scorers=("tool_sequence",),
            disabled=("required_tools",),
            trace_expectations={**LIMIT, "required_tools": ["Read"]},
            session_expectations={"turn_limit": {"max_turns": 3}},
        )
        names = [item.name for item in get_trace_scorers(manifest)]
        assert names == ["completion", "token_budget", "tool_count", "tool_sequence"]
        session_level = get_trace_scorers(manifest, scope="session")
        assert [item.name for item in session_level] == [
            "session.completion",
            "session.turn_limit",
        ]
        assert session_level[1].is_session_level_scorer
        assert session_level[1](session=make_session(["Bash"])).value == "yes"
        for own in (LIMIT, {"session_expectations": LIMIT, "trace_expectations": {}}):
            _, item = get_trace_scorers(own, scope="session")
            feedback = item(session=make_session(["Bash"] * 6))
            assert (feedback.name, feedback.value) == ("session.tool_count", "no")
        with pytest.raises(ConfigurationError, match="write turn_limit"):
            make_scorer(all_checks()["turn_limit"], expectations=LIMIT, scope="session")
        with pytest.raises(ConfigurationError, match="needs a manifest"):
            get_trace_scorers(scope="session")


class TestFeedback:
    def test_graded_checks_give_their_score_and_say_what_passes(self) -> None:
        expected = {
            "tool_trajectory": {"mode": "in_order", "expected": [{"tool": "A"}, {"tool": "B"}]}
        }
        feedback = tool_trajectory(trace=make_session(["A"]), expectations=expected)
        assert feedback.value == 0.5
        assert feedback.metadata["skilltrace.verdict"] == "fail"
        assert tool_trajectory.pass_if(1.0)
        assert not tool_trajectory.pass_if(0.99)

    def test_a_threshold_bound_to_a_scorer_is_what_passes(self) -> None:
        trajectory = {"mode": "in_order", "expected": [{"tool": "A"}], "threshold": 0.5}
        (item,) = get_trace_scorers({"tool_trajectory": trajectory, "disabled": ["completion"]})
        assert item.pass_if(0.5)
        assert not item.pass_if(0.4)

    def test_nothing_that_ruins_a_store_leaves(self) -> None:
        outcome = Outcome(
            check="c",
            verdict=Verdict.FAIL,
            score=0.0,
            misses=tuple(f"miss \ud800 {n}" for n in range(50)),
            rationale="bad \ud800\0 text " + "x" * 100_000,
        )
        feedback = outcome_to_feedback(outcome)
        assert feedback is not None
        for text in (feedback.rationale, *feedback.metadata.values()):
            text.encode()
            assert "\0" not in text
            assert len(text) < 10_000
        assert feedback.to_proto().feedback

    def test_not_applicable_leaves_nothing(self) -> None:
        assert outcome_to_feedback(Outcome(check="c", verdict=Verdict.NOT_APPLICABLE)) is None


@pytest.mark.parametrize(
    ("value", "verdict", "score"),
    [
        (True, Verdict.PASS, 1.0),
        (False, Verdict.FAIL, 0.0),
        ("yes", Verdict.PASS, 1.0),
        ("No", Verdict.FAIL, 0.0),
        (1, Verdict.PASS, 1.0),
        (0.7, Verdict.FAIL, 0.7),
        (Feedback(name="feedback", value="yes"), Verdict.PASS, 1.0),
        (12, Verdict.UNKNOWN, None),
        ("great", Verdict.UNKNOWN, None),
        (math.nan, Verdict.ERROR, None),
        (math.inf, Verdict.ERROR, None),
        (Feedback(name="x", value=math.nan), Verdict.ERROR, None),
        ({"a": 1}, Verdict.ERROR, None),
        (Feedback(name="x", error=ValueError("boom")), Verdict.ERROR, None),
    ],
)
def test_what_other_peoples_scorers_say(value: Any, verdict: Verdict, score: float | None) -> None:
    (outcome,) = value_to_outcomes("mine", value)
    assert (outcome.verdict, outcome.score) == (verdict, score)


def test_a_predicate_decides_where_a_scorer_has_one() -> None:
    (outcome,) = value_to_outcomes("mine", 12, pass_if=lambda value: value > 10)
    assert outcome.verdict is Verdict.PASS
    (outcome,) = value_to_outcomes("mine", 12, pass_if=lambda value: value["x"])
    assert outcome.verdict is Verdict.ERROR


class TestCustomFunctions:
    def test_they_may_ask_for_our_evidence(self) -> None:
        def counts(session: Any, trace_summary: Any, expectations: Any) -> bool:
            calls: int = trace_summary.tool_calls_by_name["Bash"]
            return calls == len(session.tool_calls) == expectations["n"]

        item = wrap_custom(counts)
        assert item(trace=make_session(["Bash"] * 2), expectations={"n": 2}).value == "yes"
        missing = item(trace=None, expectations={"n": 2})
        assert missing.error.error_code == "NO_TRACE"

    def test_what_they_do_wrong_is_their_own_error(self) -> None:
        def raises() -> bool:
            raise RuntimeError("boom")

        def gives_nan() -> float:
            return math.nan

        def leaves() -> bool:
            sys.exit(0)

        for function in (raises, gives_nan, leaves):
            feedback = wrap_custom(function)()
            assert feedback.error.error_code == "CHECK_ERROR"

    def test_a_coroutine_is_awaited(self) -> None:
        async def later(outputs: Any) -> bool:
            return bool(outputs == "x")

        assert wrap_custom(later)(outputs="x").value == "yes"

    def test_a_parameter_that_nobody_fills_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="'answer'"):
            wrap_custom(lambda answer: True, name="mine")
