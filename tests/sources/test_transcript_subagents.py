"""Sub-agents stand in four places; all of them are one session, deduplicated together."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.checks._findings import Verdict
from skilltrace_mlflow.checks._registry import get_check, run_check
from skilltrace_mlflow.session import SubAgent
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.lines import (
    SESSION,
    assistant,
    dump,
    progress,
    result,
    text,
    tool,
    usage,
    user,
    write_lines,
)

PROMPT = "Find the feeds."
AGENT = "a891acbce28f25196"


def task(name: str = "Agent", call_id: str = "toolu_task") -> dict[str, object]:
    return assistant(
        "msg_main",
        tool(name, call_id, subagent_type="Explore", prompt=PROMPT, description="Find"),
        usage=usage(10, 100),
    )


def answer(**extra: object) -> dict[str, object]:
    figures = {"totalTokens": 99999, "totalToolUseCount": 3, "usage": usage(999, 999)}
    return result("toolu_task", "found", extra={"status": "completed", **figures, **extra})


def agent_lines(session: str = SESSION, agent: str = AGENT) -> list[dict[str, object]]:
    common = {"isSidechain": True, "agentId": agent, "sessionId": session}
    return [
        user(PROMPT, **common),
        assistant("msg_sub", text("I look."), usage=usage(1, 20), **common),
        assistant("msg_sub", tool("Grep", "toolu_sub", pattern="x"), usage=usage(1, 20), **common),
        result("toolu_sub", "3 files", extra={"filenames": [], "numFiles": 3}, **common),
        assistant("msg_sub2", text("Found."), usage=usage(2, 30), **common),
    ]


def main_lines(*between: object, **extra: object) -> list[object]:
    return [user("Go."), task(), *between, answer(**extra), assistant("msg_end", text("Done."))]


def test_inline_side_chains_belong_to_the_task_with_the_same_prompt() -> None:
    first = user(PROMPT, isSidechain=True, parentUuid=None, uuid="s1")
    chain = [
        first,
        assistant(
            "msg_sub", tool("Grep", "toolu_sub"), isSidechain=True, parentUuid="s1", uuid="s2"
        ),
        result("toolu_sub", isSidechain=True, parentUuid="s2", uuid="s3"),
    ]
    session = parse_transcript(
        dump(user("Go."), task("Task"), *chain, result("toolu_task", "found"))
    )
    (agent,) = session.subagents
    assert agent == SubAgent(id="s1", type="Explore", parent_call_id="toolu_task")
    assert agent.prompt == PROMPT
    assert {call.agent for call in session.tool_calls if call.name == "Grep"} == {"s1"}
    assert session.turns == 1
    assert session.usage.output_tokens == 140
    assert session.prompts == ("Go.",)
    assert session.incomplete == ()


def test_parallel_inline_side_chains_stay_apart() -> None:
    def chain(root: str, name: str) -> list[dict[str, object]]:
        return [
            user(name, isSidechain=True, uuid=root),
            assistant(f"m{root}", text(name), isSidechain=True, parentUuid=root, uuid=root + "x"),
        ]

    one, two = chain("r1", "first"), chain("r2", "second")
    session = parse_transcript(
        dump(
            user("Go."),
            assistant(
                "msg_main",
                tool("Task", "toolu_1", subagent_type="x", prompt="first"),
                tool("Task", "toolu_2", subagent_type="y", prompt="second"),
            ),
            *(one[0], two[0], two[1], one[1]),
        )
    )
    assert [(a.id, a.type, a.parent_call_id) for a in session.subagents] == [
        ("r1", "x", "toolu_1"),
        ("r2", "y", "toolu_2"),
    ]
    assert {step.id: step.agent for step in session.steps if step.agent != "main"} == {
        "mr1": "r1",
        "mr2": "r2",
    }


def test_inline_side_chains_with_equal_prompts_are_matched_in_order() -> None:
    tasks = [tool("Task", f"toolu_{n}", subagent_type=f"t{n}", prompt=PROMPT) for n in range(2)]
    chains = [
        [
            user(PROMPT, isSidechain=True, uuid=f"r{n}"),
            assistant(f"m{n}", text("x"), isSidechain=True, parentUuid=f"r{n}"),
        ]
        for n in range(2)
    ]
    session = parse_transcript(
        dump(user("Go."), assistant("msg_main", *tasks), *chains[0], *chains[1])
    )
    assert [(a.id, a.type) for a in session.subagents] == [("r0", "t0"), ("r1", "t1")]


def test_progress_entries_name_the_call_they_serve() -> None:
    wrapped = progress(
        agent_lines()[1],
        agent=AGENT,
        call_id="toolu_task",
        prompt="Find the feeds, as summarised.",
    )
    session = parse_transcript(dump(user("Go."), task(), wrapped))
    assert session.subagents == (SubAgent(id=AGENT, type="Explore", parent_call_id="toolu_task"),)


def test_sibling_files_are_matched_by_session_id(tmp_path: Path) -> None:
    path = write_lines(tmp_path / f"{SESSION}.jsonl", *main_lines(agentId=AGENT))
    write_lines(tmp_path / f"agent-{AGENT}.jsonl", *agent_lines())
    write_lines(tmp_path / "agent-stranger.jsonl", *agent_lines("another-session", "stranger"))
    session = parse_transcript(path)
    assert [agent.id for agent in session.subagents] == [AGENT]
    assert session.usage.output_tokens == 100 + 40 + 20 + 30
    assert session.scoped("subagents").usage.output_tokens == 50
    assert session.incomplete == ()
    assert session.usage_complete


def test_siblings_found_later_are_seen(tmp_path: Path) -> None:
    path = write_lines(tmp_path / f"{SESSION}.jsonl", *main_lines(agentId=AGENT))
    assert parse_transcript(path).incomplete
    write_lines(tmp_path / f"agent-{AGENT}.jsonl", *agent_lines())
    os.utime(tmp_path, (1, 1))
    assert parse_transcript(path).incomplete == ()


def test_a_fork_shares_the_agents_of_what_it_copied(tmp_path: Path) -> None:
    old = "11111111-0000-4000-8000-000000000000"
    copied = [{**line, "sessionId": old} for line in main_lines(agentId=AGENT)]  # type: ignore[dict-item]
    path = write_lines(tmp_path / f"{SESSION}.jsonl", *copied, user("More."), assistant("msg_new"))
    write_lines(tmp_path / f"agent-{AGENT}.jsonl", *agent_lines(old))
    write_lines(tmp_path / "agent-later.jsonl", *agent_lines(old, "later"))
    session = parse_transcript(path)
    assert session.session_id == SESSION
    assert [agent.id for agent in session.subagents] == [AGENT]


@pytest.mark.parametrize("below", ["subagents", "subagents/workflows/run-1"])
def test_files_below_the_session_are_read_with_their_meta(tmp_path: Path, below: str) -> None:
    path = write_lines(tmp_path / "demo.jsonl", *main_lines())
    file = write_lines(tmp_path / "demo" / below / f"agent-{AGENT}.jsonl", *agent_lines())
    meta = {"agentType": "Explore", "toolUseId": "toolu_task", "spawnDepth": 1}
    file.with_name(f"agent-{AGENT}.meta.json").write_text(json.dumps(meta), encoding="utf-8")
    write_lines(file.parent / "journal.jsonl", {"type": "started", "agentId": AGENT})
    session = parse_transcript(path)
    assert session.subagents == (SubAgent(id=AGENT, type="Explore", parent_call_id="toolu_task"),)
    assert [call.name for call in session.tool_calls] == ["Agent", "Grep"]
    assert session.tool_calls[1].result == "3 files"
    assert session.incomplete == ()


@pytest.mark.parametrize("meta", ["", "[]", '{"agentType": 7}', "{"])
def test_a_broken_meta_file_costs_only_what_it_says(tmp_path: Path, meta: str) -> None:
    path = write_lines(tmp_path / "demo.jsonl", *main_lines(agentId=AGENT))
    folder = tmp_path / "demo" / "subagents"
    write_lines(folder / f"agent-{AGENT}.jsonl", *agent_lines())
    (folder / f"agent-{AGENT}.meta.json").write_text(meta, encoding="utf-8")
    assert parse_transcript(path).subagents[0].type == "Explore"


def test_agents_of_agents_know_the_call_that_started_them(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "demo.jsonl", *main_lines(agentId=AGENT))
    folder = tmp_path / "demo" / "subagents"
    inner = assistant("msg_in", tool("Agent", "toolu_in", subagent_type="Plan", prompt="Plan it."))
    inner.update(isSidechain=True, agentId=AGENT)
    done = result("toolu_in", extra={"status": "completed", "agentId": "deep"}, isSidechain=True)
    write_lines(folder / f"agent-{AGENT}.jsonl", *agent_lines(), inner, done)
    deep = [
        assistant("msg_deep", tool("Read", "toolu_deep", file_path="/x"), agentId="deep"),
        result("toolu_deep", agentId="deep"),
    ]
    write_lines(folder / "agent-deep.jsonl", *deep)
    session = parse_transcript(path)
    assert [(a.id, a.parent_call_id) for a in session.subagents] == [
        (AGENT, "toolu_task"),
        ("deep", "toolu_in"),
    ]
    assert [op.agent for op in session.files] == ["deep"]


def test_progress_entries_hold_whole_messages_of_a_sub_agent() -> None:
    sub = agent_lines()
    wrapped = [progress(line, agent=AGENT, call_id="toolu_task", prompt=PROMPT) for line in sub]  # type: ignore[arg-type]
    session = parse_transcript(dump(*main_lines(*wrapped)))
    assert session.usage.output_tokens == 100 + 40 + 20 + 30
    assert session.subagents == (SubAgent(id=AGENT, type="Explore", parent_call_id="toolu_task"),)
    grep = next(call for call in session.tool_calls if call.name == "Grep")
    assert (grep.name, grep.agent, grep.outcome, grep.result) == (
        "Grep",
        AGENT,
        "succeeded",
        "3 files",
    )
    assert session.turns == 2
    assert session.incomplete == ()


def test_one_deduplication_over_progress_and_files(tmp_path: Path) -> None:
    sub = agent_lines()
    wrapped = [
        progress(sub[n], agent=AGENT, call_id="toolu_task", prompt=PROMPT)  # type: ignore[arg-type]
        for n in (0, 2, 3, 4)
    ]
    path = write_lines(tmp_path / "demo.jsonl", *main_lines(*wrapped, agentId=AGENT))
    write_lines(tmp_path / "demo" / "subagents" / f"agent-{AGENT}.jsonl", *sub)
    session = parse_transcript(path)
    assert session.usage.output_tokens == 100 + 40 + 20 + 30
    inner = session.scoped("subagents")
    assert [message.text for message in inner.messages] == ["I look.", "Found."]
    assert [call.name for call in inner.tool_calls] == ["Grep"]


def test_other_progress_is_no_sub_agent() -> None:
    line = progress(agent_lines()[1], agent=AGENT, call_id="toolu_task", prompt=PROMPT)  # type: ignore[arg-type]
    line["data"] = {"type": "bash_progress", "output": "…", "elapsedTimeSeconds": 2}
    session = parse_transcript(dump(user("Go."), line, assistant("msg_a", text("a"))))
    assert session.subagents == ()


def test_total_tokens_of_a_result_are_never_a_total() -> None:
    session = parse_transcript(dump(*main_lines(agentId=AGENT)))
    assert session.usage.output_tokens == 140


def test_an_agent_without_a_transcript_leaves_a_gap() -> None:
    session = parse_transcript(dump(*main_lines(agentId=AGENT)))
    assert session.subagents == (SubAgent(id=AGENT, type="Explore", parent_call_id="toolu_task"),)
    assert session.incomplete == (f"the transcript of sub-agent {AGENT} is not at hand",)
    assert not session.usage_complete
    nameless = parse_transcript(dump(*main_lines()))
    assert nameless.incomplete == ("the transcript of sub-agent toolu_task is not at hand",)


def test_a_gap_of_nobody_s_makes_every_part_a_lower_bound() -> None:
    task = tool("Task", "toolu_t", prompt="Look.", subagent_type="Explore")
    inner = assistant("msg_s", text("Seen."), stop_reason=None)
    lines = [user("Go."), assistant("msg_a", task), assistant("msg_b", text("Done."))]
    lines.insert(2, progress(inner, agent="a1", call_id="toolu_t", prompt="Look."))
    whole = parse_transcript(dump(*lines))
    assert [whole.scoped(s).usage_complete for s in ("main", "subagents")] == [True, False]
    cut = parse_transcript([*dump(*lines), '{"type":"assistant","message":{"id":"msg_c","usa'])
    assert [cut.scoped(s).usage_complete for s in ("main", "subagents")] == [False, False]


def test_synthetic_messages_of_a_sub_agent_are_no_api_messages() -> None:
    task = tool("Task", "toolu_t", prompt="Look.", subagent_type="Explore")
    inner = assistant("58505170", text("API Error: overloaded"), model="<synthetic>")
    session = parse_transcript(
        dump(
            user("Go."),
            assistant("msg_a", task),
            progress(inner, agent="a1", call_id="toolu_t", prompt="Look."),
        )
    )
    assert [step.id for step in session.steps] == ["msg_a"]
    assert [message.text for message in session.messages] == ["Go."]


def test_messages_without_any_id_in_two_files_stay_apart(tmp_path: Path) -> None:
    def nameless(figure: int) -> dict[str, Any]:
        return assistant(None, text("x"), usage=usage(figure, 1), uuid=None)

    path = write_lines(tmp_path / f"{SESSION}.jsonl", user("Go."), nameless(100))
    folder = tmp_path / SESSION / "subagents"
    write_lines(folder / "agent-a1.jsonl", user("Look."), nameless(1000))
    assert parse_transcript(path).usage.input_tokens == 1100


def test_leaving_sub_agents_out_is_said(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "demo.jsonl", *main_lines(agentId=AGENT))
    write_lines(tmp_path / "demo" / "subagents" / f"agent-{AGENT}.jsonl", *agent_lines())
    session = parse_transcript(path, subagents=False)
    assert session.incomplete == (f"the transcript of sub-agent {AGENT} is not at hand",)
    assert [call.name for call in session.tool_calls] == ["Agent"]


def test_a_refused_task_started_no_agent() -> None:
    refused = result(
        "toolu_task",
        "<tool_use_error>InputValidationError: Task failed</tool_use_error>",
        is_error=True,
    )
    session = parse_transcript(dump(user("Go."), task("Task"), refused))
    assert session.subagents == ()
    assert session.incomplete == ()


def test_async_launched_is_a_receipt_not_a_result(tmp_path: Path) -> None:
    receipt = {"status": "async_launched", "isAsync": True, "agentId": AGENT, "prompt": PROMPT}
    lines = [user("Go."), task(), result("toolu_task", "Async agent launched", extra=receipt)]
    path = write_lines(tmp_path / "demo.jsonl", *lines)
    write_lines(tmp_path / "demo" / "subagents" / f"agent-{AGENT}.jsonl", *agent_lines())
    session = parse_transcript(path)
    agent = session.subagents[0]
    assert (agent.background, agent.status) == (True, "async_launched")
    call = session.tool_calls[0]
    assert (call.outcome, "background" in call.outcome_reason) == ("unknown", True)
    assert session.scoped("subagents").usage.output_tokens == 50


def test_an_agent_s_own_file_is_a_session_of_that_agent(tmp_path: Path) -> None:
    session = parse_transcript(write_lines(tmp_path / f"agent-{AGENT}.jsonl", *agent_lines()))
    assert session.turns == 0
    assert session.session_id == SESSION
    assert session.cwd == "/home/dev/shop"
    assert {step.agent for step in session.steps} == {AGENT}
    assert session.prompts == ()


def test_an_unreadable_file_of_a_sub_agent_leaves_a_gap(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "demo.jsonl", *main_lines(agentId=AGENT))
    file = tmp_path / "demo" / "subagents" / f"agent-{AGENT}.jsonl"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\xff\xfe{\x00")
    session = parse_transcript(path)
    assert any("UTF-16" in reason for reason in session.incomplete)
    assert any(AGENT in reason and "not at hand" in reason for reason in session.incomplete)


def test_a_damaged_line_of_a_sub_agent_names_the_agent(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "demo.jsonl", *main_lines(agentId=AGENT))
    file = tmp_path / "demo" / "subagents" / f"agent-{AGENT}.jsonl"
    write_lines(file, "}{", *agent_lines())
    session = parse_transcript(path)
    assert session.incomplete[0].startswith(f"sub-agent {AGENT} line 1: not JSON")
    assert session.diagnostics[0].file == str(file)


def test_the_cli_s_stream_names_the_call_a_sub_agent_serves() -> None:
    lines = [
        {"type": "system", "subtype": "init", "session_id": SESSION, "cwd": "/x"},
        {**task(), "session_id": SESSION, "parent_tool_use_id": None},
        {
            **agent_lines()[2],
            "isSidechain": None,
            "agentId": None,
            "parent_tool_use_id": "toolu_task",
        },
        {"type": "result", "subtype": "success", "total_cost_usd": 0.5, "session_id": SESSION},
    ]
    session = parse_transcript(dump(*lines))
    assert [call.agent for call in session.tool_calls] == ["main", "toolu_task"]
    assert session.subagents[0].parent_call_id == "toolu_task"
    assert session.cost_usd == 0.5


@pytest.mark.parametrize("told", [True, False])
def test_agents_that_claude_code_warms_up_by_itself_were_started_by_nobody(
    tmp_path: Path, told: bool
) -> None:
    path = write_lines(tmp_path / f"{SESSION}.jsonl", user("Go."), assistant("msg_a", text("Ok.")))
    own = {"isSidechain": True, "agentId": "0c4c3cf8"}
    lines = [user("Warmup", **own)] if told else []
    write_lines(tmp_path / "agent-0c4c3cf8.jsonl", *lines, assistant("msg_w", text("Hi."), **own))
    session = parse_transcript(path)
    assert [agent.status for agent in session.subagents] == ["warm-up"]
    assert session.usage.output_tokens == 80  # they cost tokens all the same
    spec = get_check("subagents")
    for value, verdict in (
        ({"max": 0}, Verdict.PASS),
        ({"banned": ["Explore"]}, Verdict.PASS),
        ({"required": ["Explore"]}, Verdict.FAIL),
    ):
        assert run_check(spec, session, spec.parse(value)).verdict is verdict


def test_an_agent_that_worked_is_no_warm_up_though_its_beginning_is_lost(tmp_path: Path) -> None:
    path = write_lines(tmp_path / f"{SESSION}.jsonl", user("Go."), assistant("msg_a", text("Ok.")))
    own = {"isSidechain": True, "agentId": "0c4c3cf8"}
    worked = assistant("msg_w", tool("Bash", "toolu_w", command="ls"), **own)
    write_lines(tmp_path / "agent-0c4c3cf8.jsonl", worked)
    session = parse_transcript(path)
    spec = get_check("subagents")
    assert run_check(spec, session, spec.parse({"max": 0})).verdict is Verdict.FAIL
