"""What was said and called: API messages, texts and tool calls, in each agent's own order.

`count` takes the token usage of an API message: the figures, and whether they are all of them.
`prompt_text` tells what a person said apart from everything else that travels as a user entry.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from skilltrace_mlflow.session import MAIN_AGENT, Message, ModelStep, TokenUsage, ToolCall
from skilltrace_mlflow.sources._builder import record
from skilltrace_mlflow.sources.transcript import _wire
from skilltrace_mlflow.sources.transcript._injected import is_injected
from skilltrace_mlflow.sources.transcript._lines import Notes
from skilltrace_mlflow.sources.transcript._wire import Block, Entry, Usage, decode_raw
from skilltrace_mlflow.tools import TOOLS

__all__ = [
    "Conversation",
    "Record",
    "count",
    "first_text",
    "prompt_text",
    "slash_command",
    "spoken",
    "typed_command",
]

Record = ModelStep | ToolCall | Message

_NO_TEXT = "(no content)"  # what Claude Code writes for a message without text
_TOOL_NAME = re.compile(r"[\w.:@/ -]+")  # the API allows fewer characters, other servers more
_NO_USAGE = TokenUsage()
_ATTEMPTED = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)
_COMMAND = "<command-name>"


class Conversation:
    """Gathers the records of all agents; API messages and calls count once, by their ids.

    `items` holds each agent's records in the agent's own order. `nameless` maps the uuid of an
    entry that made a call without an id to the id that the call was given here. `again` holds the
    calls of one recorded id, where other models' servers count theirs anew in every message.
    """

    def __init__(self, notes: Notes) -> None:
        self.items: dict[str, list[Record]] = {MAIN_AGENT: []}
        self.steps: dict[str, ModelStep] = {}
        self.calls: dict[str, ToolCall] = {}
        self.nameless: dict[str, str] = {}
        self.again: dict[str, list[str]] = {}
        self._notes = notes
        self._usages: dict[str, Usage | None] = {}
        self._texts: dict[str, list[str]] = {}

    def assistant(
        self,
        message: _wire.Message,
        uuid: str | None,
        time: datetime | None,
        agent: str,
        cost: float | None,
        cwd: str | None = None,
    ) -> None:
        """Take in a line of an API message that `agent` got, `cwd` being another directory than the
        session's.
        """
        key = message.id or uuid or self._notes.where()
        step = self.steps.get(key)
        if step is None:
            usage = message.usage
            fields = {
                "id": key,
                "model": message.model,
                "timestamp": time,
                "agent": agent,
                "usage": _NO_USAGE,
                "usage_complete": False,
                "usage_most": None,
                "stop_reason": message.stop_reason,
                "speed": None,
                "web_search_requests": 0,
                "cost_usd": cost,
                "position": 0,
            }
            if usage is not None:
                count(fields, usage)
            step = self.steps[key] = record(ModelStep, fields)
            self._usages[key] = usage
            self._add(agent, step)
        else:
            self._more(step, message, cost)
        content = message.content
        if content is None:
            self._notes.damage("an assistant message without content")
        elif isinstance(content, str):
            self._text(step, content, time)
        else:
            for block in content:
                kind = block.type
                if kind == "tool_use":
                    self._call(block, step, uuid, time, cwd)
                elif kind == "text":
                    self._text(step, block.text, time)
                elif kind is None:
                    self._notes.damage("a content block without a type")

    def _more(self, step: ModelStep, message: _wire.Message, cost: float | None) -> None:
        """Another line of the same API message: the largest output counts, of equals the last."""
        fields = step.__dict__
        reason = message.stop_reason
        usage, known = message.usage, self._usages[step.id]
        if (
            usage is not None
            and usage != known
            and (known is None or (usage.output_tokens or 0) >= (known.output_tokens or 0))
        ):
            self._usages[step.id] = known = usage
            fields["stop_reason"] = reason or fields["stop_reason"]
            count(fields, usage)
        elif reason is not None and reason != fields["stop_reason"]:
            fields["stop_reason"] = reason
            if known is not None:
                count(fields, known)
        if step.model is None:
            fields["model"] = message.model
        if cost is not None and (step.cost_usd is None or cost > step.cost_usd):
            fields["cost_usd"] = cost

    def cut(self, message_id: str | None) -> None:
        """The response was cut mid-stream: what it really used is not in its lines."""
        step = self.steps.get(message_id or "")
        if step is not None:
            step.__dict__["usage_complete"] = False

    def _text(self, step: ModelStep, text: str | None, time: datetime | None) -> None:
        if not text or text == _NO_TEXT or text.isspace():
            if text is None:
                self._notes.damage("a text block without text")
            return
        known = self._texts.get(step.id)
        if known is None:
            self._texts[step.id] = [text]
        elif text in known:
            return
        else:
            known.append(text)
        self.say("assistant", text, time, step.agent, step.id)

    def _call(
        self,
        block: Block,
        step: ModelStep,
        uuid: str | None,
        time: datetime | None,
        cwd: str | None,
    ) -> None:
        name = block.name
        if not name:
            self._notes.damage("a tool call without a name")
            return
        if name not in TOOLS and not _TOOL_NAME.fullmatch(name):
            self._notes.damage(f"a tool call whose name is none: {name[:40]!r}")
        call_id = block.id
        if not call_id:
            call_id = f"{step.id}#{len(self.calls)}"
            self._notes.note(f"a call of {name} without an id")
            if uuid is not None:
                self.nameless.setdefault(uuid, call_id)
        elif call_id in self.calls:
            again = self.again.get(call_id, [call_id])
            if any(self.calls[known].message_id == step.id for known in again):
                return  # a copy of the line
            self._notes.note(f"the id of a call of {name} was used before ({call_id})")
            self.again[call_id] = again
            call_id = f"{call_id}#{len(again) + 1}"
            again.append(call_id)
        arguments = block.input
        if not isinstance(arguments, dict):
            if arguments is not None:
                self._notes.note(f"the input of {name} is no object")
            arguments = None
        fields = {
            "id": call_id,
            "name": name,
            "input": arguments,
            "timestamp": time,
            "end_timestamp": None,
            "outcome": "unknown",
            "outcome_reason": "no result recorded",
            "agent": step.agent,
            "message_id": step.id,
            "input_truncated": False,
            "duration_ms": None,
            "details": {},
            "load_result": None,
            "requested_input": None,
            "cwd": cwd,
            "line": self._notes.number,
            "position": 0,
        }
        call = self.calls[call_id] = record(ToolCall, fields)
        self._add(step.agent, call)

    def say(
        self, role: str, text: str, time: datetime | None, agent: str, said_by: str | None
    ) -> None:
        """Add a message in words; `said_by` is the id of its entry or API message."""
        fields = {
            "role": role,
            "text": text,
            "timestamp": time,
            "agent": agent,
            "id": said_by,
            "position": 0,
        }
        self._add(agent, record(Message, fields))

    def _add(self, agent: str, item: Record) -> None:
        items = self.items.get(agent)
        if items is None:
            items = self.items[agent] = []
        items.append(item)


def count(fields: dict[str, Any], usage: Usage) -> None:
    """Set what `usage` says among the fields of a `ModelStep`.

    The usage is complete if some line of the message carried a stop reason: where none did, only
    the placeholder from the beginning of the stream was written down.
    """
    read, written = usage.input_tokens, usage.output_tokens
    cached, hits = usage.cache_creation_input_tokens, usage.cache_read_input_tokens
    lasting = usage.cache_creation
    hour = lasting.ephemeral_1h_input_tokens if lasting is not None else None
    tokens = {
        "input_tokens": read or 0,
        "output_tokens": written or 0,
        "cache_creation_input_tokens": cached or 0,
        "cache_read_input_tokens": hits or 0,
        "cache_creation_1h_input_tokens": hour or 0,
    }
    whole = read is not None and written is not None
    if min(tokens.values()) < 0:
        whole = False
        tokens = {name: max(figure, 0) for name, figure in tokens.items()}
    if usage.iterations is not None and len(usage.iterations) > 1:
        whole = whole and _has_all_attempts(usage.iterations, tokens)
    fields["usage"] = record(TokenUsage, tokens)
    fields["usage_complete"] = whole and fields["stop_reason"] is not None
    fields["speed"] = usage.speed
    searches = usage.server_tool_use
    if searches is not None and searches.web_search_requests:
        fields["web_search_requests"] = max(searches.web_search_requests, 0)


def _has_all_attempts(iterations: list[msgspec.Raw], tokens: dict[str, int]) -> bool:
    """Whether the figures at the top cover every attempt behind a response.

    After a refusal that another model answered, and after a compaction by the server, they leave
    out all attempts but the last; `iterations` then holds more than they say.
    """
    attempts = [decode_raw(attempt) for attempt in iterations]
    for name in _ATTEMPTED:
        values = [attempt.get(name) for attempt in attempts if isinstance(attempt, dict)]
        if sum(value for value in values if isinstance(value, int)) > tokens[name]:
            return False
    return True


def prompt_text(entry: Entry) -> str | None:
    """The text of a user entry if a person (or the calling program) wrote it, else None."""
    message = entry.message
    if message is None or entry.isMeta or entry.isCompactSummary or entry.sourceToolUseID:
        return None
    if entry.isSynthetic:  # `isMeta` in the output of `claude -p`
        return None
    if entry.origin is not None and entry.origin.kind not in (None, "human"):
        return None
    return spoken(message.content)


def spoken(content: str | list[Block] | None) -> str | None:
    """The text of a content, without injected blocks; None when nothing is left.

    An image without words is `[image]`. A content with a tool result is never a person's.
    """
    if isinstance(content, str):
        return None if not content or is_injected(content) else content
    if not content:
        return None
    texts = []
    images = False
    for block in content:
        if block.type == "tool_result":
            return None
        if block.type == "image":
            images = True
        elif block.text and not is_injected(block.text):
            texts.append(block.text)
    if texts:
        return "\n".join(texts)
    return "[image]" if images else None


def slash_command(content: str | list[Block] | None) -> str | None:
    """The name in a slash command's entry (`/name` without the slash), None if it is none."""
    if not isinstance(content, str) or _COMMAND not in content[:2000]:
        return None
    name = content.split(_COMMAND, 1)[1].split("<", 1)[0].strip().lstrip("/")
    return name or None


def typed_command(content: str | list[Block] | None) -> str | None:
    """What a person typed, from a slash command's entry: `/name arguments`."""
    name = slash_command(content)
    if name is None or not isinstance(content, str):
        return None
    arguments = content.partition("<command-args>")[2].partition("</command-args>")[0].strip()
    return f"/{name} {arguments}".rstrip()


def first_text(content: str | list[Block] | None) -> str:
    """The first words of a content, whoever wrote them."""
    if isinstance(content, list):
        return next((block.text for block in content if block.text), "")
    return content or ""
