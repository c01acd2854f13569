"""Cases that other tools are known to get wrong, with the right answer and its reason.

Each case is what stands in a YAML file and a list of calls, so that the same table can be run
through Python, through the command line and through MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skilltrace_mlflow.session import TokenUsage, ToolCall
from tests.builders import make_call

__all__ = ["CASES", "REFUSED", "Case", "Refused"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Expectations with one key, the session, and what must come out."""

    id: str
    expectations: Mapping[str, Any]
    calls: Sequence[ToolCall] = ()
    session: Mapping[str, Any] = field(default_factory=dict)
    verdict: str
    score: float | None = None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Expectations that must not load."""

    id: str
    expectations: Mapping[str, Any]
    message: str


def _search(**given: Any) -> ToolCall:
    return make_call("search", given)


def _steps(*inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"tool": "search", "input": dict(given)} for given in inputs]


def _trajectory(mode: str, expected: Sequence[Any], **more: Any) -> dict[str, Any]:
    return {"tool_trajectory": {"mode": mode, "expected": list(expected), **more}}


def _bash(command: str) -> ToolCall:
    return make_call("Bash", {"command": command})


def _ban(entry: str, call: ToolCall, verdict: str, reason: str) -> Case:
    shown = " ".join(str((call.input or {}).get("command", call.name)).split())
    return Case(
        id=f"ban {entry}: {shown or call.name}",
        expectations={"banned_tools": [entry]},
        calls=[call],
        verdict=verdict,
        score=0.0 if verdict == "fail" else 1.0,
        reason=reason,
    )


def _equality(id_: str, expected: Any, made: Any, verdict: str, reason: str) -> Case:
    return Case(
        id=id_,
        expectations=_trajectory("exact", _steps({"v": expected})),
        calls=[_search(v=made)],
        verdict=verdict,
        reason=reason,
    )


_GREEDY = [_search(q=1, k=2), _search(q=1)]
_A, _B, _C, _RM = (make_call(name) for name in ("A", "B", "C", "rm"))
_OVER = TokenUsage(input_tokens=500)

CASES: tuple[Case, ...] = (
    Case(
        id="superset is matched optimally",
        expectations=_trajectory(
            "superset", _steps({"q": 1}, {"q": 1, "k": 2}), input_match="superset"
        ),
        calls=_GREEDY,
        verdict="pass",
        score=1.0,
        reason="the first step fits both calls, the second only one: greedy pairing says 0.5",
    ),
    Case(
        id="superset in reverse order",
        expectations=_trajectory(
            "superset", _steps({"q": 1, "k": 2}, {"q": 1}), input_match="superset"
        ),
        calls=_GREEDY,
        verdict="pass",
        score=1.0,
        reason="the order in which expectations are written does not count",
    ),
    Case(
        id="identical calls",
        expectations=_trajectory("any_order", _steps({"q": 1}, {"q": 1})),
        calls=[_search(q=1), _search(q=1)],
        verdict="pass",
        score=1.0,
        reason="two expected, two made",
    ),
    Case(
        id="each call once",
        expectations=_trajectory("any_order", _steps({"q": 1}, {"q": 1}, {"q": 2})),
        calls=[_search(q=1), _search(q=2), _search(q=2)],
        verdict="fail",
        score=2 / 3,
        reason="a call serves one step only",
    ),
    Case(
        id="exact with an extra call",
        expectations=_trajectory("exact", ["A"]),
        calls=[_A, _RM],
        verdict="fail",
        score=0.5,
        reason="exact means no other calls",
    ),
    Case(
        id="no calls expected, one made",
        expectations=_trajectory("exact", []),
        calls=[_A],
        verdict="fail",
        score=0.0,
        reason="an empty list is an expectation, not the lack of one",
    ),
    Case(
        id="no calls expected, none made",
        expectations=_trajectory("exact", []),
        verdict="pass",
        score=1.0,
        reason="nothing was called, as expected",
    ),
    Case(
        id="in order, each call's own inputs",
        expectations=_trajectory("in_order", _steps({"q": "b"})),
        calls=[_search(q="a"), _search(q="b")],
        verdict="pass",
        score=1.0,
        reason="the second call is the one expected",
    ),
    Case(
        id="in order, the first step is missing",
        expectations=_trajectory("in_order", ["A", "B", "C"]),
        calls=[_B, _C],
        verdict="fail",
        score=2 / 3,
        reason="one missing step does not cost the others",
    ),
    _equality("true is not 1", True, 1, "fail", "JSON has booleans"),
    _equality("1 is 1.0", 1, 1.0, "pass", "JSON has one kind of number"),
    _equality("keys in another order", {"a": 1, "b": 2}, {"b": 2, "a": 1}, "pass", "no order"),
    _equality("list in another order", [1, 2], [2, 1], "fail", "lists have an order"),
    _ban("rm -rf", _bash("cd x\nrm -r -f /tmp/y"), "fail", "a line end ends a command"),
    _ban("rm -rf", _bash("sh -c 'rm -fr y'"), "fail", "sh -c carries a command"),
    _ban("rm -rf", _bash("sudo /bin/rm --recursive --force y"), "fail", "long options, a path"),
    _ban("rm -rf", _bash('echo "$(rm -rf y)"'), "fail", "a substitution is run"),
    _ban("rm -rf", _bash('git commit -m "never rm -rf"'), "pass", "an argument is not a command"),
    _ban("rm -rf", _bash("echo 'rm -rf'"), "pass", "a quoted text is one argument"),
    _ban("rm -rf", _bash("grep -rf rm ."), "pass", "the flags are grep's"),
    _ban(
        "rm -rf",
        make_call("Write", {"file_path": "/r/a.md", "content": "never rm -rf /"}),
        "pass",
        "a file that documents it runs nothing",
    ),
    _ban(
        "DROP DATABASE",
        make_call("mcp__db__execute_sql", {"query": "drop\n database if exists x"}),
        "fail",
        "SQL knows neither case nor lines",
    ),
    _ban(
        "DROP DATABASE",
        make_call("mcp__db__execute_sql", {"query": "SELECT 'DROP DATABASE'"}),
        "pass",
        "a string literal is data",
    ),
    _ban(
        "mcp__databricks__*",
        make_call("mcp__databricks__execute_sql", {"query": "SELECT 1"}),
        "fail",
        "a glob names all tools of a server",
    ),
    _ban(
        "Bash(git push:*)",
        _bash("git -C repo push"),
        "pass",
        "a rule compares the text of the command; the pattern `git push` sees through options",
    ),
    _ban("git push", _bash("git -C repo push"), "fail", "a command pattern knows git's options"),
    _ban("Bash(git push:*)", _bash("git pushd"), "pass", "the prefix ends at a word"),
    _ban(
        "Bash(git push:*)",
        _bash("cd r && git push --force"),
        "fail",
        "each command of a line is compared",
    ),
    _ban("curl", _bash("curl -s x"), "fail", "a bare word is a command"),
    _ban("curl", _bash("echo curl"), "pass", "a mention runs nothing"),
    _ban("curl", make_call("curl"), "fail", "a bare word is a tool's name too"),
    _ban("Agent", make_call("Task"), "fail", "Task is the older name of Agent"),
    Case(
        id="the word error in a result",
        expectations={"tool_errors": {"max": 0}},
        calls=[make_call("Bash", {"command": "pytest"}, result="12 passed, 0 errors")],
        verdict="pass",
        reason="a result's words say nothing about the call",
    ),
    Case(
        id="a result marked as error",
        expectations={"tool_errors": {"max": 0}},
        calls=[make_call("Bash", {"command": "foo"}, result="command not found", outcome="failed")],
        verdict="fail",
        reason="is_error is the evidence",
    ),
    Case(
        id="a file of a longer name",
        expectations={"expected_files": ["a.py"]},
        session={"created": ["/repo/data.py"], "cwd": "/repo"},
        verdict="fail",
        reason="whole names are compared",
    ),
    Case(
        id="a file below the working directory",
        expectations={"expected_files": ["src/**/x.sql"]},
        session={"created": ["/repo/src/a/b/x.sql"], "cwd": "/repo"},
        verdict="pass",
        reason="patterns are relative to the working directory",
    ),
    Case(
        id="a write that failed",
        expectations={"expected_files": ["a.py"]},
        calls=[make_call("Write", {"file_path": "/repo/a.py", "content": ""}, outcome="failed")],
        session={"cwd": "/repo"},
        verdict="fail",
        reason="nothing was written",
    ),
    Case(
        id="a lower bound under the budget",
        expectations={"token_budget": {"max_input": 1000}},
        session={"usage": _OVER, "usage_complete": False},
        verdict="unknown",
        reason="the true figure may be over it",
    ),
    Case(
        id="a lower bound over the budget",
        expectations={"token_budget": {"max_input": 100}},
        session={"usage": _OVER, "usage_complete": False},
        verdict="fail",
        reason="the true figure is not smaller",
    ),
)

REFUSED: tuple[Refused, ...] = (
    Refused(
        id="misspelt field of input_match",
        expectations=_trajectory(
            "in_order", [{"tool": "search", "input": {"query": 1}, "input_match": ["qurey"]}]
        ),
        message="qurey",
    ),
    Refused(
        id="any_order with nothing expected",
        expectations=_trajectory("any_order", []),
        message="use mode exact",
    ),
)
