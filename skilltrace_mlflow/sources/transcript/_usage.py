"""Token usage of an API message: the figures, and whether they are all of them."""

from __future__ import annotations

from typing import Any

import msgspec

from skilltrace_mlflow.session import TokenUsage
from skilltrace_mlflow.sources.transcript._record import record
from skilltrace_mlflow.sources.transcript._wire import Usage, decode_raw

__all__ = ["count"]

_ATTEMPTED = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)


def count(fields: dict[str, Any], usage: Usage) -> None:
    """Set what `usage` says among the fields of a `ModelStep`.

    The usage is complete if some line of the message carried a stop reason: where none did, only
    the placeholder from the beginning of the stream was written down.
    """
    read, written = usage.input_tokens, usage.output_tokens
    cached, hits = usage.cache_creation_input_tokens, usage.cache_read_input_tokens
    lasting = usage.cache_creation
    hour = lasting.ephemeral_1h_input_tokens if lasting is not None else None
    tokens = {
        "input_tokens": read or 0,
        "output_tokens": written or 0,
        "cache_creation_input_tokens": cached or 0,
        "cache_read_input_tokens": hits or 0,
        "cache_creation_1h_input_tokens": hour or 0,
    }
    whole = read is not None and written is not None
    if min(tokens.values()) < 0:
        whole = False
        tokens = {name: max(figure, 0) for name, figure in tokens.items()}
    if usage.iterations is not None and len(usage.iterations) > 1:
        whole = whole and _has_all_attempts(usage.iterations, tokens)
    fields["usage"] = record(TokenUsage, tokens)
    fields["usage_complete"] = whole and fields["stop_reason"] is not None
    fields["speed"] = usage.speed
    searches = usage.server_tool_use
    if searches is not None and searches.web_search_requests:
        fields["web_search_requests"] = max(searches.web_search_requests, 0)


def _has_all_attempts(iterations: list[msgspec.Raw], tokens: dict[str, int]) -> bool:
    """Whether the figures at the top cover every attempt behind a response.

    After a refusal that another model answered, and after a compaction by the server, they leave
    out all attempts but the last; `iterations` then holds more than they say.
    """
    attempts = [decode_raw(attempt) for attempt in iterations]
    for name in _ATTEMPTED:
        values = [attempt.get(name) for attempt in attempts if isinstance(attempt, dict)]
        if sum(value for value in values if isinstance(value, int)) > tokens[name]:
            return False
    return True
