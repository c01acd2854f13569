"""Many transcripts into one experiment, concurrently and once each."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow._internals import tracing_client
from skilltrace_mlflow.errors import ConfigurationError, InputError
from skilltrace_mlflow.importing._store import (
    Existing,
    TraceStore,
    is_another_session,
    size_of,
    trace_id_of,
)
from skilltrace_mlflow.importing.redaction import Redactor
from skilltrace_mlflow.importing.spans import build_trace
from skilltrace_mlflow.importing.turns import Turn, split_turns
from skilltrace_mlflow.pricing import step_cost
from skilltrace_mlflow.session import ModelStep, Session
from skilltrace_mlflow.sources.load import load_file
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.sources.transcript.subagents import agent_id_of
from skilltrace_mlflow.streams import module_logger
from skilltrace_mlflow.text import counted, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["ImportReport", "import_transcripts"]

_log = module_logger(__name__)

_WORKERS = 8
SHOWN_DAYS = 7  # MLflow's page of traces begins with the last seven days
# From here on one scan of the experiment is cheaper than a query per session.
_SCAN_FROM = 8


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import did. `redacted` counts replaced secrets by kind, `failed` maps a file to why
    it could not be read, `trace_ids` are those logged anew, of which `out_of_sight` are older than
    what MLflow's page of traces shows at first, `oldest` the oldest one's time.
    """

    experiment_id: str
    tracking_uri: str
    sessions: int = 0
    logged: int = 0
    replaced: int = 0
    unchanged: int = 0
    older: int = 0
    trace_ids: tuple[str, ...] = ()
    out_of_sight: int = 0
    oldest: datetime | None = None
    redacted: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "experiment_id": self.experiment_id,
            "tracking_uri": self.tracking_uri,
            "sessions": self.sessions,
            "logged": self.logged,
            "replaced": self.replaced,
            "unchanged": self.unchanged,
            "older": self.older,
            "trace_ids": list(self.trace_ids),
            "out_of_sight": self.out_of_sight,
            "oldest": None if self.oldest is None else self.oldest.isoformat(),
            "redacted": dict(self.redacted),
            "failed": dict(self.failed),
        }

    def in_words(self) -> str:
        """For people: what was logged where, what was left alone, what was taken out."""
        lines = [
            f"{counted(self.sessions, 'session')}: {counted(self.logged, 'turn')} logged, "
            f"{self.replaced:,} replaced, "
            f"{self.unchanged:,} unchanged"
        ]
        if self.older:
            turns = counted(self.older, "turn")
            lines.append(f"{turns} left alone: the store holds a longer copy")
        if self.redacted:
            kinds = ", ".join(f"{kind} ({count})" for kind, count in self.redacted.items())
            lines.append(f"secrets replaced: {kinds}")
        if self.failed:
            lines.append(f"{counted(len(self.failed), 'file')} could not be read")
        if self.out_of_sight and self.oldest is not None:
            lines.append(
                f"{self.out_of_sight} of these turns are older than the {SHOWN_DAYS} days that "
                f"MLflow's page of traces shows at first (the oldest: {self.oldest:%Y-%m-%d}): "
                "choose a longer time range there"
            )
        lines.append(f"experiment {self.experiment_id} in {self.tracking_uri}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class _Done:
    """The outcome of one file."""

    logged: tuple[str, ...] = ()
    times: tuple[datetime, ...] = ()
    replaced: int = 0
    unchanged: int = 0
    older: int = 0
    redacted: Mapping[str, int] = field(default_factory=dict)


def import_transcripts(
    paths: Iterable[str | os.PathLike[str]],
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    redact: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Log the transcripts in `paths` (files, or folders searched for sessions) as MLflow traces.

    One trace per user turn, in the shape of MLflow's newest Claude Code plugin, with the original
    times. Importing again adds nothing; a turn that has grown since replaces its trace, and an
    older copy of a session never replaces a newer one. With `redact` secrets are taken out first.
    An experiment that does not exist is created. `progress` is called with (done, total).

    Raises InputError if a path does not exist or holds no transcript and it is the only one (else
    it is in `failed`), EvaluationError if the store does not answer.
    """
    files = _files(paths)
    mlflow_store.probe(tracking_uri)
    uri = mlflow_store.tracking_uri_of(tracking_uri)
    with _connected(tracking_uri) as client:
        with mlflow_store.store_errors("import", tracking_uri):
            experiment_id = _experiment(client, experiment)
            store = TraceStore(
                tracing_client(uri),
                experiment_id,
                serial=not uri.startswith(("http://", "https://", "databricks")),
            )
            if len(files) >= _SCAN_FROM:
                store.scan()
        importer = _Importer(store, redact=redact, tracking_uri=tracking_uri)
        done, failed = importer.run(files, workers or _WORKERS, progress)
    redacted: Counter[str] = Counter()
    for item in done:
        redacted.update(item.redacted)
    times = [moment for item in done for moment in item.times]
    shown_since = datetime.now(timezone.utc) - timedelta(days=SHOWN_DAYS)
    return ImportReport(
        experiment_id=experiment_id,
        tracking_uri=without_password(uri),
        sessions=len(done),
        logged=sum(len(item.logged) for item in done) - sum(item.replaced for item in done),
        replaced=sum(item.replaced for item in done),
        unchanged=sum(item.unchanged for item in done),
        older=sum(item.older for item in done),
        trace_ids=tuple(i for item in done for i in item.logged),
        out_of_sight=sum(moment < shown_since for moment in times),
        oldest=min(times, default=None),
        redacted=dict(sorted(redacted.items())),
        failed=failed,
    )


class _Importer:
    def __init__(self, store: TraceStore, *, redact: bool, tracking_uri: str | None) -> None:
        self.store = store
        self.redact = redact
        self.tracking_uri = tracking_uri
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        # detect-secrets keeps its settings per process.
        self._redacting = threading.Lock()

    def run(
        self, files: Sequence[Path], workers: int, progress: Callable[[int, int], None] | None
    ) -> tuple[list[_Done], dict[str, str]]:
        """Import all files; the first error of the store stops the run."""
        done: list[_Done] = []
        failed: dict[str, str] = {}
        with ThreadPoolExecutor(max_workers=min(workers, len(files))) as pool:
            pending: dict[Future[_Done], Path] = {
                pool.submit(self.import_file, path): path for path in files
            }
            try:
                for count, future in enumerate(as_completed(pending), start=1):
                    try:
                        done.append(future.result())
                    except InputError as error:
                        if len(files) == 1:
                            raise
                        failed[str(pending[future])] = str(error)
                    if progress is not None:
                        progress(count, len(files))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return done, dict(sorted(failed.items()))

    def import_file(self, path: Path) -> _Done:
        """Import one transcript with its sub-agents."""
        if agent_id_of(path) is not None:
            raise InputError(
                f"{path}: a sub-agent's transcript; import its session, which brings it along"
            )
        session = load_file(path).session  # a transcript, or a session that was dumped
        turns = split_turns(session, name=path.stem)
        redactor = Redactor()
        store_errors = mlflow_store.store_errors
        with self._lock(turns[0].session_id):
            with store_errors(str(path), self.tracking_uri):
                known = self.store.turns_of(turns[0].session_id)
            if any(is_another_session(item, turns[0]) for item in known.get(0, ())):
                raise InputError(
                    f"{path}: the experiment holds another session of the same id "
                    f"({turns[0].session_id}), which this one would replace; import it into "
                    "another experiment"
                )
            todo, unchanged, older = self._compare(turns, known)
            _log.info("%s: %d of %d turns to log", path, len(todo), len(turns))
            left = self._left_over(turns, known)
            if left:
                with store_errors(str(path), self.tracking_uri):
                    self.store.delete(turns[0].session_id, left)
            if not todo:
                return _Done(unchanged=unchanged, older=older)
            shown = self._shown(session, turns, redactor, path) if self.redact else turns
            traces, tags, stale, superseded = [], {}, [], set()
            for number in todo:
                turn = shown[number]
                trace_id = trace_id_of(
                    self.store.experiment_id, turns[number], redacted=self.redact
                )
                old = [item for item in known.get(number, []) if item.trace_id != trace_id]
                stale.extend(old)
                superseded.update([number] if old else [])
                tags[trace_id] = _tags(old, redacted=self.redact)
                traces.append(build_trace(turn, trace_id, _costs(turn.session.steps)))
            with store_errors(str(path), self.tracking_uri):
                # Over what stands there half-written: another import may be at it this moment.
                self.store.write(traces, tags)
                # The old ones go last: there is no moment without evidence.
                self.store.delete(turns[0].session_id, stale)
        return _Done(
            logged=tuple(trace.trace_id for trace in traces),
            times=tuple(datetime.fromtimestamp(t.start_ns / 1e9, timezone.utc) for t in traces),
            replaced=len(superseded),
            unchanged=unchanged,
            older=older,
            redacted=dict(redactor.found),
        )

    def _compare(
        self, turns: Sequence[Turn], known: Mapping[int, list[Existing]]
    ) -> tuple[list[int], int, int]:
        """Numbers of the turns to log, how many stand already, how many stand in a longer copy."""
        todo: list[int] = []
        unchanged = older = 0
        beyond = max(known, default=-1) >= len(turns)
        for turn in turns:
            found = known.get(turn.number, [])
            if any(self._is_same(item, turn, beyond=beyond) for item in found):
                unchanged += 1
            elif found and (beyond or any(item.size > size_of(turn) for item in found)):
                older += 1
            else:
                todo.append(turn.number)
        return todo, unchanged, older

    def _left_over(
        self, turns: Sequence[Turn], known: Mapping[int, list[Existing]]
    ) -> list[Existing]:
        """Traces beside the one that replaced them: an import that was killed, or two at once that
        saw different lengths of the same session, had no time to delete them.
        """
        beyond = max(known, default=-1) >= len(turns)
        if beyond:
            return []
        left: list[Existing] = []
        for turn in turns:
            found = known.get(turn.number, [])
            same = [item for item in found if self._is_same(item, turn, beyond=False)]
            if same:
                others = (item for item in found if item not in same)
                left.extend(item for item in others if item.size <= size_of(turn))
        return left

    def _is_same(self, item: Existing, turn: Turn, *, beyond: bool) -> bool:
        if item.digest != turn.digest or (self.redact and not item.redacted):
            return False
        last = turn.whole is not None and not beyond
        return not last or item.session_digest == turn.session_digest

    def _shown(
        self, session: Session, turns: Sequence[Turn], redactor: Redactor, path: Path
    ) -> Sequence[Turn]:
        """The turns without secrets, under the digests of the originals: a turn that was imported
        redacted is the same turn.
        """
        with self._redacting:
            clean = split_turns(redactor.session(session), name=path.stem)
        return [
            replace(turn, digest=original.digest, session_digest=original.session_digest)
            for turn, original in zip(clean, turns, strict=True)
        ]

    def _lock(self, session_id: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(session_id, threading.Lock())


def _files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    found: list[Path] = []
    for item in paths:
        path = Path(item).expanduser()
        if not path.is_dir():
            if not path.exists():
                raise InputError(f"{path}: no such file or folder")
            found.append(path)
            continue
        inside = find_sessions(path)
        if not inside:
            raise InputError(f"{path}: no Claude Code session below this folder (*.jsonl)")
        found.extend(inside)
    if not found:
        raise InputError("nothing to import: name transcripts or folders")
    return list(dict.fromkeys(found))


@contextlib.contextmanager
def _connected(tracking_uri: str | None) -> Iterator[MlflowClient]:
    with contextlib.ExitStack() as stack:
        with mlflow_store.store_errors("import", tracking_uri):
            client = stack.enter_context(mlflow_store.connect(tracking_uri, create=True))
        yield client


def _experiment(client: MlflowClient, wanted: str | None) -> str:
    name = wanted or mlflow_store.experiment_of()
    found = client.get_experiment_by_name(name)
    if found is None and name.isdigit():
        return mlflow_store.resolve_experiment(name)
    if found is None:
        return str(client.create_experiment(name))
    if found.lifecycle_stage != "active":
        raise ConfigurationError(
            f"experiment {name!r} was deleted; restore it or name another with --experiment"
        )
    return str(found.experiment_id)


def _tags(old: Iterable[Existing], *, redacted: bool) -> dict[str, str]:
    """What people wrote on the trace that is replaced stays on the new one."""
    tags = {key: value for item in old for key, value in item.tags.items()}
    if redacted:
        tags["skilltrace.redacted"] = "true"
    return tags


def _costs(steps: Iterable[ModelStep]) -> dict[str, dict[str, float]]:
    """Cost of each step in US dollars, as MLflow's attribute has it; unknown models have none.

    Left to itself the store computes one, but takes `input_tokens` to include the cache.
    """
    costs: dict[str, dict[str, float]] = {}
    for step in steps:
        total = step.cost_usd if step.cost_usd is not None else step_cost(step)
        asked = step_cost(replace(step, usage=replace(step.usage, output_tokens=0)))
        if total is None:
            continue
        given = min(asked, total) if asked is not None else total
        costs[step.id] = {
            "input_cost": given,
            "output_cost": total - given,
            "total_cost": total,
        }
    return costs
