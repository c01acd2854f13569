"""Traces that Claude Code exports itself over OpenTelemetry.

Read off exports of Claude Code 2.1.197 into MLflow 3.17 (kept under `tests/data/traces`): one
`claude_code.llm_request` per API request, one `claude_code.tool` per call whose children
`tool.blocked_on_user` and `tool.execution` say how it ended. Prompts are `<REDACTED>`, and of a
tool's arguments nothing or only path and command is exported, unless the user opted in.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from skilltrace_mlflow.session import (
    MAIN_AGENT,
    CallOutcome,
    Ending,
    Message,
    ModelStep,
    SubAgent,
    TokenUsage,
    ToolCall,
)
from skilltrace_mlflow.sources.mlflow._build import (
    ANSWER,
    CALL,
    PROMPT,
    STEP,
    Parts,
    is_whole_usage,
    read_usage,
)
from skilltrace_mlflow.sources.mlflow._outcome import ending_by_stop_reason, is_person
from skilltrace_mlflow.sources.mlflow._wire import SpanView, TraceView, as_mapping, as_time
from skilltrace_mlflow.sources.mlflow.names import USAGE
from skilltrace_mlflow.sources.transcript._outcome import classify_error, short_reason
from skilltrace_mlflow.tools import starts_agent

__all__ = ["add_trace"]

_REDACTED = "<REDACTED>"
_TRUE, _FALSE = (True, "true"), (False, "false")
# Attributes of a tool span that stand for one argument of the call.
_DETAILS = {
    "full_command": "command",
    "file_path": "file_path",
    "skill_name": "skill",
    "subagent_type": "subagent_type",
}
_NOT_LOGGED = "Claude Code's OpenTelemetry export leaves it out unless {} is set"


def add_trace(parts: Parts, trace: TraceView) -> None:
    """Add one interaction to the record."""
    parts.note_state(trace)
    for span in trace.spans:
        if _kind(span) not in (span.name, ""):
            parts.gap(f"trace {trace.id}: span {span.name} says that it is a {_kind(span)}")
    for span in trace.spans:
        if span.name == "claude_code.interaction":
            _add_interaction(parts, span)
    tops = [*trace.children.get(None, ()), *trace.orphans]
    _walk(parts, trace, tops, MAIN_AGENT)
    if not any(span.name == "claude_code.interaction" for span in trace.spans):
        parts.lacks("messages", f"trace {trace.id} has no span of the interaction")
    starts = [span.start_ns for span in trace.spans if span.start_ns]
    ends = [span.end_ns for span in trace.spans if span.end_ns]
    parts.starts.extend(t for t in (as_time(min(starts, default=0)),) if t)
    parts.ends.extend(t for t in (as_time(max(ends, default=0)),) if t)
    parts.costs.append(None)
    parts.ended(min(starts, default=0), _ending(trace))
    parts.fact("version", trace.tags.get("service.version"))


def _kind(span: SpanView) -> str:
    """The name that a span should have by its own type, "" where it states none."""
    kind = span.text("span.type")
    return f"claude_code.{kind}" if kind else ""


def _add_interaction(parts: Parts, span: SpanView) -> None:
    text = span.text("user_prompt")
    if text is None and isinstance(span.inputs, str):
        text = span.inputs
    if text is None or text == _REDACTED:
        parts.lacks("messages", "prompts: " + _NOT_LOGGED.format("OTEL_LOG_USER_PROMPTS"))
    elif is_person(text) and parts.first("prompt", text, span.start_ns):
        message = Message(role="user", text=text, timestamp=as_time(span.start_ns))
        parts.messages.append((parts.place(span.start_ns, PROMPT), message))


def _walk(parts: Parts, trace: TraceView, spans: Iterable[SpanView], agent: str) -> None:
    for span in spans:
        owner = span.text("agent_id") or agent
        below = trace.below(span)
        if span.name == "claude_code.llm_request":
            _add_request(parts, span, owner)
        elif span.name == "claude_code.tool":
            call = _add_call(parts, span, below, owner)
            nested = None
            if starts_agent(call.name):
                inner = (item.text("agent_id") for item in trace.walk(span) if item is not span)
                nested = next((found for found in inner if found and found != owner), None)
            if nested is not None:
                kind = (call.input or {}).get("subagent_type")
                parts.subagents.setdefault(
                    nested,
                    SubAgent(
                        id=nested,
                        type=kind if isinstance(kind, str) else None,
                        parent_call_id=call.id,
                    ),
                )
        _walk(parts, trace, below, owner)


def _add_request(parts: Parts, span: SpanView, agent: str) -> None:
    if span.get("success") in _FALSE or span.status == "ERROR":
        # Each failed attempt is a span of its own; the API answered nothing.
        parts.api_errors.append(span.text("error") or span.status_message or "API request failed")
        return
    usage = _usage(span)
    step = ModelStep(
        id=span.text("request_id") or span.id,
        model=span.text("model") or span.text("gen_ai.request.model"),
        timestamp=as_time(span.start_ns),
        agent=agent,
        usage=usage or TokenUsage(),
        usage_complete=usage is not None,
        stop_reason=span.text("stop_reason"),
        speed=span.text("speed"),
    )
    if not parts.first("step", step.id):
        return
    parts.steps.append((parts.place(span.start_ns, STEP), step))
    text = _output_text(span)
    if text:
        message = Message(
            role="assistant", text=text, timestamp=as_time(span.start_ns), agent=agent, id=span.id
        )
        parts.messages.append((parts.place(span.start_ns, ANSWER), message))
    elif step.stop_reason != "tool_use":
        parts.lacks("messages", "answers: Claude Code's OpenTelemetry export leaves them out")


def _ending(trace: TraceView) -> Ending:
    """How the interaction ended, by its last request or call outside sub-agents."""
    if trace.state == "IN_PROGRESS":
        return Ending(text="the trace is still in progress")
    names = ("claude_code.llm_request", "claude_code.tool")
    own = [s for s in trace.spans if s.name in names and s.text("agent_id") is None]
    last = max(own, key=lambda span: (span.start_ns, span.order), default=None)
    if last is None:
        return Ending(text="the trace holds no response")
    if last.name == "claude_code.tool":
        return ending_by_stop_reason("tool_use")
    if last.get("success") in _FALSE or last.status == "ERROR":
        said = last.text("error") or last.status_message
        return Ending(kind="cut_off", text=short_reason(said) or "API error")
    return ending_by_stop_reason(last.text("stop_reason"))


def _usage(span: SpanView) -> TokenUsage | None:
    """Claude Code's own figures exclude the cache; MLflow's translation of them includes it."""
    own = {
        "input_tokens": span.get("input_tokens"),
        "output_tokens": span.get("output_tokens"),
        "cache_read_input_tokens": span.get("cache_read_tokens"),
        "cache_creation_input_tokens": span.get("cache_creation_tokens"),
    }
    translated = span.mapping(USAGE)
    if translated is None or not is_whole_usage(translated):
        return read_usage(own) if is_whole_usage(own) else None
    usage = read_usage(translated)
    apart = usage.input_tokens - usage.cache_read_input_tokens - usage.cache_creation_input_tokens
    return TokenUsage(
        input_tokens=apart if apart >= 0 else usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_creation_input_tokens=usage.cache_creation_input_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
    )


def _output_text(span: SpanView) -> str | None:
    text = span.text("response.model_output")
    return None if text == _REDACTED else text


def _add_call(parts: Parts, span: SpanView, below: Iterable[SpanView], agent: str) -> ToolCall:
    name = span.text("tool_name") or "unknown"
    given, whole = _input(span)
    if not whole:
        reason = "arguments: " + _NOT_LOGGED.format("OTEL_LOG_TOOL_DETAILS")
        parts.lacks("tool_inputs", reason)
        if given is None:
            parts.lacks("files", reason)
            parts.lacks("skills", reason)
    text = _result(span)
    if text is None:
        parts.lacks("tool_results", "results: " + _NOT_LOGGED.format("OTEL_LOG_TOOL_CONTENT"))
    outcome, said = _outcome(span, below, text)
    call = ToolCall(
        id=span.text("tool_use_id") or span.text("gen_ai.tool.call.id") or span.id,
        name=name,
        input=given,
        input_truncated=given is not None and not whole,
        timestamp=as_time(span.start_ns),
        end_timestamp=as_time(span.end_ns),
        outcome=outcome,
        outcome_reason=said,
        agent=agent,
        duration_ms=_duration(span.get("duration_ms")),
        load_result=text,
    )
    if parts.first("call", call.id):
        parts.calls.append((parts.place(span.start_ns, CALL), call))
    return call


def _input(span: SpanView) -> tuple[Mapping[str, Any] | None, bool]:
    """The arguments, and whether they are all."""
    value = span.raw.get("tool_input")
    whole = as_mapping(value)
    if whole is not None:
        return whole, True
    details = {
        argument: text
        for key, argument in _DETAILS.items()
        if (text := span.text(key)) is not None and text != _REDACTED
    }
    if details:
        return details, False
    inputs = span.mapping("mlflow.spanInputs")
    if inputs is not None:
        known = {_DETAILS.get(key, key): item for key, item in inputs.items()}
        return known, not set(inputs) <= set(_DETAILS)
    return None, False


def _result(span: SpanView) -> str | None:
    for name, attributes in span.events:
        if name == "tool.output":
            # What a Write or Edit event holds is the file's new content, not the tool's answer.
            value = attributes.get("output")
            if isinstance(value, str) and value != _REDACTED:
                return value
    return None


def _duration(value: object) -> float | None:
    """Milliseconds, None for what no duration can be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= sys.float_info.max else None


def _outcome(
    span: SpanView, below: Iterable[SpanView], text: str | None
) -> tuple[CallOutcome, str]:
    reached = False
    for child in below:
        if child.name.endswith("blocked_on_user") and child.text("decision") == "reject":
            return "denied", "permission refused"
        if child.name.endswith("tool.execution"):
            reached = True
            success = child.get("success")
            error = child.text("error") or child.status_message
            if success in _FALSE or child.status == "ERROR":
                if error and error.lower() in ("interrupted", "aborted", "aborterror"):
                    return "interrupted", error
                return classify_error(text or error or "")
            if success in _TRUE or child.status == "OK":
                return "succeeded", ""
    if span.status == "ERROR" or span.get("success") in _FALSE:
        return classify_error(text or span.text("error") or span.status_message)
    if span.get("success") in _TRUE:
        return "succeeded", ""
    return "unknown", "the export does not say how the call ended" if reached else "not executed"
