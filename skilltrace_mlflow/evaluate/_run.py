"""The steps of one evaluation, in order, all in one thread that can be left behind."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow.entities import Expectation as StoredExpectation
from mlflow.tracking import MlflowClient

from skilltrace_mlflow import __version__
from skilltrace_mlflow._internals import run_tags
from skilltrace_mlflow.checks import Outcome, Verdict, all_checks
from skilltrace_mlflow.checks.completion import ending_notes
from skilltrace_mlflow.comparison.records import REPORT_ARTIFACT, RESULTS_ARTIFACT
from skilltrace_mlflow.errors import EvaluationError
from skilltrace_mlflow.evaluate._deadline import Deadline
from skilltrace_mlflow.evaluate._find import experiment_of
from skilltrace_mlflow.evaluate._judge import AttemptJudges, expectations_of, other_prompt_of
from skilltrace_mlflow.evaluate._mlflow import ModelJudges, log_rows, rounds
from skilltrace_mlflow.evaluate._present import present_run, run_metrics, tag_traces
from skilltrace_mlflow.evaluate._resume import SKILL_TAG, STATUS_TAG, Plan
from skilltrace_mlflow.evaluate._rows import REQUEST_TAG, Attempt, Item, Row, request_id
from skilltrace_mlflow.evaluate._store import STORE_ERRORS, RunStore, first_line
from skilltrace_mlflow.evaluate._surroundings import few_workers, lifted_rate_limit
from skilltrace_mlflow.evaluate._verify import complete, standing
from skilltrace_mlflow.feedback import span_of
from skilltrace_mlflow.responses import all_responses
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from skilltrace_mlflow.score import SESSION_PREFIX
from skilltrace_mlflow.streams import module_logger

__all__ = ["EvaluationRun"]

_log = module_logger(__name__)


@dataclass(kw_only=True)
class EvaluationRun:
    """One evaluation under way. `run()` does it all; what it has got so far is readable from
    another thread at any time, for when it is interrupted or takes too long.

    `find` gives the attempts, `experiment` the id of the experiment to fall back on. `plan` is what
    somebody needs to finish the run later, None where nobody can. With `only_new`, verdicts that
    stand on their traces already are left as they are, and nothing is logged, not even a run, where
    all of them do.
    """

    skill: str
    plan: Plan | None
    judges: AttemptJudges
    deadline: Deadline
    find: Callable[[], Sequence[Attempt]]
    experiment: Callable[[], str]
    gates: Callable[[Sequence[TestResult]], tuple[GateResult, ...]] = lambda _: ()
    run_name: str | None = None
    run_tags: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None
    resumed: bool = False
    supersede: bool = False
    only_new: bool = False
    progress: Callable[[int, int], None] | None = None
    tracking_uri: str = ""
    notes: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    stopped: bool = False
    store: RunStore | None = None
    rows: list[Row] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    outcomes: list[tuple[Outcome, ...]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    copies: set[str] = field(default_factory=set)
    named: bool = False

    def run(self) -> None:
        """Everything. Raises SkillTraceError where nothing could be evaluated at all."""
        self.attempts = list(self.find())
        _log.info("%s: %d attempts to judge", self.skill, len(self.attempts))
        self.outcomes = self.judges.judge(self.attempts, self.deadline, progress=self.progress)
        if all(found.error is not None for found in self.attempts):
            return  # nothing to log; a run without rows would only look like an evaluation
        if self.only_new:
            self.rows = self._rows()
            if not self._leave_standing():
                return
        store = self._open()
        self.store = store
        if not self.only_new:
            self.rows = self._rows()
        _log.info(
            "run %s in experiment %s: %d rows", store.run_id, store.experiment_id, len(self.rows)
        )
        self._adopt_earlier(store)
        self._correct_expectations(store)
        self._log_rows(store)
        self._tell_apart(store)
        self._models(store)
        self._replace_copies(store)
        self.deadline.require("the assessments were verified")
        self.incomplete += complete(self.rows, store)
        self.notes += tag_traces(self.rows, self._results(), store)
        _log.info("run %s: verified, %d assessments missing", store.run_id, len(self.incomplete))
        self._close(store)

    def evaluation(self) -> Evaluation:
        """The result as far as it has got."""
        results = self._results()
        return Evaluation(
            skill=self.skill,
            results=results,
            gates=self.gates(results),
            run_id=self.run_id,
            run_name=self.run_name,
            experiment_id=None if self.store is None else self.store.experiment_id,
            tracking_uri=self.tracking_uri,
            metrics=self.metrics,
            notes=tuple(dict.fromkeys(self.notes)),
            incomplete=tuple(self.incomplete),
        )

    def stop(self, status: str) -> None:
        """Nothing more is to be logged; the run is marked as what it is now."""
        self.stopped = True
        if self.store is not None:
            store = self.store.close()
            with contextlib.suppress(*STORE_ERRORS):
                store.tag(STATUS_TAG, status)
                store.end("KILLED")

    def _open(self) -> RunStore:
        experiment_id = self._experiment()
        client = MlflowClient()
        self.named = self.run_name is not None
        if self.run_id is not None:
            store = RunStore(self.run_id, experiment_id, self.deadline)
            store.patiently(client.update_run, store.run_id, status="RUNNING")
            self.run_name = store.patiently(client.get_run, store.run_id).info.run_name
            store.tag(STATUS_TAG, "running")
            return store
        tags = {
            SKILL_TAG: self.skill,
            STATUS_TAG: "running",
            **({} if self.plan is None else self.plan.tag),
            "skilltrace.version": __version__,
            **self.run_tags,
        }
        store = RunStore("", experiment_id, self.deadline)
        try:
            run = store.patiently(
                client.create_run, experiment_id, tags=run_tags(tags), run_name=self.run_name
            )
        except STORE_ERRORS as error:
            raise EvaluationError(f"no MLflow run could be started: {first_line(error)}") from error
        store.run_id = self.run_id = run.info.run_id
        self.run_name = run.info.run_name
        self.store = store  # from here on there is a run to mark if we are stopped
        try:
            if self.plan is not None:
                self.plan.with_traces(self.attempts).save(store)
        except STORE_ERRORS as error:
            self.notes.append(f"the run's plan could not be stored: {first_line(error)}")
        return store

    def _experiment(self) -> str:
        """The experiment that holds the traces (most of them), else the one asked for; the run's
        own if it is there already.
        """
        if self.resumed:
            return self.experiment()
        held = Counter(
            found
            for item in self.attempts
            if item.trace is not None and (found := experiment_of(item.trace)) is not None
        )
        if not held:
            return self.experiment()
        most = max(held.values())
        return min(experiment for experiment, count in held.items() if count == most)

    def _rows(self) -> list[Row]:
        """One row per attempt, and one for session verdicts that stand on another trace."""
        rows: list[Row] = []
        ours: dict[str, bool] = {name: spec.graded for name, spec in all_checks().items()}
        ours |= {name: response.graded for name, response in all_responses().items()}
        seen: set[str] = set()
        for number, (found, outcomes) in enumerate(zip(self.attempts, self.outcomes, strict=True)):
            if found.error is not None:
                continue
            items = [
                Item(
                    skill=self.skill,
                    test_id=found.case.id,
                    attempt=found.attempt,
                    outcome=outcome,
                    span_id=self._span_of(found, outcome),
                    # Ours say whether they are graded; of a user's own, the score does.
                    graded=ours.get(
                        outcome.check.removeprefix(SESSION_PREFIX),
                        outcome.score not in (None, 0.0, 1.0),
                    ),
                )
                for outcome in outcomes
                if outcome.verdict is not Verdict.NOT_APPLICABLE
            ]
            elsewhere: list[Item] = []
            first = found.first_trace
            if (
                first is not None
                and found.trace is not None
                and first.info.trace_id != found.trace.info.trace_id
            ):
                elsewhere = [i for i in items if i.outcome.check.startswith(SESSION_PREFIX)]
                items = [item for item in items if item not in elsewhere]
            lineage = None if self.supersede else self.run_id
            row = Row(found=found, trace=found.trace, items=items, lineage=lineage, number=number)
            if row.trace_id is None or row.trace_id not in seen:
                # MLflow keeps one value per name on a trace: the first test's.
                row.expectations = expectations_of(found.case, traces=self.judges.traces)
                seen.add(row.trace_id or "")
            rows.append(row)
            if elsewhere:
                rows.append(
                    Row(found=found, trace=first, items=elsewhere, lineage=lineage, number=number)
                )
        return rows

    def _span_of(self, found: Attempt, outcome: Outcome) -> str | None:
        """The span a verdict is to stand on, None for the root's: Databricks shows no other."""
        if self.tracking_uri.startswith("databricks"):
            return None
        trace = found.trace
        if outcome.check.startswith(SESSION_PREFIX) and found.first_trace is not None:
            trace = found.first_trace
        return None if trace is None else span_of(outcome, trace.data.spans)

    def _leave_standing(self) -> bool:
        """Leave out the verdicts that stand already; whether there is anything left to do.

        A run to be taken up again has: what it had not got to is not on the traces. So has one with
        models as judges, whose verdicts are read from the store.
        """
        for row in self.rows:
            row.drop_standing(besides=self.run_id)
        asks = self.run_id is not None or bool(self.judges.models)
        return asks or any(row.items for row in self.rows)

    def _adopt_earlier(self, store: RunStore) -> None:
        """What an interrupted run left standing is done; its traces are used again."""
        if not self.resumed:
            return
        known = {row.trace_id for row in self.rows if row.trace_id}
        assessments = store.assessments(known)
        stands = {
            trace_id: standing(found, store.run_id) for trace_id, found in assessments.items()
        }
        homes: dict[tuple[str, str], str] = {}
        for trace_id, identities in stands.items():
            for _, test_id, attempt, _ in identities:
                homes.setdefault((test_id, attempt), trace_id)
        for row in self.rows:
            key = (row.key[0], str(row.key[1]))
            if row.trace_id is None and (home := homes.get(key)):
                row.trace = store.trace(home)
                row.trace_id = home
            found = stands.get(row.trace_id or "", {})
            row.done = {
                item.identity
                for item in row.items
                if any(map(item.stands_in, found.get(item.identity, ())))
            }

    def _correct_expectations(self, store: RunStore) -> None:
        """MLflow never updates an expectation that it finds on a trace, and a key that somebody
        logged on its own is as much ours as one under `trace_expectations`.
        """
        for row in self.rows:
            current = {**row.found.case.trace_expectations, **row.expectations}
            for stored in row.trace.info.assessments if row.trace is not None else ():
                if not row.expectations or stored.expectation is None:
                    continue
                if stored.name not in current or stored.valid is False:
                    continue
                value = current[stored.name]
                if _same(stored.expectation.value, value):
                    continue
                corrected = StoredExpectation(
                    name=stored.name, value=value, source=stored.source, metadata=stored.metadata
                )
                try:
                    store.correct(stored.trace_id, stored.assessment_id, corrected)
                except STORE_ERRORS as error:
                    self.notes.append(
                        f"trace {row.trace_id} still holds an older expectation {stored.name}: "
                        f"{first_line(error)}"
                    )

    def _log_rows(self, store: RunStore) -> None:
        open_rows = [
            row
            for row in self.rows
            if row.trace is None or {i.identity for i in row.items} - row.done
        ]
        here = [row for row in open_rows if row.trace is not None and self._is_here(row, store)]
        bare = [row for row in open_rows if row.trace is None]
        if len(here) + len(bare) < len(open_rows):
            self.notes.append(
                "traces of other experiments keep their verdicts where they are, linked to this run"
            )
        with lifted_rate_limit(), few_workers(self.tracking_uri):
            for rows in [*rounds(here), *([bare] if bare else [])]:
                self.deadline.require("all rows were logged")
                try:
                    log_rows(rows, store.run_id, copies=self.copies, stopped=lambda: self.stopped)
                except Exception as error:  # whatever stopped MLflow: what it left out is logged
                    self.notes.append(
                        f"mlflow.genai.evaluate stopped ({type(error).__name__}: "
                        f"{first_line(error)}); what it left out was logged one by one"
                    )

    def _tell_apart(self, store: RunStore) -> None:
        """Let MLflow's own comparison of runs pair the attempts.

        It pairs traces by the tag `mlflow.eval.requestId`, else by their inputs, and drops those
        that are alike. Where a prompt was tried several times, each trace is told which try it is.
        """
        prompts = Counter(found.case.prompt for found in self.attempts)
        told: set[str] = set()
        for row in self.rows:
            trace_id, case = row.trace_id, row.found.case
            if trace_id is None or trace_id in told or prompts[case.prompt] < 2:
                continue
            told.add(trace_id)
            wanted = request_id(self.skill, case.id, row.found.attempt)
            held = {} if row.trace is None else row.trace.info.tags
            if held.get(REQUEST_TAG) == wanted:
                continue
            try:
                store.patiently(store.client.set_trace_tag, trace_id, REQUEST_TAG, wanted)
            except STORE_ERRORS as error:
                self.notes.append(f"trace {trace_id} has no request id: {first_line(error)}")

    def _is_here(self, row: Row, store: RunStore) -> bool:
        """Whether MLflow would evaluate the trace itself and not a copy of it."""
        return experiment_of(row.trace) in (None, store.experiment_id)

    def _models(self, store: RunStore) -> None:
        """What MLflow's own scorers say, added to the outcomes."""
        if not self.judges.models:
            return
        rows = {row.number: row for row in reversed(self.rows) if row.trace_id is not None}
        for row in rows.values():
            if row.trace is None:
                row.trace = store.trace(str(row.trace_id))
        judges = ModelJudges(
            scorers=self.judges.models,
            skill=self.skill,
            store=store,
            resumed=self.resumed,
            of_any_run=self.only_new,
            copies=self.copies,
        )
        judges.judge(reversed(rows.values()))
        self.notes += judges.notes
        said = judges.outcomes(rows)
        for index in range(len(self.attempts)):
            extra = said.get(index, judges.missing())
            merged = (*self.outcomes[index], *extra)
            self.outcomes[index] = tuple(sorted(merged, key=lambda outcome: outcome.check))

    def _replace_copies(self, store: RunStore) -> None:
        """Nothing is to be in the experiment twice. What stays bears a tag and is no evidence."""
        try:
            store.replace_copies(self.copies, {row.trace_id for row in self.rows if row.trace_id})
        except STORE_ERRORS as error:
            self.notes.append(
                f"{len(self.copies)} copies that MLflow made of traces stay in the experiment: "
                f"{first_line(error)}"
            )

    def _close(self, store: RunStore) -> None:
        results = self._results()
        self.metrics = run_metrics(results)
        self._describe(store)
        self._must("the run's metrics could not be stored", self._log_metrics)
        self._must("the run's results could not be stored", self._log_lines)
        self._must("the run's report could not be stored", self._log_report)
        status = "incomplete" if self.incomplete else "complete"
        self._must("the run could not be marked", lambda: store.tag(STATUS_TAG, status))
        ending = "FAILED" if self.incomplete else "FINISHED"
        self._must("the run could not be ended", lambda: store.end(ending))

    def _describe(self, store: RunStore) -> None:
        """What the run's page says; nothing is lost where it cannot be said."""
        try:
            self.run_name = present_run(
                self.evaluation(), store, named=self.named, tracking_uri=self.tracking_uri
            )
        except STORE_ERRORS as error:
            self.notes.append(f"the run has no description: {first_line(error)}")

    def _must(self, otherwise: str, step: Callable[[], None]) -> None:
        try:
            step()
        except STORE_ERRORS as error:
            self.incomplete.append(f"{otherwise}: {first_line(error)}")

    def _log_metrics(self) -> None:
        if self.store is not None:
            self.store.log_metrics(self.metrics, now_ms=int(time.time() * 1000))

    def _log_lines(self) -> None:
        from skilltrace_mlflow.report.lines import to_jsonl

        self._upload(RESULTS_ARTIFACT, to_jsonl(self.evaluation()))

    def _log_report(self) -> None:
        from skilltrace_mlflow.report.html import to_html

        self._upload(REPORT_ARTIFACT, to_html(self.evaluation()))

    def _upload(self, artifact: str, text: str) -> None:
        folder, _, name = artifact.rpartition("/")
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / name
            file.write_text(text, encoding="utf-8")
            if self.store is not None:
                self.store.upload(file, folder)

    def _results(self) -> tuple[TestResult, ...]:
        judged: Sequence[tuple[Outcome, ...]] = self.outcomes or [() for _ in self.attempts]
        homes = {row.number: row.trace_id for row in reversed(self.rows)}
        earlier = {row.number: row.stood_under for row in reversed(self.rows) if not row.items}
        return tuple(
            TestResult(
                test_id=found.case.id,
                skill=self.skill,
                attempt=found.attempt,
                outcomes=outcomes if found.error is None else (),
                session=found.session,
                whole_session=found.whole_session,
                trace_id=homes.get(number),
                run_id=earlier.get(number) or self.run_id,
                source=found.source,
                category=found.case.category,
                prompt=found.case.prompt,
                notes=(
                    *found.notes,
                    *self._prompt_note(found),
                    *(ending_notes(found.session) if found.session is not None else ()),
                ),
                error=found.error,
                bad_input=found.bad_input,
            )
            for number, (found, outcomes) in enumerate(zip(self.attempts, judged, strict=True))
        )

    def _prompt_note(self, found: Attempt) -> tuple[str, ...]:
        """Said of a session that was chosen for a test, not made for it."""
        if not self.judges.traces:
            return ()
        other = other_prompt_of(found)
        return () if other is None else (other,)


def _same(stored: Any, value: Any) -> bool:
    """Equal as JSON: what a store gives back has lists for tuples and perhaps 5.0 for 5."""
    try:
        return bool(json.loads(json.dumps(value)) == stored)
    except (TypeError, ValueError):
        return False
