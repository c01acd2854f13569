"""A check's parameters declared once: a frozen dataclass from which schema and parser come.

A field is a key. `Annotated` says what its type does not (`Annotated[int, Bound(minimum=0)]`).
A field that may be None, with None as default, is something to ask; one with another default is an
option beside it; one without a default is required. `Entries` marks the field whose value may stand
for the whole (the short form). `scope` and `threshold` are added to the schema here alone.

The standard library only, since checks travel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from skilltrace_mlflow.checks._parameters import fixed, mapping_or_long, to_float, unfold

__all__ = ["Bound", "Count", "Declaration", "Entries", "declare"]

T = TypeVar("T")
KeyPath = tuple[str | int, ...]
_KINDS: Mapping[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a number must keep: `minimum` and `maximum` may be reached, `above` may not."""

    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """The bounds as JSON Schema words."""
        words = {
            "minimum": self.minimum,
            "exclusiveMinimum": self.above,
            "maximum": self.maximum,
        }
        return {word: value for word, value in words.items() if value is not None}


Count = Annotated[int, Bound(minimum=0)]


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Marks a mapping of names: the schema of an item, and how name, item and path are read."""

    schema: Mapping[str, Any]
    read: Callable[[str, Any, KeyPath], Any]


@dataclass(frozen=True, kw_only=True)
class Declaration(Generic[T]):
    """What follows from a parameter class: the JSON Schema, and `parse` for what it allows."""

    schema: Mapping[str, Any]
    parse: Callable[[Any], T]


@dataclass(frozen=True, kw_only=True)
class _Field:
    """A key: its schema, whether it is asked, an option or required, and how its value is read."""

    name: str
    schema: Mapping[str, Any]
    asks: bool
    number: bool = False
    entries: Entries | None = None

    def read(self, value: Any) -> Any:
        """The value of the key; a number may be written whole."""
        return to_float(value, self.name) if self.number and value is not None else value


def declare(cls: type[T], *, scope: bool = True) -> Declaration[T]:
    """Schema and parser of a dataclass; TypeError for a field that no schema describes."""
    if not is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is no dataclass")
    hints = get_type_hints(cls, include_extras=True)
    found = [_field(f.name, hints[f.name], f.default) for f in fields(cls)]
    for one in found:
        if one.entries is not None:
            if {f.name for f in found} != {one.name, "threshold"} or not scope:
                raise TypeError(
                    f"{cls.__name__}: beside {one.name} stand scope and threshold alone"
                )
            return _entries(cls, one.name, one.entries)
    return Declaration(schema=_fixed(found, scope=scope), parse=_reader(cls, found))


def _entries(cls: type[T], main: str, entries: Entries) -> Declaration[T]:
    """A mapping of names in its short form, or under `main` beside a threshold."""

    def parse(value: Any) -> T:
        inner, threshold, path = unfold(value, main)
        read = tuple(entries.read(name, item, (*path, name)) for name, item in inner.items())
        return cls(**{main: read, "threshold": threshold})

    return Declaration(schema=mapping_or_long(main, entries.schema), parse=parse)


def _fixed(found: list[_Field], *, scope: bool) -> dict[str, Any]:
    asked = {f.name: f.schema for f in found if f.asks}
    return fixed(asked, options={f.name: f.schema for f in found if not f.asks}, scope=scope)


def _reader(cls: type[T], found: list[_Field]) -> Callable[[Any], T]:
    def parse(value: Any) -> T:
        return cls(**{f.name: f.read(value[f.name]) for f in found if f.name in value})

    return parse


def _field(name: str, hint: Any, default: Any) -> _Field:
    kind, marks = _unwrapped(hint)
    entries = next((mark for mark in marks if isinstance(mark, Entries)), None)
    if entries is not None:
        return _Field(name=name, schema=entries.schema, asks=True, entries=entries)
    if get_origin(kind) is Literal:
        schema: dict[str, Any] = {"enum": list(get_args(kind))}
    elif kind in _KINDS:
        schema = {"type": _KINDS[kind]}
    else:
        raise TypeError(f"{name}: no schema describes {kind!r}")
    for mark in marks:
        schema.update(mark.schema if isinstance(mark, Bound) else {})
    return _Field(
        name=name,
        schema=schema,
        asks=default is MISSING or default is None,
        number=kind is float,
    )


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without None and `Annotated`, and what was annotated."""
    if get_origin(hint) is Annotated:
        kind, *marks = get_args(hint)
        inner, more = _unwrapped(kind)
        return inner, (*more, *marks)
    options = get_args(hint)
    if NoneType in options:
        (kind,) = (option for option in options if option is not NoneType)
        return _unwrapped(kind)
    return hint, ()
