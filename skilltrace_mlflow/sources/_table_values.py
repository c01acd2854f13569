"""Values of table rows, from whatever library handed them over, as plain Python values.

Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from skilltrace_mlflow.errors import InputError

__all__ = ["bare_id", "decoded", "instant", "plain_row", "texts_of"]

# Columns that are maps: Arrow and Spark's JSON hand them over as pairs or key/value objects.
_MAPS = frozenset(
    ("attributes", "metadata", "request_metadata", "resource", "tags", "trace_metadata")
)
# How pandas says that a value is missing, beside None and NaN.
_MISSING = frozenset(("NAType", "NaTType"))


def plain_row(row: Any) -> dict[str, Any]:
    """A row of pandas, Spark or Arrow as plain Python values, its map columns as dictionaries.

    What a library has for a missing value (NaN, NaT, NA) is None.
    """
    values = _plain(row)
    if not isinstance(values, dict):
        raise InputError(f"row: {type(row).__name__} is no row of a table")
    return values


def bare_id(trace_id: str) -> str:
    """`trace:/catalog.schema.prefix/<id>` and `<id>` name one trace."""
    return trace_id.rpartition("/")[2] if trace_id.startswith("trace:/") else trace_id


def decoded(value: Any) -> Any:
    """A text that is JSON as its value, anything else as it is."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def texts_of(value: Any) -> dict[str, str]:
    """A map column's entries that are texts, {} for what is no map: wrong types say nothing."""
    entries = decoded(value)
    if not isinstance(entries, Mapping):
        return {}
    return {str(key): item for key, item in entries.items() if isinstance(item, str)}


def instant(value: Any) -> tuple[int, int, str]:
    """A point in time (in microseconds) as something that can be compared whatever its type."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            return 0, 0, value
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
        since = aware - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return 1, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds, ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 1, int(value), ""
    return 0, 0, ""


def _plain(value: Any, name: str = "") -> Any:
    if value is None or type(value).__name__ in _MISSING or _is_nan(value):
        return None
    if isinstance(value, str | int | float | bool | datetime):
        return value
    if isinstance(value, bytes | bytearray):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            return bytes(value).hex()  # an id in bytes: two of them must not become one
    if name in _MAPS:
        pairs = _pairs(value)
        if pairs is not None:
            return {str(key): _plain(item) for key, item in pairs}
    for method in ("asDict", "to_pydict", "toPython", "as_py", "to_dict", "tolist", "item"):
        # A Spark row, Arrow's, a VARIANT, an Arrow scalar, a pandas row, arrays, NumPy's scalars.
        convert = getattr(value, method, None)
        if callable(convert) and not isinstance(value, Mapping):
            return _plain(convert(), name)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, str(key)) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _pairs(value: Any) -> Iterator[tuple[Any, Any]] | None:
    """The entries of a map given as pairs or as key/value objects; None if it is neither."""
    items = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(items, Sequence) or isinstance(items, str):
        return None
    found = []
    for item in items:
        if isinstance(item, Mapping) and {"key", "value"} <= set(item):
            found.append((item["key"], item["value"]))
        elif isinstance(item, Sequence) and not isinstance(item, str) and len(item) == 2:
            found.append((item[0], item[1]))
        else:
            return None
    return iter(found)
