"""The timeline of a session: everything in order, sub-agents below the calls that made them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skilltrace_mlflow.report import timeline_text, to_html_page
from skilltrace_mlflow.report.timeline import Node, build_timeline, call_summary, seconds, totals
from skilltrace_mlflow.session import Diagnostic, ModelStep, Session, SubAgent, ToolCall
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.builders import TokenUsage, make_call, make_session
from tests.report.evaluations import nested_session, recordings


def shape(nodes: tuple[Node, ...]) -> list[object]:
    """Kind and title of each node, children as lists behind it."""
    made: list[object] = []
    for node in nodes:
        made.append(f"{node.kind} {node.title or node.text}")
        if node.children:
            made.append(shape(node.children))
    return made


def calls_below(nodes: tuple[Node, ...]) -> int:
    return sum((node.kind == "call") + calls_below(node.children) for node in nodes)


def test_sub_agents_hang_below_the_calls_that_started_them() -> None:
    assert shape(build_timeline(nested_session())) == [
        "step claude-sonnet-4-5",
        "prompt Count the rows.",
        "call Read",
        "call Agent",
        [
            "agent Explore",
            [
                "step claude-haiku-4-5",
                "call Bash",
                "call Agent",
                ["agent Counter", ["call Bash"]],
            ],
        ],
        "call Write",
        "answer Two rows.",
    ]


def test_a_call_carries_outcome_reason_duration_input_result_and_files() -> None:
    nodes = build_timeline(nested_session())
    read, write = nodes[2], nodes[4]
    assert (read.outcome, read.duration, read.text) == ("succeeded", "12 ms", "a.csv")
    assert (read.input, read.result) == ("file_path: /w/a.csv", "id\n1")
    assert write.files == ("created out.sql",)
    failed = nodes[3].children[0].children[1]
    assert (failed.title, failed.outcome, failed.reason) == ("Bash", "failed", "Exit code 2")


def test_agents_without_a_known_call_and_unknown_agents_come_last_and_once() -> None:
    session = make_session(
        [
            make_call("Read"),
            make_call("Bash", agent="lost", id="c-lost"),
            make_call("Write", agent="unnamed"),
            make_call("Grep", agent="below"),
        ],
        subagents=(
            SubAgent(id="below", type="Below", parent_call_id="c-lost"),
            SubAgent(id="lost", type="Lost", parent_call_id="not there"),
        ),
    )
    assert shape(build_timeline(session)) == [
        "call Read",
        "agent Lost",
        ["call Bash", ["agent Below", ["call Grep"]]],
        "agent sub-agent",
        ["call Write"],
    ]


def test_an_agent_that_is_its_own_parent_is_shown_once() -> None:
    session = make_session(
        [make_call("Agent", agent="a", id="c1")],
        subagents=(SubAgent(id="a", type="Loop", parent_call_id="c1"),),
    )
    assert shape(build_timeline(session)) == ["agent Loop", ["call Agent"]]


@pytest.mark.parametrize(
    ("call", "summary"),
    [
        (make_call("Bash", {"command": "ls -1\npwd", "timeout": 3}), "ls -1 pwd"),
        (make_call("Read", {"file_path": "/w/src/a.py"}), "src/a.py"),
        (make_call("Read", {"file_path": "/world/a.py"}), "/world/a.py"),
        (make_call("Agent", {"subagent_type": "Explore", "description": "Look"}), "Explore: Look"),
        (make_call("Skill", {"skill": "bronze"}), "bronze"),
        (make_call("mcp__db__run", {"limit": 5, "sql": "SELECT 1"}), "SELECT 1"),
        (make_call("mcp__db__list", {"limit": 5}), '{"limit": 5}'),
        (make_call("ExitPlanMode", {}), ""),
        (ToolCall(id="x", name="Bash", input=None), "(input not recorded)"),
    ],
)
def test_a_call_is_summed_up_by_what_it_is_about(call: ToolCall, summary: str) -> None:
    assert call_summary(call, "/w") == summary


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0124, "12 ms"), (1.0, "1.0 s"), (119.0, "119.0 s"), (600.0, "10.0 min")],
)
def test_durations_are_for_people(value: float | None, text: str) -> None:
    assert seconds(value) == text


def test_totals_say_what_is_not_known_instead_of_zero() -> None:
    session = replace(
        nested_session(),
        missing={"usage": "this export has no usage", "times": "times are synthetic"},
    )
    known = dict(totals(session))
    assert known["tokens"] == "unknown: this export has no usage"
    assert known["duration"] == "times are synthetic"
    assert "in," not in timeline_text(session, width=100)


def test_a_lower_bound_says_so() -> None:
    step = ModelStep(
        id="m", model="x", usage=TokenUsage(output_tokens=5), usage_complete=False, position=0
    )
    session = make_session([], steps=(step,), usage_complete=False)
    assert dict(totals(session))["tokens"].startswith("at least ")
    assert "at least 0 in, 5 out" in timeline_text(session, width=100)


def test_the_terminal_shows_what_happened_in_order() -> None:
    lines = [line.split() for line in timeline_text(nested_session(), width=100).splitlines()]
    words = [" ".join(line[line[0].isdigit() :][:2]) for line in lines if line]
    expected = ["prompt Count", "succeeded Read", "succeeded Agent", "sub-agent Explore",
                "failed Bash", "succeeded Write", "created out.sql", "says Two"]  # fmt: skip
    positions = [words.index(word) for word in expected]
    assert positions == sorted(positions)
    assert ["tool", "calls", "6:", "Agent", "×2,", "Bash", "×2,", "Read,", "Write", "(1",
            "failed)"] in lines  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_terminal_timeline_fits(width: int) -> None:
    text = timeline_text(nested_session(), width=width)
    assert max(map(len, text.splitlines())) <= width


def test_an_empty_session_and_odd_lines_are_told() -> None:
    session = Session(
        source="x.jsonl",
        diagnostics=(Diagnostic(message="not JSON", line=7),),
        incomplete=("line 7 is not JSON",),
    )
    text = timeline_text(session, width=100)
    assert "nothing happened in this session" in text
    assert "note: line 7: not JSON" in text
    page = to_html_page(session)
    assert "Nothing happened in this session." in page
    assert "line 7: not JSON" in page


@pytest.mark.parametrize(
    "folder", sorted(path.name for path in recordings().iterdir() if path.is_dir())
)
def test_every_call_of_every_recording_is_shown(folder: str) -> None:
    for file in find_sessions(recordings() / folder):
        session = parse_transcript(file)
        assert calls_below(build_timeline(session)) == len(session.tool_calls)
        page = to_html_page(session, name=folder)
        assert page.count('<b class="tool">') == len(session.tool_calls)
        assert timeline_text(session, width=100)


def test_the_recorded_failure_shows_the_forbidden_command_and_its_place() -> None:
    (file,) = (recordings() / "demo-failing").glob("*.jsonl")
    text = timeline_text(parse_transcript(file), width=140)
    line = next(line for line in text.splitlines() if "rm -r -f orders" in line)
    assert line.split()[:3] == ["5", "succeeded", "Bash"]
    assert "mcp__databricks__execute_sql" in text
