"""Which writer made a trace: they share span names and differ in what they lost.

Read off MLflow's Python sources (3.4 to 3.17), several versions of its TypeScript plugin, and real
exports of Claude Code's own OpenTelemetry spans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.sources.mlflow._wire import SpanView, TraceView
from skilltrace_mlflow.sources.mlflow.names import TURN_ATTRIBUTE, USAGE, copied_from

__all__ = [
    "AGENT_ID_TAG",
    "SDK_TS",
    "Generation",
    "content_blocks",
    "detect",
    "input_messages",
    "is_agent",
    "is_llm",
    "is_tool",
]

AGENT_ID_TAG = "mlflow.claude_code.agent_id"
_ROOT = "claude_code_conversation"
_OTEL = ("claude_code.interaction", "claude_code.llm_request", "claude_code.tool")


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What a writer is known to keep.

    `flags`: a failed call is marked, so that an unmarked one succeeded. `per_message`: one LLM span
    per API message. `durations`: tool spans have measured times. `root_usage`: the root span holds
    the main agent's sum; `cache_unsure`: whether its input holds the cache depends on the version,
    which the trace does not tell. `whole_cost`: where every step has a cost, their sum is the whole
    cost. `quotes_messages`: spans quote the API messages whole, and steps are read from these.
    `own_directory`: the working directory is the session's.
    """

    name: str
    flags: bool = False
    per_message: bool = False
    durations: bool = False
    times: bool = True
    root_usage: bool = False
    own_directory: bool = True
    subagents: bool = True
    cache_apart: bool = True
    cache_unsure: bool = False
    whole_cost: bool = False
    quotes_messages: bool = False


IMPORTED = Generation(name="skilltrace import", flags=True, per_message=True)
OTEL = Generation(name="Claude Code OpenTelemetry", per_message=True, durations=True)
HOOK = Generation(name="MLflow Python Stop hook", subagents=False, cache_apart=False)
PROCESS = Generation(
    name="mlflow.claude_code.tracing.process_transcript",
    own_directory=False,
    subagents=False,
    quotes_messages=True,
)
PLUGIN_1 = Generation(name="MLflow plugin, generation 1", flags=True, cache_apart=False)
PLUGIN_2 = Generation(name="MLflow plugin, generation 2", flags=True)
PLUGIN_3 = Generation(
    name="MLflow plugin, generation 3", flags=True, per_message=True, whole_cost=True
)
SDK_TS = Generation(name="MLflow TypeScript Agent SDK", flags=True, durations=True, root_usage=True)
SDK_PYTHON = Generation(
    name="MLflow Python Agent SDK", root_usage=True, times=False, subagents=False, cache_unsure=True
)
UNSURE = Generation(name="MLflow Claude Code tracing", own_directory=False)
"""Text-only spans without any mark of the language that wrote them: flags cannot be relied on."""


def detect(trace: TraceView) -> Generation | None:
    """The writer of a trace, None if it does not come from Claude Code itself."""
    if copied_from(trace.tags) is not None:
        return None
    root = trace.root
    if root is not None and TURN_ATTRIBUTE in root.raw:
        return IMPORTED
    if any(span.name in _OTEL for span in trace.spans):
        return OTEL
    if root is None or not _is_conversation(root, trace):
        return None
    llms = [span for span in trace.spans if is_llm(span)]
    messages = [m for span in llms for m in input_messages(span) if m.get("role") == "assistant"]
    if isinstance(root.inputs, Mapping) and "options" in root.inputs:
        return SDK_TS  # also where it was interrupted, before the sum came
    if root.mapping(USAGE) is not None:
        spans_have_usage = any(span.mapping(USAGE) is not None for span in llms)
        return SDK_TS if spans_have_usage or _nested_agents(trace) else SDK_PYTHON
    if not any(_counts_tokens(span) for span in llms) and any(map(_is_of_sdk, messages)):
        return SDK_PYTHON  # its result, which brings the sum, never came
    if any(b.get("type") == "tool_use" for span in llms for b in content_blocks(span)):
        return PLUGIN_3
    if any(m.get("usage") is not None or m.get("id") for m in messages):
        return PROCESS
    bare = any("input_tokens" in span.raw for span in llms)
    if bare or any(span.name.startswith("llm_call_") for span in llms):
        return HOOK
    cache_apart = any(
        key.startswith("cache_") for span in llms for key in span.mapping(USAGE) or {}
    )
    typescript = (
        "mlflow.trace.permission_mode" in trace.metadata
        or AGENT_ID_TAG in trace.tags
        or any("background" in span.raw for span in trace.spans)
        or any(is_tool(span) and span.exception is not None for span in trace.spans)
        or _nested_agents(trace)
        or any(_is_plain_tool_use(message) for message in messages)
    )
    if typescript:
        return PLUGIN_2 if cache_apart else PLUGIN_1
    if cache_apart or not llms:
        return UNSURE
    return HOOK


def is_llm(span: SpanView) -> bool:
    """Whether the span is a request to the model."""
    return (
        span.type in ("LLM", "CHAT_MODEL")
        or span.name == "llm"
        or span.name.startswith("llm_call_")
    )


def is_tool(span: SpanView) -> bool:
    """Whether the span is a tool call."""
    return span.type == "TOOL" or "tool_name" in span.raw or span.name.startswith("tool_")


def is_agent(span: SpanView) -> bool:
    """Whether the span wraps a sub-agent."""
    return span.type == "AGENT" or span.name == "subagent" or span.name.startswith("subagent_")


def content_blocks(span: SpanView) -> Iterator[Mapping[str, Any]]:
    """The content blocks of an LLM span's answer; a plain text is one text block."""
    outputs = span.outputs
    content = outputs.get("content") if isinstance(outputs, Mapping) else outputs
    if isinstance(outputs, Mapping) and content is None:
        content = outputs.get("response") or outputs.get("text")
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, Sequence):
        for block in content:
            if isinstance(block, Mapping):
                yield block


def input_messages(span: SpanView) -> Iterator[Mapping[str, Any]]:
    """The messages that an LLM span was given."""
    inputs = span.inputs
    messages = inputs.get("messages") if isinstance(inputs, Mapping) else None
    if isinstance(messages, Sequence) and not isinstance(messages, str):
        for message in messages:
            if isinstance(message, Mapping):
                yield message


def _is_conversation(root: SpanView, trace: TraceView) -> bool:
    return root.name == _ROOT or (AGENT_ID_TAG in trace.tags and is_agent(root))


def _nested_agents(trace: TraceView) -> bool:
    return any(
        span.parent_id is not None
        and (span.name == "subagent" or span.name.startswith("subagent_"))
        for span in trace.spans
    )


def _counts_tokens(span: SpanView) -> bool:
    return span.mapping(USAGE) is not None or "input_tokens" in span.raw


def _is_of_sdk(message: Mapping[str, Any]) -> bool:
    """The Python Agent SDK writes its own blocks, to which MLflow adds their type as the last key;
    the API's begin with it."""
    content = message.get("content")
    return isinstance(content, Sequence) and any(
        isinstance(block, Mapping) and len(block) > 1 and list(block)[-1] == "type"
        for block in content
    )


def _is_plain_tool_use(message: Mapping[str, Any]) -> bool:
    """An assistant message cut down to role and content: the TypeScript plugin's habit."""
    content = message.get("content")
    return isinstance(content, Sequence) and any(
        isinstance(block, Mapping) and block.get("type") == "tool_use" for block in content
    )
