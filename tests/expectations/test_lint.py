"""Expectations that can never pass, never fail, or are never judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from skilltrace_mlflow.expectations import load_ground_truth, load_manifest
from skilltrace_mlflow.expectations.lint import Findings, lint


def findings(tmp_path: Path, manifest: str = "", expectations: str = "{}") -> Findings:
    (tmp_path / "manifest.yaml").write_text(f"skill_name: x\n{manifest}\n", encoding="utf-8")
    (tmp_path / "ground_truth.yaml").write_text(
        f"test_cases: [{{id: a, expectations: {expectations}}}]\n", encoding="utf-8"
    )
    loaded = load_manifest(tmp_path)
    return lint(loaded, load_ground_truth(loaded))


@pytest.mark.parametrize(
    ("expectations", "message"),
    [
        ("{required_tools: [Bash], banned_tools: [Bash]}", "which banned_tools bans"),
        ("{required_tools: [mcp__db__run], banned_tools: ['mcp__db__*']}", "can never pass"),
        ("{tool_sequence: [Read, Bash], banned_tools: [Bash]}", "tool_sequence wants 'Bash'"),
        ("{required_tools: [Read], tool_limits: {Read: 0}}", "which tool_limits allows 0 times"),
        ("{tool_limits: {Bash: {min: 1}}, banned_tools: [Bash]}", "tool_limits wants 'Bash'"),
        ("{tool_limits: {Bash: {min: 0}}}", "can never fail"),
        (
            "{tool_limits: {Bash: 1}, tool_trajectory: "
            "{mode: in_order, expected: [{tool: Bash}, {tool: Bash}]}}",
            "tool_trajectory has 2 calls of 'Bash', tool_limits allows 1",
        ),
        (
            "{turn_limit: {max_turns: 1}, tool_trajectory: "
            "{mode: in_order, expected: [{tool: Read}, {tool: Edit}]}}",
            "tool_trajectory has 2 calls, turn_limit allows 1 turns",
        ),
        ("{expected_facts: [Unity], unexpected_facts: [unity]}", "in unexpected_facts and in"),
        ("{expected_patterns: [{pattern: x, min_count: 0}]}", "never fails"),
        ("{expected_skills: [a], is_multi_skill: true}", "expected_skills names 1"),
        ("{is_multi_skill: true}", "no effect without expected_skills"),
    ],
)
def test_contradictions_are_problems(tmp_path: Path, expectations: str, message: str) -> None:
    found = findings(tmp_path, expectations=expectations)
    assert any(message in problem for problem in found.problems), found
    assert all("ground_truth.yaml:1: test 'a'" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "expectations",
    [
        "{required_tools: [Bash], banned_tools: ['Bash(git push:*)', 'rm -rf']}",
        "{required_tools: ['mcp__db__*'], banned_tools: [mcp__db__drop]}",
        "{required_tools: [Bash], banned_tools: [Bash], ban_exceptions: [Bash]}",
        "{required_tools: [Read], tool_limits: {Read: 1}}",
        "{expected_skills: [a, b], is_multi_skill: true}",
        "{expected_skills: [], is_multi_skill: false}",
        "{expected_patterns: [{pattern: x, max_count: 0}]}",
    ],
)
def test_what_only_looks_like_a_contradiction_is_none(tmp_path: Path, expectations: str) -> None:
    assert findings(tmp_path, expectations=expectations).problems == ()


def test_a_test_contradicts_its_manifest(tmp_path: Path) -> None:
    found = findings(
        tmp_path, "trace_expectations: {banned_tools: [Bash]}", "{required_tools: [Bash]}"
    )
    assert len(found.problems) == 1


def test_a_contradiction_of_the_manifest_is_said_once(tmp_path: Path) -> None:
    manifest = "trace_expectations: {banned_tools: [Bash], required_tools: [Bash]}"
    (problem,) = findings(tmp_path, manifest).problems
    assert "manifest.yaml: required_tools wants 'Bash'" in problem


def test_a_check_listed_without_an_expectation_is_a_notice(tmp_path: Path) -> None:
    found = findings(tmp_path, "scorers: {enabled: [tool_count, python_syntax]}")
    assert found.problems == ()
    (notice,) = found.notices
    assert "tool_count is listed but nothing is expected of it (no tool_limits)" in notice


def test_a_gate_that_nothing_feeds_is_a_notice(tmp_path: Path) -> None:
    found = findings(tmp_path, "quality_gates: {tool_count: 1.0, syntax_valid: 1.0}")
    (notice,) = found.notices
    assert "quality_gates.tool_count: no test expects anything of it" in notice


def test_a_gate_on_a_disabled_check_or_on_no_session_is_a_notice(tmp_path: Path) -> None:
    found = findings(
        tmp_path,
        "trace_expectations: {tool_limits: {Bash: 1}}\ndisabled: [tool_count]\n"
        "session_expectations: {turn_limit: {max_turns: 3}}\n"
        "quality_gates: {tool_count: 1.0, session.tool_count: 1.0, session.turn_limit: 1.0}",
    )
    assert [notice.split(": ")[1] for notice in found.notices] == [
        "quality_gates.tool_count",
        "quality_gates.session.tool_count",
    ]


@pytest.mark.parametrize(
    ("pattern", "problems"), [("x*", 1), (".*", 1), ("(?i)x?|y", 1), ("x+", 0), ("^$", 0)]
)
def test_a_pattern_that_matches_anywhere_is_a_problem(
    tmp_path: Path, pattern: str, problems: int
) -> None:
    (tmp_path / "manifest.yaml").write_text("skill_name: x\n", encoding="utf-8")
    (tmp_path / "ground_truth.yaml").write_text(
        f"test_cases: [{{id: a, expectations: {{expected_patterns: ['{pattern}']}}}}]\n",
        encoding="utf-8",
    )
    manifest = load_manifest(tmp_path)
    found = lint(manifest, load_ground_truth(manifest)).problems
    assert len(found) == problems


def test_a_trace_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").write_text("skill_name: x\n", encoding="utf-8")
    (tmp_path / "ground_truth.yaml").write_text(
        "test_cases: [{id: a, outputs: {trace_ref: nowhere.jsonl}}]\n", encoding="utf-8"
    )
    manifest = load_manifest(tmp_path)
    (problem,) = lint(manifest, load_ground_truth(manifest)).problems
    assert "outputs.trace_ref: there is no file" in problem


@pytest.mark.parametrize("where", ["manifest", "test"])
def test_a_ban_that_may_mean_the_tool_of_that_name_is_remarked_upon(
    tmp_path: Path, where: str
) -> None:
    ban = "{banned_tools: [bash, curl, WebFetch]}"
    manifest = f"trace_expectations: {ban}" if where == "manifest" else ""
    found = findings(tmp_path, manifest, ban if where == "test" else "{}")
    (notice,) = found.notices
    assert "'bash' bans the command of that name; the tool is called 'Bash'" in notice
