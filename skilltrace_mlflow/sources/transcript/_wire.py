"""The lines of a Claude Code transcript as typed records: what is read of them, and how.

Typed decoding skips what no field asks for (tool results, thinking, patches), which is what makes
reading as fast as a bare JSON parser. A line that does not fit the types is read again tolerantly:
fields of an unexpected type become None, so that one odd field never costs a whole line.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from sys import float_info
from typing import Annotated, Any, get_type_hints

import msgspec

__all__ = [
    "REFUSALS",
    "Attachment",
    "Block",
    "Entry",
    "Message",
    "Progress",
    "ToolUseResult",
    "Usage",
    "amount",
    "decode_entry",
    "decode_json",
    "decode_raw",
    "decode_several",
    "decode_tolerantly",
    "split_values",
    "text_of",
]

_EMPTY = msgspec.Raw(b"")
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
# Beyond what a float holds exactly a count is damage, and no cost can be put on it.
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_DAMAGED = -1


class CacheCreation(msgspec.Struct, gc=False):
    """Cache writes by lifetime; the rest of them lives five minutes."""

    ephemeral_1h_input_tokens: _Count | None = None


class ServerToolUse(msgspec.Struct, gc=False):
    """What the API itself did for the response."""

    web_search_requests: _Count | None = None


class Usage(msgspec.Struct, gc=False):
    """Token counts as the API sent them: None where a field is missing or null, negative where
    something stands there that is no count.
    """

    input_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    server_tool_use: ServerToolUse | None = None
    cache_creation: CacheCreation | None = None
    iterations: list[msgspec.Raw] | None = None
    speed: str | None = None


class Block(msgspec.Struct, gc=False):
    """A content block of any type. `is_error` keeps whatever stood there: only `true` is an error,
    and what is neither true nor false (`null`, a text) is no evidence at all. Left out it is false.
    """

    type: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None
    text: str | None = None
    tool_use_id: str | None = None
    content: msgspec.Raw = _EMPTY
    is_error: Any = False


class Message(msgspec.Struct, gc=False):
    """An API message, or a part of one."""

    model: str | None = None
    id: str | None = None
    content: str | list[Block] | None = None
    stop_reason: str | None = None
    usage: Usage | None = None


class EditedFile(msgspec.Struct, gc=False):
    """One file of a shell command's changes."""

    filePath: str | None = None  # noqa: N815
    created: bool | None = None


class FileReference(msgspec.Struct, gc=False):
    """The `file` of a Read result; images carry no path."""

    filePath: str | None = None  # noqa: N815 - Claude Code's spelling, here and below


class TaskState(msgspec.Struct, gc=False):
    """A background task as TaskOutput reports it."""

    task_id: str | None = None
    status: str | None = None
    exitCode: int | None = None  # noqa: N815


class EditDiff(msgspec.Struct, gc=False):
    """Files that a shell command changed, as Claude Code saw it (since 2.1.269, where it is on)."""

    files: list[EditedFile] | None = None
    changedFiles: list[str] | None = None  # noqa: N815
    moreFiles: int | None = None  # noqa: N815
    unavailable: Any = None


class ToolUseResult(msgspec.Struct, gc=False):
    """The structured result beside a `tool_result` block, where it is an object."""

    type: str | None = None
    filePath: str | None = None  # noqa: N815
    file: FileReference | None = None
    status: str | None = None
    agentId: str | None = None  # noqa: N815
    agentType: str | None = None  # noqa: N815
    success: bool | None = None
    commandName: str | None = None  # noqa: N815
    interrupted: bool | None = None
    backgroundTaskId: str | None = None  # noqa: N815
    code: int | None = None
    durationMs: float | None = None  # noqa: N815
    totalDurationMs: float | None = None  # noqa: N815
    totalTokens: Any = None  # noqa: N815
    totalToolUseCount: Any = None  # noqa: N815
    taskId: str | None = None  # noqa: N815
    taskType: str | None = None  # noqa: N815
    runId: str | None = None  # noqa: N815
    task: TaskState | None = None
    task_id: str | None = None
    message: str | None = None
    shellId: str | None = None  # noqa: N815
    exitCode: int | None = None  # noqa: N815
    bashEditDiff: EditDiff | None = None  # noqa: N815


