"""What a run set out to do, kept with the run so that `--resume` does the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlflow.tracking import MlflowClient

from skilltrace_mlflow.errors import ConfigurationError, TraceNotFoundError
from skilltrace_mlflow.evaluate._rows import Attempt
from skilltrace_mlflow.evaluate._store import STORE_ERRORS, RunStore, first_line
from skilltrace_mlflow.options import EVALUATE_SKILL, EvaluationOptions, declared
from skilltrace_mlflow.sources.mlflow import store as mlflow_store

__all__ = [
    "OPTIONS_TAG",
    "PLAN_ARTIFACT",
    "SKILL_TAG",
    "STATUS_TAG",
    "Plan",
    "unfinished_run",
]

SKILL_TAG = "skilltrace.skill"
STATUS_TAG = "skilltrace.status"
"""Of a run: running, complete, incomplete or interrupted."""
OPTIONS_TAG = "skilltrace.options"
"""Of a run: what it was asked to do. Set as the run is made, so that no run is without it."""
PLAN_ARTIFACT = "skilltrace/plan.json"
"""The same with the traces that were chosen, which are known later and too many for a tag."""
_LONGEST_TAG = 5_000  # what MLflow stores took at all times

_CHOSEN = ("prompt", "resumed", "tag skilltrace.test_id")
# What earlier versions called an option.
_EARLIER = {"categories": "filter_category"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The options of a run, and the traces it chose where another search might choose others.

    `traces` holds, per test case and attempt, the ids of the turns that were judged.
    """

    skill: str
    options: EvaluationOptions
    traces: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    def with_traces(self, found: Sequence[Attempt]) -> Plan:
        """This plan, with the traces that were chosen by tag or prompt."""
        traces: dict[str, list[Sequence[str]]] = {}
        for item in found:
            if item.turns and item.method in _CHOSEN:
                traces.setdefault(item.case.id, []).append(item.turns)
        return replace(self, traces=traces)

    def confirm(self, asked: Plan, run_id: str) -> None:
        """Make sure that `asked`, the options given to `--resume`, say nothing else than this plan.

        What is left out is taken from the plan. Raises ConfigurationError: half of a run judged by
        other rules than the rest would be neither the one run nor the other.
        """
        unsaid = EvaluationOptions()
        for item, said in declared(EVALUATE_SKILL):
            given, kept = (getattr(plan.options, item.name) for plan in (asked, self))
            if said.kept and given not in (getattr(unsaid, item.name), kept):
                before = f"with {said.flag} {_shown(kept)}" if kept else f"without {said.flag}"
                raise ConfigurationError(
                    f"--resume {run_id}: the run was started {before}; leave {said.flag} out or "
                    "start a new run"
                )

    @property
    def tag(self) -> dict[str, str]:
        """The options as a tag of the run; none if there are so many that no store takes it."""
        options = json.dumps({"skill": self.skill, **self.options.kept()})
        return {OPTIONS_TAG: options} if len(options) <= _LONGEST_TAG else {}

    def save(self, store: RunStore) -> None:
        """Keep the plan with the run; raises one of STORE_ERRORS."""
        folder, _, name = PLAN_ARTIFACT.rpartition("/")
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / name
            values = {"skill": self.skill, **self.options.kept(), "traces": dict(self.traces)}
            file.write_text(json.dumps(values), encoding="utf-8")
            store.upload(file, folder)

    @classmethod
    def load(cls, run_id: str, skill: str) -> tuple[Plan, str]:
        """The plan of an earlier run, and its experiment's id.

        Raises TraceNotFoundError for an unknown run, ConfigurationError for another skill's, and
        for one of which nobody knows any more what it was to do.
        """
        client = MlflowClient()
        try:
            run = client.get_run(run_id)
        except STORE_ERRORS as error:
            raise TraceNotFoundError(f"--resume {run_id}: {first_line(error)}") from None
        owner = run.data.tags.get(SKILL_TAG)
        if owner != skill:
            raise ConfigurationError(
                f"--resume {run_id}: it is "
                + (f"a run of {owner!r}" if owner else "no run of skilltrace")
                + f", not of {skill!r}"
            )
        if run.info.lifecycle_stage != "active":
            raise ConfigurationError(
                f"--resume {run_id}: the run was deleted; restore it, or start a new one"
            )
        with tempfile.TemporaryDirectory() as scratch:
            try:
                path = client.download_artifacts(run_id, PLAN_ARTIFACT, scratch)
                text: str | None = Path(path).read_text(encoding="utf-8")
            except STORE_ERRORS:
                text = run.data.tags.get(OPTIONS_TAG)
        if text is None:
            raise ConfigurationError(
                f"--resume {run_id}: nothing says what the run was to do (trace-eval --log made "
                "it, or it stopped too early); start a new one"
            )
        values = {_EARLIER.get(key, key): value for key, value in json.loads(text).items()}
        traces = values.pop("traces", {})
        plan = cls(
            skill=values.pop("skill"), options=EvaluationOptions(**values), traces=traces or {}
        )
        return plan, run.info.experiment_id


def unfinished_run(
    experiment_id: str, tags: Mapping[str, str], *, tracking_uri: str | None = None
) -> str | None:
    """The newest run of the experiment with these tags, unless it was completed.

    Raises EvaluationError if the store does not answer.
    """
    asked = mlflow_store.store_errors(f"runs of experiment {experiment_id}", None)
    with asked, mlflow_store.connect(tracking_uri) as client:
        runs = client.search_runs(
            [experiment_id],
            " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items()),
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
    open_runs = (run.info.run_id for run in runs if run.data.tags.get(STATUS_TAG) != "complete")
    return next(open_runs, None)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={figure:g}" for name, figure in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
