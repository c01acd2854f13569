"""What a run set out to do, kept with the run so that `--resume` does the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mlflow.tracking import MlflowClient

from skilltrace_mlflow.errors import ConfigurationError, TraceNotFoundError
from skilltrace_mlflow.evaluate._rows import Found
from skilltrace_mlflow.evaluate._store import STORE_ERRORS, RunStore, first_line

__all__ = ["PLAN_ARTIFACT", "SKILL_TAG", "STATUS_TAG", "Plan"]

SKILL_TAG = "skilltrace.skill"
STATUS_TAG = "skilltrace.status"
"""Of a run: running, complete, incomplete or interrupted."""
PLAN_ARTIFACT = "skilltrace/plan.json"

_CHOSEN = ("prompt", "resumed", "tag skilltrace.test_id")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The options of a run, and the traces it chose where another search might choose others."""

    skill: str
    include_traces: bool
    test_ids: tuple[str, ...] = ()
    attempts: int | None = None
    traces: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def with_traces(self, found: Sequence[Found]) -> Plan:
        """This plan, with the traces that were chosen by tag or prompt."""
        traces: dict[str, list[str]] = {}
        for item in found:
            if item.trace is not None and item.method in _CHOSEN:
                traces.setdefault(item.case.id, []).append(item.trace.info.trace_id)
        return Plan(
            skill=self.skill,
            include_traces=self.include_traces,
            test_ids=self.test_ids,
            attempts=self.attempts,
            traces=traces,
        )

    def save(self, store: RunStore) -> None:
        """Keep the plan with the run; raises one of STORE_ERRORS."""
        folder, _, name = PLAN_ARTIFACT.rpartition("/")
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / name
            file.write_text(json.dumps(asdict(self)), encoding="utf-8")
            store.upload(file, folder)

    @classmethod
    def load(cls, run_id: str, skill: str) -> tuple[Plan | None, str]:
        """The plan of an earlier run (None if it got not even that far) and its experiment's id.

        Raises TraceNotFoundError for an unknown run, ConfigurationError for another skill's.
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
        with tempfile.TemporaryDirectory() as scratch:
            try:
                path = client.download_artifacts(run_id, PLAN_ARTIFACT, scratch)
            except STORE_ERRORS:
                return None, run.info.experiment_id
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        values["test_ids"] = tuple(values["test_ids"])
        return cls(**values), run.info.experiment_id
