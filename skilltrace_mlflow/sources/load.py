"""Whatever a person points at (a file, a folder, an id) to the sessions behind it.

Files are told apart by content, not by name: a transcript, a dumped session, or a trace that MLflow
wrote with `Trace.to_json()`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.errors import ConfigurationError, InputError, TraceNotFoundError
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.locate import find_local_session, local_sessions
from skilltrace_mlflow.sources.prefixes import store_is_named
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from skilltrace_mlflow.streams import module_logger

if TYPE_CHECKING:
    from skilltrace_mlflow.sources.mlflow.stored import StoredTraces

__all__ = [
    "Evidence",
    "StoredEvidence",
    "evidence_between",
    "evidence_of_whole",
    "latest",
    "latest_local",
    "latest_of_experiment",
    "load_file",
    "session_of_id",
    "session_of_reference",
    "session_of_trace",
    "sessions_of_run",
    "short_name",
]

_log = module_logger(__name__)

_DOCUMENT_ENDING = ".json"
_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A session and where it came from; `name` is short, `source` whole, `trace_id` MLflow's, and
    `tags` those of the trace.

    `whole_session` is false where it is one turn (one trace) of a session; `fetch_whole` then gets
    the rest of it, where there is a store to ask.
    """

    name: str
    source: str
    session: Session
    trace_id: str | None = None
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)
    whole_session: bool = True
    fetch_whole: Callable[[], Session] | None = field(default=None, compare=False, repr=False)


def load_file(path: str | os.PathLike[str]) -> Evidence:
    """The session in a transcript (`.jsonl`, `.jsonl.gz`, `-`), a dumped trace or a trace's JSON.

    Raises InputError if the file is missing, a folder, or none of these.
    """
    text = str(path)
    _log.debug("reading %s", text)
    if text == "-":
        return Evidence(name="stdin", source="-", session=parse_transcript("-"))
    file = Path(path).expanduser()
    if file.suffix.lower() == _DOCUMENT_ENDING and file.is_file():
        return _load_document(file)
    session = parse_transcript(file)
    return Evidence(name=short_name(file), source=str(file), session=session)


def session_of_trace(trace_id: str, *, tracking_uri: str | None = None) -> Evidence:
    """One trace of an MLflow store: a user turn with its background agents.

    Raises TraceNotFoundError if it is not there, EvaluationError if the store does not answer.
    """
    from skilltrace_mlflow.sources.mlflow import store as mlflow_store
    from skilltrace_mlflow.sources.mlflow.stored import StoredTraces

    mlflow_store.probe(tracking_uri)
    turn = StoredTraces(traces=(mlflow_store.fetch_trace(trace_id, tracking_uri=tracking_uri),))
    return Evidence(
        name=trace_id,
        source=trace_id,
        session=mlflow_store.with_agents(turn, tracking_uri=tracking_uri).session(),
        trace_id=trace_id,
        whole_session=False,
        fetch_whole=_rest_of(turn, tracking_uri),
    )


def sessions_of_run(
    run_id: str, *, tracking_uri: str | None = None, merge: bool = False
) -> Iterator[Evidence]:
    """The run's transcript artifact, else each trace linked to the run.

    With `merge` the turns of one session become one evidence. Raises TraceNotFoundError if the run
    has neither.
    """
    from skilltrace_mlflow.sources.mlflow import store as mlflow_store

    mlflow_store.probe(tracking_uri)
    found = mlflow_store.resolve_run(run_id, by_session=merge, tracking_uri=tracking_uri)
    if isinstance(found, Path):
        yield Evidence(
            name=found.stem,
            source=f"run {run_id}: {found.name}",
            session=parse_transcript(found),
            run_id=run_id,
        )
        return
    for turns in found:
        name = (turns.session_id if merge else None) or turns.first_id
        yield Evidence(
            name=name,
            source=f"run {run_id}: {name}",
            session=mlflow_store.with_agents(turns, tracking_uri=tracking_uri).session(),
            trace_id=turns.first_id,
            run_id=run_id,
            whole_session=False,
            fetch_whole=_rest_of(turns, tracking_uri),
        )


@dataclass(frozen=True, kw_only=True)
class StoredEvidence:
    """What an experiment holds of a stretch of time: a turn each, with its background agents.

    `unfinished` are the traces that are not wholly stored, with the time at which they began.
    """

    evidence: tuple[Evidence, ...]
    unfinished: tuple[tuple[str, datetime], ...] = ()


