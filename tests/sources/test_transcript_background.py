"""A receipt is no result: what ran in the background ended as the record says later, or unknown."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.session import ToolCall
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.lines import assistant, dump, entry, result, text, tool, user

BASH = tool("Bash", "toolu_1", command="make", run_in_background=True)
AGENT = tool("Agent", "toolu_1", prompt="Look.", subagent_type="Explore")
WORKFLOW = tool("Workflow", "toolu_1", script="…")
TASK = "b1"


def notification(status: str, summary: str = "") -> str:
    return (
        f"<task-notification>\n<task-id>{TASK}</task-id>\n<tool-use-id>toolu_1</tool-use-id>\n"
        f"<status>{status}</status>\n<summary>{summary}</summary>\n</task-notification>"
    )


def told(status: str, summary: str = "") -> list[dict[str, Any]]:
    return [user(notification(status, summary), origin={"kind": "task-notification"})]


def queued(status: str, summary: str = "") -> list[dict[str, Any]]:
    command = {
        "type": "queued_command",
        "prompt": notification(status, summary),
        "commandMode": "task-notification",
    }
    return [entry("attachment", attachment=command)]


def asked(name: str, extra: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        assistant("msg_b", tool(name, "toolu_2", task_id=TASK)),
        result("toolu_2", "…", extra=extra),
    ]


def output(**task: Any) -> list[dict[str, Any]]:
    return asked("TaskOutput", {"retrieval_status": "success", "task": {"task_id": TASK, **task}})


RECEIPTS = {
    "Bash": (BASH, {"stdout": "", "backgroundTaskId": TASK}),
    "Agent": (AGENT, {"status": "async_launched", "agentId": TASK}),
    "Workflow": (
        WORKFLOW,
        {
            "status": "async_launched",
            "taskType": "local_workflow",
            "taskId": TASK,
            "runId": "wf_1",
        },
    ),
}
ENDS = {
    "nothing": ([], "unknown"),
    "still running": (output(status="running", exitCode=None), "unknown"),
    "exit code 0": (output(status="completed", exitCode=0), "succeeded"),
    "exit code 2": (output(status="completed", exitCode=2), "failed"),
    "failed": (output(status="failed"), "failed"),
    "killed": (output(status="killed"), "interrupted"),
    "older BashOutput": (
        asked("BashOutput", {"shellId": TASK, "status": "completed", "exitCode": 1}),
        "failed",
    ),
    "stopped by the agent": (
        asked("TaskStop", {"message": "Successfully stopped task: b1", "task_id": TASK}),
        "interrupted",
    ),
    "notification": (told("completed"), "succeeded"),
    "notification of a failure": (
        told("failed", 'Background command "x" failed with exit code 3'),
        "failed",
    ),
    "queued notification": (queued("completed", "… completed (exit code 0)"), "succeeded"),
    "killed notification": (told("killed"), "interrupted"),
    "of another task": (
        asked("TaskOutput", {"task": {"task_id": "other", "status": "completed", "exitCode": 0}}),
        "unknown",
    ),
}


def launched(kind: str, later: list[dict[str, Any]]) -> ToolCall:
    block, extra = RECEIPTS[kind]
    lines = [user("Go."), assistant("msg_a", block), result("toolu_1", "running", extra=extra)]
    return parse_transcript(dump(*lines, *later)).tool_calls[0]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", RECEIPTS)
def test_what_came_of_it(kind: str, end: str) -> None:
    later, outcome = ENDS[end]
    call = launched(kind, later)
    assert call.outcome == outcome
    assert call.outcome_reason or outcome == "succeeded"


def test_an_id_that_is_used_again_means_the_newer_call() -> None:
    block, extra = RECEIPTS["Bash"]
    again = tool("Bash", "toolu_9", command="make again", run_in_background=True)
    lines = [
        user("Go."),
        assistant("msg_a", block),
        result("toolu_1", "running", extra=extra),
        assistant("msg_c", again),
        result("toolu_9", "running", extra=extra),
        *output(status="completed", exitCode=0),
    ]
    first, second, _ = parse_transcript(dump(*lines)).tool_calls
    assert (first.outcome, second.outcome) == ("unknown", "succeeded")


def test_what_an_agent_writes_about_notifications_is_no_news() -> None:
    lines = [
        assistant("msg_z", text(notification("completed")), stop_reason="end_turn"),
    ]
    assert launched("Bash", lines).outcome == "unknown"


SKILL = tool("Skill", "toolu_1", skill="row-count")
FORKED = 'Skill "row-count" completed (forked execution).\n\nResult:\nOne row.'
ODD = ["\ufffd#7", None, -3, [[]], {"a": "b"}]


@pytest.mark.parametrize("extra", ODD, ids=str)
@pytest.mark.parametrize(("call", "said"), [(SKILL, FORKED), (WORKFLOW, "Started.")])
def test_a_damaged_structured_result_leaves_it_open_whether_agents_ran(
    call: dict[str, Any], said: str, extra: Any
) -> None:
    lines = [assistant("msg_1", call), result("toolu_1", said, is_error=False, extra=extra)]
    session = parse_transcript(dump(*lines))
    assert session.incomplete


@pytest.mark.parametrize("extra", ODD, ids=str)
def test_a_skill_whose_text_joined_the_conversation_ran_in_no_agent(extra: Any) -> None:
    lines = [
        assistant("msg_1", SKILL),
        result("toolu_1", "Launching skill: row-count", is_error=False, extra=extra),
    ]
    assert parse_transcript(dump(*lines)).incomplete == ()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (BASH, f"Command running in background with ID: {TASK}. Output is being written to: /t"),
        (WORKFLOW, f"Workflow launched in background. Task ID: {TASK}\nSummary: Looks twice"),
        (AGENT, "Async agent launched successfully.\nagentId: a1"),
    ],
)
@pytest.mark.parametrize("extra", ODD[:-1], ids=str)
def test_a_receipt_is_known_by_its_words_where_the_structured_result_is_damaged(
    call: dict[str, Any], said: str, extra: Any
) -> None:
    lines = [assistant("msg_1", call), result("toolu_1", said, is_error=False, extra=extra)]
    assert parse_transcript(dump(*lines)).tool_calls[0].outcome == "unknown"
    ended = parse_transcript(dump(*lines, *told("failed", "exit code 2")))
    assert ended.tool_calls[0].outcome == "failed"
