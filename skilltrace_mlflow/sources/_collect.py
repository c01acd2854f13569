"""Entries of a transcript, and of its sub-agents', gathered into the records of a session.

One collector per session: everything is deduplicated across the main file, the sub-agents' files
and the progress entries (API messages and tool calls by id, prompts by the entry's uuid), since
resumed sessions and progress entries repeat what stands elsewhere.
"""

from __future__ import annotations

from datetime import datetime
from math import isfinite

import msgspec

from skilltrace_mlflow.session import (
    MAIN_AGENT,
    Diagnostic,
    Message,
    ModelStep,
    TokenUsage,
    ToolCall,
)
from skilltrace_mlflow.sources import _wire
from skilltrace_mlflow.sources._lines import Source
from skilltrace_mlflow.sources._person import first_text, person_text, slash_command, spoken
from skilltrace_mlflow.sources._record import record
from skilltrace_mlflow.sources._results import Results
from skilltrace_mlflow.sources._usage import count
from skilltrace_mlflow.sources._wire import Block, Entry, Usage, decode_raw, text_of

__all__ = ["AgentDraft", "Collector", "Record"]

Record = ModelStep | ToolCall | Message

_SYNTHETIC = "<synthetic>"
_NO_TEXT = "(no content)"  # what Claude Code writes for a message without text
_SKILL_BODY = "Base directory for this skill:"
_NO_USAGE = TokenUsage()
# Entries without a conversation in them. `started` and `result` belong to journals: no transcript.
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


def finite(value: float | None) -> float | None:
    """The number, None for infinities and what is no number: JSON has a spelling for both."""
    return value if value is None or isfinite(value) else None


class AgentDraft(msgspec.Struct, gc=False):
    """A sub-agent; `recorded` once an entry of its own was seen."""

    id: str
    type: str | None = None
    prompt: str | None = None
    parent_call_id: str | None = None
    recorded: bool = False


