"""Candidates judged by people, here or in MLflow's own UI, and promoted to test cases."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from skilltrace_mlflow.agent.candidates import Candidate, Status, checks_of, opened
from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError, TraceNotFoundError
from skilltrace_mlflow.expectations import Manifest, load_ground_truth, parse_expectations
from skilltrace_mlflow.proposals import yaml_files
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources import load
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.text import cut

__all__ = [
    "REVIEW",
    "Promotion",
    "Taken",
    "promote",
    "review",
    "reviews_of_mlflow",
    "session_of",
    "whoami",
]

REVIEW = "skilltrace_review"
"""Name of the assessment that a review is on the trace; what people in MLflow's UI use, too."""

_MARK = "skilltrace.candidate"
_YES = ("1", "approve", "approved", "good", "ok", "pass", "true", "yes")
_NO = ("0", "bad", "fail", "false", "no", "reject", "rejected")


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
        there = {case.id for case in _cases(manifest.ground_truth, manifest)}
        for candidate in chosen:
            if candidate.status == "promoted" and candidate.id in there:
                raise ConfigurationError(
                    f"{candidates.path}: candidate {candidate.id!r} is a test case already"
                )
        for candidate in chosen:
            done = candidate.reviewed(
                status,
                reviewer=reviewer,
                note=note,
                expectations=expectations,
                checks=_rechecked(candidate, manifest, expectations, experiment, tracking_uri),
            )
            candidates.update(done)
            try:
                _log(done, manifest.name, experiment, tracking_uri)
            except SkillTraceError as error:
                problems.append(f"{done.id}: the review is not in MLflow: {error}")
    return tuple(problems)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What MLflow's reviews changed here: ids with `approved` or `rejected`. `remarks` are reviews
    that change nothing, in words; `problems` are candidates whose trace the store does not have.
    """

    reviewed: Mapping[str, Status] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def reviews_of_mlflow(
    manifest: Manifest, *, experiment: str | None = None, tracking_uri: str | None = None
) -> Taken:
    """Take over what people said in MLflow's UI.

    A review is a feedback named `skilltrace_review` of source HUMAN on a trace of the candidate;
    the newest valid one counts, unless a later review was made here.
    """
    reviewed: dict[str, Status] = {}
    remarks, problems = [], []
    with opened(manifest) as candidates:
        for candidate in list(candidates.all.values()):
            try:
                traces = _traces_of(candidate, experiment, tracking_uri)
            except TraceNotFoundError as error:
                problems.append(f"{candidate.id}: {error}")
                continue
            found = _human(traces, candidate)
            if found is None or _earlier(found, candidate):
                continue
            if found.status is None:
                remarks.append(
                    f"{candidate.id}: the review by {found.reviewer} in MLflow is "
                    f"{cut(repr(found.value), 60)}, neither a yes nor a no"
                )
            elif candidate.status == "promoted":
                if found.status == "rejected":
                    remarks.append(
                        f"{candidate.id}: rejected in MLflow by {found.reviewer}, but it is a "
                        "test case already; remove it from the ground truth"
                    )
            elif (found.status, found.reviewer) != (candidate.status, candidate.reviewer):
                candidates.update(
                    candidate.reviewed(
                        found.status, reviewer=found.reviewer, note=found.note or "said in MLflow"
                    )
                )
                reviewed[candidate.id] = found.status
    return Taken(reviewed=reviewed, remarks=tuple(remarks), problems=tuple(problems))


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """The ids that became test cases, and those that were ones already."""

    path: Path
    promoted: tuple[str, ...] = ()
    already: tuple[str, ...] = ()


def promote(manifest: Manifest, ids: Sequence[str] = ()) -> Promotion:
    """Move approved candidates into the ground truth, each once; without `ids` all of them.

    Raises ConfigurationError for an id that is not approved, where a test case of another origin
    has the id already, and where the ground truth would not hold together with them; then it stays
    as it is.
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
            if candidate.id not in there and candidate.status == "promoted":
                raise ConfigurationError(
                    f"{candidates.path}: {candidate.id!r} was promoted, and its test case was "
                    "removed since; approve it again to promote it again"
                )
        # The test cases first: if we stop in between, their origin tells that they are there.
        with yaml_files.undone_on_error(path):
            for candidate in chosen:
                if candidate.id in there:
                    already.append(candidate.id)
                else:
                    yaml_files.append_item(path, "test_cases", _case(candidate))
                    promoted.append(candidate.id)
            _cases(path, manifest)
        for candidate in chosen:
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


def _rechecked(
    candidate: Candidate,
    manifest: Manifest,
    expectations: Mapping[str, Any] | None,
    experiment: str | None,
    tracking_uri: str | None,
) -> Sequence[Mapping[str, Any]]:
    """What other expectations say of the candidate's session."""
    if expectations is None:
        return ()
    session = session_of(candidate, experiment=experiment, tracking_uri=tracking_uri)
    return () if session is None else checks_of(session, manifest, expectations)


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


def _traces_of(candidate: Candidate, experiment: str | None, tracking_uri: str | None) -> list[Any]:
    """The candidate's traces, one for each turn of its session, the first one first."""
    if "trace_id" in candidate.trace:
        return [mlflow_store.fetch_trace(candidate.trace["trace_id"], tracking_uri=tracking_uri)]
    if "session_id" in candidate.trace:
        home = mlflow_store.resolve_experiment(experiment, tracking_uri=tracking_uri)
        traces = mlflow_store.fetch_session_traces(
            candidate.trace["session_id"], home, tracking_uri=tracking_uri
        )
        return list(traces.traces)
    return []


def _log(
    candidate: Candidate, skill: str, experiment: str | None, tracking_uri: str | None
) -> None:
    trace = next(iter(_traces_of(candidate, experiment, tracking_uri)), None)
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


@dataclass(frozen=True, kw_only=True)
class _Said:
    """A person's review on a trace; without `status` its value is neither a yes nor a no."""

    time_ms: int
    status: Status | None
    value: Any
    reviewer: str
    note: str | None


def _human(traces: Iterable[Any], candidate: Candidate) -> _Said | None:
    """The newest valid review by a person on these traces."""
    found = []
    for assessment in (a for trace in traces for a in trace.info.assessments):
        source = assessment.source
        if assessment.name != REVIEW or assessment.feedback is None or assessment.valid is False:
            continue
        if source is None or str(source.source_type).upper() != "HUMAN":
            continue
        marked = (assessment.metadata or {}).get(_MARK)
        if marked not in (None, candidate.id):
            continue  # another candidate on the same trace
        value = assessment.feedback.value
        found.append(
            _Said(
                time_ms=assessment.last_update_time_ms or assessment.create_time_ms or 0,
                status=_status(value),
                value=value,
                reviewer=source.source_id or "unknown",  # MLflow's UI knows no names by itself
                note=assessment.rationale,
            )
        )
    return max(found, key=lambda said: said.time_ms, default=None)


def _earlier(said: _Said, candidate: Candidate) -> bool:
    """Whether a review was made here since (its time is kept to the second)."""
    try:
        here = datetime.fromisoformat(str(candidate.reviewed_at).replace("Z", "+00:00"))
        return said.time_ms // 1000 < int(here.timestamp())
    except ValueError:  # there was none
        return False


def _status(value: Any) -> Status | None:
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    text = text.strip().lower()
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
