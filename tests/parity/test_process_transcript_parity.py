"""The seven trace checks on a recording's file and on the trace that MLflow's tracer made of it.

Only recordings of one user turn: `process_transcript` logs the last turn of a session and nothing
else. Where the verdicts differ, the difference stands in `ALLOWED` with its reason; a difference
that is not listed fails, and so does an entry that is not needed. All of them go the same way: the
trace cannot tell, and says so. None turns a fail into a pass.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from skilltrace_mlflow.expectations import parse_expectations
from skilltrace_mlflow.score import score_session
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.mlflow.trace import session_from_trace
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

DATA = Path(__file__).parent.parent / "data"
TRACES = DATA / "traces" / "process_transcript"

EXPECTATIONS = parse_expectations(
    {
        "tool_limits": {"Bash": 3, "Read": 2},
        "token_budget": {"max_input": 30, "max_output": 500},
        "required_tools": ["Read"],
        "banned_tools": ["rm", "Bash(curl:*)", "mcp__databricks__create_*", "Agent(Explore)"],
        "expected_files": ["*.*"],
        "tool_sequence": ["Read", "Edit"],
        "category_limits": {"bash": 3, "file_ops": 4, "mcp_databricks": 1},
    }
)
CHECKS = (
    "banned_tools",
    "category_limits",
    "file_existence",
    "required_tools",
    "token_budget",
    "tool_count",
    "tool_sequence",
)

# mlflow/claude_code/tracing.py (3.17.2), `_create_llm_and_tool_spans`: it walks the main transcript
# only, `agent-*.jsonl` is never opened.
SUBAGENT = "the tracer leaves sub-agents out: what they did and used is not in the trace"
# The same function: `tool_span.set_outputs({"result": …})` is all that is kept of a result.
FLAG = "the tracer drops is_error, and the result's text proves neither success nor failure"
# `_get_input_messages` is called for lines with text only: with none after them, the usage of
# messages without text is nowhere.
USAGE = "the turn ends without text: the usage of its last messages is not in the trace"

# WebFetch and WebSearch ask a model; Claude Code states what that used in its transcript, the trace
# nowhere.
SIDE = "what WebFetch or WebSearch asked a model is not in the trace"

ALLOWED: dict[str, dict[str, str]] = {
    "demo-subagent": {
        "category_limits": SUBAGENT,
        "tool_count": SUBAGENT,
        "tool_sequence": SUBAGENT,
    },
    "deny-rules": {"file_existence": FLAG},
    "hook-block": {"file_existence": FLAG},
    "max-turns": {"token_budget": USAGE},
    "nested-agents": {
        "banned_tools": SUBAGENT,
        "category_limits": SUBAGENT,
        "file_existence": SUBAGENT,
        "required_tools": SUBAGENT,
        "token_budget": SUBAGENT,
        "tool_count": SUBAGENT,
        "tool_sequence": SUBAGENT,
    },
    "newest-2.1.330": {
        "banned_tools": SUBAGENT,
        "category_limits": SUBAGENT,
        "token_budget": SUBAGENT,
        "tool_count": SUBAGENT,
    },
    "newest-background-2.1.332": {
        "banned_tools": SUBAGENT,
        "file_existence": SUBAGENT,
        "required_tools": SUBAGENT,
        "token_budget": SUBAGENT,
        "tool_sequence": SUBAGENT,
    },
    "newest-budget-2.1.332": {"token_budget": USAGE},
    "newest-errors-2.1.332": {"token_budget": USAGE},
    "newest-search-2.1.332": {"token_budget": SIDE},
    "newest-structured-2.1.332": {"token_budget": USAGE},
    "newest-web-2.1.332": {"token_budget": SIDE},
    "newest-denials-2.1.330": {"file_existence": FLAG},
    "notebook": {"file_existence": FLAG},
    "parallel-agents": {
        "category_limits": SUBAGENT,
        "file_existence": SUBAGENT,
        "required_tools": SUBAGENT,
        "token_budget": SUBAGENT,
        "tool_count": SUBAGENT,
        "tool_sequence": SUBAGENT,
    },
    "permission-denied": {"file_existence": FLAG},
    "structured-output": {"token_budget": USAGE},
    "subagent": {
        "banned_tools": SUBAGENT,
        "category_limits": SUBAGENT,
        "token_budget": SUBAGENT,
        "tool_count": SUBAGENT,
    },
}


def pairs() -> dict[str, tuple[Session, Session]]:
    """Recordings of one turn: the session of the file, and that of the trace."""
    found = {}
    for path in sorted(TRACES.glob("*.json")):
        traced = session_from_trace(path.read_text(encoding="utf-8"))
        for file in find_sessions(DATA / "recordings" / path.stem):
            session = parse_transcript(file)
            one_turn = len(session.prompts) == 1 and traced.prompts == session.prompts
            if session.session_id == traced.session_id and one_turn:
                found[path.stem] = session, traced
    return found


PAIRS = pairs()


def verdicts(session: Session) -> dict[str, str]:
    return {
        outcome.check: outcome.verdict.value for outcome in score_session(session, EXPECTATIONS)
    }


@pytest.mark.parametrize("name", PAIRS)
def test_verdicts_differ_only_where_allowed(name: str) -> None:
    session, traced = PAIRS[name]
    of_file, of_trace = verdicts(session), verdicts(traced)
    # Where the file shows that it was cut off, a check says so that nobody asked for.
    assert of_file.keys() - {"completion"} == set(CHECKS)
    differing = {check for check in CHECKS if of_file[check] != of_trace[check]}
    assert differing == set(ALLOWED.get(name, {}))
    assert {of_trace[check] for check in differing} <= {"unknown"}


@pytest.mark.parametrize("name", PAIRS)
def test_calls_and_tokens_are_those_of_the_file(name: str) -> None:
    session, traced = PAIRS[name]
    main = session.scoped("main")
    assert [(c.id, c.name, c.input, c.agent) for c in traced.tool_calls] == [
        # The trace holds what the model asked for, also where a hook changed it.
        (c.id, c.name, c.requested_input or c.input, c.agent)
        for c in main.tool_calls
    ]
    assert [c.result for c in traced.tool_calls] == [c.result for c in main.tool_calls]
    for mine, theirs in zip(traced.tool_calls, main.tool_calls, strict=True):
        assert mine.outcome in (theirs.outcome, "unknown")
    if "token_budget" not in ALLOWED.get(name, {}) or ALLOWED[name]["token_budget"] is SUBAGENT:
        assert traced.scoped("main").usage == main.usage
        assert traced.turns == session.turns


def test_every_entry_names_a_recording() -> None:
    assert set(ALLOWED) <= set(PAIRS)
    assert len(PAIRS) > 20
