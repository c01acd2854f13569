"""JSON as everybody can read it: no NaN, nothing that a terminal would obey."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.text import safe_json

__all__ = ["dumps"]

_DEEPEST = 200


def dumps(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON text: NaN and infinity are null, foreign objects their text."""
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, indent=indent)
    return safe_json(text)


def _finite(value: Any, depth: int = 0) -> Any:
    """`value` as JSON can hold it: NaN and infinity become null, strange objects their text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > _DEEPEST:
        return "… nested too deeply to show"
    if isinstance(value, Mapping):
        return {str(key): _finite(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_finite(item, depth + 1) for item in value]
    return str(value)
