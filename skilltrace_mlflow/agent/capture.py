"""A session → a candidate: run now, or taken from a file or a store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skilltrace_mlflow.agent._processes import Guard
from skilltrace_mlflow.agent._traces import experiment_id_of, log_attempts
from skilltrace_mlflow.agent.candidates import FILE, Candidate, checks_of, now, opened
from skilltrace_mlflow.agent.options import agent_options
from skilltrace_mlflow.agent.protocol import Agent
from skilltrace_mlflow.agent.records import Job, RunFolder, new_run_id
from skilltrace_mlflow.agent.run_skill import AgentInterrupted, RunOptions, agent_of
from skilltrace_mlflow.agent.runner import Budget, Runner, terminated
from skilltrace_mlflow.agent.skill import skill_of
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError
from skilltrace_mlflow.expectations import Manifest, load_manifest
from skilltrace_mlflow.figures import figures
from skilltrace_mlflow.importing import import_transcripts
from skilltrace_mlflow.proposals import propose
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources import load
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.sources.prefixes import whole_session_id, whole_trace_id

__all__ = ["Captured", "capture"]


@dataclass(frozen=True, kw_only=True)
class Captured:
    """A candidate, the file it stands in, and what a person should know of how it came about."""

    candidate: Candidate
    path: Path
    notes: tuple[str, ...] = ()


def capture(
    skill: str | os.PathLike[str] | Manifest,
    *,
    prompt: str | None = None,
    trace: Path | None = None,
    run_id: str | None = None,
    trace_id: str | None = None,
    session_id: str | None = None,
    latest: bool = False,
    name: str | None = None,
    options: RunOptions | None = None,
    agent: Agent | None = None,
) -> Captured:
    """Add a candidate to the skill's `candidates.yaml`.

    With `prompt` the agent is run; the others name a session that exists. Its expectations are
    proposed from the session; its checks are those and what the manifest expects already. Raises
    ConfigurationError unless exactly one source is given, EvaluationError if the agent did not
    finish or the session is not there.
    """
    sources = [prompt, trace, run_id, trace_id, session_id, latest or None]
    if sum(source is not None for source in sources) != 1:
        raise ConfigurationError(
            "name one of --prompt, --trace, --run-id, --trace-id, --session-id, --latest"
        )
    options = options or RunOptions()
    manifest = (
        skill
        if isinstance(skill, Manifest)
        else load_manifest(skill, skills_dir=options.skills_dir)
    )
    with opened(manifest) as candidates:  # an id that is taken is found before anything is paid
        chosen = name or _free_name(candidates.all)
        if chosen in candidates.all:
            raise ConfigurationError(
                f"{candidates.path}: there is a candidate {chosen!r} already; name another"
            )
    notes: tuple[str, ...] = ()
    if prompt is not None:
        session, response, link, notes = _run(manifest, prompt, chosen, options, agent)
    else:
        session, link = _existing(trace, run_id, trace_id, session_id, options)
        response = session.response
    if not session.prompts:
        raise EvaluationError(f"{session.source}: the session holds no prompt")
    try:
        proposed: Mapping[str, Any] = propose([session]).expectations
    except EvaluationError as error:
        proposed, notes = {}, (*notes, str(error))
    candidate = Candidate(
        id=chosen,
        prompt=prompt if prompt is not None else session.prompts[0],
        response=response,
        created_at=now(),
        trace=link,
        expectations=proposed,
        figures={k: v for k, v in figures(session).items() if v is not None},
        checks=checks_of(session, manifest, proposed),
    )
    with opened(manifest) as candidates:
        if name is None and candidate.id in candidates.all:
            candidate = replace(candidate, id=_free_name(candidates.all))
        candidates.add(candidate)
    return Captured(candidate=candidate, path=(manifest.folder or Path()) / FILE, notes=notes)


def _run(
    manifest: Manifest, prompt: str, name: str, options: RunOptions, agent: Agent | None
) -> tuple[Session, str | None, dict[str, str], tuple[str, ...]]:
    settings = agent_options(manifest.agent, folder=manifest.folder or Path()).overridden(
        model=options.model, timeout=options.timeout
    )
    mlflow_store.probe(options.tracking_uri)
    experiment_id = experiment_id_of(options.experiment, options.tracking_uri)
    folder = RunFolder(options.results, new_run_id())
    job = Job(test_id=name, prompt=prompt, arm="with", attempt=1, index=0)
    with folder.locked(), terminated(), Guard() as guard:
        folder.save_plan({"skill": manifest.name, "capture": name})
        runner = Runner(
            agent=agent or agent_of(options, (), guard),
            skill=skill_of(manifest, workspace=settings.workspace, hidden=[folder.path.parent]),
            options=settings,
            folder=folder,
            guard=guard,
            budget=Budget(options.max_usd),
            keep=options.keep,
        )
        try:
            record = runner.run([job], {})[job]
        except KeyboardInterrupt:
            raise AgentInterrupted(folder.run_id) from None
    if record.end != "finished" or record.transcript is None:
        raise EvaluationError(f"the agent did not finish ({record.end}): {record.reason}")
    traces = log_attempts(
        [record],
        skill=manifest.name,
        run_id=folder.run_id,
        experiment_id=experiment_id,
        tracking_uri=options.tracking_uri,
        redact=options.redact,
    )
    session = load.load_file(record.transcript).session
    link = _link(traces[record], record.session_id)
    return session, record.response, link, (*record.notes, *record.differing)


def _existing(
    trace: Path | None,
    run_id: str | None,
    trace_id: str | None,
    session_id: str | None,
    options: RunOptions,
) -> tuple[Session, dict[str, str]]:
    uri = options.tracking_uri
    place = {"experiment": options.experiment, "tracking_uri": uri}
    if trace_id is not None:
        trace_id = whole_trace_id(trace_id, **place)
    if session_id is not None:
        in_store = any(value is not None for value in place.values())
        session_id = whole_session_id(session_id, in_store=in_store, **place)
    if trace is not None or (session_id is not None and options.experiment is None and uri is None):
        evidence = (
            load.load_file(trace)
            if trace is not None
            else load.session_of_id(str(session_id), in_store=False)
        )
        if evidence.trace_id is not None:
            return evidence.session, {"trace_id": evidence.trace_id}
        return _from_file(evidence, options)
    if run_id is not None:
        found = list(load.sessions_of_run(run_id, tracking_uri=uri))
        if len(found) != 1:
            raise ConfigurationError(
                f"run {run_id} holds {len(found)} traces; name one with --trace-id"
            )
        (evidence,) = found
        return evidence.session, _known({"trace_run_id": run_id, "trace_id": evidence.trace_id})
    if trace_id is not None:
        return load.session_of_trace(trace_id, tracking_uri=uri).session, {"trace_id": trace_id}
    if session_id is not None:
        evidence = load.session_of_id(
            session_id, in_store=True, experiment=options.experiment, tracking_uri=uri
        )
        return evidence.session, {"session_id": session_id}
    evidence = load.latest(options.experiment, tracking_uri=uri)
    if evidence.trace_id is None:
        return _from_file(evidence, options)
    return evidence.session, {"trace_id": evidence.trace_id}


def _from_file(evidence: load.Evidence, options: RunOptions) -> tuple[Session, dict[str, str]]:
    ids = _imported(Path(evidence.source), evidence.session, options)
    return evidence.session, _link(ids, evidence.session.session_id)


def _imported(path: Path, session: Session, options: RunOptions) -> tuple[str, ...]:
    """The traces of a file: a review needs a trace to stand on."""
    experiment_id = experiment_id_of(options.experiment, options.tracking_uri)
    import_transcripts(
        [path],
        experiment=experiment_id,
        tracking_uri=options.tracking_uri,
        redact=options.redact,
    )
    if session.session_id is None:
        return ()
    traces = mlflow_store.fetch_session_traces(
        session.session_id, experiment_id, tracking_uri=options.tracking_uri
    )
    return tuple(trace.info.trace_id for trace in traces.traces)


def _link(trace_ids: tuple[str, ...], session_id: str | None) -> dict[str, str]:
    """How a test case finds the session again: its one trace, else all of its session."""
    if len(trace_ids) == 1:
        return {"trace_id": trace_ids[0]}
    return _known({"session_id": session_id})


def _known(link: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in link.items() if value is not None}


def _free_name(taken: Mapping[str, Any]) -> str:
    number = len(taken) + 1
    while f"captured_{number:03d}" in taken:
        number += 1
    return f"captured_{number:03d}"
