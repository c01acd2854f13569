"""Fetching from an MLflow tracking store: traces, runs' transcripts, experiments.

MLflow itself notices a dead server after minutes (`get_trace` then returns None), so that "gone"
and "not there" look the same. Here a short probe comes first, requests are bounded, and the two are
different errors. MLflow is imported inside the functions: naming this module costs nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow._internals import tracing_client
from skilltrace_mlflow.errors import (
    ConfigurationError,
    ExperimentNotFoundError,
    TraceNotFoundError,
)
from skilltrace_mlflow.sources.mlflow._place import (
    BOUNDS,
    MISSING,
    connect,
    name_of_store,
    probe,
    store_errors,
    store_exists,
    tracking_uri_of,
)
from skilltrace_mlflow.sources.mlflow.stored import (
    AHEAD,
    DESTINATION,
    LONGEST,
    WAREHOUSE,
    StoredTraces,
    between,
    has_root,
    is_location,
    location_of_id,
    may_be_claude_code,
    require_warehouse,
    windows,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Trace

__all__ = [
    "ARTIFACTS",
    "BOUNDS",
    "WAREHOUSE",
    "connect",
    "experiment_of",
    "fetch_run_traces",
    "fetch_run_transcript",
    "fetch_session_traces",
    "fetch_trace",
    "fetch_traces",
    "fetch_traces_between",
    "newest_traces",
    "probe",
    "resolve_experiment",
    "resolve_run",
    "search_experiment_traces",
    "store_errors",
    "store_exists",
    "time_bounds",
    "tracking_uri_of",
    "whole_session",
    "with_agents",
]

ARTIFACTS = ("trace.jsonl", "session.jsonl", "transcript.jsonl")
"""Names under which a run may keep its transcript, in the order in which they are looked for."""

_PARENT_CALL = "mlflow.claude_code.parent_tool_use_id"
_PAGE = 100
_BATCH = 20
# Downloads live as long as the process: results of tool calls are read from them on demand.
_downloads: list[tempfile.TemporaryDirectory[str]] = []


def fetch_trace(trace_id: str, *, tracking_uri: str | None = None) -> Trace:
    """One trace with its spans.

    Raises TraceNotFoundError if the store has no such trace, EvaluationError if it cannot be asked.
    """
    if location_of_id(trace_id) is not None:
        require_warehouse(f"trace {trace_id}", tracking_uri_of(tracking_uri))
    with store_errors(f"trace {trace_id}", tracking_uri), connect(tracking_uri) as client:
        trace: Trace | None = client.get_trace(trace_id, display=False)
        if trace is None:
            raise TraceNotFoundError(
                f"trace {trace_id}: not found in {name_of_store(tracking_uri)}"
            )
        return trace


def fetch_traces(trace_ids: Sequence[str], *, tracking_uri: str | None = None) -> list[Trace]:
    """Those of these traces that few requests bring; the others have to be fetched one by one,
    which also tells a trace that is not there from a store that does not answer.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    groups: dict[str | None, list[str]] = {}
    for trace_id in sorted(set(trace_ids)):
        with contextlib.suppress(ConfigurationError):  # of no form: told by who fetches it alone
            groups.setdefault(location_of_id(trace_id), []).append(trace_id)
    if any(location is not None for location in groups):
        require_warehouse("what is asked for", tracking_uri_of(tracking_uri))
    found: list[Trace] = []
    client = tracing_client(tracking_uri)
    with contextlib.suppress(MlflowException, RequestException, OSError):
        for location, ids in groups.items():
            for start in range(0, len(ids), _BATCH):
                found += client.batch_get_traces(ids[start : start + _BATCH], location)
    return found


def fetch_run_traces(run_id: str, *, tracking_uri: str | None = None) -> StoredTraces:
    """Claude Code's traces made under a run or linked to it.

    Raises TraceNotFoundError if there is no such run, EvaluationError if the store cannot be asked.
    """
    with store_errors(f"run {run_id}", tracking_uri), connect(tracking_uri) as client:
        experiment_id = client.get_run(run_id).info.experiment_id
        return _search_whole(client, experiment_id, run_id=run_id)


