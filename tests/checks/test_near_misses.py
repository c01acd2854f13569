"""Near misses in a pass, other shells' arguments, lines that read skills, `||`, built folders."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.selectors import parse_selector
from tests.builders import make_call, make_session
from tests.checks.judging import bash, judge, verdict


@pytest.mark.parametrize(
    ("ban", "call", "near"),
    [
        ("git push --force", bash("git push origin main"), "`git push origin main`"),
        ("git push", bash("git status"), "`git status`"),
        ("rm -rf", bash("rm x"), "`rm x`"),
        ("mcp__db__drop", make_call("mcp__other__drop", {}), "mcp__other__drop"),
    ],
)
def test_a_pass_names_what_came_near(ban: str, call: Any, near: str) -> None:
    outcome = judge("banned_tools", [ban], make_session([bash("ls"), call]))
    assert str(outcome.verdict) == "pass"
    assert f"near: {near} is not {ban}" in outcome.rationale


@pytest.mark.parametrize(("others", "more"), [(2, ""), (3, " and 1 more"), (4, " and 2 more")])
def test_two_are_named_and_the_others_counted(others: int, more: str) -> None:
    calls = [make_call(f"mcp__other{number}__drop") for number in range(others)]
    near = "near: mcp__other0__drop is not {0}, mcp__other1__drop is not {0}{1}"
    rationale = judge("banned_tools", ["mcp__db__drop"], make_session(calls)).rationale
    assert near.format("mcp__db__drop", more) + ")" in rationale


def test_what_has_nothing_of_an_entry_is_not_near() -> None:
    outcome = judge("banned_tools", ["git push"], make_session([bash("ls; echo git")]))
    assert "near" not in outcome.rationale


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("mcp__t__run", {"program": "rm", "arguments": ["-rf", "x"]}),
        ("mcp__t__run", {"executable": "/bin/rm", "args": "-rf x"}),
        ("mcp__t__shell", {"script": "rm -rf x"}),
        ("mcp__t__terminal_write", {"text": "rm -rf x\n"}),
        ("mcp__t__run_in_terminal", {"commandLine": "rm -rf x"}),
        ("mcp__t__exec", {"argv": ["rm", "-rf", "x"]}),
        ("mcp__t__run_shell_command", {"shell_command": "rm -rf x"}),
        ("mcp__t__execute", {"params": {"command": "rm -rf x"}}),
    ],
)
def test_shell_tools_by_the_names_of_their_arguments(tool: str, arguments: dict[str, Any]) -> None:
    assert verdict("banned_tools", ["rm -rf"], make_call(tool, arguments)) == "fail"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("mcp__t__note", {"text": "rm -rf x"}),
        ("mcp__t__run_test", {"input": "rm -rf x"}),
        ("mcp__slack__post", {"message": "rm -rf x"}),
    ],
)
def test_text_of_other_tools_is_no_line(tool: str, arguments: dict[str, Any]) -> None:
    assert verdict("banned_tools", ["rm -rf"], make_call(tool, arguments)) == "pass"


@pytest.mark.parametrize("line", ["ls || pytest", "true || pytest -q", "false && pytest"])
def test_what_may_have_been_skipped_is_no_evidence(line: str) -> None:
    assert verdict("required_commands", ["pytest"], bash(line)) == "unknown"
    assert verdict("required_commands", ["pytest"], bash(line), bash("pytest")) == "pass"
    assert verdict("banned_tools", ["pytest"], bash(line)) == "fail"


@pytest.mark.parametrize("line", ["cd x || exit; pytest", "ls && pytest", "pytest || true"])
def test_what_stands_elsewhere_is(line: str) -> None:
    assert verdict("required_commands", ["pytest"], bash(line)) == "pass"


@pytest.mark.parametrize(
    "line", ["cat skills/deploy/SKILL.md", "cd skills && head deploy/SKILL.md"]
)
def test_a_line_that_reads_a_skill(line: str) -> None:
    assert verdict("banned_skills", ["deploy"], bash(line)) == "fail"
    assert verdict("banned_skills", ["test"], bash(line)) == "pass"


@pytest.mark.parametrize("line", ["ls skills/deploy/SKILL.md", "echo skills/deploy/SKILL.md"])
def test_a_line_that_names_a_skill_reads_none(line: str) -> None:
    assert verdict("banned_skills", ["deploy"], bash(line)) == "pass"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("black infra/x.py", "unknown"),
        ("black --check infra/x.py", "pass"),
        ("prettier --write infra", "unknown"),
        ("prettier infra", "pass"),
        ("ruff check --fix infra", "unknown"),
        ("black .", "pass"),
        ("git worktree add infra/w", "fail"),
        ("split -b1 x infra/p", "unknown"),
        ("cd - && rm main.tf", "unknown"),
        ("pandoc a.md -o infra/b.pdf", "fail"),
    ],
)
def test_targets_of_further_programs(line: str, expected: str) -> None:
    scope = {"forbidden": ["infra/**"]}
    assert verdict("file_scope", scope, bash(line), cwd="/repo") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rm -rf build node_modules", "pass"),
        ("rm -rf /tmp/x", "pass"),
        ("rm -rf *", "unknown"),
        ("rm -rf /repo", "unknown"),
        ("rm -rf config", "unknown"),
        ("echo > build/.env", "fail"),
    ],
)
def test_folders_of_built_things_hold_no_sources(line: str, expected: str) -> None:
    assert verdict("file_scope", {"forbidden": [".env"]}, bash(line), cwd="/repo") == expected


def test_such_a_folder_that_a_pattern_names_counts() -> None:
    scope = {"forbidden": ["build/keep/**"]}
    assert verdict("file_scope", scope, bash("rm -rf build"), cwd="/repo") == "unknown"
    scope = {"forbidden": [".env"]}
    assert verdict("file_scope", scope, bash("rm -rf /tmp/w"), cwd="/tmp/w/x") == "unknown"


@pytest.mark.parametrize("text", ["Bash(rm))", "Edit[", "mcp__"])
def test_selectors_that_nothing_can_meet(text: str) -> None:
    with pytest.raises(ParameterError):
        parse_selector(text)


def test_a_server_in_other_letter_case_is_perhaps_the_one_that_is_meant() -> None:
    call = make_call("mcp__Databricks__delete_table", {})
    assert verdict("banned_tools", ["mcp__databricks__delete_table"], call) == "unknown"
    assert verdict("banned_tools", ["mcp__databricks__delete_*"], call) == "unknown"
    assert verdict("banned_tools", ["mcp__databricks__drop_*"], call) == "pass"
    assert verdict("required_tools", ["mcp__databricks__delete_table"], call) == "unknown"
