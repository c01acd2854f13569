"""Session records made and filled in while a transcript is being read.

The generated `__init__` of a frozen dataclass sets every field through `object.__setattr__`; for
the records of a session that alone took a third of the reading time. Here a record is given its
fields in one go, and is still open until the session is handed out.
"""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["fill", "record"]

T = TypeVar("T")


def record(cls: type[T], fields: dict[str, Any]) -> T:
    """An instance of the dataclass `cls`; `fields` has to name every field and becomes its own."""
    made = object.__new__(cls)
    object.__setattr__(made, "__dict__", fields)
    return made


def fill(made: object, **fields: Any) -> None:
    """Set fields of a record that nobody else has seen yet."""
    made.__dict__.update(fields)