class Decision(msgspec.Struct, gc=False):
    """How a question for permission was answered (`accept` or `reject`), and by what."""

    decision: str | None = None
    source: str | None = None


class Origin(msgspec.Struct, gc=False):
    """Who sent a user entry (since 2.1.119); `human` is a person."""

    kind: str | None = None


class Attachment(msgspec.Struct, gc=False):
    """What Claude Code put beside the conversation (since 2.1.91)."""

    type: str | None = None
    prompt: msgspec.Raw = _EMPTY
    commandMode: str | None = None  # noqa: N815
    source_uuid: str | None = None
    origin: Origin | None = None
    toolUseID: str | None = None  # noqa: N815
    hookEvent: str | None = None  # noqa: N815
    message: msgspec.Raw = _EMPTY
    stdout: str | None = None


class Nested(msgspec.Struct, gc=False):
    """An entry of a sub-agent inside a progress entry."""

    type: str | None = None
    uuid: str | None = None
    timestamp: _Time | None = None
    message: Message | None = None
    toolUseResult: ToolUseResult | list[msgspec.Raw] | str | None = None  # noqa: N815


class Progress(msgspec.Struct, gc=False):
    """The `data` of a progress entry; those of sub-agents hold whole messages."""

    type: str | None = None
    agentId: str | None = None  # noqa: N815
    message: Nested | None = None
    prompt: msgspec.Raw = _EMPTY


class Entry(msgspec.Struct, gc=False):
    """One line of a transcript."""

    parentUuid: str | None = None  # noqa: N815
    isSidechain: bool | None = None  # noqa: N815
    cwd: str | None = None
    sessionId: str | None = None  # noqa: N815
    version: str | None = None
    gitBranch: str | None = None  # noqa: N815
    agentId: str | None = None  # noqa: N815
    type: str | None = None
    message: Message | None = None
    isMeta: bool | None = None  # noqa: N815
    uuid: str | None = None
    timestamp: _Time | None = None
    toolUseResult: ToolUseResult | list[msgspec.Raw] | str | None = None  # noqa: N815
    sourceToolUseID: str | None = None  # noqa: N815
    permissionMode: str | None = None  # noqa: N815
    isCompactSummary: bool | None = None  # noqa: N815
    isApiErrorMessage: bool | None = None  # noqa: N815
    toolDenialKind: str | None = None  # noqa: N815
    permissionDecision: Decision | None = None  # noqa: N815
    origin: Origin | None = None
    attachment: Attachment | None = None
    data: Progress | None = None
    parentToolUseID: str | None = None  # noqa: N815
    subtype: str | None = None
    error: msgspec.Raw = _EMPTY
    costUSD: float | None = None  # noqa: N815
    session_id: str | None = None
    parent_tool_use_id: str | None = None
    isSynthetic: bool | None = None  # noqa: N815
    tool_use_result: ToolUseResult | list[msgspec.Raw] | str | None = None


decode_entry = msgspec.json.Decoder(Entry).decode
"""The entry of a line; raises one of `REFUSALS` for what is not exactly of these types."""

REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_pieces = json.JSONDecoder(strict=False)
_decode_any = msgspec.json.Decoder().decode
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode_tolerantly(line: bytes) -> Entry:
    """The entry of a line that `decode_entry` refused; what does not fit the types is None.

    Raises ValueError (with the reason) when it is no JSON object.
    """
    value = decode_json(line)
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {_kind(value)}, not an object")
    entry: Entry = _struct(Entry, value)
    return entry


def decode_several(line: bytes) -> list[Entry]:
    """The entries of a line on which several stand whole; empty for any other line."""
    return [_struct(Entry, value) for value in split_values(line)]


def decode_json(line: bytes | msgspec.Raw) -> Any:
    """Any JSON value, tolerating invalid UTF-8, control characters and lone surrogates.

    What cannot be text becomes U+FFFD. Raises ValueError when it is no JSON at all.
    """
    try:
        return _decode_any(line)
    except REFUSALS:
        pass
    try:
        return _scrub(json.loads(bytes(line).decode("utf-8", "replace"), strict=False))
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at column {error.colno})") from error
    except RecursionError as error:
        raise ValueError("not JSON (nested too deeply)") from error


