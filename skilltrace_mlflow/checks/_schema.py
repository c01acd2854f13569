"""JSON Schema fragments that several checks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.checks._base import ParameterError

__all__ = [
    "COUNT",
    "SCOPE",
    "TEXTS",
    "THRESHOLD",
    "fixed",
    "list_or_long",
    "mapping_or_long",
    "to_float",
]

SCOPE: Mapping[str, Any] = {"enum": ["all", "main", "subagents"]}
THRESHOLD: Mapping[str, Any] = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
TEXTS: Mapping[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "minLength": 1},
}


def to_float(value: float, key: str) -> float:
    """A limit as a float; ParameterError for an integer that is beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        raise ParameterError(f"{key} is too large a number", path=(key,)) from None


def fixed(
    properties: Mapping[str, Any],
    *,
    options: Mapping[str, Any] | None = None,
    scope: bool = True,
) -> dict[str, Any]:
    """A mapping of fixed keys: at least one of `properties`, beside them `options` and `scope`."""
    return {
        "type": "object",
        "properties": {**properties, **(options or {}), **({"scope": SCOPE} if scope else {})},
        "additionalProperties": False,
        "anyOf": [{"required": [key]} for key in properties],
    }


def list_or_long(main: str, *, threshold: bool = True) -> dict[str, Any]:
    """A list of texts, or `{main: list, scope, threshold}`."""
    properties: dict[str, Any] = {main: TEXTS, "scope": SCOPE}
    if threshold:
        properties["threshold"] = THRESHOLD
    return {
        "anyOf": [
            TEXTS,
            {
                "type": "object",
                "properties": properties,
                "required": [main],
                "additionalProperties": False,
            },
        ]
    }


def mapping_or_long(main: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping of names to `item`, or `{main: mapping, scope, threshold}`."""
    names = {"type": "object", "minProperties": 1, "additionalProperties": item}
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {"scope": SCOPE},
                "minProperties": 1,
                "additionalProperties": item,
            },
            {
                "type": "object",
                "properties": {main: names, "scope": SCOPE, "threshold": THRESHOLD},
                "required": [main],
                "additionalProperties": False,
            },
        ]
    }
