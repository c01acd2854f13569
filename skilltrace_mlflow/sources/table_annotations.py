"""Rows of `<prefix>_otel_annotations`: the tags and metadata of traces beside their spans.

The documented columns are `annotation_id`, `target_type` (TRACE or SPAN), `target_id` (the trace's
id; `<trace>:<span>` for a span), `annotation_type` (METADATA, TAG, FEEDBACK, EXPECTATION or
RUN_LINK), `name`, `value` (a VARIANT), `comment`, `metadata`, `created_at`, `updated_at` and
`deleted_at`. A trace has one METADATA row, whose value holds all of `trace_metadata`, and one TAG
row for each tag. Rows of the view `<prefix>_trace_metadata` (one per trace, `tags` and
`trace_metadata` as maps) are taken in their place. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.sources._table_values import bare_id, decoded, instant, plain_row

__all__ = ["PLACES", "live_annotations", "notes_of_traces"]

PLACES = ("trace_metadata", "tags")
"""Fields of a trace's info that annotations fill."""

_DELETED = ("deleted_at", "deleted", "is_deleted")


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