def evidence_between(
    experiment: str | None, start: datetime, end: datetime, *, tracking_uri: str | None = None
) -> StoredEvidence:
    """The turns of an experiment that began in [start, end), oldest first.

    Raises ConfigurationError for an unknown experiment, EvaluationError if the store does not
    answer.
    """
    from skilltrace_mlflow.sources.mlflow import store as mlflow_store
    from skilltrace_mlflow.sources.mlflow._generation import AGENT_ID_TAG
    from skilltrace_mlflow.sources.mlflow.stored import StoredTraces

    mlflow_store.probe(tracking_uri)
    found = mlflow_store.fetch_traces_between(experiment, start, end, tracking_uri=tracking_uri)
    turns = [
        StoredTraces(traces=(trace,))
        for trace in found.traces
        if AGENT_ID_TAG not in trace.info.tags  # it is judged with the turn that started it
    ]
    return StoredEvidence(
        evidence=tuple(
            Evidence(
                name=turn.first_id,
                source=turn.first_id,
                session=mlflow_store.with_agents(turn, tracking_uri=tracking_uri).session(),
                trace_id=turn.first_id,
                tags=dict(turn.traces[0].info.tags),
                whole_session=False,
                fetch_whole=_rest_of(turn, tracking_uri),
            )
            for turn in turns
        ),
        unfinished=tuple(
            (str(info.trace_id), datetime.fromtimestamp(info.request_time / 1000, timezone.utc))
            for info in found.unfinished
        ),
    )


def evidence_of_whole(item: Evidence, *, tracking_uri: str | None = None) -> Evidence:
    """The whole session that a stored turn belongs to, under the name of its first turn."""
    from skilltrace_mlflow.sources.mlflow import store as mlflow_store
    from skilltrace_mlflow.sources.mlflow.stored import StoredTraces

    if item.whole_session or item.trace_id is None:
        return item
    trace = mlflow_store.fetch_trace(item.trace_id, tracking_uri=tracking_uri)
    turns = mlflow_store.whole_session(StoredTraces(traces=(trace,)), tracking_uri=tracking_uri)
    first = turns.first_id
    return replace(
        item,
        name=first,
        source=first,
        trace_id=first,
        session=turns.session(),
        whole_session=True,
        fetch_whole=None,
    )


def _rest_of(turns: StoredTraces, tracking_uri: str | None) -> Callable[[], Session]:
    """Reads the whole session that these turns belong to, as far as their experiment holds it."""

    def fetch() -> Session:
        from skilltrace_mlflow.sources.mlflow import store as mlflow_store

        return mlflow_store.whole_session(turns, tracking_uri=tracking_uri).session()

    return fetch


