"""The cases that other tools get wrong, as data: what is expected, what was done, what is right.

Each is judged through three doors (Python, YAML and `trace-eval`, `mlflow.genai.evaluate`), which
must agree to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CASES", "Case", "Made"]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A call as it stands in a transcript; `error` is the text of an `is_error` result."""

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)
    result: str = "ok"
    error: bool = False
    tool_use_result: Any = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """`expectations` as in YAML; `check` and its right `verdict` and `score`; `why` in a line."""

    id: str
    check: str
    expectations: Mapping[str, Any]
    calls: tuple[Made, ...]
    verdict: str
    score: float | None = None
    why: str
    stop_reason: str | None = "tool_use"


def call(name: str, **given: Any) -> Made:
    return Made(name=name, input=given)


def bash(command: str, result: str = "ok", *, error: bool = False) -> Made:
    return Made(name="Bash", input={"command": command}, result=result, error=error)


def sql(query: str) -> Made:
    return Made(name="mcp__databricks__execute_sql", input={"query": query})


def wrote(path: str, *, error: bool = False) -> Made:
    given = {"file_path": path, "content": "x"}
    if error:
        text = "<tool_use_error>File has not been read yet.</tool_use_error>"
        return Made(name="Write", input=given, result=text, error=True)
    shape = {"type": "create", "filePath": path, "content": "x", "structuredPatch": []}
    text = f"File created successfully at: {path}"
    return Made(name="Write", input=given, result=text, tool_use_result=shape)


def trajectory(mode: str, *expected: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"tool_trajectory": {"mode": mode, "expected": list(expected), **more}}


def s(**given: Any) -> dict[str, Any]:
    return {"tool": "s", "input": given}


def banned(entry: str) -> dict[str, Any]:
    return {"banned_tools": [entry]}


def _bans(prefix: str, entry: str, verdict: str, why: str, *made: Made) -> list[Case]:
    return [
        Case(
            id=f"{prefix}_{index}",
            check="banned_tools",
            expectations=banned(entry),
            calls=(item,),
            verdict=verdict,
            score=0.0 if verdict == "fail" else 1.0,
            why=why,
        )
        for index, item in enumerate(made, start=1)
    ]


_PAIR = (s(q=1), s(q=1, k=2))
_MADE_PAIR = (call("s", q=1, k=2), call("s", q=1))

