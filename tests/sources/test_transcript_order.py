"""One order over all agents: each one's own is kept, times merge them, main first on ties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.lines import assistant, dump, text, tool, user, write_lines


def at(second: int) -> str:
    return f"2026-01-21T06:00:{second:02d}.000Z"


def sub(agent: str, message: str, second: int | None) -> dict[str, Any]:
    stamp = None if second is None else at(second)
    block = tool("Read", f"toolu_{message}", file_path="/x")
    return assistant(message, block, timestamp=stamp, isSidechain=True, agentId=agent)


def read(tmp_path: Path, main: list[Any], **agents: list[Any]) -> Session:
    for agent, lines in agents.items():
        write_lines(tmp_path / "s" / "subagents" / f"agent-{agent}.jsonl", *lines)
    return parse_transcript(write_lines(tmp_path / "s.jsonl", *main))


def order(session: Session) -> list[str]:
    return [step.id for step in sorted(session.steps, key=lambda step: step.position)]


def test_agents_are_merged_by_time(tmp_path: Path) -> None:
    main = [
        user("Go.", timestamp=at(0)),
        assistant("m1", text("a"), timestamp=at(1)),
        assistant("m2", text("b"), timestamp=at(9)),
    ]
    session = read(tmp_path, main, b=[sub("b", "b1", 3), sub("b", "b2", 8)], a=[sub("a", "a1", 5)])
    assert order(session) == ["m1", "b1", "a1", "b2", "m2"]
    assert [step.id for step in session.steps] == order(session)
    assert [call.id for call in session.tool_calls] == ["toolu_b1", "toolu_a1", "toolu_b2"]


def test_main_comes_first_on_ties_then_agents_by_id(tmp_path: Path) -> None:
    main = [user("Go.", timestamp=at(1)), assistant("m1", text("a"), timestamp=at(1))]
    session = read(tmp_path, main, b=[sub("b", "b1", 1)], a=[sub("a", "a1", 1)])
    assert order(session) == ["m1", "a1", "b1"]


def test_an_agent_s_own_order_is_kept_when_its_clock_steps_back(tmp_path: Path) -> None:
    main = [user("Go.", timestamp=at(0)), assistant("m1", text("a"), timestamp=at(7))]
    session = read(tmp_path, main, a=[sub("a", "a1", 8), sub("a", "a2", 2), sub("a", "a3", None)])
    assert order(session) == ["m1", "a1", "a2", "a3"]


def test_a_missing_time_inherits_the_one_before(tmp_path: Path) -> None:
    main = [user("Go.", timestamp=at(0)), assistant("m1", text("a"), timestamp=at(5))]
    session = read(tmp_path, main, a=[sub("a", "a1", 4), sub("a", "a2", None)])
    assert order(session) == ["a1", "a2", "m1"]
    assert session.steps[1].timestamp is None


def test_positions_order_steps_calls_and_messages_among_each_other() -> None:
    session = parse_transcript(
        dump(
            user("Go."),
            assistant("m1", text("I look."), tool("Read", "t1", file_path="/x")),
            user("Stop."),
            assistant("m2", text("Fine.")),
        )
    )
    everything = [*session.steps, *session.tool_calls, *session.messages]
    named = sorted(everything, key=lambda item: item.position)
    assert [type(item).__name__ for item in named] == [
        "Message",
        "ModelStep",
        "Message",
        "ToolCall",
        "Message",
        "ModelStep",
        "Message",
    ]
    assert [event.type for event in session.events] == [
        "message",
        "model_step",
        "message",
        "tool_call",
        "message",
        "model_step",
        "message",
    ]
