"""Lines of transcripts as Claude Code writes them, field by field: name what matters to a test."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

__all__ = [
    "SESSION",
    "assistant",
    "dump",
    "entry",
    "progress",
    "result",
    "text",
    "tool",
    "usage",
    "user",
    "write_lines",
]

SESSION = "0f6b1a4e-7a53-4c1d-9a0e-5d5c7c1f2b11"
_number = count(1)


def entry(kind: str, **fields: Any) -> dict[str, Any]:
    """An entry with the fields that every one of the conversation carries; None drops a field."""
    number = next(_number)
    values = {
        "parentUuid": None,
        "isSidechain": False,
        "userType": "external",
        "cwd": "/home/dev/shop",
        "sessionId": SESSION,
        "version": "2.1.197",
        "gitBranch": "main",
        "type": kind,
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "timestamp": f"2026-01-21T06:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
    }
    values.update(fields)
    return {key: value for key, value in values.items() if value is not None or key == "parentUuid"}


def usage(
    input: int = 3,  # noqa: A002 - the field's name
    output: int = 40,
    *,
    read: int = 0,
    write_5m: int = 0,
    write_1h: int = 0,
    **fields: Any,
) -> dict[str, Any]:
    """A `usage` object as the API sends it."""
    return {
        "input_tokens": input,
        "cache_creation_input_tokens": write_5m + write_1h,
        "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": write_5m,
            "ephemeral_1h_input_tokens": write_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
        **fields,
    }


def text(words: str) -> dict[str, Any]:
    """A text block."""
    return {"type": "text", "text": words}


def tool(name: str, call_id: str, **arguments: Any) -> dict[str, Any]:
    """A `tool_use` block."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def assistant(
    message_id: str | None,
    *content: Any,
    usage: Any = ...,
    stop_reason: str | None = "tool_use",
    model: str = "claude-sonnet-4-5-20250929",
    **fields: Any,
) -> dict[str, Any]:
    """An assistant entry; `content` are its blocks, `...` as usage means the usual figures."""
    message: dict[str, Any] = {
        "model": model,
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": globals()["usage"]() if usage is ... else usage,
    }
    if message_id is None:
        del message["id"]
    return entry("assistant", message=message, requestId="req_011", **fields)


def user(content: Any, **fields: Any) -> dict[str, Any]:
    """A user entry with that content."""
    return entry("user", message={"role": "user", "content": content}, **fields)


def result(
    call_id: str,
    content: Any = "done",
    *,
    is_error: Any = None,
    extra: Any = None,
    **fields: Any,
) -> dict[str, Any]:
    """A user entry with one `tool_result` block; `extra` is its `toolUseResult`."""
    block = {"tool_use_id": call_id, "type": "tool_result", "content": content}
    if is_error is not None:
        block["is_error"] = is_error
    return user([block], toolUseResult=extra, **fields)


def progress(nested: dict[str, Any], *, agent: str, call_id: str, prompt: str) -> dict[str, Any]:
    """A progress entry that carries an entry of a sub-agent (versions 2.1.12 to 2.1.81)."""
    kept = {key: nested[key] for key in ("type", "message", "uuid", "timestamp")}
    return entry(
        "progress",
        data={
            "message": kept,
            "normalizedMessages": [],
            "type": "agent_progress",
            "prompt": prompt,
            "agentId": agent,
        },
        toolUseID="agent_msg_01",
        parentToolUseID=call_id,
    )


def dump(*entries: Any) -> list[str]:
    """The entries as lines, the way Claude Code writes JSON; strings are taken as they are."""
    return [
        item
        if isinstance(item, str)
        else json.dumps(item, ensure_ascii=False, separators=(",", ":"))
        for item in entries
    ]


def write_lines(path: Path, *entries: Any) -> Path:
    """Write a transcript; makes the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in dump(*entries)), encoding="utf-8")
    return path
