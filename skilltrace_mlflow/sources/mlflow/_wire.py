"""MLflow traces in any of their forms as one: spans with decoded attributes, in a tree.

A trace arrives as an `mlflow.entities.Trace`, as what `Trace.to_dict()`/`to_json()` wrote (schema
3, the older schema 2, and 3.5's variant of it), or as a row of a Unity Catalog table, whose
attribute maps hold strings. Attribute values are JSON text in all of them, sometimes encoded twice.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from skilltrace_mlflow.errors import InputError

__all__ = [
    "SpanView",
    "TraceView",
    "as_count",
    "as_mapping",
    "as_time",
    "decode_value",
    "read_trace",
]

_SURROGATE = re.compile("[\ud800-\udfff]")
_JSON_START = re.compile(r'\s*(?:["{\[]|-?\d|true\b|false\b|null\b)')
# Largest integer that a float holds exactly: beyond it a count is damage, not a count.
_MAX_COUNT = 2**53
# In nanoseconds, what is earlier (1973) is a time in another unit: a wrong length, not a length.
_FIRST_NS = 10**17


@dataclass(frozen=True, kw_only=True)
class SpanView:
    """One span. `attributes` decodes on access through `get`; `status` is OK, ERROR or UNSET.

    `damaged` names the parts of it that are none.
    """

    id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int | None
    status: str
    status_message: str
    raw: Mapping[str, Any] = field(repr=False)
    events: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    order: int = 0
    damaged: tuple[str, ...] = ()

    def get(self, key: str) -> Any:
        """An attribute's value, decoded; None where it is absent."""
        value = self.raw.get(key)
        if value is None:
            return None
        decoded = decode_value(value)
        # Encoded twice on its way through a table: the text of a text.
        return decode_value(decoded) if _is_quoted(decoded) else decoded

    def mapping(self, key: str) -> Mapping[str, Any] | None:
        """An attribute that should be an object (encoded twice or not), None if it is none."""
        return as_mapping(self.raw.get(key))

    def text(self, key: str) -> str | None:
        """An attribute that should be a non-empty text; numbers are given as text."""
        value = self.get(key)
        if isinstance(value, str):
            return value or None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(self.raw.get(key)).strip('"')
        return None

    @property
    def type(self) -> str | None:
        """The MLflow span type (AGENT, LLM, TOOL, …), upper case."""
        value = self.get("mlflow.spanType")
        return value.upper() if isinstance(value, str) else None

    @property
    def inputs(self) -> Any:
        """What `mlflow.spanInputs` holds."""
        value = self.get("mlflow.spanInputs")
        return as_mapping(value) or value

    @property
    def outputs(self) -> Any:
        """What `mlflow.spanOutputs` holds."""
        value = self.get("mlflow.spanOutputs")
        return as_mapping(value) or value

    @property
    def exception(self) -> str | None:
        """The message of the span's exception event ("" if it has none), None without event."""
        for name, attributes in self.events:
            if name == "exception":
                message = decode_value(attributes.get("exception.message"))
                return message if isinstance(message, str) else ""
        return None


@dataclass(frozen=True, kw_only=True)
class TraceView:
    """One trace: its info as plain mappings and its spans in order of their start."""

    id: str
    state: str
    metadata: Mapping[str, str]
    tags: Mapping[str, str]
    spans: tuple[SpanView, ...]
    children: Mapping[str | None, tuple[SpanView, ...]] = field(repr=False)

    @property
    def root(self) -> SpanView | None:
        """The span without a parent; the first of them that has a name, should there be several."""
        roots = self.children.get(None, ())
        return next((span for span in roots if span.name), roots[0] if roots else None)

    @property
    def strays(self) -> tuple[SpanView, ...]:
        """The spans beside the root that have no parent at all."""
        root = self.root
        return tuple(span for span in self.children.get(None, ()) if span is not root)

    @property
    def orphans(self) -> tuple[SpanView, ...]:
        """Spans whose parent is not in the trace."""
        ids = {span.id for span in self.spans}
        return tuple(s for s in self.spans if s.parent_id is not None and s.parent_id not in ids)

    def below(self, span: SpanView) -> tuple[SpanView, ...]:
        """The children of a span, in order of their start."""
        return self.children.get(span.id, ())

    def walk(self, span: SpanView) -> Iterator[SpanView]:
        """A span and everything below it."""
        stack = [span]
        while stack:
            top = stack.pop()
            yield top
            stack.extend(self.below(top))


