"""Token usage of an API message: the figures, and whether they are all of them."""

from __future__ import annotations

from typing import Any

from skilltrace_mlflow.session import TokenUsage
from skilltrace_mlflow.sources._record import record
from skilltrace_mlflow.sources._wire import Usage, decode_raw

__all__ = ["count"]


def count(fields: dict[str, Any], usage: Usage) -> None:
    """Set what `usage` says among the fields of a `ModelStep`.

    The usage is complete if some line of the message carried a stop reason: where none did, only
    the placeholder from the beginning of the stream was written down.
    """
    read, written = usage.input_tokens or 0, usage.output_tokens or 0
    cached, hits = usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0
    lasting = usage.cache_creation
    hour = (lasting.ephemeral_1h_input_tokens or 0) if lasting is not None else 0
    searches = usage.server_tool_use
    fields["usage"] = record(
        TokenUsage,
        {
            "input_tokens": read if read > 0 else 0,
            "output_tokens": written if written > 0 else 0,
            "cache_creation_input_tokens": cached if cached > 0 else 0,
            "cache_read_input_tokens": hits if hits > 0 else 0,
            "cache_creation_1h_input_tokens": hour if hour > 0 else 0,
        },
    )
    fields["usage_complete"] = fields["stop_reason"] is not None and _is_whole(usage)
    fields["speed"] = usage.speed
    if searches is not None and searches.web_search_requests:
        fields["web_search_requests"] = max(searches.web_search_requests, 0)


def _is_whole(usage: Usage) -> bool:
    """Whether all of a response's tokens stand in its usage.

    After a refusal that another model answered, and after a compaction by the server, the figures
    at the top leave out all attempts but the last; `iterations` then holds more than they say.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return False
    if usage.input_tokens < 0 or usage.output_tokens < 0:
        return False
    if usage.iterations is None or len(usage.iterations) < 2:
        return True
    attempts = [decode_raw(attempt) for attempt in usage.iterations]
    for name, total in (
        ("input_tokens", usage.input_tokens),
        ("output_tokens", usage.output_tokens),
        ("cache_creation_input_tokens", usage.cache_creation_input_tokens or 0),
        ("cache_read_input_tokens", usage.cache_read_input_tokens or 0),
    ):
        values = [attempt.get(name) for attempt in attempts if isinstance(attempt, dict)]
        if sum(value for value in values if isinstance(value, int)) > total:
            return False
    return True
