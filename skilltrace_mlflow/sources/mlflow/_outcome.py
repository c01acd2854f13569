"""How calls and turns came out, as far as a trace proves it whose writer lost the flag.

Of calls the result's text is looked at. Sentences are those of the recorded CLI (2.1) and of older
versions in the wild. A sentence is evidence only at the start of a result: a command may print
anything after that.

Of how a turn ended there is evidence in the order in which it holds: the root's error status (the
Agent SDKs put the result's subtype or the exception there), an API error in place of the last
answer, the last answer's stop reason, a turn that breaks off behind a tool call. Hooks write
`status: completed` on every root: that proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from skilltrace_mlflow.session import REFUSED, CallOutcome, Ending, EndingKind, SubAgent, ToolCall
from skilltrace_mlflow.sources.mlflow._wire import SpanView, TraceView
from skilltrace_mlflow.sources.mlflow.names import NO_RESULT
from skilltrace_mlflow.sources.transcript._injected import is_injected
from skilltrace_mlflow.sources.transcript._outcome import classify_error, short_reason
from skilltrace_mlflow.tools import starts_agent

__all__ = [
    "agent_id_in",
    "ending_by_stop_reason",
    "ending_of_error",
    "implied_subagent",
    "is_person",
    "is_summary",
    "outcome_of_text",
    "result_text",
    "stop_reason_of",
]

_FAILED = re.compile(r"\s*(?:<tool_use_error>|Exit code \d+)")
_CREATED = re.compile(r"\s*File created successfully at: ")
_UPDATED = re.compile(
    r"\s*(?:The file .{0,4000}? has been updated|Applied \d+ edits? to )", re.DOTALL
)
_WRITERS = frozenset({"Write", "Edit", "MultiEdit"})
_SUMMARY = "This session is being continued from a previous conversation"
_AGENT_ID = re.compile(r"\bagentId: ([0-9A-Za-z_-]+)")
_SUBTYPES: dict[str, EndingKind] = {
    "error_max_turns": "turn_limit",
    "error_max_budget_usd": "budget_limit",
    "error_max_structured_output_retries": "stopped",
}
_INTERRUPTED = ("interrupt", "abort", "cancel")
_OWN_END = frozenset(("end_turn", "stop_sequence", "refusal"))
_CUT = {
    "max_tokens": "the last response was cut at its token limit",
    "model_context_window_exceeded": "the last response reached the end of the context window",
    "pause_turn": "the last response was paused and never resumed",
    "tool_use": "the trace ends behind a tool call, before a response",
}


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


def agent_id_in(text: str | None) -> str | None:
    """The id that Claude Code tells the model beside a sub-agent's answer."""
    found = _AGENT_ID.search(text or "")
    return found.group(1) if found else None


def is_person(text: str) -> bool:
    """Whether a user turn's text is what a person (or the calling program) said."""
    return bool(text.strip()) and not is_injected(text) and not is_summary(text)


def is_summary(text: str) -> bool:
    """Whether a text is the summary that Claude Code goes on with behind a compaction."""
    return text.lstrip().startswith(_SUMMARY)


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


def stop_reason_of(span: SpanView) -> str | None:
    """The stop reason of an LLM span's answer, where its writer kept it."""
    outputs = span.outputs
    value = outputs.get("stop_reason") if isinstance(outputs, dict) else None
    if isinstance(value, str) and value:
        return value
    reasons = span.get("gen_ai.response.finish_reasons")
    if isinstance(reasons, Sequence) and reasons and not isinstance(reasons, str):
        reasons = reasons[-1]
    return reasons if isinstance(reasons, str) and reasons else None


def ending_of_error(trace: TraceView, root: SpanView) -> Ending | None:
    """What an error status on the trace or on its root says; None where there is none."""
    if root.status != "ERROR" and trace.state != "ERROR":
        return None
    said = root.status_message or root.exception or ""
    kind: EndingKind = _SUBTYPES.get(said.strip(), "cut_off")
    if any(word in said.lower() for word in _INTERRUPTED):
        kind = "interrupted"
    return Ending(kind=kind, text=short_reason(said) or "the trace ended with an error")


def ending_by_stop_reason(reason: str | None) -> Ending:
    """How the turn ended by the stop reason of its last response."""
    if reason in _OWN_END:
        return Ending(kind="finished", text=REFUSED if reason == "refusal" else "")
    if reason in _CUT:
        return Ending(kind="cut_off", text=_CUT[reason])
    return Ending(text="the trace records no stop reason")