def read_trace(trace: Any) -> TraceView:
    """The view of a trace in any form. Raises InputError where it is no trace at all."""
    if isinstance(trace, str | bytes):
        try:
            trace = json.loads(trace)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"trace: not JSON ({error}); expected what Trace.to_json() wrote"
            ) from None
    info, raw_spans = _parts(trace)
    trace_id = str(
        info.get("trace_id") or info.get("request_id") or info.get("client_request_id") or "?"
    )
    spans = []
    for order, item in enumerate(raw_spans):
        span = _span(item, order)
        if span is None:
            raise InputError(f"trace {trace_id}: span {order + 1} is no span (an object expected)")
        spans.append(span)
    spans.sort(key=lambda s: (s.start_ns, s.order))
    children: dict[str | None, list[SpanView]] = {}
    unique = _once_each(spans)
    for span in unique:
        children.setdefault(span.parent_id, []).append(span)
    metadata = info.get("trace_metadata") or info.get("request_metadata")
    return TraceView(
        id=trace_id,
        state=str(info.get("state") or info.get("status") or "").rpartition(".")[2].upper(),
        metadata=_strings(metadata),
        tags=_strings(info.get("tags")),
        spans=tuple(unique),
        children={key: tuple(value) for key, value in children.items()},
    )


def _once_each(spans: Sequence[SpanView]) -> list[SpanView]:
    """Spans by their id once: a retried export, or a table's older state, holds one twice. The
    whole one of them holds, else the first.
    """
    best: dict[str, SpanView] = {}
    for span in spans:
        known = best.get(span.id)
        if known is None or _wholeness(span) > _wholeness(known):
            best[span.id] = span
    return sorted(best.values(), key=lambda span: (span.start_ns, span.order))


def _wholeness(span: SpanView) -> tuple[int, bool, int]:
    return -len(span.damaged), span.end_ns is not None, len(span.raw)


def _parts(trace: Any) -> tuple[Mapping[str, Any], list[Any]]:
    if isinstance(trace, Mapping):
        info = trace.get("info")
        data = trace.get("data")
        if not isinstance(info, Mapping):
            info = trace  # a table row holds both in one
        spans = data.get("spans") if isinstance(data, Mapping) else trace.get("spans")
        if isinstance(spans, str):
            spans = decode_value(spans)
        if spans is None:
            raise InputError(
                f"trace {info.get('trace_id', '?')}: it has no spans; fetch it with its spans"
            )
        if isinstance(spans, str | bytes | Mapping) or not hasattr(spans, "__iter__"):
            raise InputError(f"trace {info.get('trace_id', '?')}: spans is no list")
        return info, list(spans)
    entity, data = getattr(trace, "info", None), getattr(trace, "data", None)
    if entity is None or data is None or not hasattr(data, "spans"):
        raise InputError(
            f"trace: {type(trace).__name__} is no trace; expected an mlflow.entities.Trace, "
            "its to_dict() or its to_json()"
        )
    # Not `info.to_dict()`: that cuts metadata at 250 characters on its way through protobuf.
    info = {
        "trace_id": entity.trace_id,
        "trace_metadata": dict(entity.trace_metadata),
        "tags": dict(entity.tags),
        "state": str(getattr(entity.state, "value", entity.state)),
    }
    return info, [span if isinstance(span, Mapping) else span.to_dict() for span in data.spans]


def _span(item: Any, order: int) -> SpanView | None:
    if isinstance(item, str):
        item = decode_value(item)
    if hasattr(item, "asDict"):  # a Spark Row
        item = item.asDict(recursive=True)
    if not isinstance(item, Mapping):
        return None
    context = item.get("context")
    if not isinstance(context, Mapping):
        context = item
    status = item.get("status")
    if isinstance(status, Mapping):
        code, message = status.get("code"), status.get("message")
    else:
        code = item.get("status_code", status)
        message = item.get("status_message")
    start = _nanoseconds(item, "start")
    parent = item.get("parent_span_id") or item.get("parent_id")
    events = item.get("events")
    events = decode_value(events) if isinstance(events, str) else events
    span_id, name = _span_id(context.get("span_id")), _as_text(item.get("name"))
    attributes = as_mapping(item.get("attributes"))
    sound = {
        "id": span_id is not None,
        "parent": parent is None or _span_id(parent) is not None,
        "name": bool(name),
        "start": start is not None,
        "status": code is None or _is_status(code),
        "attributes": bool(attributes),
        "events": not events or (_is_list(events) and all(isinstance(e, Mapping) for e in events)),
    }
    return SpanView(
        id=span_id or f"span-{order}",
        parent_id=_span_id(parent),
        name=name,
        start_ns=start or 0,
        end_ns=_nanoseconds(item, "end"),
        status=_status(code),
        status_message=_as_text(message),
        raw=attributes or {},
        events=tuple(_events(events)),
        order=order,
        damaged=tuple(part for part, whole in sound.items() if not whole),
    )


