"""What single spans of the plugin family say: prompt, model, usage, cost."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from skilltrace_mlflow.pricing import step_cost
from skilltrace_mlflow.session import ModelStep, TokenUsage
from skilltrace_mlflow.sources.mlflow._build import is_whole_usage, read_usage
from skilltrace_mlflow.sources.mlflow._outcome import result_text
from skilltrace_mlflow.sources.mlflow._wire import SpanView
from skilltrace_mlflow.sources.mlflow.names import USAGE

__all__ = [
    "SYNTHETIC",
    "agent_type",
    "cost_of",
    "difference",
    "has_whole_usage",
    "message_id",
    "model_of",
    "prompt_of",
    "span_usage",
    "without_cache",
]

SYNTHETIC = "<synthetic>"
"""The model of what Claude Code itself says in an answer's place."""

_BARE_USAGE = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


def prompt_of(root: SpanView) -> str | None:
    """The prompt on a root span, None if there is none."""
    inputs = root.inputs
    prompt = inputs.get("prompt") if isinstance(inputs, Mapping) else inputs
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, Sequence):
        return result_text(prompt)
    return None


def agent_type(span: SpanView) -> str | None:
    """The type in the name of a sub-agent's span."""
    return span.name.removeprefix("subagent_") if span.name.startswith("subagent_") else None


def model_of(span: SpanView) -> str | None:
    """The model that an LLM span names; that none answered, if any of its attributes says so."""
    inputs = span.inputs if isinstance(span.inputs, Mapping) else {}
    values = (span.get("model"), span.get("mlflow.llm.model"), inputs.get("model"))
    if SYNTHETIC in values:
        return SYNTHETIC
    for value in values:
        if isinstance(value, str) and value and value != "unknown":
            return value
    return None


def message_id(span: SpanView) -> str | None:
    """The API message's id, which only imported and newer spans carry."""
    outputs = span.outputs
    value = outputs.get("id") if isinstance(outputs, Mapping) else None
    return value if isinstance(value, str) and value else None


def span_usage(span: SpanView) -> TokenUsage | None:
    """The usage on a span, in either of its two forms; None if it carries none."""
    values = _usage_values(span)
    return read_usage(values) if values else None


def has_whole_usage(span: SpanView) -> bool:
    """Whether a span carries usage of which nothing is missing or damaged."""
    return is_whole_usage(_usage_values(span))


def _usage_values(span: SpanView) -> Mapping[str, Any]:
    values = span.mapping(USAGE)
    if values is None:
        values = {key: span.get(key) for key in _BARE_USAGE if key in span.raw}
    return values


def without_cache(usage: TokenUsage) -> TokenUsage | None:
    """The usage if its input holds the cache; None where there is no cache or it cannot hold it."""
    cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    if not cached or usage.input_tokens < cached:
        return None
    return replace(usage, input_tokens=usage.input_tokens - cached)


def difference(whole: TokenUsage, part: TokenUsage) -> TokenUsage | None:
    """What is left of a sum, None if the part is larger anywhere."""
    rest = {
        name: getattr(whole, name) - getattr(part, name)
        for name in TokenUsage.__dataclass_fields__
        if name != "cache_creation_1h_input_tokens"
    }
    return None if min(rest.values()) < 0 else TokenUsage(**rest)


def cost_of(span: SpanView, step: ModelStep) -> float | None:
    """The cost that the writer states. Where it states none, MLflow puts one there that takes the
    input to include the cache: too low, and nobody's record.
    """
    stated = _amount((span.mapping("mlflow.llm.cost") or {}).get("total_cost"))
    usage = step.usage
    cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    if stated is None or not cached or not usage.input_tokens:
        return stated
    asked = max(usage.input_tokens - cached, 0)
    added = step_cost(
        replace(step, usage=replace(usage, input_tokens=asked, cache_creation_1h_input_tokens=0))
    )
    return None if added is not None and math.isclose(stated, added, rel_tol=1e-6) else stated


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None
