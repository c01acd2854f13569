"""Checks on figures: tokens, cost, time, turns, errors, repetitions, skills, sub-agents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from skilltrace_mlflow.session import Message, ModelStep, Session, SkillUse, SubAgent, TokenUsage
from tests.builders import make_call, make_session
from tests.checks.judging import bash, judge, parse, verdict


def used(**fields: Any) -> Session:
    usage = TokenUsage(
        input_tokens=100,
        output_tokens=20,
        cache_creation_input_tokens=1000,
        cache_read_input_tokens=5000,
    )
    return make_session([], usage=usage, **fields)


class TestTokenBudget:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({"max_input": 100}, "pass"),
            ({"max_input": 99}, "fail"),
            ({"max_output": 20}, "pass"),
            ({"max_total": 120}, "pass"),
            ({"max_total": 119}, "fail"),
            ({"max_cache_creation": 999}, "fail"),
            ({"max_cache_read": 5000}, "pass"),
            ({"max_input": 100, "max_output": 1}, "fail"),
        ],
    )
    def test_limits(self, value: dict, expected: str) -> None:
        assert judge("token_budget", value, used()).verdict == expected

    def test_a_lower_bound_under_and_over_the_limit(self) -> None:
        session = used(usage_complete=False, usage_notes=("3 placeholders",))
        under = judge("token_budget", {"max_input": 200}, session)
        assert under.verdict == "unknown"
        assert "3 placeholders" in under.rationale
        assert judge("token_budget", {"max_input": 50}, session).verdict == "fail"
        value = {"max_input": 200, "allow_incomplete": True}
        assert judge("token_budget", value, session).verdict == "pass"

    def test_allowing_a_lower_bound_allows_no_lost_record(self) -> None:
        lost = used(usage_complete=False, incomplete=("line 3 is not JSON",))
        value = {"max_input": 200, "allow_incomplete": True}
        assert judge("token_budget", value, lost).verdict == "pass"
        assert judge("token_budget", {"max_input": 200}, lost).verdict == "unknown"
        gone = used(missing={"usage": "no usage"}, incomplete=("line 3 is not JSON",))
        assert judge("token_budget", value, gone).verdict == "unknown"

    @pytest.mark.parametrize("limit", [99, 100, 101])
    def test_the_sign_says_on_which_side_of_the_limit_the_figure_is(self, limit: int) -> None:
        outcome = judge("token_budget", {"max_input": limit}, used())
        sign = ">" if limit < 100 else "≤"
        assert outcome.rationale == f"input: 100 {sign} {limit}"

    def test_without_usage(self) -> None:
        session = used(missing={"usage": "the trace carries no token usage"})
        assert judge("token_budget", {"max_input": 200}, session).verdict == "unknown"
        value = {"max_input": 200, "allow_incomplete": True}
        assert judge("token_budget", value, session).verdict == "unknown"

    def test_scope(self) -> None:
        steps = (
            ModelStep(id="a", usage=TokenUsage(input_tokens=10)),
            ModelStep(id="b", usage=TokenUsage(input_tokens=90), agent="a1", usage_complete=False),
        )
        session = make_session([], steps=steps, usage_complete=False)
        assert judge("token_budget", {"max_input": 50}, session).verdict == "fail"
        assert judge("token_budget", {"max_input": 50, "scope": "main"}, session).verdict == "pass"

    @pytest.mark.parametrize(
        "value", [{}, {"max_input": -1}, {"max_inputs": 5}, {"allow_incomplete": True}]
    )
    def test_schema_refuses(self, value: dict) -> None:
        with pytest.raises(jsonschema.ValidationError):
            parse("token_budget", value)


class TestCost:
    def test_recorded(self) -> None:
        assert verdict("cost_budget", {"max_usd": 0.5}, cost_usd=0.5) == "pass"
        assert verdict("cost_budget", {"max_usd": 0.4}, cost_usd=0.5) == "fail"

    def test_an_unknown_model_is_unknown(self) -> None:
        step = ModelStep(id="a", model="nobody-knows-1", usage=TokenUsage(input_tokens=10))
        known = ModelStep(id="b", model="claude-sonnet-4-5", usage=TokenUsage(input_tokens=10))
        outcome = judge("cost_budget", {"max_usd": 5}, make_session([], steps=(step, known)))
        assert outcome.verdict == "unknown"
        assert outcome.rationale.endswith("no price is known for nobody-knows-1")


class TestTimeAndTurns:
    def test_duration(self) -> None:
        assert verdict("duration", {"max_seconds": 3}, "A", "B", "C") == "pass"
        assert verdict("duration", {"max_seconds": 2.9}, "A", "B", "C") == "fail"
        assert verdict("duration", {"max_seconds": 3}, start_time=None) == "unknown"
        assert verdict("duration", {"max_seconds": 3}, missing={"times": "synthetic"}) == "unknown"

    def test_turns(self) -> None:
        steps = (ModelStep(id="1"), ModelStep(id="2"), ModelStep(id="3", agent="a1"))
        said = (Message(role="user", text="x"), Message(role="user", text="y", agent="a1"))
        fields = {"steps": steps, "messages": said}
        assert verdict("turn_limit", {"max_turns": 2, "max_user_messages": 1}, **fields) == "pass"
        assert verdict("turn_limit", {"max_turns": 1}, **fields) == "fail"
        assert (
            verdict("turn_limit", {"max_turns": 2}, missing={"turns": "x"}, **fields) == "unknown"
        )
        assert verdict("turn_limit", {"max_turns": 1}, missing={"turns": "x"}, **fields) == "fail"
        assert (
            verdict("turn_limit", {"max_turns": 2}, missing={"messages": "x"}, **fields) == "pass"
        )


def ended(*outcomes: str, name: str = "Bash", **fields: Any) -> list:
    return [make_call(name, outcome=outcome, **fields) for outcome in outcomes]


class TestErrors:
    @pytest.mark.parametrize(
        ("value", "outcomes", "expected"),
        [
            ({"max": 1}, ["failed", "succeeded"], "pass"),
            ({"max": 0}, ["failed"], "fail"),
            ({"max": 0}, ["denied", "interrupted"], "pass"),
            ({"max": 0}, ["unknown"], "unknown"),
            ({"max": 0}, ["unknown", "failed"], "fail"),
            ({"max_consecutive": 1}, ["failed", "succeeded", "failed"], "pass"),
            ({"max_consecutive": 1}, ["failed", "failed"], "fail"),
            ({"max_consecutive": 1}, ["failed", "unknown"], "unknown"),
            ({"max_unrecovered": 0}, ["failed", "failed", "succeeded"], "pass"),
            ({"max_unrecovered": 0}, ["succeeded", "failed"], "fail"),
            ({"max_unrecovered": 0}, ["failed", "unknown"], "unknown"),
            ({"max_unrecovered": 1}, ["failed", "unknown"], "unknown"),
            ({"max_unrecovered": 2}, ["failed", "unknown"], "pass"),
        ],
    )
    def test_limits(self, value: dict, outcomes: list[str], expected: str) -> None:
        assert verdict("tool_errors", value, *ended(*outcomes)) == expected

    def test_the_word_error_means_nothing(self) -> None:
        fine = bash("pytest", result="12 passed, 0 errors", outcome="succeeded")
        broken = bash("foo", result="command not found", outcome="failed")
        assert verdict("tool_errors", {"max": 0}, fine) == "pass"
        assert verdict("tool_errors", {"max": 0}, broken) == "fail"

    def test_another_tool_does_not_recover(self) -> None:
        calls = [*ended("failed", name="Edit"), *ended("succeeded")]
        assert verdict("tool_errors", {"max_unrecovered": 0}, *calls) == "fail"

    def test_runs_are_counted_by_agent(self) -> None:
        calls = [*ended("failed"), *ended("failed", agent="a1")]
        assert verdict("tool_errors", {"max_consecutive": 1}, *calls) == "pass"

    def test_incomplete_records(self) -> None:
        fields = {"incomplete": ("x",)}
        assert verdict("tool_errors", {"max": 1}, *ended("failed"), **fields) == "unknown"
        assert verdict("tool_errors", {"max": 0}, *ended("failed"), **fields) == "fail"
        # the call that recovered may be the lost one
        assert (
            verdict("tool_errors", {"max_unrecovered": 0}, *ended("failed"), **fields) == "unknown"
        )

    @pytest.mark.parametrize("key", ["max", "max_consecutive", "max_unrecovered"])
    def test_what_is_marked_as_an_error_counts_even_if_somebody_may_have_refused(
        self, key: str
    ) -> None:
        """Up to 2.1.204 the record cannot tell; `permission_denials` does not know then."""
        perhaps = make_call("Write", outcome="failed", details={"maybe_refused": True})
        assert verdict("tool_errors", {key: 0}, perhaps) == "fail"
        assert verdict("tool_errors", {key: 1}, perhaps) == "pass"

    def test_denials(self) -> None:
        assert verdict("permission_denials", {"max": 0}, *ended("failed")) == "pass"
        assert verdict("permission_denials", {"max": 0}, *ended("denied")) == "fail"
        assert verdict("permission_denials", {"max": 0}, *ended("unknown")) == "unknown"
        assert verdict("permission_denials", {"max": 1}, *ended("denied")) == "pass"
        lost = {"missing": {"tool_outcomes": "x"}}
        assert verdict("permission_denials", {"max": 0}, *ended("succeeded"), **lost) == "unknown"
        assert verdict("permission_denials", {"max": 0}, *ended("denied"), **lost) == "fail"


class TestRepeatedCalls:
    def run(self, *given: Any) -> list:
        return [make_call("mcp__a__b", {"n": item}) for item in given]

    @pytest.mark.parametrize(
        ("value", "given", "expected"),
        [
            ({"max_identical": 2}, [1, 1], "pass"),
            ({"max_identical": 2}, [1, 1, 1], "fail"),
            ({"max_identical": 2}, [1, 1.0, 1], "fail"),
            ({"max_identical": 2}, [1, True, 1], "pass"),
            ({"max_identical": 2}, [1, 2, 1, 1, 2, 1], "pass"),
            ({"max_identical": 1}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], "fail"),
            ({"max_total": 2}, [1, 2, 1, 2, 1], "fail"),
            ({"max_total": 3}, [1, 2, 1, 2, 1], "pass"),
        ],
    )
    def test_limits(self, value: dict, given: list, expected: str) -> None:
        assert verdict("repeated_calls", value, *self.run(*given)) == expected

    def test_agents_have_runs_of_their_own(self) -> None:
        calls = [
            make_call("mcp__a__b", {"n": 1}, agent=agent) for agent in ("main", "a", "main", "a")
        ]
        assert verdict("repeated_calls", {"max_identical": 2}, *calls) == "pass"
        assert verdict("repeated_calls", {"max_identical": 1}, *calls) == "fail"

    def test_unrecorded_arguments(self) -> None:
        hidden = [replace(call, input=None) for call in self.run(1, 1, 1)]
        assert verdict("repeated_calls", {"max_identical": 2}, *hidden) == "unknown"
        assert verdict("repeated_calls", {"max_identical": 3}, *hidden) == "pass"
        assert verdict("repeated_calls", {"max_total": 2}, *hidden) == "unknown"


class TestSkills:
    def uses(self, *states: str) -> dict:
        return {"skills": tuple(SkillUse(name="db:bronze", status=state) for state in states)}

    @pytest.mark.parametrize(
        ("states", "required", "banned"),
        [
            (["loaded"], "pass", "fail"),
            (["attempted"], "unknown", "fail"),
            (["failed"], "fail", "fail"),
            (["failed", "loaded"], "pass", "fail"),
            ([], "fail", "pass"),
        ],
    )
    def test_states_are_never_collapsed(
        self, states: list[str], required: str, banned: str
    ) -> None:
        for name in ("db:bronze", "bronze", "bro*"):
            assert verdict("required_skills", [name], **self.uses(*states)) == required
            assert verdict("banned_skills", [name], **self.uses(*states)) == banned

    def test_lost_evidence(self) -> None:
        fields = {**self.uses("loaded"), "missing": {"skills": "some are not logged"}}
        assert verdict("required_skills", ["bronze"], **fields) == "pass"
        assert verdict("required_skills", ["silver"], **fields) == "unknown"
        assert verdict("banned_skills", ["silver"], **fields) == "unknown"
        assert verdict("banned_skills", ["bronze"], **fields) == "fail"


class TestSubAgents:
    def test_limits_and_types(self) -> None:
        agents = (SubAgent(id="a", type="Explore"), SubAgent(id="b", type="Plan"))
        assert verdict("subagents", {"max": 2, "required": ["Explore"]}, subagents=agents) == "pass"
        assert verdict("subagents", {"max": 1}, subagents=agents) == "fail"
        assert verdict("subagents", {"banned": ["Pl*"]}, subagents=agents) == "fail"
        assert verdict("subagents", {"required": ["Review"]}, subagents=agents) == "fail"

    def test_launches_without_a_record_of_their_own(self) -> None:
        launch = make_call("Task", {"subagent_type": "Explore"}, id="toolu_x")
        assert verdict("subagents", {"required": ["Explore"], "max": 1}, launch) == "pass"
        assert verdict("subagents", {"max": 0}, launch) == "fail"
        agent = (SubAgent(id="a", type="Explore", parent_call_id="toolu_x"),)
        assert verdict("subagents", {"max": 1}, launch, subagents=agent) == "pass"
        assert verdict("subagents", {"max": 0}, make_call("Agent", outcome="unknown")) == "unknown"

    def test_a_denied_launch_breaks_a_ban_and_is_no_sub_agent(self) -> None:
        launch = make_call("Task", {"subagent_type": "Explore"}, outcome="denied")
        assert verdict("subagents", {"banned": ["Explore"]}, launch) == "fail"
        assert verdict("subagents", {"max": 0}, launch) == "pass"

    def test_a_call_without_type_is_the_general_one(self) -> None:
        assert verdict("subagents", {"banned": ["general-purpose"]}, make_call("Task")) == "fail"

    def test_unrecorded_types(self) -> None:
        agents = (SubAgent(id="a"),)
        assert verdict("subagents", {"banned": ["Explore"]}, subagents=agents) == "unknown"
        assert verdict("subagents", {"required": ["Explore"]}, subagents=agents) == "unknown"


class TestRequiredAndSequence:
    @pytest.mark.parametrize(
        ("value", "calls", "expected", "score"),
        [
            (["Read", "Edit"], ["Read", "Bash", "Edit"], "pass", 1.0),
            (["Read", "Edit"], ["Edit", "Read"], "fail", 0.5),
            (["Read", "Edit", "Read"], ["Read", "Edit", "Read"], "pass", 1.0),
            (["A", "B", "C"], ["B", "C"], "fail", 2 / 3),
            (["Read"], [], "fail", 0.0),
            (["mcp__db__*", "Task"], ["mcp__db__x", "Agent"], "pass", 1.0),
        ],
    )
    def test_sequence(self, value: list, calls: list, expected: str, score: float) -> None:
        outcome = judge("tool_sequence", value, make_session(calls))
        assert outcome.verdict == expected
        assert outcome.score == pytest.approx(score)

    def test_sequence_with_rules_and_lost_arguments(self) -> None:
        value = ["Bash(git add:*)", "Bash(git commit:*)"]
        assert verdict("tool_sequence", value, bash("git add ."), bash("git commit -m x")) == "pass"
        hidden = replace(bash(""), input=None)
        assert verdict("tool_sequence", value, bash("git add ."), hidden) == "unknown"
        assert verdict("tool_sequence", value, "Read", hidden) == "fail"

    def test_required(self) -> None:
        outcome = judge("required_tools", ["Read", "Edit"], make_session(["Read", "Read"]))
        assert (outcome.verdict, outcome.score) == ("fail", 0.5)
        assert outcome.hits == ("Read: 2 ×",)
        assert outcome.misses == ("Edit: not called",)
        assert verdict("required_tools", ["Edit"], make_call("Edit", outcome="denied")) == "pass"

    def test_incomplete_records(self) -> None:
        fields = {"incomplete": ("x",)}
        assert verdict("required_tools", ["Read"], "Read", **fields) == "pass"
        assert verdict("required_tools", ["Edit"], "Read", **fields) == "unknown"
        assert verdict("tool_sequence", ["Read", "Edit"], "Read", **fields) == "unknown"