def _nanoseconds(item: Mapping[str, Any], end: str) -> int | None:
    for key in (f"{end}_time_unix_nano", f"{end}_time_ns", f"{end}_time"):
        value = item.get(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        elif isinstance(value, str | datetime):
            value = _of_moment(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # pandas makes floats of a column in which one value is missing
        if isinstance(value, int) and not isinstance(value, bool) and _FIRST_NS <= value < 2**63:
            return value
    return None


def _of_moment(moment: str | datetime) -> int | None:
    """Nanoseconds since 1970 of a moment, which is in UTC unless it says otherwise. Spark writes
    one in JSON as text in ISO 8601. None for what is no moment.
    """
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment.strip().replace("Z", "+00:00"))
        except ValueError:
            return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    since = aware - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def _span_id(value: Any) -> str | None:
    """Span ids in hexadecimal, whatever the form wrote (schema 3 writes base64)."""
    if not isinstance(value, str) or not value:
        return None
    if len(value) == 12 and value.endswith("="):
        try:
            return base64.b64decode(value, validate=True).hex()
        except (binascii.Error, ValueError):
            return value
    return value.removeprefix("0x")


def _is_list(value: Any) -> bool:
    """Whether a value is a list, as JSON or a table's reader (an array) gives it."""
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping)


def _is_status(code: Any) -> bool:
    if isinstance(code, int):
        return code in (0, 1, 2) and not isinstance(code, bool)
    return str(getattr(code, "value", code)).upper().endswith(("OK", "ERROR", "UNSET"))


def _status(code: Any) -> str:
    if code in (1, 2) and not isinstance(code, bool):
        return "OK" if code == 1 else "ERROR"
    text = str(getattr(code, "value", code) or "").upper()
    if text.endswith("ERROR"):
        return "ERROR"
    return "OK" if text.endswith("OK") else "UNSET"


def _events(raw: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not _is_list(raw):
        return
    for event in raw:
        if isinstance(event, Mapping):
            yield _as_text(event.get("name")), as_mapping(event.get("attributes")) or {}


def _strings(value: Any) -> dict[str, str]:
    if isinstance(value, list | tuple):  # schema 2 wrote a list of key/value objects
        value = {
            item["key"]: item.get("value")
            for item in value
            if isinstance(item, Mapping) and isinstance(item.get("key"), str)
        }
    mapping = as_mapping(value) or {}
    return {str(key): item for key, item in mapping.items() if isinstance(item, str)}


def _as_text(value: Any) -> str:
    return _clean(value) if isinstance(value, str) else ""


def decode_value(value: Any) -> Any:
    """An attribute's value; a text that is no JSON is itself."""
    if not isinstance(value, str):
        return value
    if not _JSON_START.match(value):
        return _clean(value)
    try:
        decoded = json.loads(value, parse_constant=str)
    except (ValueError, RecursionError):
        return _clean(value)
    # A lone surrogate can only stand in JSON text as an escape.
    return _clean_deep(decoded) if "\\ud" in value.lower() else decoded


def _is_quoted(value: Any) -> bool:
    return isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"'


def as_mapping(value: Any) -> Mapping[str, Any] | None:
    """A value that should be an object, decoded as often as it was encoded; None if it is none."""
    for _ in range(3):
        if isinstance(value, Mapping):
            return value
        if not isinstance(value, str):
            return None
        decoded = decode_value(value)
        if decoded == value:
            return None
        value = decoded
    return value if isinstance(value, Mapping) else None


def as_count(value: Any) -> int | None:
    """A token count: a non-negative whole number, or its text; None for anything else."""
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_COUNT:
        return None
    return value


def as_time(nanoseconds: int | None) -> datetime | None:
    """A point in time; microseconds are all that the record keeps."""
    if not nanoseconds:
        return None
    # Rounded, since the Python writers lost the last digits in a float.
    seconds, micro = divmod((nanoseconds + 500) // 1000, 1_000_000)
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=micro)
    except (OverflowError, ValueError, OSError):
        return None


def _clean(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text) if _SURROGATE.search(text) else text


def _clean_deep(value: Any) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, list):
        return [_clean_deep(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean_deep(item) for key, item in value.items()}
    return value
