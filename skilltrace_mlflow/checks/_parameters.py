"""A check's parameters declared once: a frozen dataclass from which schema and parser come.

A field is a key. `Annotated` says what its type does not (`Annotated[int, Bound(minimum=0)]`).
A field that may be None, with None as default, is something to ask; one with another default is an
option beside it; one without a default is required. `Entries` marks a mapping of names and `Items`
a list; where it is all that is asked, its value may stand for the whole (the short form). Of a list
of bans (`Items(ban=True)`) the entries that `ban_exceptions` names are taken out, and kept in the
field that is marked `LIFTED`. `scope` and `threshold` are added to the schema here alone.

`About` says what a key means, for the reference page and an editor's help.

Below stand the shapes that several checks share: schema fragments, limits, lifted bans.

The standard library only, since checks travel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, MISSING, dataclass, field, fields, is_dataclass
from types import NoneType
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from skilltrace_mlflow.checks._findings import Finding
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.session import ToolCall

__all__ = [
    "BAN_EXCEPTIONS",
    "COUNT",
    "LIFTED",
    "LIMIT",
    "SCOPE",
    "TEXTS",
    "THRESHOLD",
    "About",
    "Bound",
    "Count",
    "Declaration",
    "Entries",
    "Items",
    "Limit",
    "declare",
    "each",
    "file_pattern",
    "fixed",
    "lift",
    "list_or_long",
    "mapping_or_long",
    "parse_limit",
    "to_float",
    "unfold",
]

T = TypeVar("T")
KeyPath = tuple[str | int, ...]
_KINDS: Mapping[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
SCOPE: Mapping[str, Any] = {
    "enum": ["all", "main", "subagents"],
    "description": "Whose calls and tokens count; default all.",
}
THRESHOLD: Mapping[str, Any] = {
    "type": "number",
    "exclusiveMinimum": 0,
    "maximum": 1,
    "description": "The share that is enough to pass; default 1.",
    "examples": [0.8],
}
COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
TEXTS: Mapping[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "minLength": 1},
}


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


@dataclass(frozen=True)
class About:
    """What a key means: a sentence, and what `each` entry of its list or mapping is.

    `examples` are needed only where no example of the check holds the key. `offer` are names that
    an editor offers for the entries, or the word for them in `expectations/editor_schema.py`.
    """

    text: str
    _: KW_ONLY
    each: str = ""
    examples: Sequence[Any] = ()
    offer: str | Sequence[str] = ""

    def told(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """A schema with these words in it."""
        words: dict[str, Any] = {"description": self.text}
        if self.examples:
            words["examples"] = list(self.examples)
        offer = {"offer": self.offer} if self.offer else {}
        if "items" in schema:
            words["items"] = {"description": self.each, **schema["items"], **offer}
        elif self.each:
            words |= {"each": self.each, **offer}
        return {**schema, **words}


@dataclass(frozen=True, kw_only=True, eq=False)
class Entries:
    """Marks a mapping of names: the schema of an item, and how name, item and path are read."""

    schema: Mapping[str, Any]
    read: Callable[[str, Any, KeyPath], Any]


def each(
    read: Callable[[Any, KeyPath], Any], *, once: bool = True
) -> Callable[[Mapping[int, Any], KeyPath], tuple[Any, ...]]:
    """Reads a list entry by entry, equal results `once`; errors say which entry it was."""

    def entries(items: Mapping[int, Any], path: KeyPath) -> tuple[Any, ...]:
        found = [_read_at(read, item, (*path, index)) for index, item in items.items()]
        return tuple(dict.fromkeys(found)) if once else tuple(found)

    return entries


def _read_at(read: Callable[[Any, KeyPath], Any], item: Any, place: KeyPath) -> Any:
    try:
        return read(item, place)
    except ParameterError as error:
        raise ParameterError(str(error), path=error.path or place) from None


_AS_WRITTEN = each(lambda item, _: item)


@dataclass(frozen=True, kw_only=True, eq=False)
class Items:
    """Marks a list: its schema, and how its entries, by their place, and their path are read."""

    read: Callable[[Mapping[int, Any], KeyPath], tuple[Any, ...]] = _AS_WRITTEN
    schema: Mapping[str, Any] = field(default_factory=lambda: TEXTS)
    ban: bool = False


LIFTED = object()
"""Marks the field that keeps the bans which `ban_exceptions` names."""


@dataclass(frozen=True, kw_only=True)
class Declaration(Generic[T]):
    """What follows from a parameter class: the JSON Schema, and `parse` for what it allows.

    `main`, `additive`, `companions` and `scoped` as in `CheckSpec`.
    """

    schema: Mapping[str, Any]
    parse: Callable[..., T]
    main: str | None = None
    additive: tuple[str, ...] = ()
    companions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scoped: bool = True


@dataclass(frozen=True, kw_only=True)
class _Field:
    """A key: its schema, whether it is asked, an option or required, and how its value is read."""

    name: str
    schema: Mapping[str, Any]
    asks: bool
    number: bool = False
    entries: Entries | None = None
    items: Items | None = None
    lifted: bool = False
    about: About | None = None

    def read(self, value: Any, path: KeyPath, exceptions: Sequence[str]) -> tuple[Any, list[str]]:
        """The value of the key, and the bans in it that are lifted."""
        if self.entries is not None:
            read = self.entries.read
            return tuple(read(name, item, (*path, name)) for name, item in value.items()), []
        if self.items is not None:
            items = dict(enumerate(value))
            kept, gone = lift(value, exceptions) if self.items.ban else (value, ())
            kept_items = {i: item for i, item in items.items() if not gone or item in kept}
            return self.items.read(kept_items, path), list(dict.fromkeys(gone))
        # A number may be written whole.
        return to_float(value, self.name) if self.number and value is not None else value, []


def declare(cls: type[T], *, scope: bool = True) -> Declaration[T]:
    """Schema and parser of a dataclass; TypeError for a field that no schema describes."""
    if not is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is no dataclass")
    hints = get_type_hints(cls, include_extras=True)
    found = [_field(f.name, hints[f.name], f.default) for f in fields(cls)]
    lifted = next((f.name for f in found if f.lifted), None)
    keys = [f for f in found if not f.lifted]
    bans = [f.name for f in keys if f.items is not None and f.items.ban]
    if bool(bans) != (lifted is not None):
        raise TypeError(f"{cls.__name__}: bans and a field that keeps the lifted ones go together")
    asked = [f for f in keys if f.name != "threshold"]
    only = asked[0] if len(asked) == 1 and (asked[0].entries or asked[0].items) else None
    threshold = len(keys) > len(asked)
    if only is None and (threshold or any(f.entries is not None for f in keys)):
        raise TypeError(f"{cls.__name__}: beside its entries stand scope and threshold alone")
    if only is not None and not scope:
        raise TypeError(f"{cls.__name__}: the long form of {only.name} always has a scope")
    companions = {"ban_exceptions": BAN_EXCEPTIONS} if bans else {}
    return Declaration(
        schema=_fixed(keys, scope=scope) if only is None else _short_or_long(only, threshold),
        parse=_reader(cls, keys, only, lifted),
        main=None if only is None else only.name,
        additive=tuple(bans if only is None else [""] * len(bans)),
        companions=companions,
        scoped=scope,
    )


def _short_or_long(only: _Field, threshold: bool) -> dict[str, Any]:
    """A list or a mapping of names in its short form, or under its name beside a threshold."""
    if only.entries is not None:
        return mapping_or_long(only.name, only.entries.schema, about=only.about)
    return list_or_long(only.name, items=only.schema, threshold=threshold)


def _fixed(found: list[_Field], *, scope: bool) -> dict[str, Any]:
    asked = {f.name: f.schema for f in found if f.asks}
    return fixed(asked, options={f.name: f.schema for f in found if not f.asks}, scope=scope)


def _reader(
    cls: type[T], keys: list[_Field], only: _Field | None, lifted: str | None
) -> Callable[..., T]:
    def parse(value: Any, ban_exceptions: Sequence[str] = ()) -> T:
        path: KeyPath = ()
        made: dict[str, Any] = {}
        if only is not None:
            inner, threshold, path = unfold(value, only.name)
            value = {only.name: inner}
            made = {"threshold": threshold} if len(keys) > 1 else {}
        gone: list[str] = []
        for key in keys:
            if key.name in value:
                place = path if only is not None else (key.name,)
                made[key.name], taken = key.read(value[key.name], place, ban_exceptions)
                gone += taken
        return cls(**made, **({} if lifted is None else {lifted: tuple(gone)}))

    return parse


def _field(name: str, hint: Any, default: Any) -> _Field:
    kind, marks = _unwrapped(hint)
    if LIFTED in marks:
        return _Field(name=name, schema={}, asks=False, lifted=True)
    about = next((mark for mark in marks if isinstance(mark, About)), None)
    for mark in marks:
        if isinstance(mark, Entries):
            return _Field(name=name, schema=mark.schema, asks=True, entries=mark, about=about)
        if isinstance(mark, Items):
            told = about.told(mark.schema) if about else mark.schema
            return _Field(name=name, schema=told, asks=True, items=mark)
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
        schema=about.told(schema) if about else schema,
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


def list_or_long(
    main: str, *, items: Mapping[str, Any] = TEXTS, threshold: bool = True
) -> dict[str, Any]:
    """A list (of texts, unless `items` says otherwise), or `{main: list, scope, threshold}`."""
    properties: dict[str, Any] = {main: items, "scope": SCOPE}
    if threshold:
        properties["threshold"] = THRESHOLD
    return {
        "anyOf": [
            items,
            {
                "type": "object",
                "properties": properties,
                "description": f"The list under `{main}`, with {' and '.join([*properties][1:])}.",
                "required": [main],
                "additionalProperties": False,
            },
        ]
    }


def mapping_or_long(
    main: str, item: Mapping[str, Any], *, about: About | None = None
) -> dict[str, Any]:
    """A mapping of names to `item`, or `{main: mapping, scope, threshold}`."""
    names: dict[str, Any] = {"type": "object", "minProperties": 1, "additionalProperties": item}
    if about is not None:
        names = about.told(names)
    return {
        "anyOf": [
            {**names, "properties": {"scope": SCOPE}},
            {
                "type": "object",
                "properties": {main: names, "scope": SCOPE, "threshold": THRESHOLD},
                "description": f"The mapping under `{main}`, with scope and threshold.",
                "required": [main],
                "additionalProperties": False,
            },
        ]
    }


_MOST = About("At most so many calls.", examples=[5]).told(COUNT)
LIMIT: Mapping[str, Any] = {
    "anyOf": [
        _MOST,
        {
            "type": "object",
            "properties": {
                "min": About("At least so many calls.", examples=[1]).told(COUNT),
                "max": _MOST,
            },
            "description": "Either end, or both.",
            "examples": [{"min": 1, "max": 5}],
            "minProperties": 1,
            "additionalProperties": False,
        },
    ],
    "description": "How many calls: a number is the most, `{min, max}` names the ends.",
}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Bounds that a count must keep, both inclusive; None for no bound."""

    minimum: int | None = None
    maximum: int | None = None

    def judge(
        self, label: str, at_least: int, at_most: int, calls: Sequence[ToolCall] = ()
    ) -> Finding:
        """The finding for a count known to lie between two numbers (usually one and the same).

        `calls` are those that were counted: it speaks of those beyond the maximum.
        """
        shown = str(at_least) if at_least == at_most else f"{at_least} to {at_most}"
        if self.maximum is not None and at_least > self.maximum:
            beyond = sorted(calls, key=lambda call: call.position)[self.maximum :]
            return Finding(
                text=f"{label}: {shown} > {self.maximum}", met=False, calls=tuple(beyond)
            )
        if self.minimum is not None and at_most < self.minimum:
            return Finding(text=f"{label}: {shown} < {self.minimum}", met=False, could_meet=True)
        over = self.maximum is not None and at_most > self.maximum
        under = self.minimum is not None and at_least < self.minimum
        bounds = " and ".join(
            f"{sign} {bound}"
            for sign, bound in (("≥", self.minimum), ("≤", self.maximum))
            if bound is not None
        )
        return Finding(
            text=f"{label}: {shown} {bounds}"
            if not (over or under)
            else f"{label}: {shown}, must be {bounds}",
            met=None if over or under else True,
            could_break=self.maximum is not None,
        )


