"""What an evaluation works on: the evidence of an attempt, and the assessments it must leave.

`Given` is an attempt that was made beforehand, as `run` makes it, and handed to an evaluation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow.entities import Assessment, Feedback

from skilltrace_mlflow.checks import Outcome
from skilltrace_mlflow.evaluate._store import SOURCE_RUN
from skilltrace_mlflow.expectations import TestCase
from skilltrace_mlflow.scorers import VERDICT_KEY, outcome_to_feedback
from skilltrace_mlflow.session import Session

__all__ = [
    "REQUEST_TAG",
    "Attempt",
    "Given",
    "Identity",
    "Item",
    "Row",
    "identity_of",
    "marks_of",
    "request_id",
]

_SKILL = "skilltrace.skill"
_TEST = "skilltrace.test_id"
_ATTEMPT = "skilltrace.attempt"
_CHECK = "skilltrace.check"

Identity = tuple[str, str, str, str]
"""(skill, test id, attempt, check): only a verdict of the same identity may be superseded."""
REQUEST_TAG = "mlflow.eval.requestId"
"""The trace tag by which MLflow pairs the traces of two runs."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The evidence of one attempt at one test case.

    `session` is what expectations judge and `trace` the MLflow trace that the assessments stand on
    (of several turns the first, as MLflow does for sessions). `whole` and `first_trace` are the
    same for session expectations. All are None where there is no trace, `notes` say why. `turns`
    are the ids of the MLflow traces that `session` was read from; they may be only some of its
    turns unless `whole_session`.
    """

    case: TestCase
    attempt: int = 1
    session: Session | None = None
    whole: Session | None = None
    trace: Any = None
    first_trace: Any = None
    turns: tuple[str, ...] = ()
    whole_session: bool = True
    method: str = ""
    source: str | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    bad_input: bool = False


@dataclass(frozen=True, kw_only=True)
class Item:
    """One assessment that must stand on a trace under the run when all is done.

    `span_id` is the span of the call that it speaks of, None for the trace as a whole.
    """

    skill: str
    test_id: str
    attempt: int
    outcome: Outcome
    graded: bool = False
    span_id: str | None = None

    @property
    def identity(self) -> Identity:
        """What tells this assessment from every other on the trace."""
        return (self.skill, self.test_id, str(self.attempt), self.outcome.check)

    def feedback(self, overrides: str | None = None) -> Feedback:
        """The assessment itself, superseding the one with the id `overrides`."""
        feedback = outcome_to_feedback(
            self.outcome,
            graded=self.graded,
            metadata=marks_of(self.skill, self.test_id, self.attempt),
            overrides=overrides,
            span_id=self.span_id,
        )
        if feedback is None:
            raise ValueError(f"{self.outcome.check}: nothing to log for a check without verdict")
        return feedback

    def stands_in(self, assessment: Assessment) -> bool:
        """Whether `assessment`, of the same identity, says what this item says."""
        return _gist(assessment) == _gist(self.feedback())

    def repeats(self, assessment: Assessment) -> bool:
        """Whether `assessment`, of the same identity, says it for the same reason, too."""
        return self.stands_in(assessment) and assessment.rationale == self.feedback().rationale


@dataclass(kw_only=True)
class Row:
    """One row for `mlflow.genai.evaluate`: a trace (None: MLflow makes one) and its items.

    `expectations` is what MLflow keeps on the trace; `trace_id` is filled in as soon as it is
    known. `lineage` is the run whose earlier verdicts are superseded, None for those of every run.
    `done` are the items that an interrupted run left standing. `number` is the place of the attempt
    among all of them: the same test may be met again on another trace. `stood_under` is the run of
    the verdicts that were left out since they stand already.
    """

    found: Attempt
    trace: Any
    items: list[Item] = field(default_factory=list)
    expectations: Mapping[str, Any] = field(default_factory=dict)
    trace_id: str | None = None
    lineage: str | None = None
    done: set[Identity] = field(default_factory=set)
    number: int = 0
    stood_under: str | None = None

    def __post_init__(self) -> None:
        if self.trace is not None:
            self.trace_id = self.trace.info.trace_id

    @property
    def key(self) -> tuple[str, int]:
        """(test id, attempt)."""
        return self.found.case.id, self.found.attempt

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs of the trace that MLflow makes for a row without one."""
        case = self.found.case
        prompt = {} if case.prompt is None else {"prompt": case.prompt}
        return {**case.inputs, **prompt, "test_id": case.id, "attempt": self.found.attempt}

    def standing(self) -> dict[Identity, Assessment]:
        """The verdicts of the lineage that stand on the trace: the newest of each identity."""
        found: dict[Identity, tuple[tuple[int, str], Assessment]] = {}
        for assessment in self.trace.info.assessments if self.trace is not None else ():
            identity = identity_of(assessment)
            if identity is None or assessment.valid is False or not assessment.assessment_id:
                continue
            # A verdict of another run is what that run found; superseding it would empty the run.
            source = (assessment.metadata or {}).get(SOURCE_RUN)
            if self.lineage is not None and source != self.lineage:
                continue
            age = (assessment.create_time_ms or 0, assessment.assessment_id)
            if identity not in found or found[identity][0] < age:
                found[identity] = (age, assessment)
        return {identity: assessment for identity, (_, assessment) in found.items()}

    def superseded(self) -> dict[Identity, str]:
        """Ids of the verdicts that stand on the trace, the newest of each identity."""
        return {
            identity: str(assessment.assessment_id)
            for identity, assessment in self.standing().items()
        }

    def drop_standing(self, *, besides: str | None = None) -> None:
        """Leave out every item that stands on the trace in the same words, unless it is the run
        `besides` that gave it.
        """
        stands = self.standing()
        left = []
        for item in self.items:
            found = stands.get(item.identity)
            source = None if found is None else (found.metadata or {}).get(SOURCE_RUN)
            if found is None or source == besides or not item.repeats(found):
                left.append(item)
            else:
                self.stood_under = source
        self.items = left

    def feedbacks(self) -> list[Feedback]:
        """Every item that is not done yet, as an assessment."""
        older = self.superseded()
        return [
            item.feedback(older.get(item.identity))
            for item in self.items
            if item.identity not in self.done
        ]


