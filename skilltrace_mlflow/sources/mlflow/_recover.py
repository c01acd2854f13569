"""The API messages of a `process_transcript` trace, those without a span of their own included.

That writer makes an LLM span only of a line with text. The lines in between stand, whole, in the
next span's `inputs.messages`, with id and usage: one list of pieces results, and pieces of one API
message are counted once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skilltrace_mlflow.session import ModelStep, TokenUsage
from skilltrace_mlflow.sources.mlflow._build import is_whole_usage, read_usage
from skilltrace_mlflow.sources.mlflow._generation import input_messages
from skilltrace_mlflow.sources.mlflow._outcome import result_text
from skilltrace_mlflow.sources.mlflow._wire import SpanView, as_count, as_mapping
from skilltrace_mlflow.sources.mlflow.names import USAGE

__all__ = ["quoted_calls", "recover_messages"]


@dataclass
class _Group:
    """The pieces of one API message."""

    nanoseconds: int
    id: str | None = None
    span_id: str | None = None
    model: str | None = None
    usage: TokenUsage | None = None
    from_message: bool = False
    stop_reason: str | None = None
    speed: str | None = None
    searches: int = 0
    cache_apart: bool = True
    damaged: bool = False
    tools: list[str] = field(default_factory=list)

    def take(self, usage: TokenUsage | None) -> None:
        """The largest output counts; the rest is equal in all pieces of a message."""
        if usage is not None and (
            self.usage is None or usage.output_tokens >= self.usage.output_tokens
        ):
            self.usage = usage


def recover_messages(
    spans: Sequence[SpanView], prompt: str, tool_starts: Mapping[str, int], agent: str
) -> tuple[list[tuple[int, ModelStep]], set[str]]:
    """The steps with their times, and the tool calls whose message's usage is known."""
    groups: list[_Group] = []
    by_id: dict[str, _Group] = {}
    answered = True  # a tool result or a prompt stands between this piece and the one before
    for number, span in enumerate(spans):
        messages = list(input_messages(span))
        if number == 0:
            messages = _this_turn(messages, prompt)
        last_time = spans[number - 1].start_ns if number else span.start_ns
        for message in messages:
            if message.get("role") != "assistant":
                answered = answered or _has_result(message)
                continue
            tools = list(_tool_ids(message))
            time = min((tool_starts[t] for t in tools if t in tool_starts), default=last_time)
            group = _find(groups, by_id, message, answered)
            if group is None:
                group = _Group(nanoseconds=time)
                groups.append(group)
            _add_message(group, message, tools)
            if group.id:
                by_id[group.id] = group
            answered = False
        group = _add_span(groups, span, answered)
        answered = False
    covered = {tool for group in groups if group.usage is not None for tool in group.tools}
    cached = any(g.from_message and _cache(g.usage) for g in groups)
    return [(g.nanoseconds, _step(g, agent, cached)) for g in groups], covered


def quoted_calls(span: SpanView, prompt: str | None) -> Iterator[Mapping[str, Any]]:
    """The `tool_use` blocks of this turn's earlier answers that an LLM span was given.

    Without the turn's prompt among them, the messages may be of an earlier turn: none then.
    """
    messages = list(input_messages(span))
    own = _this_turn(messages, prompt) if prompt else messages
    if len(own) == len(messages):
        return
    for message in own:
        content = message.get("content")
        if message.get("role") != "assistant" or not isinstance(content, Sequence):
            continue
        yield from (block for block in content if isinstance(block, Mapping))


def _this_turn(messages: list[Mapping[str, Any]], prompt: str) -> list[Mapping[str, Any]]:
    """Without what stands before the turn's prompt: the walk back ends at the last text only, which
    can lie in an earlier turn.
    """
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.get("role") == "user" and result_text(message.get("content")) == prompt:
            return messages[index + 1 :]
    return messages


def _find(
    groups: list[_Group], by_id: Mapping[str, _Group], message: Mapping[str, Any], answered: bool
) -> _Group | None:
    message_id = message.get("id")
    if isinstance(message_id, str) and message_id in by_id:
        return by_id[message_id]
    if answered or not groups or groups[-1].id is not None:
        return None
    usage = as_mapping(message.get("usage"))
    return groups[-1] if usage is not None and _same(groups[-1].usage, read_usage(usage)) else None


