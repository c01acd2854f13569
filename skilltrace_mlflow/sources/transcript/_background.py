"""What became of calls whose result was only the receipt for work in the background.

A command sent to the background (by request, or moved there by its time-out), a background agent
and a workflow answer at once with an id. How they ended stands later in the result of TaskOutput
(BashOutput before), of TaskStop, or in a `<task-notification>`; without any of these nobody knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from skilltrace_mlflow.session import CallOutcome, ToolCall
from skilltrace_mlflow.sources._builder import fill
from skilltrace_mlflow.sources.transcript._wire import ToolUseResult

__all__ = ["LAUNCHED", "Background", "Notification", "is_of_background", "notification_of"]

LAUNCHED = frozenset(("async_launched", "remote_launched", "teammate_spawned"))
"""A status that is the receipt of a background agent, not its result."""

_NOTIFICATION = "<task-notification>"
_TAG = re.compile(r"<(task-id|tool-use-id|status|summary)>(.*?)</\1>", re.DOTALL)
_COUNT = re.compile(r"<(agent_count|subagent_tokens|tool_uses)>(\d+)</\1>")
_EXIT_CODE = re.compile(r"exit code (-?\d+)")
_RECEIPT = re.compile(
    r"(?:Command running in background with ID:|Workflow launched in background\. Task ID:) (\w+)"
    r"|Async agent launched successfully"
)
_STOPPED = frozenset(("cancelled", "killed", "stopped"))
_RUNNING = frozenset(("pending", "running"))


class Notification(NamedTuple):
    """A `<task-notification>`: whose, how it ended, and the figures of a workflow's agents."""

    task_id: str
    call_id: str
    status: str
    exit_code: int | None
    agents: int | None
    tokens: int | None
    tool_uses: int | None


def notification_of(text: str) -> Notification | None:
    """The notification in a text, None if there is none in it."""
    start = text.find(_NOTIFICATION)
    if start < 0:
        return None
    tags: dict[str, str] = {}
    for name, value in _TAG.findall(text[start:]):
        tags.setdefault(name, value.strip())
    # The figures stand last, behind an agent's whole answer.
    counts = {name: int(value) for name, value in _COUNT.findall(text[-500:])}
    code = _EXIT_CODE.search(tags.get("summary", "")[-40:])
    return Notification(
        task_id=tags.get("task-id", ""),
        call_id=tags.get("tool-use-id", ""),
        status=tags.get("status", ""),
        exit_code=int(code.group(1)) if code else None,
        agents=counts.get("agent_count"),
        tokens=counts.get("subagent_tokens"),
        tool_uses=counts.get("tool_uses"),
    )


def is_of_background(result: ToolUseResult) -> bool:
    """Whether a result may be about work in the background: a receipt, or news of it."""
    return (
        result.status is not None
        or result.backgroundTaskId is not None
        or result.task is not None
        or result.task_id is not None
        or result.shellId is not None
    )


class Background:
    """Told of receipts and of later news, in the order of the record."""

    def __init__(self) -> None:
        self._launched: dict[str, str] = {}  # task id: the call that started it last
        self._ends: dict[str, tuple[CallOutcome, str]] = {}
        self.calls: set[str] = set()
        self.figures: dict[str, Notification] = {}

    def receipt(self, call_id: str, result: ToolUseResult) -> bool:
        """Whether a result is but a receipt; if so, what it started is waited for."""
        task = result.backgroundTaskId
        if task is None and result.status in LAUNCHED:
            task = result.agentId or result.taskId or call_id
        if task is None:
            return False
        self._launched[task] = call_id
        self.calls.add(call_id)
        return True

    def receipt_in_words(self, call_id: str, text: str) -> bool:
        """The same by the text of a result that has no structured one, or a damaged one."""
        found = _RECEIPT.match(text)
        if found is None:
            return False
        self._launched[found.group(1) or call_id] = call_id
        self.calls.add(call_id)
        return True

    def news(self, result: ToolUseResult) -> None:
        """What a tool that asks after tasks answered."""
        task = result.task
        if task is not None and task.task_id:
            self._settle(task.task_id, task.status, task.exitCode)
        elif result.shellId:
            self._settle(result.shellId, result.status, result.exitCode)
        elif result.task_id and result.message and "stopped" in result.message:
            self._settle(result.task_id, "stopped", None)

    def notify(self, found: Notification) -> None:
        """A notification."""
        if found.agents is not None:
            call_id = self._launched.get(found.task_id, found.call_id)
            self.figures[call_id] = found
        self._settle(found.task_id, found.status, found.exit_code, found.call_id)

    def _settle(
        self, task_id: str, status: str | None, code: int | None, call_id: str | None = None
    ) -> None:
        call = self._launched.get(task_id) or call_id
        if not call or status is None or status in _RUNNING:
            return
        if status in _STOPPED:
            end: tuple[CallOutcome, str] = ("interrupted", "stopped in the background")
        elif code is not None:
            end = ("failed", f"Exit code {code}") if code else ("succeeded", "")
        elif status == "completed":
            end = "succeeded", ""
        elif status in ("failed", "error"):
            end = "failed", "failed in the background"
        else:
            end = "unknown", f"background task: {status}"
        self._ends[call] = end

    def finish(self, calls: Mapping[str, ToolCall]) -> None:
        """Put the ends on the calls."""
        for call_id in self.calls:
            call = calls.get(call_id)
            if call is not None and call.outcome == "unknown":
                outcome, reason = self._ends.get(
                    call_id, ("unknown", "went on in the background; its end is not recorded")
                )
                fill(call, outcome=outcome, outcome_reason=reason)
