"""Entries of a transcript, and of its sub-agents', gathered into the records of a session.

One collector per session: everything is deduplicated across the main file, the sub-agents' files
and the progress entries (API messages and tool calls by id, prompts by the entry's uuid), since
resumed sessions and progress entries repeat what stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from skilltrace_mlflow.session import MAIN_AGENT, Compaction
from skilltrace_mlflow.sources.transcript import _wire
from skilltrace_mlflow.sources.transcript._agents import Agents
from skilltrace_mlflow.sources.transcript._background import notification_of
from skilltrace_mlflow.sources.transcript._ending import MARKS, EndingTracker, ending_of_result
from skilltrace_mlflow.sources.transcript._injected import is_injected
from skilltrace_mlflow.sources.transcript._lines import Notes, Source
from skilltrace_mlflow.sources.transcript._messages import (
    Conversation,
    first_text,
    prompt_text,
    slash_command,
    spoken,
    typed_command,
)
from skilltrace_mlflow.sources.transcript._results import Results
from skilltrace_mlflow.sources.transcript._stated import Printed, Stated, stated_of
from skilltrace_mlflow.sources.transcript._wire import (
    Attachment,
    Block,
    Entry,
    amount,
    decode_json,
    decode_raw,
    text_of,
)

__all__ = ["Collector"]

_SYNTHETIC = "<synthetic>"
_SKILL_BODY = "Base directory for this skill:"
# Of `--output-format stream-json`: entries that no transcript has and that hold no evidence.
_STREAM = frozenset(
    (
        "auth_status",
        "keep_alive",
        "rate_limit_event",
        "stream_event",
        "tool_progress",
        "tool_use_summary",
    )
)
_TURN_OVER = ("stop_hook_summary", "turn_duration")
_INTERRUPTED = "[Request interrupted"
_CUT_STREAM = "Your response above was cut off mid-stream"  # since 2.1.332, behind half a message
# Entries without a conversation in them. `started` and `result` belong to journals: no transcript.
_KNOWN = frozenset(
    (
        "agent-color",
        "agent-name",
        "agent-setting",
        "ai-title",
        "api-request",
        "api-request-blob",
        "api-request-shape",
        "artifact-autoreact-ledger",
        "artifact-comment-monitor",
        "atis-latch",
        "attachment",
        "attribution-snapshot",
        "bridge-session",
        "content-replacement",
        "cost-state",
        "custom-title",
        "ended",
        "file-history-delta",
        "file-history-snapshot",
        "fork-context-ref",
        "frame-link",
        "isolation-latch",
        "last-prompt",
        "mode",
        "permission-mode",
        "pr-link",
        "progress",
        "queue-operation",
        "relocated",
        "scheduled_task_fire",
        "summary",
        "system",
        "tag",
        "tools-used",
        "worktree-state",
    )
)


def _is_silent(block: Block) -> bool:
    return block.type == "text" and block.text is None


class Collector:
    """Feed it every entry, then read what it gathered.

    `unsorted` are the agents whose records came in two runs, from progress entries and from a file
    of their own; `known` and `messages` count the entries that are Claude Code's.
    """

    def __init__(self) -> None:
        self.notes = Notes()
        self.conversation = Conversation(self.notes)
        self.results = Results(self.conversation.calls, self.notes)
        self.agents = Agents()
        self.end_of = EndingTracker()
        self.unsorted: set[str] = set()
        self.slash_skills: list[str] = []
        self.api_errors: list[str] = []
        self.session_ids: dict[str, int] = {}
        self.start: datetime | None = None
        self.end: datetime | None = None
        self.cwd: str | None = None
        self.git_branch: str | None = None
        self.version: str | None = None
        self.permission_mode: str | None = None
        self.total_cost: float | None = None
        self.stated: Stated | None = None
        self.stated_last = False  # whether no response stands behind it
        self.compactions: list[Compaction] = []
        self._command: tuple[str, datetime | None, str | None] | None = None
        self.printed = Printed()
        self.streamed = False  # whether it is what `claude -p` printed
        self.known = 0
        self.messages = 0
        self._source = Source("", ())
        self._file_agent: str | None = None
        self._only_agent = False
        self._uuids: set[str] = set()
        self._slash: str | None = None
        self._prompted = False
        self._session_id: str | None = None
        self._counted = 0

    def begin(self, source: Source, *, agent: str | None = None) -> None:
        """Entries fed from now on are `source`'s; all of them belong to `agent` if one is named."""
        self._only_agent = agent is not None and not self._source.name
        self._source = source
        self._file_agent = agent
        self.notes.begin(source, agent)
        if agent is not None:
            if self.conversation.items.get(agent):
                self.unsorted.add(agent)  # known from progress entries already
            self.agents.get(agent).recorded = True

    def lost_end(self) -> None:
        """The last line of the source cannot be read."""
        if self._file_agent is None or self._only_agent:
            self.end_of.damaged_end()

    def done(self) -> None:
        """The source that was begun is read to its end."""
        self._count_session()

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
                    self.notes.damage("an assistant entry without a message")
                else:
                    self.notes.note("a user entry without a message")
                return
            self.messages += 1
            if self.streamed:
                self.printed.message()
            if kind == "user":
                self._user(entry, message, agent)
            elif entry.isApiErrorMessage or message.model == _SYNTHETIC:
                self._synthetic(entry, message)
            else:
                cwd = None if entry.cwd == self.cwd else entry.cwd
                self.conversation.assistant(
                    message, entry.uuid, time, agent, amount(entry.costUSD), cwd
                )
                if agent == MAIN_AGENT or self._only_agent:
                    self.end_of.response(message)
                if self._file_agent is None:
                    self.stated_last = False
        elif kind in _KNOWN:
            self.known += 1
            if kind == "progress":
                self._progress(entry)
            elif kind == "attachment":
                self._attachment(entry)
            elif kind == "system":
                self._system(entry)
            elif kind == "cost-state":
                if self._file_agent is None:
                    said = self._whole_line()
                    self._state_usage(said, said.get("totalCostUSD"))
            elif kind == "permission-mode" and entry.permissionMode:
                self.permission_mode = entry.permissionMode
            if entry.isSidechain and entry.uuid and not entry.agentId:
                self._agent_of(entry)
        elif kind is None:
            self.notes.damage("an entry without a type")
        else:
            said = self._whole_line() if kind == "result" else {}
            if said and (entry.subtype or "total_cost_usd" in said):
                self._result(entry, said)
            elif kind not in _STREAM:
                self.notes.unknown(kind)

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
        """Which agent an entry belongs to."""
        if self._file_agent is not None:
            return self._file_agent
        agent = self.agents.of(entry)
        if agent != MAIN_AGENT:
            if entry.sessionId:
                self.session_ids.setdefault(entry.sessionId, 0)
            self.cwd = self.cwd or entry.cwd
            self.version = self.version or entry.version
        return agent

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
        if not entry.isSidechain and (self._file_agent is None or self._only_agent):
            self.end_of.api_error(text or "")

    def _whole_line(self) -> dict[str, Any]:
        """Everything on the line being read: for the few kinds of entries whose fields no other has
        (a field that every line is searched for costs on every line).
        """
        try:
            value = decode_json(self._source.data.strip(b"\0 \t\r\n"))
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def _result(self, entry: Entry, line: Mapping[str, Any]) -> None:
        """The line that ends a run of `claude -p`."""
        self.known += 1
        self.printed.result(line.get("duration_ms"), self.end)
        cost = line.get("total_cost_usd")
        if isinstance(cost, (int, float)):
            self.total_cost = amount(cost)
        self._state_usage(line, cost)
        denials = line.get("permission_denials")
        for denial in denials if isinstance(denials, list) else ():
            if isinstance(denial, dict) and isinstance(denial.get("tool_use_id"), str):
                self.results.refused.add(denial["tool_use_id"])
        errors, answer = line.get("errors"), line.get("result")
        is_error, terminal = line.get("is_error"), line.get("terminal_reason")
        said = errors[0] if isinstance(errors, list) and errors else answer
        self.end_of.stated(
            ending_of_result(
                subtype=entry.subtype,
                is_error=is_error if isinstance(is_error, bool) else None,
                terminal=terminal if isinstance(terminal, str) else None,
                text=said if isinstance(said, str) else "",
            )
        )

    def _state_usage(self, line: Mapping[str, Any], cost: object) -> None:
        """The CLI's own figures; the last ones hold, being cumulative."""
        known = amount(cost) if isinstance(cost, (int, float)) else None
        unpriced = line.get("hasUnknownModelCost") is True
        found = stated_of(line.get("modelUsage"), known, unpriced)
        if found is not None:
            self.stated = found
            self.stated_last = True

    def _user(self, entry: Entry, message: _wire.Message, agent: str) -> None:
        content = message.content
        own = agent == MAIN_AGENT or self._only_agent
        if isinstance(content, list):
            extra = entry.toolUseResult if entry.tool_use_result is None else entry.tool_use_result
            if self._results(content, extra, entry.timestamp, entry):
                if entry.cwd != self.cwd:
                    self._moved(content, entry.cwd)
                if own:
                    self.end_of.waiting("result")
                return
            if any(block.type is None or _is_silent(block) for block in content):
                self.notes.damage("a user message with a block that is none")
        elif content is None:
            self.notes.note("a user message without content")
            return
        if self._command is not None and entry.isMeta and agent == MAIN_AGENT:
            self._open_with_command(first_text(content))
        if self._slash is not None and entry.isMeta and agent == MAIN_AGENT:
            if first_text(content).startswith(_SKILL_BODY) and not entry.sourceToolUseID:
                self.slash_skills.append(self._slash)
            self._slash = None
        text = prompt_text(entry)
        if own:
            self._what_follows(content, text)
        if agent != MAIN_AGENT:
            draft = self.agents.get(agent)
            if draft.prompt is None:
                draft.prompt = text
        elif text is not None:
            if not self._repeated(entry.uuid):
                self.conversation.say("user", text, entry.timestamp, agent, entry.uuid)
                self._prompted = True
        elif not entry.isMeta:
            self._slash = slash_command(content)
            typed = typed_command(content)
            if typed is not None and not self._prompted:
                self._command = typed, entry.timestamp, entry.uuid

    def _open_with_command(self, expansion: str) -> None:
        """A session that a slash command begins has it as its prompt, if it asks the model."""
        if is_injected(expansion) or self._command is None or self._prompted:
            return
        text, time, uuid = self._command
        self._command = None
        if not self._repeated(uuid):
            self.conversation.say("user", text, time, MAIN_AGENT, uuid)
            self._prompted = True
            self.end_of.waiting("prompt")

    def _moved(self, content: list[Block], cwd: str | None) -> None:
        """Note on calls that their results stand in another directory than the session's."""
        for block in content:
            call = self.conversation.calls.get(block.tool_use_id or "")
            if call is not None and cwd is not None:
                call.__dict__["details"]["cwd_after"] = cwd

    def _what_follows(self, content: str | list[Block], text: str | None) -> None:
        """Whether a response is due behind a user entry, `text` being what a person said in it."""
        if text is not None:
            self.end_of.waiting("prompt")
            return
        first = first_text(content)
        if first.lstrip().startswith("<task-notification>"):
            self._notification(first)
        elif first.startswith(_INTERRUPTED):
            self.end_of.interrupted()
        elif first.startswith(_CUT_STREAM):
            self.conversation.cut(self.end_of.last_response)
            self.end_of.waiting("prompt")

    def _results(
        self,
        content: list[Block],
        extra: _wire.ToolUseResult | list[msgspec.Raw] | str | None,
        time: datetime | None,
        entry: Entry | None = None,
    ) -> bool:
        """Take in the tool results among the blocks; False if there are none."""
        results = [block for block in content if block.type == "tool_result"]
        if not results:
            return False
        kind = decision = parent = None
        version = self.version
        if entry is not None:
            kind, decision, parent = (
                entry.toolDenialKind,
                entry.permissionDecision,
                entry.parentUuid,
            )
            version = entry.version or version
        if len(results) > 1:
            extra = None  # it says nowhere which block it means
        again = self.conversation.again
        for block in results:
            call_id = recorded_id = block.tool_use_id or ""
            if recorded_id in again:
                call_id = again[recorded_id][-1]
            elif not recorded_id:
                # Without an id on either side, a result still follows the entry that made the call.
                call_id = self.conversation.nameless.pop(parent or "", "")
                if not call_id:
                    self.notes.note("a tool result that names no call")
                    continue
            self.results.add(
                call_id, block, extra, time, kind, self._source, recorded_id, version, decision
            )
        return True

    def _progress(self, entry: Entry) -> None:
        """Messages of a sub-agent inside the main file (versions 2.1.12 to 2.1.81)."""
        data = entry.data
        if data is None or data.agentId is None or data.message is None:
            return
        nested = data.message
        agent = self.agents.get(data.agentId)
        if agent.parent_call_id is None:
            agent.parent_call_id = entry.parentToolUseID
        if agent.prompt is None:
            agent.prompt = text_of(decode_raw(data.prompt)) or None
        agent.recorded = True
        message = nested.message
        if message is None:
            self.notes.damage("a sub-agent's progress entry without a message")
            return
        self.messages += 1
        time = nested.timestamp or entry.timestamp
        if message.model == _SYNTHETIC:
            return
        if nested.type == "assistant":
            self.conversation.assistant(message, nested.uuid, time, agent.id, None)
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
        if attachment.type == "hook_success":
            self._rewritten(attachment)
            return
        if attachment.type in MARKS and self._agent_of(entry) == MAIN_AGENT:
            said = decode_raw(attachment.message)
            self.end_of.mark(attachment.type, said if isinstance(said, str) else None)
        if attachment.type != "queued_command":
            return
        if attachment.commandMode == "task-notification":
            self._notification(text_of(decode_raw(attachment.prompt)))
        if attachment.commandMode != "prompt":
            return
        if attachment.origin is not None and attachment.origin.kind not in (None, "human"):
            return
        text = spoken(text_of(decode_raw(attachment.prompt)))
        if text is None or self._agent_of(entry) != MAIN_AGENT:
            return
        if not self._repeated(attachment.source_uuid) and not self._repeated(entry.uuid):
            self.messages += 1
            self.conversation.say("user", text, entry.timestamp, MAIN_AGENT, entry.uuid)
            self.end_of.waiting("prompt")

    def _init(self, entry: Entry) -> None:
        """The line that opens a run of `claude -p --output-format stream-json`."""
        version = self._whole_line().get("claude_code_version")
        self.version = version if isinstance(version, str) else self.version
        self.cwd = self.cwd or entry.cwd
        self.permission_mode = entry.permissionMode or self.permission_mode
        self.streamed = True

    def _compacted(self, entry: Entry) -> None:
        if self._repeated(entry.uuid):
            return
        about = self._whole_line().get("compactMetadata")
        about = about if isinstance(about, dict) else {}
        trigger, before = about.get("trigger"), about.get("preTokens")
        self.compactions.append(
            Compaction(
                trigger=trigger if isinstance(trigger, str) else None,
                timestamp=entry.timestamp,
                pre_tokens=before if isinstance(before, int) else None,
                position=len(self.conversation.items[MAIN_AGENT]),
            )
        )

    def _rewritten(self, attachment: Attachment) -> None:
        """The arguments that a hook put in the place of those that the model asked for."""
        said, call_id = attachment.stdout, attachment.toolUseID
        if call_id is None or said is None or "updatedInput" not in said:
            return
        try:
            answer = decode_json(said[said.index("{") :].encode())
        except ValueError:
            self.notes.damage(f"a hook changed the input of {call_id}; how is not readable")
            return
        specific = answer.get("hookSpecificOutput") if isinstance(answer, dict) else None
        decision = specific.get("decision") if isinstance(specific, dict) else None
        for place in (decision, specific):
            given = place.get("updatedInput") if isinstance(place, dict) else None
            if isinstance(given, dict):
                self.results.rewritten[call_id] = given
                return

    def _notification(self, text: str) -> None:
        """The news of a background task, if a text is one."""
        found = notification_of(text)
        if found is not None:
            self.results.background.notify(found)

    def _system(self, entry: Entry) -> None:
        if entry.subtype == "init":
            self._init(entry)
        if entry.subtype == "compact_boundary" and self._agent_of(entry) == MAIN_AGENT:
            self._compacted(entry)
        if entry.subtype in _TURN_OVER and self._agent_of(entry) == MAIN_AGENT:
            self.end_of.turn_over()
        if entry.subtype != "api_error" or self._repeated(entry.uuid):
            return
        error = decode_raw(entry.error)
        if isinstance(error, dict):
            error = error.get("formatted") or error.get("message")
        text = error if isinstance(error, str) and error else "API error"
        self.api_errors.append(text)
        if self._agent_of(entry) == MAIN_AGENT:
            self.end_of.api_error(text)
