"""Entries of a transcript, and of its sub-agents', gathered into drafts of a session's records.

One collector per session: everything is deduplicated across the main file, the sub-agents' files
and the progress entries (API messages and tool calls by id, prompts by the entry's uuid), since
resumed sessions and progress entries repeat what stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from skilltrace_mlflow.session import MAIN_AGENT, Diagnostic
from skilltrace_mlflow.sources._lines import Line, Source
from skilltrace_mlflow.sources._person import person_text, slash_command, spoken
from skilltrace_mlflow.sources._wire import (
    Block,
    Entry,
    Message,
    ToolUseResult,
    Usage,
    decode_raw,
    text_of,
)

__all__ = ["AgentDraft", "CallDraft", "Collector", "ResultDraft", "StepDraft", "TextDraft"]

_SYNTHETIC = "<synthetic>"
_NO_TEXT = "(no content)"  # what Claude Code writes for a message without text
_SKILL_BODY = "Base directory for this skill:"
_HEAD = 2500  # characters of an error that are kept to tell its kind
# Entries without evidence of their own. `started`, `result` belong to journals: no transcript.
_KNOWN = frozenset(
    (
        "agent-color",
        "agent-name",
        "agent-setting",
        "ai-title",
        "attachment",
        "bridge-session",
        "custom-title",
        "file-history-delta",
        "file-history-snapshot",
        "frame-link",
        "last-prompt",
        "mode",
        "permission-mode",
        "pr-link",
        "progress",
        "queue-operation",
        "relocated",
        "summary",
        "system",
        "tag",
        "worktree-state",
    )
)


class StepDraft(msgspec.Struct, gc=False):
    """An API message: the usage is that of its line with the largest output."""

    id: str
    agent: str
    model: str | None
    timestamp: datetime | None
    usage: Usage | None
    output: int
    stop_reason: str | None
    cost: float | None
    texts: list[str]


class CallDraft(msgspec.Struct, gc=False):
    """A tool call; its result is looked up at the end."""

    id: str
    name: str
    input: Any
    timestamp: datetime | None
    agent: str
    message_id: str


class TextDraft(msgspec.Struct, gc=False):
    """A message in words."""

    role: str
    text: str
    timestamp: datetime | None
    agent: str
    id: str | None


class ResultDraft(msgspec.Struct, gc=False):
    """What came back for a call. `head` is the beginning of its text where that is evidence."""

    timestamp: datetime | None
    is_error: Any
    head: str
    structured: ToolUseResult | None
    plain: str | None
    denial_kind: str | None
    load: Callable[[], str]
    where: str


class AgentDraft(msgspec.Struct, gc=False):
    """A sub-agent; `recorded` once an entry of its own was seen."""

    id: str
    type: str | None = None
    prompt: str | None = None
    parent_call_id: str | None = None
    recorded: bool = False
    inline: bool = False


Draft = StepDraft | CallDraft | TextDraft


class Collector:
    """Feed it every entry, then read its drafts."""

    def __init__(self) -> None:
        self.items: dict[str, list[Draft]] = {}
        self.steps: dict[str, StepDraft] = {}
        self.calls: dict[str, CallDraft] = {}
        self.results: dict[str, ResultDraft] = {}
        self.agents: dict[str, AgentDraft] = {}
        self.unsorted: set[str] = set()
        self.hook_blocked: set[str] = set()
        self.slash_skills: list[str] = []
        self.api_errors: list[str] = []
        self.diagnostics: list[Diagnostic] = []
        self.incomplete: list[str] = []
        self.usage_gaps: list[str] = []
        self.session_ids: dict[str, int] = {}
        self.start: datetime | None = None
        self.end: datetime | None = None
        self.cwd: str | None = None
        self.git_branch: str | None = None
        self.version: str | None = None
        self.permission_mode: str | None = None
        self.total_cost: float | None = None
        self.recognised = 0
        self.messages = 0
        self._source: Source | None = None
        self._file_agent: str | None = None
        self._only_agent = False
        self._chains: dict[str, str] = {}
        self._uuids: set[str] = set()
        self._unknown: dict[str, tuple[int, str, int]] = {}
        self._slash: str | None = None
        self._nameless: dict[str, str] = {}

    def begin(self, source: Source, *, agent: str | None = None) -> None:
        """Entries fed from now on are `source`'s; all of them belong to `agent` if one is named."""
        self._only_agent = agent is not None and self._source is None
        self._source = source
        self._file_agent = agent
        if agent is not None:
            if self.items.get(agent):
                self.unsorted.add(agent)  # known from progress entries already
            self.agent(agent).recorded = True

    def agent(self, agent_id: str) -> AgentDraft:
        """The draft of that sub-agent, made on first use."""
        draft = self.agents.get(agent_id)
        if draft is None:
            draft = self.agents[agent_id] = AgentDraft(agent_id)
        return draft

    def note(self, line: Line | None, message: str) -> str:
        """Record a diagnostic; returns where it was, in words."""
        name = self._source.name if self._source else None
        number = None if line is None else line.number
        self.diagnostics.append(Diagnostic(message=message, file=name, line=number))
        where = "" if line is None else f"line {number}"
        if self._file_agent is not None:
            where = f"sub-agent {self._file_agent} {where}".rstrip()
        return where

    def damage(self, line: Line, message: str) -> None:
        """A diagnostic about something that may have held evidence."""
        self.incomplete.append(f"{self.note(line, message)}: {message}")

    def finish_diagnostics(self) -> list[Diagnostic]:
        """All diagnostics, with one for each unknown kind of entry."""
        unknown = [
            Diagnostic(message=f"unknown entry type {kind!r} ({count}×)", file=file, line=first)
            for kind, (first, file, count) in self._unknown.items()
        ]
        return [*self.diagnostics, *unknown]

    def feed(self, entry: Entry, line: Line) -> None:
        """Take in one entry."""
        time = entry.timestamp
        if time is not None:
            if self.end is None or self.start is None:
                self.start = self.end = time
            elif time > self.end:
                self.end = time
            elif time < self.start:
                self.start = time
        kind = entry.type
        if kind == "assistant" or kind == "user":
            agent = self._agent_of(entry)
            if agent == MAIN_AGENT or self._only_agent:
                self._state(entry)
            message = entry.message
            if message is None:
                if kind == "assistant":
                    self.damage(line, "an assistant entry without a message")
                else:
                    self.note(line, "a user entry without a message")
                return
            self.recognised += 1
            self.messages += 1
            if kind == "user":
                self._user(entry, message, line, agent)
            elif entry.isApiErrorMessage or message.model == _SYNTHETIC:
                self._synthetic(entry, message)
            else:
                key = message.id or entry.uuid or f"line {line.number}"
                self._assistant(message, key, entry.uuid, time, agent, line, entry.costUSD)
        elif kind in _KNOWN:
            self.recognised += 1
            if kind == "progress":
                self._progress(entry, line)
            elif kind == "attachment":
                self._attachment(entry, line)
            elif kind == "system":
                self._system(entry)
            elif kind == "permission-mode" and entry.permissionMode:
                self.permission_mode = entry.permissionMode
            if entry.isSidechain and entry.uuid and not entry.agentId:
                self._agent_of(entry)
        elif kind is None:
            self.damage(line, "an entry without a type")
        else:
            if kind == "result" and entry.total_cost_usd is not None:
                self.total_cost = entry.total_cost_usd
            name = self._source.name if self._source else ""
            first, file, count = self._unknown.get(kind, (line.number, name, 0))
            self._unknown[kind] = (first, file, count + 1)

    def _state(self, entry: Entry) -> None:
        session_id = entry.sessionId or entry.session_id
        if session_id:
            self.session_ids[session_id] = self.session_ids.get(session_id, 0) + 1
        if self.cwd is None:
            self.cwd = entry.cwd
        if self.git_branch is None:
            self.git_branch = entry.gitBranch
        if entry.version:
            self.version = entry.version
        if entry.permissionMode:
            self.permission_mode = entry.permissionMode

    def _agent_of(self, entry: Entry) -> str:
        """Which agent an entry belongs to.

        Side chains inside the main file (versions 1.0) carry no id of their own: an entry belongs
        to its parent's agent, and one without a parent in a side chain begins a new agent.
        """
        if self._file_agent is not None:
            return self._file_agent
        if not entry.isSidechain:
            if entry.parent_tool_use_id is None:
                return MAIN_AGENT
            agent = entry.parent_tool_use_id  # the CLI's stream-json output names the call
            draft = self.agent(agent)
            draft.parent_call_id = agent
            draft.recorded = True
            return agent
        if entry.agentId:
            agent = entry.agentId
            if agent not in self.agents:
                session_id = entry.sessionId
                if session_id:
                    self.session_ids.setdefault(session_id, 0)
        else:
            parent = entry.parentUuid
            agent = self._chains.get(parent or "") or entry.uuid or "sidechain"
            if entry.uuid:
                agent = self._chains.setdefault(entry.uuid, agent)
        draft = self.agent(agent)
        draft.inline = draft.inline or not entry.agentId
        if entry.type == "assistant" or entry.type == "user":
            draft.recorded = True
            if self.cwd is None:
                self.cwd = entry.cwd
            if self.version is None:
                self.version = entry.version
        return agent

    def _add(self, agent: str, draft: Draft) -> None:
        items = self.items.get(agent)
        if items is None:
            items = self.items[agent] = []
        items.append(draft)

    def _synthetic(self, entry: Entry, message: Message) -> None:
        if not entry.isApiErrorMessage or self._repeated(entry.uuid):
            return
        text = spoken(message.content)
        if text:
            self.api_errors.append(text)

    def _repeated(self, uuid: str | None) -> bool:
        if uuid is None:
            return False
        if uuid in self._uuids:
            return True
        self._uuids.add(uuid)
        return False

    def _assistant(
        self,
        message: Message,
        key: str,
        uuid: str | None,
        time: datetime | None,
        agent: str,
        line: Line,
        cost: float | None,
    ) -> None:
        usage = message.usage
        output = -1 if usage is None or usage.output_tokens is None else usage.output_tokens
        step = self.steps.get(key)
        if step is None:
            step = StepDraft(
                key, agent, message.model, time, usage, output, message.stop_reason, cost, []
            )
            self.steps[key] = step
            self._add(agent, step)
        else:
            if output >= step.output and usage is not None:
                step.usage, step.output = usage, output
            if message.stop_reason is not None:
                step.stop_reason = message.stop_reason
            if step.model is None:
                step.model = message.model
            if cost is not None and (step.cost is None or cost > step.cost):
                step.cost = cost
        content = message.content
        if content is None:
            self.damage(line, "an assistant message without content")
        elif isinstance(content, str):
            self._text(step, content, time)
        else:
            for index, block in enumerate(content):
                kind = block.type
                if kind == "tool_use":
                    self._call(block, step, uuid, time, line, index)
                elif kind == "text":
                    self._text(step, block.text, time)
                elif kind is None:
                    self.damage(line, "a content block without a type")

    def _text(self, step: StepDraft, text: str | None, time: datetime | None) -> None:
        if not text or text.isspace() or text == _NO_TEXT or text in step.texts:
            return
        step.texts.append(text)
        self._add(step.agent, TextDraft("assistant", text, time, step.agent, step.id))

    def _call(
        self,
        block: Block,
        step: StepDraft,
        uuid: str | None,
        time: datetime | None,
        line: Line,
        index: int,
    ) -> None:
        name = block.name
        if not name:
            self.damage(line, "a tool call without a name")
            return
        call_id = block.id
        if not call_id:
            call_id = f"{step.id}#{line.number}.{index}"
            self.note(line, f"a call of {name} without an id")
            if uuid is not None:
                self._nameless.setdefault(uuid, call_id)
        elif call_id in self.calls:
            return
        arguments = block.input
        if not isinstance(arguments, dict):
            if arguments is not None:
                self.note(line, f"the input of {name} is no object")
            arguments = None
        call = CallDraft(call_id, name, arguments, time, step.agent, step.id)
        self.calls[call_id] = call
        self._add(step.agent, call)

    def _user(self, entry: Entry, message: Message, line: Line, agent: str) -> None:
        content = message.content
        if isinstance(content, list):
            results = [block for block in content if block.type == "tool_result"]
            if results:
                # The structured result says which block it means only where there is just one.
                extra = entry.toolUseResult if len(results) == 1 else None
                for block in results:
                    self._result(block, extra, entry.timestamp, line, entry)
                return
        elif content is None:
            self.note(line, "a user message without content")
            return
        if self._slash is not None and entry.isMeta and agent == MAIN_AGENT:
            body = text_of_blocks(content)
            if body.startswith(_SKILL_BODY) and not entry.sourceToolUseID:
                self.slash_skills.append(self._slash)
            self._slash = None
        text = person_text(entry)
        if agent != MAIN_AGENT:
            draft = self.agent(agent)
            if draft.prompt is None:
                draft.prompt = text
        elif text is not None:
            if not self._repeated(entry.uuid):
                self._add(agent, TextDraft("user", text, entry.timestamp, agent, entry.uuid))
        elif not entry.isMeta:
            self._slash = slash_command(content)

    def _result(
        self,
        block: Block,
        extra: ToolUseResult | list[msgspec.Raw] | str | None,
        time: datetime | None,
        line: Line,
        entry: Entry | None = None,
    ) -> None:
        recorded_id = block.tool_use_id or ""
        call_id: str | None = recorded_id
        if not recorded_id:
            # Without an id on either side, a result still follows the entry that made the call.
            parent = entry.parentUuid if entry is not None else None
            call_id = self._nameless.pop(parent or "", None)
        if not call_id:
            self.note(line, "a tool result that names no call")
            return
        if call_id in self.results or self._source is None:
            return
        structured = extra if isinstance(extra, ToolUseResult) else None
        head = ""
        call = self.calls.get(call_id)
        if block.is_error or (structured is None and (call is None or call.name == "Write")):
            head = text_of(decode_raw(block.content))[:_HEAD]
        where = f"line {line.number}"
        if self._file_agent is not None:
            where = f"sub-agent {self._file_agent} {where}"
        self.results[call_id] = ResultDraft(
            time,
            block.is_error,
            head,
            structured,
            extra if isinstance(extra, str) and len(extra) < _HEAD else None,
            entry.toolDenialKind if entry is not None else None,
            self._source.keep(line, recorded_id),
            where,
        )

    def _progress(self, entry: Entry, line: Line) -> None:
        """Messages of a sub-agent inside the main file (versions 2.1.12 to 2.1.81)."""
        data = entry.data
        if data is None or data.agentId is None or data.message is None:
            return
        nested = data.message
        agent = self.agent(data.agentId)
        if agent.parent_call_id is None:
            agent.parent_call_id = entry.parentToolUseID
        if agent.prompt is None:
            agent.prompt = text_of(decode_raw(data.prompt)) or None
        agent.recorded = True
        if nested.message is None:
            self.damage(line, "a sub-agent's progress entry without a message")
            return
        self.messages += 1
        time = nested.timestamp or entry.timestamp
        content = nested.message.content
        if nested.type == "assistant":
            key = nested.message.id or nested.uuid or f"line {line.number}"
            self._assistant(nested.message, key, nested.uuid, time, agent.id, line, None)
        elif nested.type == "user" and isinstance(content, list):
            results = [block for block in content if block.type == "tool_result"]
            extra = nested.toolUseResult if len(results) == 1 else None
            for block in results:
                self._result(block, extra, time, line)

    def _attachment(self, entry: Entry, line: Line) -> None:
        attachment = entry.attachment
        if attachment is None:
            return
        if attachment.type == "hook_blocking_error":
            if attachment.hookEvent == "PreToolUse" and attachment.toolUseID:
                self.hook_blocked.add(attachment.toolUseID)
            return
        if attachment.type != "queued_command" or attachment.commandMode != "prompt":
            return
        if attachment.origin is not None and attachment.origin.kind not in (None, "human"):
            return
        agent = self._agent_of(entry)
        text = spoken(text_of(decode_raw(attachment.prompt)))
        if text is None or agent != MAIN_AGENT:
            return
        if self._repeated(attachment.source_uuid) or self._repeated(entry.uuid):
            return
        self.messages += 1
        self._add(agent, TextDraft("user", text, entry.timestamp, agent, entry.uuid))

    def _system(self, entry: Entry) -> None:
        if entry.subtype != "api_error" or self._repeated(entry.uuid):
            return
        error = decode_raw(entry.error)
        if isinstance(error, dict):
            error = error.get("formatted") or error.get("message")
        self.api_errors.append(error if isinstance(error, str) and error else "API error")


def text_of_blocks(content: str | list[Block] | None) -> str:
    """The first text of a message's content."""
    if isinstance(content, list):
        return next((block.text for block in content if block.text), "")
    return content or ""
