"""Unity Catalog's trace tables in their documented shapes, made from `Trace.to_dict()`.

    python -m tests.sources.table_rows FOLDER [RECORDING ...]

writes them of recorded sessions as Parquet, one folder per table, so that they can be loaded into a
workspace. Parquet has no VARIANT as long as pyarrow writes it: such columns hold JSON there, and
`parse_json` makes a VARIANT of them.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

__all__ = [
    "PREFIX",
    "TABLES",
    "annotation_rows",
    "arrow_table",
    "metadata_row",
    "span_rows",
    "unified_row",
]

PREFIX = "main.traces.agents"
_AT = datetime(2026, 2, 1, tzinfo=timezone.utc)


def _hexadecimal(value: str | None) -> str | None:
    return None if value is None else base64.b64decode(value).hex()


def _uuid(trace: Mapping[str, Any]) -> str:
    return str(trace["info"]["trace_id"]).removeprefix("tr-")


def span_rows(trace: Mapping[str, Any], *, version: int) -> list[dict[str, Any]]:
    """Rows of `<prefix>_otel_spans`. Attributes are OpenTelemetry's: MLflow's hold JSON texts, in a
    MAP (version 1) or a VARIANT (version 2) alike.
    """
    rows = []
    for span in trace["data"]["spans"]:
        start = int(span["start_time_unix_nano"])
        row: dict[str, Any] = {
            "trace_id": _uuid(trace),
            "span_id": _hexadecimal(span["span_id"]),
            "trace_state": "",
            "parent_span_id": _hexadecimal(span["parent_span_id"]),
            "flags": 256,
            "name": span["name"],
            "kind": "SPAN_KIND_INTERNAL",
            "start_time_unix_nano": start,
            "end_time_unix_nano": int(span["end_time_unix_nano"]),
            "attributes": dict(span["attributes"]),
            "dropped_attributes_count": 0,
            "events": [
                {
                    "time_unix_nano": int(event["time_unix_nano"]),
                    "name": event["name"],
                    "attributes": {k: _text(v) for k, v in event["attributes"].items()},
                    "dropped_attributes_count": 0,
                }
                for event in span.get("events") or ()
            ],
            "dropped_events_count": 0,
            "links": [],
            "dropped_links_count": 0,
            "status": {"message": span["status"].get("message"), "code": span["status"]["code"]},
            "resource": {"attributes": {"service.name": "claude"}, "dropped_attributes_count": 0},
            "resource_schema_url": None,
            "instrumentation_scope": {
                "name": "mlflow",
                "version": None,
                "attributes": {},
                "dropped_attributes_count": 0,
            },
            "span_schema_url": None,
        }
        if version == 2:
            at = datetime.fromtimestamp(start / 1e9, timezone.utc)
            row |= {"record_id": _hexadecimal(span["span_id"]), "time": at, "date": at.date()}
            row["service_name"] = "claude"
        rows.append(row)
    return rows


def unified_row(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the view `<prefix>_trace_unified`."""
    info = trace["info"]
    return {
        "trace_id": f"trace:/{PREFIX}/{_uuid(trace)}",
        "client_request_id": None,
        "request_time": datetime(2026, 1, 13, 18, 47, 29, tzinfo=timezone.utc),
        "state": info["state"],
        "execution_duration_ms": Decimal(info["execution_duration_ms"]),
        "request": "",
        "response": "",
        "trace_metadata": dict(info["trace_metadata"]),
        "tags": dict(info["tags"]),
        "spans": span_rows(trace, version=1),
        "assessments": [],
    }


