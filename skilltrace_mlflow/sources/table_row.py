"""Rows of trace tables in Unity Catalog to `Session`.

Three shapes: a row of `<prefix>_trace_unified` (one trace, its spans in a list), rows of
`<prefix>_otel_spans` (one span each; attributes a map of texts in version 1, a VARIANT in version
2), and rows of `<prefix>_otel_annotations` (tags, metadata and assessments, append-only). Rows come
from pandas, Spark, Arrow or as plain mappings alike; their values are made plain Python values
first.

The documented columns of annotations are `annotation_id`, `target_type` (TRACE or SPAN),
`target_id` (the trace's id; `<trace>:<span>` for a span), `annotation_type` (METADATA, TAG,
FEEDBACK, EXPECTATION or RUN_LINK), `name`, `value` (a VARIANT), `comment`, `metadata`,
`created_at`, `updated_at` and `deleted_at`. A trace has one METADATA row, whose value holds all of
`trace_metadata`, and one TAG row for each tag. Rows of the view `<prefix>_trace_metadata` (one per
trace, `tags` and `trace_metadata` as maps) are taken in their place.

Standard library only: these functions run on Spark executors, where nothing else need be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.mlflow.trace import session_from_trace

__all__ = [
    "PLACES",
    "bare_id",
    "decoded",
    "instant",
    "live_annotations",
    "notes_of_traces",
    "once_each",
    "plain_row",
    "session_from_row",
    "session_from_rows",
    "texts_of",
    "trace_of_row",
    "traces_of_span_rows",
]

PLACES = ("trace_metadata", "tags")
"""Fields of a trace's info that annotations fill."""

_DELETED = ("deleted_at", "deleted", "is_deleted")
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


def session_from_row(row: Any) -> Session:
    """The session of one row that holds a trace with its spans (`_trace_unified`).

    Raises InputError for a row without spans, or whose trace is not Claude Code's.
    """
    return session_from_trace(trace_of_row(row))


def session_from_rows(rows: Iterable[Any], *, annotations: Iterable[Any] = ()) -> Session:
    """The session of several rows: traces of one session, or the spans of its traces.

    `annotations` are rows of `_otel_annotations`: from them a span table's traces have their tags
    and metadata. Raises InputError for no rows, or rows of several sessions.
    """
    given = [plain_row(row) for row in rows]
    if not given:
        raise InputError("no rows given")
    if all("spans" in row for row in given):
        return session_from_trace(once_each(trace_of_row(row) for row in given))
    return session_from_trace(traces_of_span_rows(given, annotations=annotations))


def trace_of_row(row: Any) -> dict[str, Any]:
    """One row of `_trace_unified` in the shape of `Trace.to_dict()`."""
    values = plain_row(row)
    spans = decoded(values.get("spans"))
    if not isinstance(spans, list):
        raise InputError(
            f"row {_trace_id(values)}: it has no spans; read <prefix>_trace_unified, or give the "
            "rows of <prefix>_otel_spans together"
        )
    return {
        "info": {
            "trace_id": _trace_id(values),
            "state": str(values.get("state") or values.get("status") or ""),
            "trace_metadata": (
                texts_of(values.get("trace_metadata")) or texts_of(values.get("request_metadata"))
            ),
            "tags": texts_of(values.get("tags")),
        },
        "data": {"spans": spans},
    }


