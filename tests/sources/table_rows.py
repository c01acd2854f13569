"""Rows of Unity Catalog's trace tables in their documented shapes, made from `Trace.to_dict()`."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["PREFIX", "annotation_rows", "span_rows", "unified_row"]

PREFIX = "main.traces.agents"


def _hexadecimal(value: str | None) -> str | None:
    return None if value is None else base64.b64decode(value).hex()


def _uuid(trace: Mapping[str, Any]) -> str:
    return str(trace["info"]["trace_id"]).removeprefix("tr-")


def span_rows(trace: Mapping[str, Any], *, version: int) -> list[dict[str, Any]]:
    """Rows of `<prefix>_otel_spans`: attributes JSON texts in version 1, values in version 2."""
    rows = []
    for span in trace["data"]["spans"]:
        attributes = dict(span["attributes"])
        if version == 2:
            attributes = {key: json.loads(value) for key, value in attributes.items()}
        rows.append(
            {
                **span,
                "trace_id": _uuid(trace),
                "span_id": _hexadecimal(span["span_id"]),
                "parent_span_id": _hexadecimal(span["parent_span_id"]),
                "kind": "SPAN_KIND_INTERNAL",
                "attributes": attributes,
                "dropped_attributes_count": 0,
            }
        )
    return rows


def unified_row(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The row of `<prefix>_trace_unified`."""
    info = trace["info"]
    return {
        "trace_id": f"trace:/{PREFIX}/{_uuid(trace)}",
        "client_request_id": None,
        "request_time": "2026-01-13T18:47:29Z",
        "state": info["state"],
        "execution_duration_ms": info["execution_duration_ms"],
        "request": "",
        "response": "",
        "trace_metadata": dict(info["trace_metadata"]),
        "tags": dict(info["tags"]),
        "spans": span_rows(trace, version=1),
        "assessments": [],
    }


def annotation_rows(traces: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `<prefix>_otel_annotations`: each trace's metadata and tags, with older values of
    them, and one that was deleted.
    """
    rows: list[dict[str, Any]] = []
    for trace in traces:
        fields = {"metadata": trace["info"]["trace_metadata"], "tag": trace["info"]["tags"]}
        for kind, entries in fields.items():
            for name, value in entries.items():
                for at, text in (("2026-02-01T00:00:02Z", value), ("2026-02-01T00:00:01Z", "old")):
                    rows.append(
                        {
                            "trace_id": f"trace:/{PREFIX}/{_uuid(trace)}",
                            "annotation_id": f"{kind}-{name}",
                            "annotation_type": kind,
                            "name": name,
                            "value": json.dumps(text),
                            "updated_at": at,
                            "deleted": False,
                        }
                    )
        gone = {**rows[0], "annotation_id": "gone", "annotation_type": "tag"}
        gone |= {"name": "mlflow.claude_code.agent_id", "value": '"a"'}
        rows += [
            {**gone, "updated_at": "2026-02-01T00:00:03Z", "deleted": True},
            {**gone, "updated_at": "2026-02-01T00:00:01Z"},
        ]
    return rows