def split_values(line: bytes) -> list[Any]:
    """The JSON objects on a line that holds two or more and nothing else; empty for any other line.

    Claude Code 2.0.76 to 2.1.17 now and then lost the line end between two entries.
    """
    text = bytes(line).decode("utf-8", "replace").strip("\0 \t\r\n")
    found: list[Any] = []
    at = 0
    try:
        while at < len(text):
            value, at = _pieces.raw_decode(text, at)
            if not isinstance(value, dict):
                return []
            found.append(_scrub(value))
            while at < len(text) and text[at].isspace():
                at += 1
    except (ValueError, RecursionError):
        return []
    return found if len(found) > 1 else []


def decode_raw(raw: msgspec.Raw) -> Any:
    """The value of a field that was left undecoded, None if the field was absent or is no JSON."""
    try:
        return decode_json(raw)
    except ValueError:
        return None


def amount(value: float | None) -> float | None:
    """The number, None for infinities, what is no number (JSON has a spelling for both) and what is
    below zero: no duration and no cost.
    """
    return value if value is not None and 0 <= value <= float_info.max else None


def text_of(content: object) -> str:
    """The text of a message's or a result's content: a string, or its text blocks, one a line."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (
        item if isinstance(item, str) else item.get("text")
        for item in content
        if isinstance(item, str) or (isinstance(item, dict) and item.get("type") == "text")
    )
    return "\n".join(text for text in texts if isinstance(text, str))


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_scrub(key): _scrub(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_scrub(item) for item in value]
    return value


def _kind(value: Any) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


_HINTS = {
    struct: get_type_hints(struct, include_extras=True)
    for struct in (
        Attachment,
        Block,
        CacheCreation,
        Decision,
        EditDiff,
        EditedFile,
        Entry,
        FileReference,
        Message,
        Nested,
        Origin,
        Progress,
        ServerToolUse,
        TaskState,
        ToolUseResult,
        Usage,
    )
}
_NESTED: dict[tuple[type, str], type] = {
    (Attachment, "origin"): Origin,
    (Entry, "attachment"): Attachment,
    (Entry, "data"): Progress,
    (Entry, "message"): Message,
    (Entry, "origin"): Origin,
    (Entry, "permissionDecision"): Decision,
    (Entry, "toolUseResult"): ToolUseResult,
    (Entry, "tool_use_result"): ToolUseResult,
    (Message, "usage"): Usage,
    (Nested, "message"): Message,
    (Nested, "toolUseResult"): ToolUseResult,
    (Progress, "message"): Nested,
    (ToolUseResult, "bashEditDiff"): EditDiff,
    (ToolUseResult, "file"): FileReference,
    (ToolUseResult, "task"): TaskState,
    (Usage, "cache_creation"): CacheCreation,
    (Usage, "server_tool_use"): ServerToolUse,
}


def _struct(struct: type[Any], value: dict[str, Any]) -> Any:
    """`value` as `struct`, field by field; what does not fit is left at its default."""
    fields = {}
    for name, hint in _HINTS[struct].items():
        if name not in value:
            continue
        item = value[name]
        inner = _NESTED.get((struct, name))
        if inner is not None and isinstance(item, dict):
            fields[name] = _struct(inner, item)
        elif struct is Message and name == "content" and isinstance(item, list):
            fields[name] = [_block(block) for block in item]
        elif struct is EditDiff and name == "files" and isinstance(item, list):
            fields[name] = [_struct(EditedFile, each) for each in item if isinstance(each, dict)]
        elif hint is msgspec.Raw:
            fields[name] = msgspec.Raw(msgspec.json.encode(item))
        elif name == "timestamp":
            fields[name] = _time(item)
        else:
            if isinstance(item, float) and item.is_integer():
                item = int(item) if hint == _Count | None else item
            try:
                fields[name] = msgspec.convert(item, hint)
            except msgspec.ValidationError:
                if hint == _Count | None:
                    fields[name] = _DAMAGED
    return struct(**fields)


def _block(value: Any) -> Block:
    """A content block; a bare string is text (seen in damaged files), anything else has no type."""
    if isinstance(value, str):
        return Block(type="text", text=value)
    block: Block = _struct(Block, value) if isinstance(value, dict) else Block()
    return block


def _time(value: Any) -> datetime | None:
    """A time; one without a zone is UTC, as all of Claude Code's are."""
    try:
        time = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
