"""Evaluations to render: a small real-looking one, an unfriendly one, a large one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from skilltrace_mlflow.session import FileOperation, Message, ModelStep, Session, SubAgent
from tests.builders import TokenUsage, make_call, make_session

__all__ = ["NASTY", "demo", "large", "nested_session", "outcome", "unfriendly"]

NASTY = {
    "terminal escape": "\x1b[31mred\x1b]0;title\x07\x1b[2J",
    "script": "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "markdown": "**bold** [link](http://evil.example) | cell | `code` # head <b>x</b> ~~no~~ _i_",
    "rich markup": "[bold red]x[/] [link=http://evil.example]y[/link] :smile:",
    "right to left": "user\u202egpj.exe\u202c \u2066x\u2069 \u200f",
    "invisible": "a\u200bb\u2060c\ufeff",
    "controls": "nul\x00 bell\x07 del\x7f c1\x9b31m vt\x0b ff\x0c",
    "line ends": "one\r\ntwo\u2028three\u2029four\x85five\n| six |",
    "surrogate": "lone \ud83d surrogate \uffff",
    "slashes and quotes": "../../etc/passwd/'\"\\<id>&amp;",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7} ]]> --> </pre></details>",
    "legitimate": "тест 测试 עברית العربية e\u0301 👩‍💻",
}


def outcome(check: str, verdict: str = "pass", **fields: Any) -> Outcome:
    fields.setdefault("score", {"pass": 1.0, "fail": 0.0}.get(verdict))
    return Outcome(check=check, verdict=Verdict(verdict), **fields)


def nested_session() -> Session:
    """Two levels of sub-agents, a failed call, a created file, a prompt and an answer."""
    calls = [
        make_call("Read", {"file_path": "/w/a.csv"}, id="c1", result="id\n1", duration_ms=12.0),
        make_call("Agent", {"subagent_type": "Explore", "description": "Look"}, id="c2"),
        make_call("Bash", {"command": "ls missing"}, id="c3", agent="a1", outcome="failed",
                  outcome_reason="Exit code 2", result="ls: missing"),
        make_call("Agent", {"subagent_type": "Counter", "prompt": "x"}, id="c4", agent="a1"),
        make_call("Bash", {"command": "wc -l a.csv"}, id="c5", agent="a2"),
        make_call("Write", {"file_path": "/w/out.sql", "content": "SELECT 1"}, id="c6"),
    ]  # fmt: skip
    return make_session(
        calls,
        cwd="/w",
        messages=(
            Message(role="user", text="Count the rows.", position=0),
            Message(role="assistant", text="Two rows.", position=100),
        ),
        steps=(
            ModelStep(id="m1", model="claude-sonnet-4-5", position=0,
                      usage=TokenUsage(input_tokens=1200, output_tokens=34)),
            ModelStep(id="m2", model="claude-haiku-4-5", agent="a1", position=4,
                      usage=TokenUsage(input_tokens=300, output_tokens=6)),
        ),
        subagents=(
            SubAgent(id="a1", type="Explore", prompt="Look at a.csv", parent_call_id="c2"),
            SubAgent(id="a2", type="Counter", parent_call_id="c4"),
        ),
        files=(FileOperation(type="create", file_path="/w/out.sql", call_id="c6"),),
    )  # fmt: skip


def demo() -> Evaluation:
    """Three tests: one went wrong, one passed, one has no trace; a failed and a passed gate."""
    bad = make_session(
        [
            make_call("Skill", {"skill": "bronze-ingestion"}),
            make_call("Bash", {"command": "ls -1"}, result="a\nb", duration_ms=31.0),
            make_call("Bash", {"command": "cd checkpoints && rm -r -f orders"}, duration_ms=20.0),
            make_call("Write", {"file_path": "/w/pipelines/bronze_orders.sql", "content": "x"}),
            make_call(
                "mcp__databricks__execute_sql",
                {"query": "SELECT 1 FROM ordrs"},
                outcome="failed",
                outcome_reason="TABLE_OR_VIEW_NOT_FOUND",
                result="[TABLE_OR_VIEW_NOT_FOUND] ordrs",
            ),
        ],
        usage=TokenUsage(input_tokens=5300, output_tokens=1038),
        cwd="/w",
    )
    alignment = [
        {
            "expected": {"tool": "Skill", "input": {"skill": "bronze-ingestion"}},
            "actual": {"tool": "Skill", "input": {"skill": "bronze-ingestion"}, "position": 1},
            "matched": True,
            "differs": [],
        },
        {
            "expected": {"tool": "Read", "input": {"file_path": {"$glob": "*/orders.json"}}},
            "actual": None,
            "matched": False,
            "differs": [],
        },
        {
            "expected": {"tool": "mcp__databricks__execute_sql", "input": {"query": "EXPLAIN …"}},
            "actual": {
                "tool": "mcp__databricks__execute_sql",
                "input": {"query": "SELECT 1 FROM ordrs", "limit": 10},
                "position": 5,
            },
            "matched": False,
            "differs": ["input.query"],
        },
        {"expected": None, "actual": {"tool": "Bash", "input": {"command": "ls -1"}},
         "matched": False, "differs": []},
    ]  # fmt: skip
    return Evaluation(
        skill="bronze-ingestion",
        results=(
            TestResult(
                test_id="orders_create",
                skill="bronze-ingestion",
                session=make_session(
                    ["Skill", "Read", "Write", "mcp__databricks__execute_sql"],
                    usage=TokenUsage(input_tokens=3300, output_tokens=1082),
                ),
                outcomes=(
                    outcome("banned_tools", rationale="none of 4 entries was called"),
                    outcome("cost_budget", "unknown", rationale="no price known for claude-next"),
                    outcome("tool_count", rationale="Bash: 0 <= 3"),
                    outcome("tool_trajectory", rationale="3 of 3 expected calls"),
                ),
                source="traces/demo-good.jsonl",
            ),
            TestResult(
                test_id="orders_create_gone_wrong",
                skill="bronze-ingestion",
                session=bad,
                prompt="Create a bronze ingestion pipeline for the order files.",
                outcomes=(
                    outcome(
                        "banned_tools",
                        "fail",
                        misses=("rm -rf",),
                        rationale='"rm -rf": Bash ran "cd checkpoints && rm -r -f orders" (call 3)',
                    ),
                    outcome("cost_budget", "error", rationale="ZeroDivisionError: division"),
                    outcome("tool_count", "fail", score=0.5, rationale="Bash: 5 > 3"),
                    outcome(
                        "tool_trajectory",
                        "fail",
                        score=1 / 3,
                        misses=("Read", "mcp__databricks__execute_sql"),
                        rationale="1 of 3 expected calls; missing Read",
                        details={"alignment": alignment},
                    ),
                ),
                source="traces/demo-failing.jsonl",
            ),
            TestResult(
                test_id="payments",
                skill="bronze-ingestion",
                session=nested_session(),
                outcomes=(
                    outcome("banned_tools", rationale="none of 4 entries was called"),
                    outcome("tool_count", rationale="Bash: 2 <= 3"),
                ),
            ),
            TestResult(
                test_id="no_trace",
                skill="bronze-ingestion",
                error="trace tr-123 is not in experiment 7",
                notes=("the trace was looked up by an equal prompt",),
            ),
        ),
        gates=(
            GateResult(name="banned_tools", required=1.0, got=2 / 3, coverage=0.75, passed=False,
                       reason="2 of 3 tests passed", checks=("banned_tools",)),
            GateResult(name="tool_count", required=0.5, got=2 / 3, coverage=1.0, passed=True,
                       checks=("tool_count",)),
        ),
        run_id="0123456789abcdef0123456789abcdef",
        tracking_uri="https://user:secret@mlflow.example",
        notes=("2 test cases without expectations were left out",),
    )  # fmt: skip


def unfriendly(text: str) -> Evaluation:
    """An evaluation in which every text that a stranger can write is `text`."""
    session = make_session(
        [
            make_call("Bash", {"command": text, text: text}, result=text, outcome="failed",
                      outcome_reason=text),
            make_call(f"mcp__{text}", {"query": text}),
            make_call("Agent", {"subagent_type": text, "description": text}, id="parent"),
            make_call("Read", {"file_path": text}, agent="sub"),
        ],
        cwd=text,
        messages=(
            Message(role="user", text=text),
            Message(role="assistant", text=text, position=99),
        ),
        steps=(ModelStep(id="m", model=text),),
        subagents=(SubAgent(id="sub", type=text, prompt=text, parent_call_id="parent"),),
        files=(FileOperation(type="create", file_path=text, call_id="toolu_000"),),
        api_errors=(text,),
        session_id=text,
        usage_notes=(text,),
        incomplete=(text,),
    )  # fmt: skip
    side = {"tool": text, "input": {text: text, "other": [text]}}
    details = {"alignment": [
        {"expected": side, "actual": side, "matched": False, "differs": [text]}
    ]}  # fmt: skip
    return Evaluation(
        skill=text,
        results=(
            TestResult(
                test_id=text,
                skill=text,
                session=session,
                outcomes=(
                    outcome("tool_count", "fail", misses=(text,), hits=(text,), rationale=text,
                            details=details),
                    outcome("banned_tools", "unknown", rationale=text),
                    outcome("custom", "error", rationale=text),
                ),
                error=text,
                prompt=text,
                category=text,
                source=text,
                notes=(text,),
            ),
        ),
        gates=(
            GateResult(name=text, required=1.0, got=0.0, coverage=1.0, passed=False, reason=text),
        ),
        run_id=text,
        notes=(text,),
        incomplete=(text,),
    )  # fmt: skip


def large(tests: int = 1_000, checks: int = 20, calls: int = 30) -> Evaluation:
    """`tests` × `checks` verdicts, one in twenty tests failing, each with `calls` tool calls."""
    made = [
        make_call("Bash", {"command": f"python step_{n}.py --verbose"}, result="done\n" * 20)
        for n in range(calls)
    ]
    results = []
    for index in range(tests):
        bad = index % 20 == 0
        results.append(
            TestResult(
                test_id=f"case_{index:04d}",
                skill="large",
                session=make_session(
                    made, usage=TokenUsage(input_tokens=1000 + index * 7, output_tokens=500)
                ),
                outcomes=tuple(
                    outcome(
                        f"check_{n:02d}",
                        "fail" if bad and n in (3, 7) else "pass",
                        rationale=f"Bash: {calls} {'>' if bad and n in (3, 7) else '<='} 25",
                    )
                    for n in range(checks)
                ),
            )
        )
    return Evaluation(skill="large", results=tuple(results))


def recordings() -> Path:
    """Where the recorded sessions are."""
    return Path(__file__).parents[1] / "data" / "recordings"