def marks_of(skill: str, test_id: str, attempt: int) -> dict[str, str]:
    """What is kept with an assessment, so that it is known whose verdict it is."""
    return {_SKILL: skill, _TEST: test_id, _ATTEMPT: str(attempt)}


def _gist(assessment: Assessment) -> tuple[Any, ...]:
    feedback, metadata = assessment.feedback, assessment.metadata or {}
    error = None if feedback is None or feedback.error is None else feedback.error.error_code
    value = None if feedback is None else feedback.value
    return value, error, metadata.get(VERDICT_KEY)


def identity_of(assessment: Assessment) -> Identity | None:
    """Whose verdict an assessment is, None if it is not one of ours."""
    metadata = assessment.metadata or {}
    if assessment.feedback is None or _TEST not in metadata:
        return None
    return (
        metadata.get(_SKILL, ""),
        metadata[_TEST],
        metadata.get(_ATTEMPT, "1"),
        metadata.get(_CHECK, assessment.name),
    )


def request_id(skill: str, test_id: str, attempt: int) -> str:
    """The same attempt at the same test is the same request, in whichever run."""
    text = "\0".join((skill, test_id, str(attempt)))
    return "eval-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@dataclass(frozen=True, kw_only=True)
class Given:
    """One attempt at a test case: its transcript and the MLflow traces of its turns, or why there
    is nothing to judge (`error`).

    `response` is what the agent answered, in place of the one that the test case records.
    """

    attempt: int
    file: Path | None = None
    trace_ids: tuple[str, ...] = ()
    response: str | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