def parse_limit(value: Any, path: tuple[str | int, ...]) -> Limit:
    """A number is a maximum; ParameterError if the minimum is above the maximum."""
    if isinstance(value, Mapping):
        limit = Limit(minimum=value.get("min"), maximum=value.get("max"))
    else:
        limit = Limit(maximum=value)
    if limit.minimum is not None and limit.maximum is not None and limit.minimum > limit.maximum:
        raise ParameterError(f"min {limit.minimum} is more than max {limit.maximum}", path=path)
    return limit


BAN_EXCEPTIONS: Mapping[str, Any] = About(
    "Bans of the manifest that do not hold here, as they are written there.",
    each="A ban, as it is written.",
    examples=[["rm -rf"]],
).told(TEXTS)


def lift(bans: Sequence[str], exceptions: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The bans that stay and those that an exception names, blanks aside."""
    named = {" ".join(text.split()) for text in exceptions}
    kept = tuple(text for text in bans if " ".join(text.split()) not in named)
    return kept, tuple(text for text in bans if " ".join(text.split()) in named)


def unfold(value: Any, main: str) -> tuple[Any, float, tuple[str, ...]]:
    """A short or long form as (the value under `main`, its threshold, the path to it).

    The long form is a mapping with the key `main`; everything else is the short form.
    """
    if isinstance(value, Mapping) and set(value) <= {main, "threshold"}:
        inner = value.get(main)
        if isinstance(inner, (Mapping, list, tuple)):  # {limits: 5} limits a tool of that name
            return inner, float(value.get("threshold", 1.0)), (main,)
    return value, 1.0, ()


def file_pattern(text: str) -> str:
    """The text of a file pattern; ParameterError for one with `!` in front, which excludes nothing
    here, or with a blank at either end, which no file's name has."""
    if text != text.strip():
        raise ParameterError(f"{text!r} begins or ends with a blank")
    if text.startswith("!"):
        raise ParameterError(f"{text!r}: a pattern cannot be negated; name what is meant")
    return text