def resolve_run(
    run_id: str, *, by_session: bool, tracking_uri: str | None = None
) -> Path | list[StoredTraces]:
    """What a run holds: the transcript that it keeps, else its traces, by session or one by one.

    Raises TraceNotFoundError if it has neither, EvaluationError if the store cannot be asked.
    """
    transcript = fetch_run_transcript(run_id, tracking_uri=tracking_uri)
    if transcript is not None:
        return transcript
    linked = fetch_run_traces(run_id, tracking_uri=tracking_uri)
    if by_session:
        groups = linked.by_session()
    else:
        groups = [StoredTraces(traces=(trace,)) for trace in linked.traces]
        groups += [StoredTraces(traces=(), unfinished=(info,)) for info in linked.unfinished]
        groups.sort(key=lambda group: group.start)
    if not groups:
        raise TraceNotFoundError(
            f"run {run_id}: no Claude Code trace is linked to it and it has no artifact "
            "trace.jsonl, session.jsonl or transcript.jsonl; give --trace-id or --session-id"
        )
    return groups


def fetch_run_transcript(run_id: str, *, tracking_uri: str | None = None) -> Path | None:
    """A local copy of the transcript that a run keeps as an artifact, None if it keeps none.

    Sub-agents' transcripts are fetched along where the artifact has a folder of its name. The copy
    is deleted when the process ends. Raises TraceNotFoundError if there is no such run,
    EvaluationError if the store cannot be asked.
    """
    with store_errors(f"run {run_id}", tracking_uri), connect(tracking_uri) as client:
        entries = {item.path: item.is_dir for item in client.list_artifacts(run_id)}
        name = next((name for name in ARTIFACTS if entries.get(name) is False), None)
        if name is None:
            return None
        folder = tempfile.TemporaryDirectory(prefix="skilltrace-")
        _downloads.append(folder)
        stem = name.removesuffix(".jsonl")
        if entries.get(stem):
            client.download_artifacts(run_id, stem, folder.name)
        return Path(client.download_artifacts(run_id, name, folder.name))


def fetch_session_traces(
    session_id: str,
    experiment_id: str,
    *,
    tracking_uri: str | None = None,
    seen: datetime | None = None,
) -> StoredTraces:
    """All traces of a Claude Code session in an experiment, background agents included; traces that
    other programs logged under the same session are left out.

    In Unity Catalog the search goes back 400 days, from now or from `seen`, when a turn of the
    session began. Raises EvaluationError if the store cannot be asked.
    """
    with store_errors(f"session {session_id}", tracking_uri), connect(tracking_uri) as client:
        return _search_whole(
            client,
            experiment_id,
            since=(seen or datetime.now(timezone.utc)) - LONGEST,
            filter_string=f"metadata.`mlflow.trace.session` = {_quoted(session_id)}",
        )


def fetch_traces_between(
    experiment: str | None, start: datetime, end: datetime, *, tracking_uri: str | None = None
) -> StoredTraces:
    """Claude Code's traces of an experiment that began at `start` or later and before `end`.

    Raises ConfigurationError for an unknown experiment, EvaluationError if the store cannot be
    asked.
    """
    experiment_id = resolve_experiment(experiment, tracking_uri=tracking_uri, locations=True)
    first, last = (int(moment.timestamp() * 1000) for moment in (start, end))
    with store_errors(f"experiment {experiment_id}", tracking_uri), connect(tracking_uri) as client:
        return _search_whole(
            client,
            experiment_id,
            filter_string=f"timestamp_ms >= {first} AND timestamp_ms < {last}",
        )


def whole_session(
    turns: StoredTraces, *, experiment_id: str | None = None, tracking_uri: str | None = None
) -> StoredTraces:
    """All traces of the session that these turns belong to, as far as their experiment (else the
    one given) holds it; the turns themselves where there is no more to be found.
    """
    location = getattr(turns.infos[0].trace_location, "mlflow_experiment", None)
    held = experiment_id if location is None else location.experiment_id
    held = location_of_id(turns.first_id) or held
    if turns.session_id is None or held is None:
        return turns
    seen = datetime.fromtimestamp(turns.start[0] / 1000, timezone.utc)
    found = fetch_session_traces(turns.session_id, str(held), tracking_uri=tracking_uri, seen=seen)
    return found if found.traces else turns


