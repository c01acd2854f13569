"""A session as one JSON document: what `--dump-traces` writes and `trace_ref` reads again.

Every field of the record is kept, results of tool calls included, so that a dumped trace gives the
same verdicts as the transcript or the MLflow trace it came from.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.sources._builder import with_damages

__all__ = ["FORMAT", "is_whole", "session_from_json", "session_to_json"]

FORMAT = "skilltrace.session/1"
"""Value of the document's `format` key; a reader refuses what it does not know."""

# What the document says beside the session's own fields.
_BESIDE = frozenset({"format", "trace_id", "whole_session"})
_LOADED = {"load_result": "result"}  # record field: key in the document
_DROPPED = frozenset({"cache"})
_LARGEST = 1e30  # beyond what any reader takes: JSON's integers have no end, and prices are floats
_PRIMITIVES: dict[Any, tuple[type, ...]] = {
    int: (int,),
    float: (int, float),
    str: (str,),
    bool: (bool,),
}


def session_to_json(
    session: Session, *, whole: bool = True, trace_id: str | None = None
) -> dict[str, Any]:
    """The session as plain JSON values; loads every tool result that is still on disk.

    Fields that hold their default are left out. `whole` is false where it is but some turns of a
    session, `trace_id` the MLflow trace that stands for it. Raises InputError if a transcript
    vanished or changed since it was read.
    """
    beside: dict[str, Any] = {} if trace_id is None else {"trace_id": trace_id}
    if not whole:
        beside["whole_session"] = False
    return {"format": FORMAT, **beside, **_encode(session)}


def is_whole(document: Mapping[str, Any]) -> bool:
    """Whether such a document holds all of a session, so that expectations on it can be judged."""
    return document.get("whole_session", True) is True


def session_from_json(document: Mapping[str, Any], *, source: str = "") -> Session:
    """The session of such a document. Raises InputError naming the key that does not fit."""
    if document.get("format") != FORMAT:
        raise InputError(
            f"{source or 'trace'}: format {document.get('format')!r} is not {FORMAT!r}; "
            "dump the trace again with --dump-traces"
        )
    values = {key: value for key, value in document.items() if key not in _BESIDE}
    session: Session = _decode(Session, values, source or "trace")
    return with_damages(session)


def _encode(record: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for item in fields(record):
        if item.name in _DROPPED:
            continue
        value = record.result if item.name in _LOADED else getattr(record, item.name)
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        if default is MISSING or value != default or type(value) is not type(default):
            made[_LOADED.get(item.name, item.name)] = _plain(value)
    return made


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return _encode(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _decode(cls: Any, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected an object, got {type(values).__name__}")
    names = {_LOADED.get(item.name, item.name): item.name for item in fields(cls)}
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in names:
            raise InputError(f"{where}: unknown key {key!r} in {cls.__name__}")
        name = names[key]
        hint = str if cls is ToolCall and name == "load_result" else _hints(cls)[name]
        made[name] = _value(hint, value, f"{where}.{key}")
    try:
        return cls(**made)
    except TypeError as error:
        raise InputError(f"{where}: {error}") from None


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where}: expected a list, got {type(value).__name__}")
        return tuple(_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is typing.Literal and value not in arguments:
        raise InputError(f"{where}: {value!r} is not one of {', '.join(map(repr, arguments))}")
    if is_dataclass(hint):
        return _decode(hint, value, where)
    if hint is datetime:
        try:
            return datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise InputError(f"{where}: {value!r} is not an ISO 8601 time") from None
    expected = _PRIMITIVES.get(hint)
    if expected is not None and not isinstance(value, expected):
        raise InputError(f"{where}: expected {hint.__name__}, got {type(value).__name__}")
    if hint in (int, float) and value < 0 and not where.endswith(".position"):
        raise InputError(f"{where}: expected a number that is not negative, got {value!r:.80}")
    if hint in (int, float) and not value <= _LARGEST:
        raise InputError(f"{where}: expected a number that a session can have, got {value!r:.80}")
    if (origin or hint) in (Mapping, dict) and not isinstance(value, Mapping):
        raise InputError(f"{where}: expected an object, got {type(value).__name__}")
    return value
