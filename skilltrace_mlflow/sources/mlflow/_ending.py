"""How a traced turn ended, as far as its writer left that in the trace.

Evidence in the order in which it holds: the root's error status (the Agent SDKs put the result's
subtype or the exception there), an API error in place of the last answer, the last answer's stop
reason, a turn that breaks off behind a tool call. Hooks write `status: completed` on every root:
that proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from skilltrace_mlflow.session import REFUSED, Ending, EndingKind
from skilltrace_mlflow.sources.mlflow._wire import SpanView, TraceView
from skilltrace_mlflow.sources.transcript._outcome import short_reason

__all__ = ["ending_by_stop_reason", "ending_of_error", "stop_reason_of"]

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
