"""Traces in the shapes that MLflow's Claude Code writers gave them, logged with MLflow's own API.

Each builder logs to the active store; `read_back` fetches what was really stored. The shapes were
read off the writers' sources (Python 3.4 to 3.17, TypeScript plugin up to 0.3), not off this
package's reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mlflow
from mlflow.entities import LiveSpan, SpanEvent, SpanStatusCode, Trace

__all__ = [
    "SESSION",
    "START",
    "Turn",
    "assistant",
    "read_back",
    "result",
    "tool_use",
    "usage",
]

START = 1_768_330_049_000_000_000  # 2026-01-13 18:47:29 UTC
SECOND = 1_000_000_000
SESSION = "0f8fad5b-d9cb-469f-a165-70867728950e"
MODEL = "claude-sonnet-4-5-20250929"


def usage(
    input_tokens: int, output: int, *, read: int | None = None, created: int | None = None
) -> dict[str, int]:
    """MLflow's token usage; without cache figures as the older writers left it."""
    values = {
        "input_tokens": input_tokens,
        "output_tokens": output,
        "total_tokens": input_tokens + output,
    }
    if read is not None:
        values["cache_read_input_tokens"] = read
    if created is not None:
        values["cache_creation_input_tokens"] = created
    return values


def tool_use(call_id: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A tool_use block."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": dict(given)}


def assistant(
    message_id: str,
    content: Sequence[Mapping[str, Any]],
    counts: Mapping[str, int],
    stop_reason: str | None = "tool_use",
) -> dict[str, Any]:
    """An assistant message, whole, as process_transcript copies it into a later span's inputs."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": stop_reason,
        "usage": dict(counts),
    }


def result(call_id: str, text: str) -> dict[str, Any]:
    """The user message that answers a tool call."""
    block = {"type": "tool_result", "tool_use_id": call_id, "content": text}
    return {"role": "user", "content": [block]}


class Turn:
    """One trace in the making: a root, then spans one second apart, then `end`."""

    def __init__(
        self,
        prompt: str = "Fix it.",
        *,
        name: str = "claude_code_conversation",
        session: str | None = SESSION,
        start: int = START,
        metadata: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        own = {"mlflow.trace.session": session} if session else {}
        self.now = start
        self.root = mlflow.start_span_no_context(
            name=name,
            span_type="AGENT",
            inputs=dict(inputs) if inputs is not None else {"prompt": prompt},
            start_time_ns=start,
            metadata={**own, **(metadata or {})},
            tags=dict(tags or {}),
        )

    def llm(
        self,
        content: Sequence[Mapping[str, Any]] | str,
        *,
        counts: Mapping[str, int] | None = None,
        messages: Sequence[Mapping[str, Any]] = (),
        name: str = "llm",
        parent: LiveSpan | None = None,
        **attributes: Any,
    ) -> LiveSpan:
        """An LLM span with this answer."""
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
        if counts is not None:
            attributes["mlflow.chat.tokenUsage"] = dict(counts)
        return self._span(
            name,
            "LLM",
            parent,
            {"model": MODEL, "messages": list(messages)},
            {"type": "message", "role": "assistant", "content": blocks},
            {"model": MODEL, **attributes},
        )

    def tool(
        self,
        call_id: str,
        name: str,
        given: Mapping[str, Any],
        answer: Any = "No result found",
        *,
        exception: str | None = None,
        error: str | None = None,
        parent: LiveSpan | None = None,
        ended: bool = True,
        **attributes: Any,
    ) -> LiveSpan:
        """A tool span. `exception` adds the event and leaves the status OK, as the plugin does;
        `error` sets the status, as the Agent SDK does.
        """
        return self._span(
            f"tool_{name}",
            "TOOL",
            parent,
            dict(given),
            {"result": answer},
            {"tool_name": name, "tool_id": call_id, **attributes},
            exception=exception,
            error=error,
            ended=ended,
        )

    def agent(
        self, kind: str, parent: LiveSpan, prompt: str = "Do it.", **attributes: Any
    ) -> LiveSpan:
        """The wrapper of a nested sub-agent; end it with `close`."""
        return self._span(
            f"subagent_{kind}",
            "AGENT",
            parent,
            {"prompt": prompt, "description": ""},
            None,
            {"subagent_type": kind, **attributes},
            ended=False,
        )

    def close(self, span: LiveSpan) -> None:
        """End a span that was left open for its children."""
        self.now += SECOND
        span.end(end_time_ns=self.now)

    def end(
        self, *, response: str | None = "Done.", root_usage: Mapping[str, int] | None = None
    ) -> Trace:
        """End the root; returns the trace as the store gives it back."""
        self.now += SECOND
        outputs = {"status": "completed"} | ({"response": response} if response else {})
        self.root.set_outputs(outputs)
        if root_usage is not None:
            self.root.set_attribute("mlflow.chat.tokenUsage", dict(root_usage))
        self.root.end(end_time_ns=self.now)
        return read_back(self.root.trace_id)

    def _span(
        self,
        name: str,
        kind: str,
        parent: LiveSpan | None,
        inputs: Any,
        outputs: Any,
        attributes: Mapping[str, Any],
        *,
        exception: str | None = None,
        error: str | None = None,
        ended: bool = True,
    ) -> LiveSpan:
        self.now += SECOND
        span = mlflow.start_span_no_context(
            name=name,
            span_type=kind,
            parent_span=parent or self.root,
            inputs=inputs,
            attributes=dict(attributes),
            start_time_ns=self.now,
        )
        if outputs is not None:
            span.set_outputs(outputs)
        if exception is not None:
            values = {
                "exception.message": exception,
                "exception.type": "Error",
                "exception.stacktrace": "",
            }
            span.add_event(SpanEvent(name="exception", attributes=values))
        if error is not None:
            span.set_status(SpanStatusCode.ERROR)
        if ended:
            span.end(end_time_ns=self.now + SECOND // 2)
        return span


def read_back(trace_id: str) -> Trace:
    """The trace from the store, not from memory."""
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_trace(trace_id)
    assert trace is not None
    return trace