def once_each(traces: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Traces as `trace_of_row` gives them, each id once: a table that was appended to twice holds
    a trace's earlier state beside the later one, in no order. The spans of all its rows count.

    Raises InputError where the rows of one id name several sessions.
    """
    found: dict[str, dict[str, Any]] = {}
    unnamed = []
    for trace in traces:
        name = bare_id(trace["info"]["trace_id"])
        if name == "?":
            unnamed.append(trace)
        elif name in found:
            found[name] = _both(found[name], trace)
        else:
            found[name] = trace
    return [*found.values(), *unnamed]


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    infos = [one["info"], other["info"]]
    sessions = {info["trace_metadata"].get("mlflow.trace.session") for info in infos} - {None}
    if len(sessions) > 1:
        raise InputError(
            f"trace {infos[0]['trace_id']}: is there twice, of sessions "
            f"{' and '.join(sorted(sessions))}"
        )
    # What is under way says less than what ended.
    first, last = sorted(infos, key=lambda info: info["state"] not in ("", "IN_PROGRESS"))
    info = {
        **first,
        **last,
        **{place: {**first[place], **last[place]} for place in ("trace_metadata", "tags")},
    }
    return {
        "info": info,
        "data": {"spans": [*one["data"]["spans"], *other["data"]["spans"]]},
    }


def traces_of_span_rows(
    rows: Iterable[Any], *, annotations: Iterable[Any] = ()
) -> list[dict[str, Any]]:
    """Rows of `_otel_spans`, grouped by trace, in the shape of `Trace.to_dict()`."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        span = plain_row(row)
        trace_id = span.get("trace_id")
        if not isinstance(trace_id, str) or not trace_id or "span_id" not in span:
            raise InputError(
                "a row is no span: it has no trace_id and span_id; its columns are "
                f"{', '.join(sorted(span)[:8])}"
            )
        groups.setdefault(bare_id(trace_id), []).append(span)
    noted = notes_of_traces(annotations)
    traces = []
    for trace_id, spans in groups.items():
        info: dict[str, Any] = {"trace_id": trace_id, "tags": {}, "trace_metadata": {}}
        traces.append({"info": {**info, **noted.get(trace_id, {})}, "data": {"spans": spans}})
    return traces


def _trace_id(values: Mapping[str, Any]) -> str:
    return str(values.get("trace_id") or values.get("client_request_id") or "?")


def live_annotations(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """What holds of an append-only table: the newest row of each id, and of those none deleted.

    A deletion is a newer row as well: it must be dropped after the newest is chosen, never before.
    Of rows of the same moment a deletion holds, whatever their order.
    """
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        note = plain_row(row)
        own = note.get("annotation_id")
        name = f"{note.get('annotation_type')} {note.get('name')}"
        key = (_target(note), str(own) if own is not None else name)
        known = newest.get(key)
        if known is None or _age(note) >= _age(known):
            newest[key] = note
    return [note for note in newest.values() if not _is_deleted(note)]


def notes_of_traces(rows: Iterable[Any]) -> dict[str, dict[str, dict[str, str]]]:
    """By bare trace id: `trace_metadata` and `tags`, of annotations or of `_trace_metadata` rows.

    Raises InputError for rows that are neither: without them nobody knows a trace's session.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    given: list[dict[str, Any]] = []
    for item in rows:
        row = plain_row(item)
        if any(place in row for place in PLACES):
            for place in PLACES:
                _add(found, _target(row), place, row.get(place))
        elif "annotation_type" in row and _target(row):
            given.append(row)
        else:
            raise InputError(
                "a row is no annotation: it lacks target_id or annotation_type; its columns are "
                f"{', '.join(sorted(row)[:12])}"
            )
    for note in live_annotations(given):
        if str(note.get("target_type") or "TRACE").upper() != "TRACE":
            continue
        kind = str(note["annotation_type"]).upper()
        if kind == "TAG":
            _add(found, _target(note), "tags", {str(note.get("name")): note.get("value")})
        elif kind == "METADATA":
            value = decoded(note.get("value"))
            whole = value.get("trace_metadata") if isinstance(value, Mapping) else None
            _add(found, _target(note), "trace_metadata", whole)
    return found


def _add(
    found: dict[str, dict[str, dict[str, str]]], trace_id: str, place: str, entries: Any
) -> None:
    entries = decoded(entries)
    if not isinstance(entries, Mapping):
        return
    values = found.setdefault(trace_id, {}).setdefault(place, {})
    values.update((str(key), _as_text(value)) for key, value in entries.items())


def _target(note: Mapping[str, Any]) -> str:
    """The bare id of the trace that a row is about."""
    target = str(note.get("target_id") or note.get("trace_id") or "")
    if str(note.get("target_type") or "").upper() == "SPAN":
        target = target.rpartition(":")[0]
    return bare_id(target)


def _age(note: Mapping[str, Any]) -> tuple[tuple[int, int, str], bool, str]:
    """What the newest of several rows is found by, the same in whatever order they come."""
    return instant(note.get("updated_at")), _is_deleted(note), repr(sorted(note.items(), key=_name))


def _name(entry: tuple[str, Any]) -> str:
    return entry[0]


def _is_deleted(note: Mapping[str, Any]) -> bool:
    return any(note.get(name) for name in _DELETED)


def _as_text(value: Any) -> str:
    """A tag's or a metadata entry's value: a text, sometimes encoded once more as JSON."""
    if isinstance(value, str):
        plain = decoded(value) if value[:1] == '"' else value
        return plain if isinstance(plain, str) else value
    return json.dumps(value)
