"""Rows of trace tables in Unity Catalog to `Session`.

Three shapes: a row of `<prefix>_trace_unified` (one trace, its spans in a list), rows of
`<prefix>_otel_spans` (one span each; attributes a map of texts in version 1, a VARIANT in version
2), and rows of `<prefix>_otel_annotations` (tags, metadata and assessments, append-only). Rows come
from pandas, Spark, Arrow or as plain mappings alike.

Standard library only: these functions run on Spark executors, where nothing else need be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.mlflow.trace import session_from_trace

__all__ = [
    "live_annotations",
    "plain_row",
    "session_from_row",
    "session_from_rows",
    "trace_of_row",
    "traces_of_span_rows",
]

# Columns that are maps: Arrow and Spark's JSON hand them over as pairs or key/value objects.
_MAPS = frozenset(
    ("attributes", "metadata", "request_metadata", "resource", "tags", "trace_metadata")
)
_ID = ("annotation_id", "id")
_KIND = ("annotation_type", "type", "kind")
_NAME = ("name", "key")
_VALUE = ("value", "data", "content")
_DELETED = ("deleted", "is_deleted", "deleted_at")


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
        return session_from_trace([trace_of_row(row) for row in given])
    return session_from_trace(traces_of_span_rows(given, annotations=annotations))


def trace_of_row(row: Any) -> dict[str, Any]:
    """One row of `_trace_unified` in the shape of `Trace.to_dict()`."""
    values = plain_row(row)
    spans = _decoded(values.get("spans"))
    if not isinstance(spans, list):
        raise InputError(
            f"row {_trace_id(values)}: it has no spans; read <prefix>_trace_unified, or give the "
            "rows of <prefix>_otel_spans together"
        )
    return {
        "info": {
            "trace_id": _trace_id(values),
            "state": values.get("state") or values.get("status") or "",
            "trace_metadata": values.get("trace_metadata") or values.get("request_metadata") or {},
            "tags": values.get("tags") or {},
        },
        "data": {"spans": spans},
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
        groups.setdefault(_bare_id(trace_id), []).append(span)
    noted: dict[str, dict[str, dict[str, str]]] = {}
    for note in live_annotations(annotations):
        kind = str(_first(note, _KIND) or "").lower()
        name, trace_id = _first(note, _NAME), _bare_id(str(note.get("trace_id") or ""))
        place = "tags" if "tag" in kind else "trace_metadata" if "metadata" in kind else None
        if place is not None and isinstance(name, str):
            values = noted.setdefault(trace_id, {}).setdefault(place, {})
            values[name] = _as_text(_first(note, _VALUE))
    traces = []
    for trace_id, spans in groups.items():
        info: dict[str, Any] = {"trace_id": trace_id, "tags": {}, "trace_metadata": {}}
        traces.append({"info": {**info, **noted.get(trace_id, {})}, "data": {"spans": spans}})
    return traces


def live_annotations(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """What holds of an append-only table: the newest row of each id, and of those none deleted.

    A deletion is a newer row as well: it must be dropped after the newest is chosen, never before.
    """
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        note = plain_row(row)
        trace_id = _bare_id(str(note.get("trace_id") or ""))
        own = _first(note, _ID)
        name = f"{_first(note, _KIND)} {_first(note, _NAME)}"
        key = (trace_id, str(own) if own is not None else name)
        known = newest.get(key)
        if known is None or _moment(note) >= _moment(known):
            newest[key] = note
    return [note for note in newest.values() if not _first(note, _DELETED)]


def plain_row(row: Any) -> dict[str, Any]:
    """A row of pandas, Spark or Arrow as plain Python values, its map columns as dictionaries."""
    values = _plain(row)
    if not isinstance(values, dict):
        raise InputError(f"row: {type(row).__name__} is no row of a table")
    return values


def _plain(value: Any, name: str = "") -> Any:
    if value is None or isinstance(value, str | int | float | bool | datetime):
        return value
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
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


def _first(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((values[name] for name in names if values.get(name) is not None), None)


def _trace_id(values: Mapping[str, Any]) -> str:
    return str(values.get("trace_id") or values.get("client_request_id") or "?")


def _bare_id(trace_id: str) -> str:
    """`trace:/catalog.schema.prefix/<id>` and `<id>` name one trace."""
    return trace_id.rpartition("/")[2] if trace_id.startswith("trace:/") else trace_id


def _moment(note: Mapping[str, Any]) -> tuple[int, float, str]:
    """When a row was written, as something that can be compared whatever its type."""
    value = note.get("updated_at")
    if isinstance(value, datetime):
        return 1, value.timestamp(), ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 1, float(value), ""
    if isinstance(value, str):
        try:
            return 1, datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp(), ""
        except ValueError:
            return 0, 0.0, value
    return 0, 0.0, ""


def _decoded(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _as_text(value: Any) -> str:
    """A tag's or a metadata entry's value: a text, sometimes encoded once more as JSON."""
    if isinstance(value, str):
        decoded = _decoded(value) if value[:1] == '"' else value
        return decoded if isinstance(decoded, str) else value
    return json.dumps(value)
