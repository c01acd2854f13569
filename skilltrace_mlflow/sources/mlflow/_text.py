"""What a tool result's text proves where the trace lost the flag, and what it says about files.

Sentences are those of the recorded CLI (2.1) and of older versions in the wild. A sentence is
evidence only at the start of a result: a command may print anything after that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from skilltrace_mlflow.session import CallOutcome, FileOperation, SkillUse, SubAgent, ToolCall
from skilltrace_mlflow.sources.mlflow.names import NO_RESULT
from skilltrace_mlflow.sources.transcript._injected import is_injected
from skilltrace_mlflow.sources.transcript._outcome import classify_error
from skilltrace_mlflow.tools import starts_agent

__all__ = [
    "agent_id_in",
    "file_operation",
    "implied_subagent",
    "is_person",
    "outcome_of_text",
    "result_text",
    "skill_use",
]

_FAILED = re.compile(r"\s*(?:<tool_use_error>|Exit code \d+)")
_CREATED = re.compile(r"\s*File created successfully at: ")
_UPDATED = re.compile(
    r"\s*(?:The file .{0,4000}? has been updated|Applied \d+ edits? to )", re.DOTALL
)
_WRITERS = frozenset({"Write", "Edit", "MultiEdit"})
_PATH_KEYS = {
    "Write": "file_path",
    "Edit": "file_path",
    "MultiEdit": "file_path",
    "NotebookEdit": "notebook_path",
    "Read": "file_path",
    "NotebookRead": "notebook_path",
}
_AGENT_ID = re.compile(r"\bagentId: ([0-9A-Za-z_-]+)")


def result_text(outputs: Any) -> str | None:
    """The text of a tool span's outputs (`{"result": …}`, or bare); None where there is none."""
    value = (
        outputs.get("result") if isinstance(outputs, Mapping) and "result" in outputs else outputs
    )
    if isinstance(value, str):
        return None if value == NO_RESULT else value
    if isinstance(value, Sequence):
        texts = (
            item if isinstance(item, str) else item.get("text")
            for item in value
            if isinstance(item, str) or (isinstance(item, Mapping) and item.get("type") == "text")
        )
        return "\n".join(text for text in texts if isinstance(text, str))
    return None


def outcome_of_text(name: str, text: str | None) -> tuple[CallOutcome, str]:
    """The outcome that the result's text alone proves; `unknown` where it proves nothing."""
    if text is None:
        return "unknown", "no result"
    if _FAILED.match(text):
        return classify_error(text)
    if name in _WRITERS and (_CREATED.match(text) or _UPDATED.match(text)):
        return "succeeded", ""
    return "unknown", "the trace does not say how the call ended"


def file_operation(call: ToolCall, known: set[str]) -> FileOperation | None:
    """The file that a succeeded call created, edited or read; `known` are those met before."""
    key = _PATH_KEYS.get(call.name)
    if key is None or call.outcome != "succeeded" or call.input is None:
        return None
    path = call.input.get(key)
    if not isinstance(path, str) or not path:
        return None
    kind: Literal["create", "edit", "read"] = "edit"
    content = None
    if call.name in ("Read", "NotebookRead"):
        kind = "read"
    elif call.name == "Write":
        value = call.input.get("content")
        content = value if isinstance(value, str) else None
        text = call.result or ""
        if _CREATED.match(text) or (not _UPDATED.match(text) and path not in known):
            kind = "create"
    known.add(path)
    return FileOperation(
        type=kind, file_path=path, content=content, agent=call.agent, call_id=call.id
    )


def skill_use(call: ToolCall) -> SkillUse | None:
    """The skill that a call asked for, and whether it was loaded."""
    if call.name != "Skill" or call.input is None:
        return None
    name = call.input.get("skill") or call.input.get("skill_name") or call.input.get("command")
    if not isinstance(name, str) or not name:
        return None
    status: Literal["attempted", "loaded", "failed"] = "attempted"
    if call.outcome == "succeeded":
        status = "loaded"
    elif call.outcome in ("failed", "denied"):
        status = "failed"
    elif (call.result or "").startswith("Launching skill: "):
        status = "loaded"
    return SkillUse(name=name.removeprefix("/"), status=status, call_id=call.id, agent=call.agent)


def agent_id_in(text: str | None) -> str | None:
    """The id that Claude Code tells the model beside a sub-agent's answer."""
    found = _AGENT_ID.search(text or "")
    return found.group(1) if found else None


def is_person(text: str) -> bool:
    """Whether a user turn's text is what a person (or the calling program) said."""
    return bool(text.strip()) and not is_injected(text)


def implied_subagent(call: ToolCall) -> SubAgent | None:
    """The sub-agent that a succeeded Task/Agent call started, where the trace has no span of it."""
    if not starts_agent(call.name) or call.outcome in ("failed", "denied"):
        return None
    given = call.input or {}
    kind, prompt = given.get("subagent_type"), given.get("prompt")
    return SubAgent(
        id=agent_id_in(call.result) or call.id,
        type=kind if isinstance(kind, str) else None,
        prompt=prompt if isinstance(prompt, str) else None,
        parent_call_id=call.id,
    )