def with_agents(turns: StoredTraces, *, tracking_uri: str | None = None) -> StoredTraces:
    """Turns of one session together with the traces of the agents they started in the background.

    Each stop of a background agent is a trace of its own, in the same session, tagged with the tool
    call that started the agent; such an agent may start others. Raises EvaluationError if the store
    cannot be asked.
    """
    calls = _background_calls(turns.traces)
    if not calls:
        return turns
    held = whole_session(turns, tracking_uri=tracking_uri)
    found = {trace.info.trace_id: trace for trace in turns.traces}
    while started := [
        trace
        for trace in held.traces
        if trace.info.tags.get(_PARENT_CALL) in calls and trace.info.trace_id not in found
    ]:
        found.update((trace.info.trace_id, trace) for trace in started)
        calls |= _background_calls(started)
    unfinished = {info.trace_id: info for info in turns.unfinished}
    unfinished.update(
        (info.trace_id, info) for info in held.unfinished if info.tags.get(_PARENT_CALL) in calls
    )
    return StoredTraces(traces=tuple(found.values()), unfinished=tuple(unfinished.values()))


def _background_calls(traces: Sequence[Trace]) -> set[str]:
    """Ids of the tool calls by which these traces started agents in the background."""
    from skilltrace_mlflow.sources.mlflow.trace import session_from_trace

    return {
        agent.parent_call_id
        for trace in traces
        for agent in session_from_trace(trace).subagents
        if agent.background and agent.parent_call_id
    }


def search_experiment_traces(
    experiment: str | None,
    *,
    tracking_uri: str | None = None,
    limit: int | None = None,
    filter_string: str | None = None,
    include_spans: bool = True,
) -> list[Trace]:
    """Traces of an experiment (by name or id), newest first, all pages or at most `limit`.

    Raises ConfigurationError for an unknown experiment, EvaluationError if the store cannot be
    asked.
    """
    found = newest_traces(
        experiment,
        tracking_uri=tracking_uri,
        filter_string=filter_string,
        include_spans=include_spans,
        page=_PAGE if limit is None else min(_PAGE, limit),
    )
    with contextlib.closing(found):
        return list(itertools.islice(found, limit))


def newest_traces(
    experiment: str | None,
    *,
    tracking_uri: str | None = None,
    filter_string: str | None = None,
    include_spans: bool = True,
    page: int = _PAGE,
) -> Generator[Trace, None, None]:
    """Traces of an experiment (by name or id, or a location in Unity Catalog), newest first, as far
    as they are taken: nothing is asked for that nobody looks at. In Unity Catalog they are those of
    the last 400 days.

    Raises ConfigurationError for an unknown experiment, EvaluationError if the store cannot be
    asked.
    """
    place = resolve_experiment(experiment, tracking_uri=tracking_uri, locations=True)
    with store_errors(f"experiment {place}", tracking_uri), connect(tracking_uri) as client:
        spans: Iterable[tuple[datetime, datetime] | None]
        spans = windows() if _in_catalog(client, place) else (None,)
        for window in spans:
            conditions = [filter_string, None if window is None else between(*window)]
            yield from _pages(
                client,
                place,
                page=page,
                filter_string=" AND ".join(filter(None, conditions)) or None,
                include_spans=include_spans,
                order_by=["timestamp_ms DESC"],
            )


