"""Candidates judged by people, here or in MLflow's own UI, and promoted to test cases."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skilltrace_mlflow.agent.candidates import Candidate, Candidates, Status, opened
from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError
from skilltrace_mlflow.expectations import Manifest, load_ground_truth, parse_expectations
from skilltrace_mlflow.proposals import yaml_files
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources import load
from skilltrace_mlflow.sources.mlflow import store as mlflow_store

__all__ = ["REVIEW", "Promotion", "promote", "review", "reviews_of_mlflow", "session_of", "whoami"]

REVIEW = "skilltrace_review"
"""Name of the assessment that a review is on the trace; what people in MLflow's UI use, too."""

_MARK = "skilltrace.candidate"
_YES = ("approve", "approved", "good", "ok", "pass", "true", "yes")
_NO = ("bad", "fail", "false", "no", "reject", "rejected")


def review(
    manifest: Manifest,
    ids: Sequence[str],
    status: Status,
    *,
    reviewer: str,
    note: str | None = None,
    expectations: Mapping[str, Any] | None = None,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> tuple[str, ...]:
    """Approve or reject candidates; the review also becomes a HUMAN assessment on the trace.

    Returns what could not be logged to MLflow, in words: a review stands without it. Raises
    ConfigurationError for an id that there is not, for one that is a test case already, for a
    rejection without a reason, and for expectations that do not hold together.
    """
    if not reviewer.strip():
        raise ConfigurationError("--reviewer: who reviews?")
    if status == "rejected" and not (note or "").strip():
        raise ConfigurationError("a rejection says why: give --note TEXT")
    if expectations is not None:
        parse_expectations(expectations, where="expectations")
    problems = []
    with opened(manifest) as candidates:
        chosen = [candidates[name] for name in dict.fromkeys(ids)]
        for candidate in chosen:
            _require_open(candidates, candidate)
        for candidate in chosen:
            done = candidate.reviewed(
                status, reviewer=reviewer, note=note, expectations=expectations
            )
            candidates.update(done)
            try:
                _log(done, manifest.name, experiment, tracking_uri)
            except SkillTraceError as error:
                problems.append(f"{done.id}: the review is not in MLflow: {error}")
    return tuple(problems)


def reviews_of_mlflow(
    manifest: Manifest, *, experiment: str | None = None, tracking_uri: str | None = None
) -> dict[str, str]:
    """Take over what people said in MLflow's UI; returns the ids with `approved` or `rejected`.

    A review is a feedback named `skilltrace_review` of source HUMAN on the candidate's trace; the
    newest valid one counts, unless a later review was made here.
    """
    taken: dict[str, str] = {}
    with opened(manifest) as candidates:
        for candidate in list(candidates.all.values()):
            if candidate.status == "promoted":
                continue
            found = _human(_trace_of(candidate, experiment, tracking_uri), candidate)
            if found is None:
                continue
            status, reviewer, note = found
            if status == candidate.status and reviewer == candidate.reviewer:
                continue
            candidates.update(
                candidate.reviewed(status, reviewer=reviewer, note=note or "said in MLflow")
            )
            taken[candidate.id] = status
    return taken


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """The ids that became test cases, and those that were ones already."""

    path: Path
    promoted: tuple[str, ...] = ()
    already: tuple[str, ...] = ()


def promote(manifest: Manifest, ids: Sequence[str] = ()) -> Promotion:
    """Move approved candidates into the ground truth, each once; without `ids` all of them.

    Raises ConfigurationError for an id that is not approved, and where a test case of another
    origin has the id already.
    """
    path = manifest.ground_truth
    promoted, already = [], []
    with opened(manifest) as candidates:
        if ids:
            chosen = [candidates[name] for name in dict.fromkeys(ids)]
        else:
            chosen = candidates.with_status("approved")
        for candidate in chosen:
            if candidate.status not in ("approved", "promoted"):
                raise ConfigurationError(
                    f"{candidates.path}: candidate {candidate.id!r} is {candidate.status}, not "
                    "approved; approve it with `review` first"
                )
        there = {case.id: case for case in _cases(path, manifest)}
        for candidate in chosen:
            case = there.get(candidate.id)
            if case is not None and case.metadata.get("candidate") != _origin(candidate):
                raise ConfigurationError(
                    f"{path}: there is a test case {candidate.id!r} of another origin already"
                )
        for candidate in chosen:
            if candidate.id in there:
                already.append(candidate.id)
            elif candidate.status == "promoted":
                raise ConfigurationError(
                    f"{candidates.path}: {candidate.id!r} was promoted, and its test case was "
                    "removed since; approve it again to promote it again"
                )
            else:
                # The test case first: if we stop in between, its origin tells that it is there.
                yaml_files.append_item(path, "test_cases", _case(candidate))
                promoted.append(candidate.id)
            if candidate.status != "promoted":
                candidates.update(replace(candidate, status="promoted"))
    return Promotion(path=path, promoted=tuple(promoted), already=tuple(already))


def session_of(
    candidate: Candidate, *, experiment: str | None = None, tracking_uri: str | None = None
) -> Session | None:
    """The candidate's session, for its timeline; None where the store does not have it."""
    try:
        if "trace_id" in candidate.trace:
            return load.session_of_trace(
                candidate.trace["trace_id"], tracking_uri=tracking_uri
            ).session
        if "session_id" in candidate.trace:
            return load.session_of_id(
                candidate.trace["session_id"],
                in_store=True,
                experiment=experiment,
                tracking_uri=tracking_uri,
            ).session
    except SkillTraceError:
        return None
    return None


def _require_open(candidates: Candidates, candidate: Candidate) -> None:
    if candidate.status == "promoted":
        raise ConfigurationError(
            f"{candidates.path}: candidate {candidate.id!r} is a test case already"
        )


def _cases(path: Path, manifest: Manifest) -> Sequence[Any]:
    return load_ground_truth(path, manifest=manifest) if path.is_file() else ()


def _case(candidate: Candidate) -> dict[str, Any]:
    metadata: dict[str, Any] = dict(candidate.trace)
    metadata["reviewer"] = candidate.reviewer
    metadata["reviewed_at"] = candidate.reviewed_at
    if candidate.note:
        metadata["note"] = candidate.note
    metadata["candidate"] = _origin(candidate)
    case: dict[str, Any] = {"id": candidate.id, "inputs": {"prompt": candidate.prompt}}
    if candidate.response:
        case["outputs"] = {"response": candidate.response}
    case["expectations"] = dict(candidate.expectations)
    case["metadata"] = metadata
    return case


def _origin(candidate: Candidate) -> str:
    return f"{candidate.id} of {candidate.created_at}"


def _trace_of(candidate: Candidate, experiment: str | None, tracking_uri: str | None) -> Any:
    """The trace that a review stands on, the first of a session's; None if there is none."""
    if "trace_id" in candidate.trace:
        return mlflow_store.fetch_trace(candidate.trace["trace_id"], tracking_uri=tracking_uri)
    if "session_id" in candidate.trace:
        home = mlflow_store.resolve_experiment(experiment, tracking_uri=tracking_uri)
        traces = mlflow_store.fetch_session_traces(
            candidate.trace["session_id"], home, tracking_uri=tracking_uri
        )
        return next(iter(traces.traces), None)
    return None


def _log(
    candidate: Candidate, skill: str, experiment: str | None, tracking_uri: str | None
) -> None:
    trace = _trace_of(candidate, experiment, tracking_uri)
    if trace is None:
        return
    from mlflow.entities import AssessmentSource, AssessmentSourceType, Feedback

    feedback = Feedback(
        name=REVIEW,
        value=candidate.status == "approved",
        source=AssessmentSource(
            source_type=AssessmentSourceType.HUMAN, source_id=candidate.reviewer or "unknown"
        ),
        rationale=candidate.note,
        metadata={_MARK: candidate.id, "skilltrace.skill": skill},
    )
    trace_id = trace.info.trace_id
    asked = mlflow_store.store_errors(f"trace {trace_id}", tracking_uri)
    with asked, mlflow_store.connect(tracking_uri):
        import mlflow

        mlflow.log_assessment(trace_id, feedback)


def _human(trace: Any, candidate: Candidate) -> tuple[Status, str, str | None] | None:
    """The newest valid review by a person on a trace: status, who, and why."""
    best: tuple[int, Status, str, str | None] | None = None
    for assessment in trace.info.assessments if trace is not None else ():
        source = assessment.source
        if assessment.name != REVIEW or assessment.feedback is None or assessment.valid is False:
            continue
        if source is None or str(source.source_type).upper() != "HUMAN":
            continue
        marked = (assessment.metadata or {}).get(_MARK)
        if marked not in (None, candidate.id):
            continue  # another candidate on the same trace
        status = _status(assessment.feedback.value)
        if status is None:
            continue
        time_ms = assessment.last_update_time_ms or assessment.create_time_ms or 0
        if best is None or time_ms >= best[0]:
            best = (time_ms, status, source.source_id or "unknown", assessment.rationale)
    return None if best is None else best[1:]


def _status(value: Any) -> Status | None:
    text = str(value).strip().lower()
    if text in _YES:
        return "approved"
    return "rejected" if text in _NO else None


def whoami() -> str | None:
    """The name of who is at the keyboard, if the system knows."""
    import getpass

    try:
        return os.environ.get("USER") or getpass.getuser()
    except (KeyError, OSError):
        return None