CASES: tuple[Case, ...] = (
    Case(
        id="superset_needs_the_best_pairing",
        check="tool_trajectory",
        expectations=trajectory("superset", *_PAIR, input_match="superset"),
        calls=_MADE_PAIR,
        verdict="pass",
        score=1.0,
        why="pairing greedily gives the larger call away and finds 0.5",
    ),
    Case(
        id="superset_in_reverse",
        check="tool_trajectory",
        expectations=trajectory("superset", *reversed(_PAIR), input_match="superset"),
        calls=_MADE_PAIR,
        verdict="pass",
        score=1.0,
        why="the order in which expectations are written never matters",
    ),
    Case(
        id="any_order_two_identical",
        check="tool_trajectory",
        expectations=trajectory("any_order", s(q=1), s(q=1)),
        calls=(call("s", q=1), call("s", q=1)),
        verdict="pass",
        score=1.0,
        why="each expected call has a call of its own",
    ),
    Case(
        id="any_order_counts_each_call_once",
        check="tool_trajectory",
        expectations=trajectory("any_order", s(q=1), s(q=1), s(q=2)),
        calls=(call("s", q=1), call("s", q=2), call("s", q=2)),
        verdict="fail",
        score=2 / 3,
        why="the one call with q 1 cannot be two",
    ),
    Case(
        id="exact_refuses_an_extra_call",
        check="tool_trajectory",
        expectations=trajectory("exact", {"tool": "Read"}),
        calls=(call("Read"), bash("rm x")),
        verdict="fail",
        score=0.5,
        why="matched / max(expected, actual)",
    ),
    Case(
        id="exact_no_calls_expected",
        check="tool_trajectory",
        expectations=trajectory("exact"),
        calls=(call("Read"),),
        verdict="fail",
        score=0.0,
        why="`expected: []` means no calls",
    ),
    Case(
        id="in_order_finds_the_later_call",
        check="tool_trajectory",
        expectations=trajectory("in_order", {"tool": "search", "input": {"q": "b"}}),
        calls=(call("search", q="a"), call("search", q="b")),
        verdict="pass",
        score=1.0,
        why="the first call of that name is not the only one",
    ),
    Case(
        id="in_order_without_the_first",
        check="tool_trajectory",
        expectations=trajectory("in_order", {"tool": "A"}, {"tool": "B"}, {"tool": "C"}),
        calls=(call("B"), call("C")),
        verdict="fail",
        score=2 / 3,
        why="the best alignment skips what is missing",
    ),
    *(
        Case(
            id=f"equality_{name}",
            check="tool_trajectory",
            expectations=trajectory("any_order", s(v=expected)),
            calls=(call("s", v=actual),),
            verdict="pass" if equal else "fail",
            score=1.0 if equal else 0.0,
            why="equality is JSON's",
        )
        for name, expected, actual, equal in (
            ("true_is_not_1", True, 1, False),
            ("1_is_1.0", 1, 1.0, True),
            ("key_order", {"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
            ("list_order", [1, 2], [2, 1], False),
        )
    ),
    *_bans(
        "rm_rf",
        "rm -rf",
        "fail",
        "what runs counts, however it is written or carried",
        bash("cd x\nrm -r -f /tmp/y"),
        bash("sh -c 'rm -fr y'"),
        bash("sudo /bin/rm --recursive --force y"),
        bash('echo "$(rm -rf y)"'),
        bash("cd a && rm -rf b"),
        bash("find . -name x -exec rm -rf {} +"),
    ),
    *_bans(
        "no_rm_rf",
        "rm -rf",
        "pass",
        "what is quoted, documented or an argument does not run",
        bash('git commit -m "never rm -rf"'),
        bash("echo 'rm -rf'"),
        Made(name="Write", input={"file_path": "/r/a.md", "content": "rm -rf /"}),
        bash("grep -rf rm ."),
    ),
    *_bans(
        "drop",
        "DROP DATABASE",
        "fail",
        "SCHEMA is a synonym, comments and case do not matter",
        sql("drop\n database if exists x"),
        sql("DROP /* all of it */ SCHEMA x"),
        bash('psql -c "drop database x"'),
    ),
    *_bans(
        "no_drop", "DROP DATABASE", "pass", "a literal runs nothing", sql("SELECT 'DROP DATABASE'")
    ),
    *_bans("glob", "mcp__databricks__*", "fail", "globs select tools", sql("SELECT 1")),
    *_bans(
        "push",
        "Bash(git push:*)",
        "fail",
        "the prefix is compared per parsed command",
        bash("cd r && git push --force"),
    ),
    *_bans("no_push", "Bash(git push:*)", "pass", "another word", bash("git pushd")),
    *_bans(
        "curl",
        "curl",
        "fail",
        "a bare word bans the command and the tool",
        bash("curl -s x"),
        call("curl"),
    ),
    *_bans("no_curl", "curl", "pass", "an argument is no command", bash("echo curl")),
    *_bans("agent", "Agent", "fail", "Task is Agent's older name", call("Task", prompt="x")),
    Case(
        id="success_with_the_word_errors",
        check="tool_errors",
        expectations={"tool_errors": {"max": 0}},
        calls=(bash("pytest", "12 passed, 0 errors"),),
        verdict="pass",
        score=1.0,
        why="only is_error is evidence of failure",
    ),
    Case(
        id="failure_by_is_error",
        check="tool_errors",
        expectations={"tool_errors": {"max": 0}},
        calls=(bash("frobnicate", "Exit code 127\ncommand not found", error=True),),
        verdict="fail",
        why="is_error is evidence of failure",
    ),
    Case(
        id="file_name_is_no_suffix",
        check="file_existence",
        expectations={"expected_files": ["a.py"]},
        calls=(wrote("/repo/data.py"),),
        verdict="fail",
        score=0.0,
        why="a.py does not match data.py",
    ),
    Case(
        id="file_pattern_is_relative_to_cwd",
        check="file_existence",
        expectations={"expected_files": ["src/**/x.sql"]},
        calls=(wrote("/repo/src/a/b/x.sql"),),
        verdict="pass",
        score=1.0,
        why="whole path components below the working directory",
    ),
    Case(
        id="file_whose_write_failed",
        check="file_existence",
        expectations={"expected_files": ["x.sql"]},
        calls=(wrote("/repo/x.sql", error=True),),
        verdict="fail",
        score=0.0,
        why="a failed call wrote nothing",
    ),
    Case(
        id="budget_under_a_lower_bound",
        check="token_budget",
        expectations={"token_budget": {"max_output": 1000}},
        calls=(call("Read"),),
        verdict="unknown",
        why="the true figure may be over the limit",
        stop_reason=None,
    ),
    Case(
        id="budget_over_a_lower_bound",
        check="token_budget",
        expectations={"token_budget": {"max_output": 10}},
        calls=(call("Read"),),
        verdict="fail",
        why="the true figure is even larger",
        stop_reason=None,
    ),
)
