"""What came back for tool calls: outcomes, details, files touched, skills loaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from skilltrace_mlflow.session import CallOutcome, ToolCall
from skilltrace_mlflow.sources._builder import CallFacts, fill
from skilltrace_mlflow.sources.transcript._background import Background, is_of_background
from skilltrace_mlflow.sources.transcript._lines import Notes, Source
from skilltrace_mlflow.sources.transcript._outcome import (
    MAYBE_RAN,
    MAYBE_REFUSED,
    classify_error,
    may_be_refusal,
    may_have_run,
)
from skilltrace_mlflow.sources.transcript._wire import (
    Block,
    Decision,
    EditDiff,
    ToolUseResult,
    amount,
    decode_raw,
    text_of,
)
from skilltrace_mlflow.tools import TOOLS

__all__ = ["Results"]

_TELLING = frozenset(
    tool.name for tool in TOOLS.values() if tool.reads or tool.writes or tool.skill
)
_INLINE = "Launching skill: "  # what a skill answers whose text joins the conversation
_HEAD = 2500  # characters of a result that are enough to tell its kind


class _Error(NamedTuple):
    """A result flagged as an error, judged at the end: the hook that caused it may come later."""

    head: str
    denial_kind: str | None
    plain: str | None
    interrupted: bool
    version: str | None


class Results:
    """Fills in the calls whose results it is given, in any order; the first result counts.

    `structured` holds the `toolUseResult` of each call that has an object there.
    """

    def __init__(self, calls: Mapping[str, ToolCall], notes: Notes) -> None:
        self.structured: dict[str, ToolUseResult] = {}
        self.hook_blocked: set[str] = set()
        self.background = Background()
        self.refused: set[str] = set()  # what the CLI lists as denied at a run's end
        self.rewritten: dict[str, Mapping[str, Any]] = {}
        self._calls = calls
        self._notes = notes
        self._heads: dict[str, str] = {}
        self._errors: dict[str, _Error] = {}
        self._decisions: dict[str, Decision] = {}
        self._early: dict[str, tuple[str, dict[str, Any]]] = {}

    def add(
        self,
        call_id: str,
        block: Block,
        extra: ToolUseResult | list[msgspec.Raw] | str | None,
        time: datetime | None,
        denial_kind: str | None,
        source: Source,
        recorded_id: str,
        version: str | None = None,
        decision: Decision | None = None,
    ) -> None:
        """Take in the result of one call, from the line that `source` is at.

        `extra` is the entry's `toolUseResult`, `recorded_id` the id that the block carries,
        `version` Claude Code's, `decision` how a question for permission was answered.
        """
        call = self._calls.get(call_id)
        if call is None:
            if call_id in self._early:
                return
        elif call.load_result is not None:
            return
        is_error = block.is_error
        structured = extra if isinstance(extra, ToolUseResult) else None
        outcome: CallOutcome = "succeeded"
        reason = ""
        if is_error is True:
            plain = extra if isinstance(extra, str) and len(extra) < _HEAD else None
            interrupted = structured is not None and structured.interrupted is True
            head = text_of(decode_raw(block.content))[:_HEAD]
            self._errors[call_id] = _Error(head, denial_kind, plain, interrupted, version)
            outcome = "failed"
        elif is_error is not False:
            outcome, reason = "unknown", "is_error is neither true nor false"
        elif structured is not None and structured.interrupted is True:
            outcome, reason = "interrupted", "interrupted"
        elif structured is None:
            if call is None or call.name in TOOLS:
                head = text_of(decode_raw(block.content))[:_HEAD]
                if call is None or call.name == "Write":
                    self._heads[call_id] = head
                if self.background.receipt_in_words(call_id, head):
                    outcome = "unknown"
        elif is_of_background(structured):
            if self.background.receipt(call_id, structured):
                outcome = "unknown"
            else:
                self.background.news(structured)
        if structured is not None:
            self.structured[call_id] = structured
        if decision is not None and decision.decision is not None:
            self._decisions[call_id] = decision
        if call is not None:
            fields = call.__dict__
            if time is not None:
                fields["duration_ms"] = _elapsed(call.timestamp, time)
            fields["end_timestamp"] = time
            fields["outcome"] = outcome
            fields["outcome_reason"] = reason
            fields["load_result"] = source.keep(recorded_id)
            return
        self._early[call_id] = (
            self._notes.where(),
            {
                "end_timestamp": time,
                "outcome": outcome,
                "outcome_reason": reason,
                "load_result": source.keep(recorded_id),
            },
        )

    def finish(self) -> list[str]:
        """Judge what had to wait for the end; returns the results whose calls are not recorded."""
        orphans = []
        for call_id, (where, fields) in self._early.items():
            call = self._calls.get(call_id)
            if call is None:
                orphans.append(f"{where}: result of a call that is not recorded ({call_id})")
            else:
                end = fields["end_timestamp"]
                duration = None if end is None else _elapsed(call.timestamp, end)
                fill(call, **fields, duration_ms=duration)
        for call_id, error in self._errors.items():
            call = self._calls.get(call_id)
            if call is not None:
                outcome, reason = classify_error(
                    error.head,
                    denial_kind=error.denial_kind,
                    result=error.plain,
                    hook_blocked=call_id in self.hook_blocked,
                    interrupted=error.interrupted,
                )
                fill(call, outcome=outcome, outcome_reason=reason)
                if outcome == "failed" and may_be_refusal(
                    call.name, error.head, version=error.version
                ):
                    call.__dict__["details"][MAYBE_REFUSED] = True
                if outcome == "denied" and may_have_run(error.head, version=error.version):
                    call.__dict__["details"][MAYBE_RAN] = True
        for call_id, structured in self.structured.items():
            call = self._calls.get(call_id)
            if call is not None:
                _detail(call, structured)
        for call_id in self.refused:
            call = self._calls.get(call_id)
            if call is not None and call.outcome in ("failed", "unknown"):
                fill(call, outcome="denied", outcome_reason=call.outcome_reason or "refused")
        self.background.finish(self._calls)
        for call_id, decision in self._decisions.items():
            call = self._calls.get(call_id)
            if call is not None:
                call.__dict__["details"]["permission_decision"] = decision.decision
                call.__dict__["details"]["permission_source"] = decision.source
        for call_id, given in self.rewritten.items():
            call = self._calls.get(call_id)
            if call is not None and call.outcome != "denied" and given != call.input:
                fill(call, input=given, requested_input=call.input)
        orphans.extend(
            f"the structured result of Skill call {call.id} is missing or damaged: whether the"
            " skill ran in a sub-agent is not known"
            for call in self._calls.values()
            if call.name == "Skill" and self._may_have_forked(call)
        )
        return orphans

    def _may_have_forked(self, call: ToolCall) -> bool:
        """Whether a sub-agent may have run a skill without the record naming it."""
        known = self.structured.get(call.id)
        if call.outcome in ("failed", "denied") or call.load_result is None:
            return False
        if known is not None and (known.commandName or known.agentId):
            return False
        return not (call.result or "").startswith(_INLINE)

    def facts(self) -> dict[str, CallFacts]:
        """What the results say of calls beyond their records."""
        found = {call_id: CallFacts(text=head) for call_id, head in self._heads.items()}
        for call_id, structured in self.structured.items():
            call = self._calls.get(call_id)
            if call is None or (call.name not in _TELLING and structured.bashEditDiff is None):
                continue
            file = structured.file
            created = None
            if call.name == "Write" and structured.type is not None:
                created = structured.type != "update"
            found[call_id] = CallFacts(
                structured.filePath or (file.filePath if file is not None else None),
                created,
                _changed(structured.bashEditDiff),
                self._heads.get(call_id),
                structured.commandName,
                structured.success is False,
            )
        return found


def _changed(diff: EditDiff | None) -> tuple[tuple[str, bool], ...]:
    """The files that a shell command changed, as far as Claude Code saw it."""
    if diff is None:
        return ()
    changed = dict.fromkeys(diff.changedFiles or (), False)
    for file in diff.files or ():
        if file.filePath:
            changed[file.filePath] = file.created is True
    return tuple(changed.items())


def _elapsed(start: datetime | None, end: datetime) -> float | None:
    """Milliseconds from `start` to `end`; clocks that step back give none."""
    if start is None:
        return None
    elapsed = (end - start).total_seconds() * 1000
    return elapsed if elapsed > 0 else 0.0


def _detail(call: ToolCall, structured: ToolUseResult) -> None:
    """What a structured result says beside success and failure, and the duration it reports."""
    details = call.__dict__["details"]
    if structured.success is False:
        details["success"] = False
    if structured.code is not None:
        details["code"] = structured.code
    if structured.status is not None:
        details["status"] = structured.status
    if structured.agentId is not None:
        details["agent_id"] = structured.agentId
        for key, figure in (
            ("agent_tool_uses", structured.totalToolUseCount),
            ("agent_last_tokens", structured.totalTokens),  # of its last call, never of all
        ):
            if isinstance(figure, int):
                details[key] = figure
    if structured.backgroundTaskId is not None:
        details["background_task_id"] = structured.backgroundTaskId
    if structured.bashEditDiff is not None and structured.bashEditDiff.moreFiles:
        details["more_files"] = structured.bashEditDiff.moreFiles  # changed, and not listed
    for stated in (structured.totalDurationMs, structured.durationMs):
        if stated is not None and (duration := amount(stated)) is not None:
            call.__dict__["duration_ms"] = duration
            break
