"""Values of a metrics dictionary, each as what it has to be; anything else is an InputError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from skilltrace_mlflow.errors import InputError

__all__ = [
    "MOST_RECORDS",
    "as_count",
    "as_counts",
    "as_flag",
    "as_mapping",
    "as_mappings",
    "as_number",
    "as_records",
    "as_sequence",
    "as_text",
    "as_texts",
    "as_time",
]

MOST_RECORDS = 1_000_000
"""No session has more of anything; a greater count would be unfolded until memory ends."""

_LARGEST = 1e15  # of anything: endless integers, infinities and what is no number are none


def as_time(value: Any, where: str) -> datetime | None:
    if value is None:
        return None
    try:  # Python 3.10 does not know the ending Z
        time: datetime = (
            value
            if isinstance(value, datetime)
            else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        )
    except ValueError:
        raise InputError(f"{where}: {value!r:.80} is no ISO 8601 time") from None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def as_mapping(container: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any] | None:
    value = container.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise InputError(f"{where and where + '.'}{key}: expected a mapping, got {value!r:.80}")
    return value


def as_flag(
    container: Mapping[str, Any],
    key: str,
    where: str = "",
    *,
    default: bool,
    empty: bool | None = None,
) -> bool:
    """`default` stands for a key that is absent, `empty` for one that is null."""
    value = container.get(key, default)
    value = empty if value is None else value
    if not isinstance(value, bool):
        path = f"{where}.{key}" if where else key
        raise InputError(f"{path}: expected true or false, got {container[key]!r:.80}")
    return value


def as_text(value: Any, where: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InputError(f"{where}: expected a text, got {value!r:.80}")
    return value


def as_texts(container: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = as_sequence(container.get(key) or (), key)
    wrong = next((value for value in values if not isinstance(value, str)), None)
    if wrong is not None:
        raise InputError(f"{key}: expected texts, got {wrong!r:.80}")
    return tuple(values)


def as_mappings(value: Any, where: str) -> list[Mapping[str, Any]]:
    entries = as_sequence(value, where)
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise InputError(f"{where}[{index}]: expected a mapping, got {entry!r:.80}")
    return list(entries)


def as_sequence(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InputError(f"{where}: expected a list, got {value!r:.80}")
    return value


def as_counts(container: Mapping[str, Any], key: str) -> dict[str, int] | None:
    counts = as_mapping(container, key)
    if counts is None:
        return None
    found = {str(name): as_count(n, f"tools.{key}.{name}") for name, n in counts.items()}
    empty = next((name for name, number in found.items() if number is None), None)
    if empty is not None:
        raise InputError(f"tools.{key}.{empty}: expected a count, got None")
    return {name: number for name, number in found.items() if number is not None}


def as_count(value: Any, where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise InputError(f"{where}: expected a count, got {value!r:.80}")
    return value


def as_records(value: Any, where: str) -> int | None:
    """A count that is unfolded into as many records."""
    number = as_count(value, where)
    if number is not None and number > MOST_RECORDS:
        raise InputError(f"{where}: {number:.6g} is more than {MOST_RECORDS}")
    return number


def as_number(value: Any, where: str) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _LARGEST:
        raise InputError(f"{where}: expected a number, got {value!r:.80}")
    return float(value)