def _same(of_span: TokenUsage | None, of_message: TokenUsage) -> bool:
    """Whether two figures are of one API message: input and cache never differ inside one."""
    if of_span is None:
        return False
    if _cache(of_span):
        return _prompt_side(of_span) == _prompt_side(of_message)
    # Older writers counted cache writes as input and dropped cache reads.
    whole = of_message.input_tokens + of_message.cache_creation_input_tokens
    return of_span.input_tokens in (of_message.input_tokens, whole)


def _prompt_side(usage: TokenUsage) -> tuple[int, int, int]:
    return usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens


def _cache(usage: TokenUsage | None) -> bool:
    return usage is not None and bool(
        usage.cache_creation_input_tokens or usage.cache_read_input_tokens
    )


def _add_message(group: _Group, message: Mapping[str, Any], tools: list[str]) -> None:
    message_id, model = message.get("id"), message.get("model")
    if isinstance(message_id, str) and message_id:
        group.id = message_id
    if isinstance(model, str) and model:
        group.model = model
    usage = as_mapping(message.get("usage"))
    if usage is not None:
        group.damaged = group.damaged or not is_whole_usage(usage)
        if not group.from_message:
            output = group.usage.output_tokens if group.usage else -1
            group.usage = None  # the message's own figures are the whole truth
            group.take(read_usage(usage))
            if output > read_usage(usage).output_tokens and group.usage is not None:
                group.usage = TokenUsage(**{**vars(group.usage), "output_tokens": output})
        else:
            group.take(read_usage(usage))
        group.from_message = True
        speed = usage.get("speed")
        group.speed = speed if isinstance(speed, str) else group.speed
        server = as_mapping(usage.get("server_tool_use")) or {}
        group.searches = max(group.searches, as_count(server.get("web_search_requests")) or 0)
    stop = message.get("stop_reason")
    group.stop_reason = stop if isinstance(stop, str) else group.stop_reason
    group.tools.extend(tools)


def _add_span(groups: list[_Group], span: SpanView, answered: bool) -> _Group:
    values = span.mapping(USAGE)
    usage = read_usage(values) if values is not None else None
    last = groups[-1] if groups else None
    joins = (
        last is not None
        and not answered
        and usage is not None
        and last.usage is not None
        and (_same(usage, last.usage) if last.from_message else usage == last.usage)
    )
    if last is not None and joins:
        group = last
        if usage is not None and group.usage is not None:
            output = max(usage.output_tokens, group.usage.output_tokens)
            group.usage = TokenUsage(**{**vars(group.usage), "output_tokens": output})
    else:
        group = _Group(nanoseconds=span.start_ns, usage=usage)
        groups.append(group)
        group.cache_apart = values is None or any(key.startswith("cache_") for key in values)
    group.damaged = group.damaged or (values is not None and not is_whole_usage(values))
    group.span_id = span.id
    model = span.get("model") or span.get("mlflow.llm.model")
    group.model = group.model or (model if isinstance(model, str) else None)
    return group


def _step(group: _Group, agent: str, cached: bool) -> ModelStep:
    complete = group.usage is not None and not group.damaged
    if group.from_message:
        complete = complete and group.stop_reason is not None
    elif cached and not group.cache_apart:
        complete = False  # its input holds cache writes, which elsewhere are told apart
    return ModelStep(
        id=group.id or group.span_id or "",
        model=group.model,
        agent=agent,
        usage=group.usage or TokenUsage(),
        usage_complete=complete,
        stop_reason=group.stop_reason,
        speed=group.speed,
        web_search_requests=group.searches,
    )


def _has_result(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    if isinstance(content, str):
        return False
    return isinstance(content, Sequence) and any(
        isinstance(block, Mapping) and block.get("type") == "tool_result" for block in content
    )


def _tool_ids(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, Sequence) and not isinstance(content, str):
        for block in content:
            if isinstance(block, Mapping) and block.get("type") == "tool_use":
                tool_id = block.get("id")
                if isinstance(tool_id, str):
                    yield tool_id
