"""Writing turns to a tracking store: what is there already, what is new, what is replaced.

Traces go in whole: all spans of a session's turns in one request, where MLflow's exporter sends one
per span. `TracingClient` is what that exporter itself calls; a store that keeps spans as artifacts
(Databricks experiments, file stores) gets them as the exporter would upload them.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.importing.spans import ROOT_NAME, TurnTrace, usage_values
from skilltrace_mlflow.importing.turns import Turn
from skilltrace_mlflow.sources.mlflow.names import (
    JUDGED_SKILL,
    JUDGED_TEST,
    SKILL_TAG,
    TEST_TAG,
    copied_from,
)

if TYPE_CHECKING:
    from mlflow.entities import TraceInfo
    from mlflow.tracing.client import TracingClient

__all__ = ["SOURCE", "Existing", "TraceStore", "is_another_session", "trace_id_of"]

SOURCE = "transcript"
"""Value of the tag `skilltrace.source` on every imported trace."""

_PREFIX = "skilltrace."
_UPLOADED = "skilltrace.uploaded"
# Of our own tags those that people set, or that tell what they set from an evaluation's words.
_KEPT = (TEST_TAG, SKILL_TAG, JUDGED_TEST, JUDGED_SKILL, "skilltrace.attempt", "skilltrace.arm")
_PREVIEW = 1000
# A store may cut previews shorter.
_TELLING = 200
_PAGE = 500
_DELETE_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class Existing:
    """An imported turn that the store holds; `start_ms` and `preview` (of its prompt) tell it from
    a turn of another session whose id happens to be the same.
    """

    trace_id: str
    start_ms: int
    preview: str
    digest: str
    session_digest: str
    size: int
    redacted: bool
    tags: Mapping[str, str] = field(repr=False, default_factory=dict)


class TraceStore:
    """The imported traces of one experiment. Safe for use from several threads."""

    def __init__(self, client: TracingClient, experiment_id: str, *, serial: bool) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self._known: dict[str, dict[int, list[Existing]]] = {}
        self._scanned = False
        # SQLite has one writer: taking turns beats waiting for its lock.
        self._writing = threading.Lock() if serial else threading.Semaphore(8)
        # Databricks keeps spans of an experiment as artifacts, and has no request for logging them.
        self._spans_in_store = not client.tracking_uri.startswith("databricks")

    def scan(self) -> None:
        """Learn about all imported traces at once, instead of session by session."""
        self._learn(f"tags.`skilltrace.source` = '{SOURCE}'")
        self._scanned = True

    def turns_of(self, session_id: str) -> dict[int, list[Existing]]:
        """The turns of a session that were imported before, by number."""
        if not self._scanned and session_id not in self._known:
            quote = "'" if "'" not in session_id else '"'
            self._known[session_id] = {}
            self._learn(
                f"tags.`skilltrace.source` = '{SOURCE}' AND "
                f"metadata.`mlflow.trace.session` = {quote}{session_id}{quote}"
            )
        return self._known.setdefault(session_id, {})

    def write(self, traces: Sequence[TurnTrace], tags: Mapping[str, Mapping[str, str]]) -> None:
        """Log traces with all their spans. `tags` are further tags by trace id.

        What an interruption leaves behind is not taken for done: a trace whose spans were never
        stored lacks the mark that the store sets with them (see `_remember`).
        """
        from mlflow.entities import Span

        spans = {t.trace_id: [Span.from_dict(s) for s in t.spans] for t in traces}
        infos = [self._info(trace, tags.get(trace.trace_id, {})) for trace in traces]
        with self._writing:
            # First the traces: into one that exists, spans go without a detour.
            started = [self.client.start_trace(info) for info in infos]
            if self._spans_in_store:
                self._log_spans([span for part in spans.values() for span in part])
            if not self._spans_in_store:
                for info in started:
                    self._upload(info, spans[info.trace_id])
        for trace in traces:
            turn = trace.turn
            found = self.turns_of(turn.session_id).setdefault(turn.number, [])
            found[:] = [item for item in found if item.trace_id != trace.trace_id]
            found.append(
                Existing(
                    trace_id=trace.trace_id,
                    start_ms=trace.start_ns // 1_000_000,
                    preview=trace.prompt[:_PREVIEW],
                    digest=turn.digest,
                    session_digest=turn.session_digest,
                    size=size_of(turn),
                    redacted="skilltrace.redacted" in tags.get(trace.trace_id, {}),
                )
            )

    def delete(self, session_id: str, stale: Iterable[Existing]) -> None:
        """Delete traces that newer ones replace."""
        ids = [item.trace_id for item in stale]
        if not ids:
            return
        with self._writing:
            for start in range(0, len(ids), _DELETE_AT_ONCE):
                self.client.delete_traces(
                    self.experiment_id, trace_ids=ids[start : start + _DELETE_AT_ONCE]
                )
        for turns in self.turns_of(session_id).values():
            turns[:] = [item for item in turns if item.trace_id not in ids]

    def _learn(self, query: str) -> None:
        token: str | None = None
        while True:
            page = self.client.search_traces(
                locations=[self.experiment_id],
                filter_string=query,
                max_results=_PAGE,
                page_token=token,
                include_spans=False,
            )
            for trace in page:
                self._remember(trace.info)
            token = page.token
            if not token:
                return

    def _remember(self, info: TraceInfo) -> None:
        tags = info.tags
        if copied_from(tags) is not None:
            return
        session_id = info.trace_metadata.get("skilltrace.session") or info.trace_metadata.get(
            "mlflow.trace.session"
        )
        number = tags.get("skilltrace.turn", "")
        if not session_id or not number.isdigit():
            return
        size = tags.get("skilltrace.size", "")
        whole = _UPLOADED in tags or "mlflow.trace.spansLocation" in tags
        self._known.setdefault(session_id, {}).setdefault(int(number), []).append(
            Existing(
                trace_id=info.trace_id,
                start_ms=int(info.request_time),
                preview=info.request_preview or "",
                digest=tags.get("skilltrace.digest", "") if whole else "",
                session_digest=tags.get("skilltrace.session_digest", ""),
                size=int(size) if size.isdigit() and whole else 0,
                redacted=tags.get("skilltrace.redacted") == "true",
                tags={
                    key: value
                    for key, value in tags.items()
                    if not key.startswith(("mlflow.", _PREFIX)) or key in _KEPT
                },
            )
        )

    def _log_spans(self, spans: list[Any]) -> None:
        """Log spans, or learn that this store does not keep them itself."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.log_spans(self.experiment_id, spans)
        except NotImplementedError:
            self._spans_in_store = False
        except MlflowException as error:
            # A server in front of a file store answers 501.
            if "span logging is not supported" not in str(error):
                raise
            self._spans_in_store = False

    def _upload(self, info: TraceInfo, spans: list[Any]) -> None:
        from mlflow.entities import TraceData

        self.client._upload_trace_data(info, TraceData(spans=spans))
        self.client.set_trace_tag(info.trace_id, _UPLOADED, "true")

    def _info(self, trace: TurnTrace, tags: Mapping[str, str]) -> TraceInfo:
        from mlflow.entities import TraceInfo, TraceLocation, TraceState

        return TraceInfo(
            trace_id=trace.trace_id,
            trace_location=TraceLocation.from_experiment_id(self.experiment_id),
            request_time=trace.start_ns // 1_000_000,
            execution_duration=(trace.end_ns - trace.start_ns) // 1_000_000,
            state=TraceState.OK,
            request_preview=trace.prompt[:_PREVIEW],
            response_preview=(trace.response or "")[:_PREVIEW],
            trace_metadata=_metadata(trace),
            tags={"mlflow.traceName": ROOT_NAME, **_marks(trace.turn), **tags},
        )