def session_of_id(
    session_id: str,
    *,
    in_store: bool = False,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> Evidence:
    """A whole session: this machine's transcript of that id, else all its turns in MLflow.

    `in_store` looks in MLflow only. Raises TraceNotFoundError if it is in neither place.
    """
    if not in_store:
        try:
            return load_file(find_local_session(session_id))
        except TraceNotFoundError:
            if not store_is_named():
                raise
    from skilltrace_mlflow.sources.mlflow import store as mlflow_store

    mlflow_store.probe(tracking_uri)
    experiment_id = mlflow_store.resolve_experiment(
        experiment, tracking_uri=tracking_uri, locations=True
    )
    turns = mlflow_store.fetch_session_traces(session_id, experiment_id, tracking_uri=tracking_uri)
    if not turns.traces:
        reason = "; ".join(turns.gaps) or "skilltrace-mlflow list-traces shows what is there"
        raise TraceNotFoundError(
            f"session {session_id}: no trace of it in experiment {experiment_id}; {reason}"
        )
    return Evidence(
        name=session_id,
        source=f"session {session_id}",
        session=turns.session(),
        trace_id=turns.traces[0].info.trace_id,
    )


def latest_of_experiment(experiment: str | None, *, tracking_uri: str | None = None) -> Evidence:
    """The newest Claude Code trace of an experiment; TraceNotFoundError if it has none."""
    from skilltrace_mlflow.sources.mlflow import store as mlflow_store
    from skilltrace_mlflow.sources.mlflow.trace import is_claude_code_trace

    mlflow_store.probe(tracking_uri)
    place = mlflow_store.resolve_experiment(experiment, tracking_uri=tracking_uri, locations=True)
    found = mlflow_store.newest_traces(place, tracking_uri=tracking_uri, page=20)
    with contextlib.closing(found):
        newest = next((t.info.trace_id for t in found if is_claude_code_trace(t)), None)
    if newest is not None:
        return session_of_trace(newest, tracking_uri=tracking_uri)
    raise TraceNotFoundError(
        f"experiment {place}: no Claude Code trace in it; skilltrace-mlflow import logs "
        "transcripts, skilltrace-mlflow autolog setup records new sessions"
    )


def latest(experiment: str | None = None, *, tracking_uri: str | None = None) -> Evidence:
    """The newest Claude Code trace of the experiment where a store is named (here, or in MLflow's
    environment variables), else this machine's newest session of the current directory.

    Raises TraceNotFoundError if there is none.
    """
    if experiment or tracking_uri or store_is_named():
        return latest_of_experiment(experiment, tracking_uri=tracking_uri)
    return latest_local()


def latest_local() -> Evidence:
    """This machine's newest session of the current directory; TraceNotFoundError if none."""
    sessions = local_sessions()
    if not sessions:
        raise TraceNotFoundError(
            f"no Claude Code session of {Path.cwd()} on this machine; name one with --trace, or "
            "list them with skilltrace-mlflow list-traces --local"
        )
    return load_file(sessions[0])


def short_name(path: str | os.PathLike[str]) -> str:
    """A file's name without the endings that every transcript has."""
    name = Path(path).name
    for ending in (".gz", ".jsonl", ".json"):
        name = name.removesuffix(ending)
    return name


def _load_document(file: Path) -> Evidence:
    document: Any
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{file}: not readable as JSON ({error}); a transcript's name ends in .jsonl"
        ) from None
    name = short_name(file)
    printed = document if isinstance(document, list) else [document]
    if printed and all(isinstance(item, dict) and "type" in item for item in printed):
        # What `claude -p --output-format json` printed, or claude-code-action kept of it.
        session = replace(parse_transcript(map(json.dumps, printed)), source=str(file))
        return Evidence(name=name, source=str(file), session=session)
    if isinstance(document, dict) and "format" in document:
        from skilltrace_mlflow.sources.session_json import is_whole, session_from_json

        trace_id = document.get("trace_id")
        return Evidence(
            name=name,
            source=str(file),
            session=session_from_json(document, source=str(file)),
            trace_id=trace_id if isinstance(trace_id, str) else None,
            whole_session=is_whole(document),
        )
    from skilltrace_mlflow.sources.atif import is_atif, session_from_atif

    if is_atif(document):
        session = session_from_atif(document, source=str(file))
        return Evidence(name=name, source=str(file), session=session)
    if isinstance(document, dict) and {"info", "data"} <= document.keys():
        from skilltrace_mlflow.sources.mlflow.trace import session_from_trace

        session = session_from_trace(document)
        info = document["info"]
        trace_id = info.get("trace_id") if isinstance(info, dict) else None
        return Evidence(
            name=name,
            source=str(file),
            session=session,
            trace_id=trace_id if isinstance(trace_id, str) else None,
            whole_session=False,
        )
    raise InputError(
        f"{file}: neither a dumped trace nor a trace's JSON; a transcript's name ends in .jsonl"
    )


def session_of_reference(
    reference: str, *, experiment: str | None = None, tracking_uri: str | None = None
) -> Evidence:
    """What an id stands for in MLflow: a trace (`tr-…`, `trace:/…`), a run (32 hexadecimal digits),
    a session (anything else), or `latest`, the newest trace of the experiment.

    Raises TraceNotFoundError if it is not there, ConfigurationError for a run whose traces are of
    several sessions: they are several pieces of evidence.
    """
    if reference == "latest":
        return latest_of_experiment(experiment, tracking_uri=tracking_uri)
    if reference.startswith(("tr-", "trace:/")):
        return session_of_trace(reference, tracking_uri=tracking_uri)
    if _RUN_ID.fullmatch(reference):
        found = list(sessions_of_run(reference, tracking_uri=tracking_uri, merge=True))
        if len(found) > 1:
            raise ConfigurationError(
                f"run {reference}: its traces are of {len(found)} sessions; name one of them: "
                f"{', '.join(item.name for item in found[:5])}"
            )
        return found[0]
    return session_of_id(reference, in_store=True, experiment=experiment, tracking_uri=tracking_uri)