def metadata_row(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the view `<prefix>_trace_metadata`."""
    row = unified_row(trace)
    names = ("trace_id", "client_request_id", "tags", "trace_metadata", "assessments")
    return {name: row[name] for name in names}


def annotation_rows(traces: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `<prefix>_otel_annotations`: each trace's metadata and tags with older values of
    them, a tag that was deleted, a verdict on the trace and one on a span, and a link to a run.
    """
    rows: list[dict[str, Any]] = []
    for trace in traces:
        uuid = _uuid(trace)

        def add(
            kind: str, name: str, value: Any, at: int, *, gone: bool = False, uuid: str = uuid
        ) -> None:
            when = _AT + timedelta(seconds=at)
            rows.append(
                {
                    "annotation_id": f"{uuid}-{kind}-{name}",
                    "target_type": "TRACE",
                    "target_id": uuid,
                    "annotation_type": kind,
                    "name": name,
                    "value": value,
                    "comment": None,
                    "metadata": None,
                    "created_at": _AT,
                    "created_by": "somebody",
                    "updated_at": when,
                    "updated_by": "somebody",
                    "deleted_at": when if gone else None,
                    "deleted_by": "somebody" if gone else None,
                }
            )

        metadata = dict(trace["info"]["trace_metadata"])
        for at, entries in ((2, metadata), (1, dict.fromkeys(metadata, "old"))):
            value = {"client_request_id": None, "trace_metadata": entries}
            add("METADATA", "metadata", {**value, "request_preview": ""}, at)
        for name, value in trace["info"]["tags"].items():
            add("TAG", name, value, 2)
            add("TAG", name, "old", 1)
        add("TAG", "mlflow.claude_code.agent_id", "a", 3, gone=True)
        add("TAG", "mlflow.claude_code.agent_id", "a", 1)
        add("FEEDBACK", "helpful", "yes", 1)
        add("RUN_LINK", "run_link", "0" * 32, 1)
        add("TAG", "mlflow.claude_code.agent_id", "a", 1)
        span = {"target_type": "SPAN", "target_id": f"{uuid}:{'0' * 16}"}
        rows[-1] |= span | {"annotation_id": f"{uuid}-span"}
    return rows


TABLES: Mapping[str, Callable[[Sequence[Mapping[str, Any]]], list[dict[str, Any]]]] = {
    "trace_unified": lambda traces: [unified_row(trace) for trace in traces],
    "trace_metadata": lambda traces: [metadata_row(trace) for trace in traces],
    "otel_spans_v1": lambda traces: [r for t in traces for r in span_rows(t, version=1)],
    "otel_spans_v2": lambda traces: [r for t in traces for r in span_rows(t, version=2)],
    "otel_annotations": annotation_rows,
}
"""Each table's rows of several traces."""


def arrow_table(name: str, traces: Sequence[Mapping[str, Any]]) -> Any:
    """One of TABLES with Arrow's types for the documented ones; a VARIANT is JSON text."""
    import pyarrow as pa

    text, count = pa.string(), pa.int32()
    texts = pa.map_(text, text)

    def struct(**fields: Any) -> Any:
        return pa.struct(list(fields.items()))

    def span(attributes: Any) -> dict[str, Any]:
        dropped = {"dropped_attributes_count": count}
        event = struct(time_unix_nano=pa.int64(), name=text, attributes=attributes, **dropped)
        return {
            "trace_id": text,
            "span_id": text,
            "trace_state": text,
            "parent_span_id": text,
            "flags": count,
            "name": text,
            "kind": text,
            "start_time_unix_nano": pa.int64(),
            "end_time_unix_nano": pa.int64(),
            "attributes": attributes,
            **dropped,
            "events": pa.list_(event),
            "dropped_events_count": count,
            "links": pa.list_(struct(trace_id=text, span_id=text, attributes=attributes)),
            "dropped_links_count": count,
            "status": struct(message=text, code=text),
            "resource": struct(attributes=attributes, **dropped),
            "resource_schema_url": text,
            "instrumentation_scope": struct(
                name=text, version=text, attributes=attributes, **dropped
            ),
            "span_schema_url": text,
        }

    at = pa.timestamp("us", tz="UTC")
    about = {"trace_id": text, "client_request_id": text, "tags": texts, "trace_metadata": texts}
    variants: set[str] = set()
    kinds: dict[str, Any]
    if name == "trace_unified":
        kinds = {
            **about,
            "request_time": at,
            "state": text,
            "execution_duration_ms": pa.decimal128(30, 9),
            "request": text,
            "response": text,
            "spans": pa.list_(struct(**span(texts))),
        }
    elif name == "trace_metadata":
        kinds = about
    elif name == "otel_annotations":
        variants = {"value", "metadata"}
        kinds = dict.fromkeys(annotation_rows(traces)[0], text)
        kinds |= dict.fromkeys(("created_at", "updated_at", "deleted_at"), at)
    elif name == "otel_spans_v1":
        kinds = span(texts)
    else:
        variants = {"attributes"}
        kinds = span(text)
        kinds |= {"record_id": text, "time": at, "date": pa.date32(), "service_name": text}
    rows = [_texts(row, variants) for row in TABLES[name](traces)]
    return pa.table({n: pa.array([r[n] for r in rows], kind) for n, kind in kinds.items()})


def _texts(value: Any, variants: set[str]) -> Any:
    """Fields that are VARIANT as JSON text, however deep they lie."""
    if isinstance(value, list):
        return [_texts(item, variants) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: json.dumps(item) if key in variants and item is not None else _texts(item, variants)
        for key, item in value.items()
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def main(arguments: Sequence[str]) -> None:
    """Write the tables of recordings as Parquet."""
    import pyarrow.parquet as pq

    from skilltrace_mlflow.sources.locate import find_sessions
    from skilltrace_mlflow.sources.transcript.reader import parse_transcript
    from tests.sources.forms import as_traces

    folder, names = Path(arguments[0]), set(arguments[1:])
    recordings = Path(__file__).parent.parent / "data" / "recordings"
    files = [p for p in find_sessions(recordings) if not names or p.parent.name in names]
    traces = [trace for path in files for trace in as_traces(parse_transcript(path))]
    for name in TABLES:
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        pq.write_table(arrow_table(name, traces), place / "part-0.parquet")
        sys.stdout.write(f"{place}: {len(TABLES[name](traces))} rows of {len(traces)} traces\n")


if __name__ == "__main__":
    main(sys.argv[1:])
