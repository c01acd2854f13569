"""Complete or loud: every assessment that should exist stands on its trace, or is named.

MLflow turns a failed write into a warning, and one failure drops the rest of that trace's
assessments, verdicts and expectations alike. A write that was done but not answered is repeated by
its HTTP client, so the opposite happens too: the same verdict twice.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

from mlflow.entities import Assessment, AssessmentSource, Expectation
from mlflow.entities.assessment_source import AssessmentSourceType
from mlflow.exceptions import MlflowException

from skilltrace_mlflow._internals import run_tags
from skilltrace_mlflow.evaluate._mlflow import make_trace
from skilltrace_mlflow.evaluate._rows import Item, Row, identity_of
from skilltrace_mlflow.evaluate._store import (
    SOURCE_RUN,
    STORE_ERRORS,
    RunStore,
    first_line,
    status_of,
)

__all__ = ["complete", "standing"]

_ROUNDS = 6
_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
_NOT_FOUND = 404
_USER = "mlflow.user"

Wanted = Item | str
"""What is to stand on a trace: a verdict, or the expectation of this name."""


def standing(
    assessments: Iterable[Assessment], run_id: str
) -> dict[tuple[str, str, str, str], list[Assessment]]:
    """Our verdicts of this run among a trace's assessments, by identity."""
    found: dict[tuple[str, str, str, str], list[Assessment]] = {}
    for assessment in assessments:
        identity = identity_of(assessment)
        if identity is not None and (assessment.metadata or {}).get(SOURCE_RUN) == run_id:
            found.setdefault(identity, []).append(assessment)
    return found


def complete(rows: Sequence[Row], store: RunStore) -> tuple[str, ...]:
    """Log what is missing, drop what stands twice; returns what is still missing, in words.

    Bounded: a few rounds with growing pauses, and never beyond the deadline.
    """
    problem = ""
    pause = _PAUSE
    missing: list[tuple[Row, Wanted]] = [(row, item) for row in rows for item in row.items]
    for attempt in range(_ROUNDS):
        if attempt:
            if store.deadline.left(pause) < pause:
                break
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        try:
            missing = _missing(rows, store)
            if not missing:
                return ()
            _link(missing, store)
            for row, wanted in missing:
                _log(row, wanted, store)
        except STORE_ERRORS as error:
            problem = first_line(error)
    else:
        try:
            missing = _missing(rows, store)
        except STORE_ERRORS as error:
            problem = first_line(error)
    return tuple(
        f"{row.key[0]} #{row.key[1]}: {_name(wanted)} is not on trace "
        f"{row.trace_id or '(none)'}" + (f" ({problem})" if problem else "")
        for row, wanted in missing
    )


def _name(wanted: Wanted) -> str:
    return f"expectation {wanted}" if isinstance(wanted, str) else wanted.outcome.check


def _link(missing: Iterable[tuple[Row, Wanted]], store: RunStore) -> None:
    """Show these traces on the run's page; a verdict stands on its trace without that as well."""
    with contextlib.suppress(*STORE_ERRORS):
        store.link(sorted({row.trace_id for row, _ in missing if row.trace_id}))


def _missing(rows: Sequence[Row], store: RunStore) -> list[tuple[Row, Wanted]]:
    """What does not stand; what stands twice is made to stand once."""
    evaluated = [row for row in rows if row.items]
    if not evaluated:
        return []
    assessments = store.assessments({row.trace_id for row in evaluated if row.trace_id})
    missing: list[tuple[Row, Wanted]] = []
    for row in evaluated:
        held = assessments.get(row.trace_id or "", ())
        stands = standing(held, store.run_id)
        for item in row.items:
            # A resumed run may find what it said before its expectations were edited.
            found = [a for a in stands.get(item.identity, ()) if item.stands_in(a)]
            if not found or _deduplicate(row, found, store):
                missing.append((row, item))
        missing += [(row, name) for name in row.expectations if not _expected(name, held, store)]
    return missing


def _expected(name: str, held: Iterable[Assessment], store: RunStore) -> bool:
    """Whether the expectation stands; of several that this run wrote one is left."""
    found = [a for a in held if a.expectation is not None and a.name == name]
    ours = [a for a in found if (a.metadata or {}).get(SOURCE_RUN) == store.run_id]
    for copy in ours[1:]:
        store.delete(str(copy.trace_id), str(copy.assessment_id))
    return bool(found)


def _deduplicate(row: Row, found: Sequence[Assessment], store: RunStore) -> bool:
    """Leave one of several; True if none is left and the item must be logged again.

    Deleting an assessment makes the one that it superseded valid again, so where something was
    superseded all copies go and one is written anew.
    """
    anew = any(copy.overrides for copy in found)
    if len(found) == 1 or row.trace_id is None:
        return False
    for copy in found if anew else found[1:]:
        store.delete(row.trace_id, str(copy.assessment_id))
    return anew


def _log(row: Row, wanted: Wanted, store: RunStore) -> None:
    if row.trace_id is None:
        make_trace(row)
    if row.trace_id is None:
        return
    spans = row.trace.data.spans if row.trace is not None else ()
    root = next((span.span_id for span in spans if span.parent_id is None), None)
    if isinstance(wanted, str):
        store.log(row.trace_id, _expectation(wanted, row.expectations[wanted]), root)
        return
    older = row.superseded().get(wanted.identity)
    try:
        store.log(row.trace_id, wanted.feedback(older), root)
    except MlflowException as error:
        if older is None or status_of(error) != _NOT_FOUND:
            raise
        # Somebody deleted the older verdict meanwhile; there is nothing left to supersede.
        store.log(row.trace_id, wanted.feedback(), root)


def _expectation(name: str, value: Any) -> Expectation:
    """As `mlflow.genai.evaluate` writes it: what a person expects."""
    source = AssessmentSource(
        source_type=AssessmentSourceType.HUMAN,
        source_id=run_tags({}).get(_USER, "unknown"),
    )
    return Expectation(name=name, value=value, source=source)