def resolve_experiment(
    name_or_id: str | None, *, tracking_uri: str | None = None, locations: bool = False
) -> str:
    """The id of an experiment. None means MLFLOW_EXPERIMENT_ID or _NAME, else `Default`.

    With `locations`, for those who only read traces, a workspace's `catalog.schema.prefix` is taken
    as well and returned as it is. Raises ConfigurationError if the experiment does not exist or was
    deleted, or if no warehouse is named for traces in Unity Catalog; EvaluationError if the store
    cannot be asked.
    """
    wanted = name_or_id or experiment_of()
    if tracking_uri_of(tracking_uri).startswith("databricks") and is_location(wanted):
        if not locations:
            raise ConfigurationError(
                f"{wanted}: is a place of traces in Unity Catalog, and this needs an experiment; "
                "give the one that is linked to it"
            )
        require_warehouse(wanted, tracking_uri_of(tracking_uri))
        return wanted
    with store_errors(f"experiment {wanted!r}", tracking_uri), connect(tracking_uri) as client:
        found = client.get_experiment_by_name(wanted)
        if found is None and wanted.isdigit():
            found = _experiment_by_id(client, wanted)
        if found is None or found.lifecycle_stage != "active":
            names = [item.name for item in client.search_experiments(max_results=50)]
            raise ExperimentNotFoundError(
                _unknown_experiment(wanted, names, name_of_store(tracking_uri))
            )
        if DESTINATION in found.tags:
            require_warehouse(f"experiment {wanted}", tracking_uri_of(tracking_uri))
        return str(found.experiment_id)


def experiment_of() -> str:
    """The experiment that the environment names, else MLflow's own default."""
    return (
        os.environ.get("MLFLOW_EXPERIMENT_ID")
        or os.environ.get("MLFLOW_EXPERIMENT_NAME")
        or "Default"
    )


def _pages(client: MlflowClient, place: str, *, page: int = _PAGE, **query: Any) -> Iterator[Trace]:
    token: str | None = None
    while True:
        found = client.search_traces(locations=[place], max_results=page, page_token=token, **query)
        yield from found
        token = found.token
        if not token:
            return


def time_bounds(client: MlflowClient, place: str, *, since: datetime | None = None) -> str | None:
    """What a search that no time is given for is bounded by: in Unity Catalog the time from
    `since`, else 400 days ago, on; None elsewhere.
    """
    if not _in_catalog(client, place):
        return None
    now = datetime.now(timezone.utc)
    return between(since or now - LONGEST, now + AHEAD)


def _in_catalog(client: MlflowClient, place: str) -> bool:
    """Whether the traces of an experiment (by id), or a location, lie in Unity Catalog."""
    if is_location(place):
        return True
    if not str(client.tracking_uri).startswith("databricks"):
        return False
    return DESTINATION in client.get_experiment(place).tags


def _search_whole(
    client: MlflowClient, place: str, *, since: datetime | None = None, **query: Any
) -> StoredTraces:
    """Claude Code's traces among those found, compared with what the store lists: MLflow leaves out
    in silence what it cannot hand over with all its spans. In Unity Catalog a search without bounds
    of its own goes back to `since`, else 400 days.
    """
    from skilltrace_mlflow.sources.mlflow.trace import is_claude_code_trace

    query["order_by"] = ["timestamp_ms ASC"]
    text = query.get("filter_string")
    if text is None or "timestamp_ms" not in text:
        bounds = time_bounds(client, place, since=since)
        query["filter_string"] = " AND ".join(filter(None, (text, bounds))) or None
    listed = list(_pages(client, place, include_spans=False, **query))
    traces = list(_pages(client, place, **query))
    ours = [trace for trace in traces if is_claude_code_trace(trace)]
    spanless = {trace.info.trace_id for trace in traces if not has_root(trace)}
    came = {trace.info.trace_id for trace in traces} - spanless
    came |= {trace.info.trace_id for trace in ours}
    return StoredTraces(
        traces=tuple(ours),
        unfinished=tuple(
            trace.info
            for trace in listed
            if trace.info.trace_id not in came and may_be_claude_code(trace.info)
        ),
    )


def _experiment_by_id(client: MlflowClient, experiment_id: str) -> Experiment | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_experiment(experiment_id)
    except MlflowException as error:
        if error.error_code in MISSING:
            return None
        raise


def _quoted(value: str) -> str:
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise TraceNotFoundError(f"session {value!r}: no session id holds both kinds of quotes")


def _unknown_experiment(wanted: str, names: list[str], where: str) -> str:
    import difflib

    near = difflib.get_close_matches(wanted, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(names) or 'none'}"
    return f"experiment {wanted!r}: not found in {where}{hint}"
