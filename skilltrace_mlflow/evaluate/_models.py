"""MLflow's own scorers (models as judges), run by MLflow; their verdicts are read back."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlflow.entities import Feedback
from mlflow.genai.scorers import Scorer

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.evaluate._mlflow import rounds, run_scorers
from skilltrace_mlflow.evaluate._rows import Attempt, Row, identity_of, marks_of
from skilltrace_mlflow.evaluate._store import SOURCE_RUN, RunStore, first_line
from skilltrace_mlflow.scorers import feedbacks_to_outcomes

__all__ = ["ModelJudges"]


@dataclass(kw_only=True)
class ModelJudges:
    """Runs `scorers` on the rows of one run; `notes` say what stopped them.

    With `resumed`, what the run holds already is not asked for again; with `of_any_run`, nor what
    stands on the trace from another one. `copies` takes the ids of copies that MLflow makes.
    """

    scorers: Sequence[Scorer]
    skill: str
    store: RunStore
    resumed: bool = False
    of_any_run: bool = False
    copies: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def judge(self, rows: Iterable[Row]) -> None:
        """Let MLflow judge these rows, one per attempt, with its own rate limits; every one has a
        trace. Raises EvaluationError if the time is up before the last.
        """
        again = self.resumed or self.of_any_run
        for batch in rounds(rows):
            self.store.deadline.require("all models had judged")
            left = [row for row in batch if not (again and self._has_judged(row))]
            if not left:
                continue
            before = {made.assessment_id for _, made in self._feedbacks(left)}
            try:
                run_scorers(left, self.scorers, self.store.run_id, copies=self.copies)
            except Exception as error:  # one judge's trouble is no reason to lose the verdicts
                self.notes.append(
                    f"model-based scorers stopped ({type(error).__name__}: {first_line(error)})"
                )
            self._mark(left, before)

    def outcomes(self, rows: Mapping[int, Row]) -> dict[int, list[Outcome]]:
        """What the store says by now of each of these rows, by the number of its attempt."""
        held = self.store.assessments({row.trace_id for row in rows.values() if row.trace_id})
        return {
            number: self._outcomes(self._of(row.found, held.get(row.trace_id or "", ())))
            for number, row in rows.items()
        }

    def missing(self) -> list[Outcome]:
        """The outcomes of an attempt that has no row."""
        return self._outcomes(())

    def _has_judged(self, row: Row) -> bool:
        stored = () if row.trace is None else row.trace.info.assessments
        names = {assessment.name for assessment in self._of(row.found, stored)}
        return all(scorer.name in names for scorer in self.scorers)

    def _feedbacks(self, rows: Sequence[Row]) -> list[tuple[Row, Any]]:
        """Every Feedback of this run on the traces of these rows, one row per trace."""
        held = self.store.assessments({row.trace_id for row in rows if row.trace_id})
        return [
            (row, stored)
            for row in rows
            for stored in held.get(row.trace_id or "", ())
            if self._is_ours(stored)
        ]

    def _mark(self, rows: Sequence[Row], before: Container[str]) -> None:
        """Say of the Feedbacks that MLflow has just logged which test they are about: another one
        may be judged on the same trace, by other expectations. An earlier verdict on the same is
        superseded, which can only be said of a new one: MLflow's own goes for it.
        """
        for row, made in self._feedbacks(rows):
            if made.assessment_id in before or identity_of(made) is not None:
                continue
            test_id, attempt = row.key
            older = row.superseded().get((self.skill, test_id, str(attempt), made.name))
            marked = Feedback(
                name=made.name,
                value=made.feedback.value,
                error=made.feedback.error,
                rationale=made.rationale,
                source=made.source,
                metadata={**(made.metadata or {}), **marks_of(self.skill, test_id, attempt)},
                overrides=older,
            )
            if older is None:
                self.store.correct(made.trace_id, made.assessment_id, marked)
            else:
                self.store.log(made.trace_id, marked, made.span_id)
                self.store.delete(made.trace_id, made.assessment_id)

    def _of(self, found: Attempt, assessments: Iterable[Any]) -> list[Any]:
        """What this run says of an attempt, the newest of each name."""
        marks = marks_of(self.skill, found.case.id, found.attempt).items()
        mine = [a for a in assessments if self._is_ours(a) and marks <= a.metadata.items()]
        newest = {a.name: a for a in sorted(mine, key=lambda a: a.create_time_ms or 0)}
        return list(newest.values())

    def _is_ours(self, assessment: Any) -> bool:
        if assessment.feedback is None:
            return False
        if self.of_any_run and assessment.valid is not False and identity_of(assessment):
            return True
        return (assessment.metadata or {}).get(SOURCE_RUN) == self.store.run_id

    def _outcomes(self, mine: Sequence[Any]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for scorer in self.scorers:
            given = [
                a for a in mine if a.name == scorer.name or a.name.startswith(f"{scorer.name}/")
            ]
            if given:
                outcomes += feedbacks_to_outcomes(given, name=scorer.name, pass_if=scorer.pass_if)
            else:
                silent = "the scorer left no assessment on the trace"
                outcomes.append(Outcome(check=scorer.name, verdict=Verdict.ERROR, rationale=silent))
        return outcomes