class Collector:
    """Feed it every entry, then read what it gathered.

    `items` holds the records of each agent in the agent's own order.
    """

    def __init__(self) -> None:
        self.items: dict[str, list[Record]] = {MAIN_AGENT: []}
        self.steps: dict[str, ModelStep] = {}
        self._usages: dict[str, Usage | None] = {}
        self.calls: dict[str, ToolCall] = {}
        self.results = Results(self.calls)
        self.agents: dict[str, AgentDraft] = {}
        self.unsorted: set[str] = set()
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
        self._source = Source("", ())
        self._file_agent: str | None = None
        self._only_agent = False
        self._texts: dict[str, list[str]] = {}
        self._chains: dict[str, str] = {}
        self._uuids: set[str] = set()
        self._unknown: dict[str, tuple[int, str, int]] = {}
        self._slash: str | None = None
        self._nameless: dict[str, str] = {}
        self._session_id: str | None = None
        self._counted = 0

    def begin(self, source: Source, *, agent: str | None = None) -> None:
        """Entries fed from now on are `source`'s; all of them belong to `agent` if one is named."""
        self._only_agent = agent is not None and not self._source.name
        self._source = source
        self._file_agent = agent
        self.results.place = "" if agent is None else f"sub-agent {agent} "
        if agent is not None:
            if self.items.get(agent):
                self.unsorted.add(agent)  # known from progress entries already
            self.agent(agent).recorded = True

    def done(self) -> None:
        """The source that was begun is read to its end."""
        self._count_session()

    def agent(self, agent_id: str) -> AgentDraft:
        """The draft of that sub-agent, made on first use."""
        draft = self.agents.get(agent_id)
        if draft is None:
            draft = self.agents[agent_id] = AgentDraft(agent_id)
        return draft

    def where(self, number: int) -> str:
        """A line of the file being read, in words."""
        return f"{self.results.place}line {number}"

    def note(self, message: str, number: int | None = None) -> None:
        """Record a diagnostic about the line being read, or about another one."""
        line = self._source.number if number is None else number
        self.diagnostics.append(Diagnostic(message=message, file=self._source.name, line=line))

    def damage(self, message: str, number: int | None = None) -> None:
        """A diagnostic about something that may have held evidence."""
        self.note(message, number)
        line = self._source.number if number is None else number
        self.incomplete.append(f"{self.where(line)}: {message}")

    def all_diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every diagnostic, with one for each unknown kind of entry."""
        unknown = (
            Diagnostic(message=f"unknown entry type {kind!r} ({count}×)", file=file, line=first)
            for kind, (first, file, count) in self._unknown.items()
        )
        return (*self.diagnostics, *unknown)

    def feed(self, entry: Entry) -> None:
        """Take in the entry of the line being read."""
        time = entry.timestamp
        if time is not None:
            if self.end is None or self.start is None:
                self.start = self.end = time
            elif time >= self.end:
                self.end = time
            elif time < self.start:
                self.start = time
        kind = entry.type
        if kind == "assistant" or kind == "user":
            agent = MAIN_AGENT
            if entry.isSidechain or self._file_agent is not None or entry.parent_tool_use_id:
                agent = self._agent_of(entry)
            if agent == MAIN_AGENT or self._only_agent:
                # Hardly ever does anything change from one entry to the next.
                if (
                    entry.sessionId != self._session_id
                    or entry.version != self.version
                    or self.cwd is None
                    or entry.sessionId is None
                ):
                    self._state(entry)
                if entry.permissionMode is not None:
                    self.permission_mode = entry.permissionMode
            message = entry.message
            if message is None:
                if kind == "assistant":
                    self.damage("an assistant entry without a message")
                else:
                    self.note("a user entry without a message")
                return
            self.recognised += 1
            self.messages += 1
            if kind == "user":
                self._user(entry, message, agent)
            elif entry.isApiErrorMessage or message.model == _SYNTHETIC:
                self._synthetic(entry, message)
            else:
                self._assistant(message, entry.uuid, time, agent, finite(entry.costUSD))
        elif kind in _KNOWN:
            self.recognised += 1
            if kind == "progress":
                self._progress(entry)
            elif kind == "attachment":
                self._attachment(entry)
            elif kind == "system":
                self._system(entry)
            elif kind == "permission-mode" and entry.permissionMode:
                self.permission_mode = entry.permissionMode
            if entry.isSidechain and entry.uuid and not entry.agentId:
                self._agent_of(entry)
        elif kind is None:
            self.damage("an entry without a type")
        else:
            if kind == "result" and entry.total_cost_usd is not None:
                self.total_cost = finite(entry.total_cost_usd)
            first, file, count = self._unknown.get(
                kind, (self._source.number, self._source.name, 0)
            )
            self._unknown[kind] = (first, file, count + 1)

    def _state(self, entry: Entry) -> None:
        """What the main agent's entries say about the session: the first directory and branch, the
        last version.
        """
        session_id = entry.sessionId or entry.session_id
        if session_id != self._session_id:
            self._count_session()
            self._session_id = session_id
        if entry.version:
            self.version = entry.version
        if self.cwd is None:
            self.cwd = entry.cwd
        if self.git_branch is None:
            self.git_branch = entry.gitBranch

    def _count_session(self) -> None:
        """Add the entries since the last change to the id they carried."""
        if self._session_id:
            seen = self.session_ids.get(self._session_id, 0)
            self.session_ids[self._session_id] = seen + self.messages - self._counted
        self._counted = self.messages

    def _agent_of(self, entry: Entry) -> str:
        """Which agent an entry belongs to.

        Side chains inside the main file (versions 1.0) carry no id of their own: an entry belongs
        to its parent's agent, and one without a parent in a side chain begins a new agent.
        """
        if self._file_agent is not None:
            return self._file_agent
        speaks = entry.type == "assistant" or entry.type == "user"
        if not entry.isSidechain:
            if not entry.parent_tool_use_id:
                return MAIN_AGENT
            agent = entry.parent_tool_use_id  # the CLI's stream-json output names the call
            self.agent(agent).parent_call_id = agent
        elif entry.agentId:
            agent = entry.agentId
            if entry.sessionId:
                self.session_ids.setdefault(entry.sessionId, 0)
        else:
            agent = self._chains.get(entry.parentUuid or "") or entry.uuid or "sidechain"
            if entry.uuid:
                agent = self._chains.setdefault(entry.uuid, agent)
            if not speaks and agent not in self.agents:
                return agent
        draft = self.agent(agent)
        if speaks:
            draft.recorded = True
            self.cwd = self.cwd or entry.cwd
            self.version = self.version or entry.version
        return agent

    def _add(self, agent: str, item: Record) -> None:
        items = self.items.get(agent)
        if items is None:
            items = self.items[agent] = []
        items.append(item)

    def _say(
        self, role: str, text: str, time: datetime | None, agent: str, said_by: str | None
    ) -> None:
        fields = {
            "role": role,
            "text": text,
            "timestamp": time,
            "agent": agent,
            "id": said_by,
            "position": 0,
        }
        self._add(agent, record(Message, fields))

    def _repeated(self, uuid: str | None) -> bool:
        if uuid is None:
            return False
        if uuid in self._uuids:
            return True
        self._uuids.add(uuid)
        return False

    def _synthetic(self, entry: Entry, message: _wire.Message) -> None:
        if not entry.isApiErrorMessage or self._repeated(entry.uuid):
            return
        text = spoken(message.content)
        if text:
            self.api_errors.append(text)

    def _assistant(
        self,
        message: _wire.Message,
        uuid: str | None,
        time: datetime | None,
        agent: str,
        cost: float | None,
    ) -> None:
        key = message.id or uuid or f"line {self._source.number}"
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
            self.damage("an assistant message without content")
        elif isinstance(content, str):
            self._text(step, content, time)
        else:
            for block in content:
                kind = block.type
                if kind == "tool_use":
                    self._call(block, step, uuid, time)
                elif kind == "text":
                    self._text(step, block.text, time)
                elif kind is None:
                    self.damage("a content block without a type")

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

    def _text(self, step: ModelStep, text: str | None, time: datetime | None) -> None:
        if not text or text == _NO_TEXT or text.isspace():
            return
        known = self._texts.get(step.id)
        if known is None:
            self._texts[step.id] = [text]
        elif text in known:
            return
        else:
            known.append(text)
        self._say("assistant", text, time, step.agent, step.id)

    def _call(self, block: Block, step: ModelStep, uuid: str | None, time: datetime | None) -> None:
        name = block.name
        if not name:
            self.damage("a tool call without a name")
            return
        call_id = block.id
        if not call_id:
            call_id = f"{step.id}#{len(self.calls)}"
            self.note(f"a call of {name} without an id")
            if uuid is not None:
                self._nameless.setdefault(uuid, call_id)
        elif call_id in self.calls:
            return
        arguments = block.input
        if not isinstance(arguments, dict):
            if arguments is not None:
                self.note(f"the input of {name} is no object")
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
            "position": 0,
        }
        call = self.calls[call_id] = record(ToolCall, fields)
        self._add(step.agent, call)

    def _user(self, entry: Entry, message: _wire.Message, agent: str) -> None:
        content = message.content
        if isinstance(content, list):
            if self._results(content, entry.toolUseResult, entry.timestamp, entry):
                return
        elif content is None:
            self.note("a user message without content")
            return
        if self._slash is not None and entry.isMeta and agent == MAIN_AGENT:
            if first_text(content).startswith(_SKILL_BODY) and not entry.sourceToolUseID:
                self.slash_skills.append(self._slash)
            self._slash = None
        text = person_text(entry)
        if agent != MAIN_AGENT:
            draft = self.agent(agent)
            if draft.prompt is None:
                draft.prompt = text
        elif text is not None:
            if not self._repeated(entry.uuid):
                self._say("user", text, entry.timestamp, agent, entry.uuid)
        elif not entry.isMeta:
            self._slash = slash_command(content)

    def _results(
        self,
        content: list[Block],
        extra: _wire.ToolUseResult | list[msgspec.Raw] | str | None,
        time: datetime | None,
        entry: Entry | None = None,
    ) -> bool:
        """Take in the tool results among the blocks; False if there are none."""
        results = [block for block in content if block.type == "tool_result"]
        if len(results) > 1:
            extra = None  # it says nowhere which block it means
        for block in results:
            call_id = recorded_id = block.tool_use_id or ""
            if not recorded_id:
                # Without an id on either side, a result still follows the entry that made the call.
                parent = entry.parentUuid if entry is not None else None
                call_id = self._nameless.pop(parent or "", "")
                if not call_id:
                    self.note("a tool result that names no call")
                    continue
            kind = entry.toolDenialKind if entry is not None else None
            self.results.add(call_id, block, extra, time, kind, self._source, recorded_id)
        return bool(results)

    def _progress(self, entry: Entry) -> None:
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
        message = nested.message
        if message is None:
            self.damage("a sub-agent's progress entry without a message")
            return
        self.messages += 1
        time = nested.timestamp or entry.timestamp
        if nested.type == "assistant":
            self._assistant(message, nested.uuid, time, agent.id, None)
        elif nested.type == "user" and isinstance(message.content, list):
            self._results(message.content, nested.toolUseResult, time)

    def _attachment(self, entry: Entry) -> None:
        attachment = entry.attachment
        if attachment is None:
            return
        if attachment.type == "hook_blocking_error":
            if attachment.hookEvent == "PreToolUse" and attachment.toolUseID:
                self.results.hook_blocked.add(attachment.toolUseID)
            return
        if attachment.type != "queued_command" or attachment.commandMode != "prompt":
            return
        if attachment.origin is not None and attachment.origin.kind not in (None, "human"):
            return
        text = spoken(text_of(decode_raw(attachment.prompt)))
        if text is None or self._agent_of(entry) != MAIN_AGENT:
            return
        if not self._repeated(attachment.source_uuid) and not self._repeated(entry.uuid):
            self.messages += 1
            self._say("user", text, entry.timestamp, MAIN_AGENT, entry.uuid)

    def _system(self, entry: Entry) -> None:
        if entry.subtype != "api_error" or self._repeated(entry.uuid):
            return
        error = decode_raw(entry.error)
        if isinstance(error, dict):
            error = error.get("formatted") or error.get("message")
        self.api_errors.append(error if isinstance(error, str) and error else "API error")
