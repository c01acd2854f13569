"""A workspace whose traces lie in Unity Catalog, as far as MLflow's own client asks it.

MLflow's client for Databricks runs unchanged against it. Traces are served by the requests of
version 4 (messages and encodings are MLflow's), everything else (experiments, runs, artifacts) by
MLflow's own server application on SQLite. What the documentation says of a workspace is enforced: a
request for traces without a warehouse is refused, and so is a search that time does not bound.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote
from wsgiref.simple_server import WSGIRequestHandler, make_server

from google.protobuf.json_format import MessageToDict, Parse
from mlflow.entities import Assessment, Trace, TraceInfo
from mlflow.entities.trace_location import TraceLocation
from mlflow.protos import databricks_tracing_pb2 as pb
from mlflow.utils.databricks_tracing_utils import assessment_to_proto, trace_to_proto

__all__ = ["LOCATION", "CatalogWorkspace", "running"]

LOCATION = "main.traces.agents"
_BOUND = re.compile(r"trace\.timestamp_ms|timestamp_ms")
_CONDITION = re.compile(
    r"^(?P<key>(?:trace\.)?timestamp_ms|attribute\.run_id|metadata\.`[^`]+`|tags?\.`[^`]+`)\s*"
    r"(?P<sign>>=|<|=)\s*(?P<value>.+)$"
)


class _RefusedError(Exception):
    pass


class CatalogWorkspace:
    """Traces by their ids, and the requests that were made of them."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.traces: dict[str, Trace] = {}
        self.searches: list[str] = []
        self.written: list[Assessment] = []
        self.links: dict[str, set[str]] = {}

    def hold(self, traces: Sequence[Mapping[str, Any]], *, at_ms: int) -> list[str]:
        """Put traces (`Trace.to_dict()`) into the catalog; their ids there. The first began at
        `at_ms`, each other a minute later.
        """
        catalog, schema, prefix = LOCATION.split(".")
        ids = []
        for number, given in enumerate(traces):
            trace = Trace.from_dict(json.loads(json.dumps(given)))
            bare = trace.info.trace_id.removeprefix("tr-")
            info = TraceInfo(
                trace_id=f"trace:/{LOCATION}/{bare}",
                trace_location=TraceLocation.from_databricks_uc_table_prefix(
                    catalog, schema, prefix
                ),
                request_time=at_ms + number * 60_000,
                state=trace.info.state,
                execution_duration=trace.info.execution_duration,
                trace_metadata=dict(trace.info.trace_metadata),
                tags=dict(trace.info.tags),
            )
            self.traces[bare] = Trace(info, trace.data)
            ids.append(info.trace_id)
        return ids

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = unquote(environ["PATH_INFO"])
        if not path.startswith("/api/4.0/mlflow/traces"):
            return self.application(environ, start_response)
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size).decode() or "{}"
        query = parse_qs(environ.get("QUERY_STRING", ""))
        place = path.removeprefix("/api/4.0/mlflow/traces/")
        try:
            answer = self._answer(environ["REQUEST_METHOD"], place, body, query)
            status = "200 OK"
        except _RefusedError as error:
            answer = {"error_code": "INVALID_PARAMETER_VALUE", "message": str(error)}
            status = "400 Bad Request"
        data = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json")])
        return [data]

    def _answer(self, method: str, place: str, body: str, query: Mapping[str, list[str]]) -> Any:
        parts = place.split("/")
        warehouse = query.get("sql_warehouse_id", [""])[0]
        if place == "search-long-running":
            return self._search(Parse(body, pb.SearchTracesLongRunning()))
        if parts[1:] == ["batchGet"]:
            self._warehouse(warehouse)
            found = [self.traces[i] for i in query["trace_ids"] if i in self.traces]
            return MessageToDict(
                pb.BatchGetTraces.Response(traces=[trace_to_proto(trace) for trace in found]),
                preserving_proto_field_name=True,
            )
        if parts[2:] == ["tags"] and method == "PATCH":
            tag = json.loads(body)
            self.traces[parts[1]].info.tags[tag["key"]] = tag["value"]
            return {}
        if parts[2:] == ["info"]:
            self._warehouse(warehouse)
            message = trace_to_proto(self.traces[parts[1]])
            return {"trace": MessageToDict(message, preserving_proto_field_name=True)}
        if parts[2:3] == ["assessments"]:
            self._warehouse(warehouse)
            return self._assess(method, parts, body)
        if parts[1:2] == ["link-to-run"]:
            link = json.loads(body)
            for bare in link["trace_ids"]:
                place = f"trace:/{parts[0]}/{bare}"
                self.links.setdefault(place, set()).add(link["run_id"])
            return {}
        raise _RefusedError(f"{method} {place}: is not known here")

    def _assess(self, method: str, parts: Sequence[str], body: str) -> Any:
        info = self.traces[parts[1]].info
        if method == "DELETE":
            info.assessments = [a for a in info.assessments if a.assessment_id != parts[3]]
            return {}
        made = Assessment.from_proto(Parse(body, pb.Assessment()))
        made.assessment_id = "a-" + uuid.uuid4().hex
        made.trace_id = info.trace_id
        info.assessments.append(made)
        self.written.append(made)
        return MessageToDict(assessment_to_proto(made), preserving_proto_field_name=True)

    def _search(self, asked: Any) -> Any:
        self._warehouse(asked.sql_warehouse_id)
        self.searches.append(asked.filter)
        # MLflow itself asks for the traces of a run without bounds, while it evaluates.
        of_a_run = "run_id" in asked.filter
        if not of_a_run and len(_BOUND.findall(asked.filter)) < 2:
            raise _RefusedError(
                "a search of a whole table: bound trace.timestamp_ms from both sides"
            )
        found = [t.info for t in self.traces.values() if _meets(t.info, asked.filter, self.links)]
        newest = any("DESC" in order for order in asked.order_by)
        found.sort(key=lambda info: info.request_time, reverse=newest)
        start = int(asked.page_token or 0)
        page = found[start : start + asked.max_results]
        more = start + len(page) < len(found)
        answer = pb.SearchTracesOperation(name="1", done=True)
        answer.response.trace_infos.extend(info.to_proto() for info in page)
        answer.response.next_page_token = str(start + len(page)) if more else ""
        return MessageToDict(answer, preserving_proto_field_name=True)

    def _warehouse(self, warehouse: str | None) -> None:
        if warehouse != "wh1":
            raise _RefusedError("Could not resolve a SQL warehouse ID")


def _meets(info: TraceInfo, conditions: str, links: Mapping[str, set[str]]) -> bool:
    for text in filter(None, conditions.split(" AND ")):
        found = _CONDITION.match(text.strip())
        if found is None:
            raise _RefusedError(f"filter {text!r}: is not known here")
        key, value = found["key"], found["value"].strip().strip("'\"")
        if key.endswith("timestamp_ms"):
            late = info.request_time >= int(value)
            if late != (found["sign"] == ">="):
                return False
        elif key == "attribute.run_id":
            if value not in links.get(info.trace_id, ()):
                return False
        else:
            entries = info.trace_metadata if key.startswith("metadata") else info.tags
            if entries.get(key.split("`")[1]) != value:
                return False
    return True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Nothing: the tests' output is read by people."""


@contextmanager
def running(folder: Path) -> Iterator[tuple[CatalogWorkspace, str]]:
    """A workspace on a port of its own, with MLflow's server application beside it."""
    from mlflow.server import app
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores(f"sqlite:///{folder}/workspace.db", None, str(folder / "artifacts"))
    workspace = CatalogWorkspace(app)
    server = make_server("127.0.0.1", 0, workspace, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield workspace, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