def trace_id_of(experiment_id: str, turn: Turn, *, redacted: bool) -> str:
    """The id of a turn's trace: the same content is the same trace, whoever imports it."""
    parts = (experiment_id, turn.session_id, str(turn.number), turn.digest, turn.session_digest)
    text = "\0".join((*parts, str(redacted)))
    return "tr-" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def is_another_session(item: Existing, turn: Turn) -> bool:
    """Whether the first turn that is stored under a session's id began otherwise than this one: at
    another time and, where it was not redacted, with another prompt.
    """
    start = TurnTrace(turn, "tr-" + "0" * 32, {})
    if item.start_ms == start.start_ns // 1_000_000:
        return False
    return item.redacted or item.preview[:_TELLING] != start.prompt[:_TELLING]


def size_of(turn: Turn) -> int:
    """How much a turn holds, to tell a longer copy of it from a shorter one."""
    session = turn.session
    return len(session.steps) + len(session.tool_calls) + len(session.messages)


def _marks(turn: Turn) -> dict[str, str]:
    marks = {
        "skilltrace.source": SOURCE,
        "skilltrace.turn": str(turn.number),
        "skilltrace.digest": turn.digest,
        "skilltrace.size": str(size_of(turn)),
    }
    if turn.session_digest:
        marks["skilltrace.session_digest"] = turn.session_digest
    return marks


def _metadata(trace: TurnTrace) -> dict[str, str]:
    turn, session = trace.turn, trace.turn.session
    sizes = sorted(sum(map(len, span["attributes"].values())) for span in trace.spans)
    values = {
        "mlflow.trace_schema.version": "3",
        "mlflow.trace.session": session.session_id,
        "mlflow.trace.working_directory": session.cwd,
        "mlflow.trace.permission_mode": session.permission_mode,
        "mlflow.claude_code_version": session.version,
        "mlflow.trace.user": _user(),
        "mlflow.traceInputs": json.dumps({"prompt": trace.prompt[:_PREVIEW]}, ensure_ascii=False),
        "mlflow.traceOutputs": json.dumps(
            {"response": (trace.response or "")[:_PREVIEW]}, ensure_ascii=False
        ),
        "mlflow.trace.tokenUsage": json.dumps(_sum([usage_values(s) for s in session.steps])),
        "mlflow.trace.sizeStats": json.dumps(
            {
                "total_size_bytes": sum(sizes),
                "num_spans": len(sizes),
                "max": sizes[-1],
                "p25": sizes[len(sizes) // 4],
                "p50": sizes[len(sizes) // 2],
                "p75": sizes[len(sizes) * 3 // 4],
            }
        ),
        "skilltrace.session": turn.session_id,
    }
    costs = [trace.costs[step.id] for step in session.steps if step.id in trace.costs]
    if costs and len(costs) == len(session.steps):
        values["mlflow.trace.cost"] = json.dumps(_sum(costs))
    return {key: value for key, value in values.items() if value}


def _sum(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            total[key] = total.get(key, 0) + value
    return total


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for its user
        return ""
