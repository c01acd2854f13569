"""What scheduled runs have found so far, read from the outcome table: for notebooks to show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.comparison.records import ResultRecord
from skilltrace_mlflow.databricks.delta import open_table
from skilltrace_mlflow.databricks.job import RUNS
from skilltrace_mlflow.databricks.outcomes import records_of_rows
from skilltrace_mlflow.errors import EvaluationFailedError, InputError
from skilltrace_mlflow.report.charts import Figure, figure_over_runs, pass_rate_over_runs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["History", "outcome_history"]

_VERDICTS = ("pass", "fail", "unknown", "error")


@dataclass(frozen=True, kw_only=True)
class History:
    """The results of the newest runs, oldest first, by the time of the run; `newest` is the row of
    the run table that was written last, None where there is no such table.

    A run holds the verdicts that were first reached by it.
    """

    table: str
    runs: Mapping[str, tuple[ResultRecord, ...]]
    newest: Mapping[str, Any] | None

    def pass_rate(self, check: str | None = None) -> Figure:
        """The share of tests that passed (that passed `check`), run by run, as a picture."""
        return pass_rate_over_runs(self.runs, check=check)

    def figure(self, name: str = "total_tokens") -> Figure:
        """The mean of a figure per test, run by run, as a picture."""
        return figure_over_runs(self.runs, name)

    def to_pandas(self) -> pd.DataFrame:
        """One row per run and check, with the number of verdicts of each kind."""
        import pandas as pd

        counted = [
            {"run": run, "check": check, **{name: counts[name] for name in _VERDICTS}}
            for run, records in self.runs.items()
            for check, counts in sorted(_counts(records).items())
        ]
        frame: pd.DataFrame = pd.DataFrame(counted, columns=["run", "check", *_VERDICTS])
        return frame

    def raise_for_exit_code(self) -> None:
        """Raise EvaluationFailedError unless the newest run ended well: what fails a notebook."""
        row = self.newest
        if row is None or row["exit_code"] == 0:
            return
        gates = [
            f"gate {gate['skill']} {gate['name']}"
            for gate in json.loads(row["gates"] or "[]")
            if not gate["passed"]
        ]
        said = [*gates, f"{row['failed']} failed", f"{row['not_judged']} not judged"]
        raise EvaluationFailedError(
            f"{self.table}: the run of {row['finished_at']:%Y-%m-%d %H:%M} ended with exit code "
            f"{row['exit_code']}: {'; '.join(said)}",
            exit_code=int(row["exit_code"]),
        )


def outcome_history(table: str, *, skill: str | None = None, most_runs: int = 30) -> History:
    """The newest runs in an outcome table (of one skill), and how the last scheduled one ended.

    Raises InputError where the table holds nothing, ConfigurationError where it cannot be read.
    """
    rows = [row for row in open_table(table).read() if skill in (None, row["skill"])]
    if not rows:
        raise InputError(
            f"{table}: holds no outcome{f' of {skill}' if skill else ''}; run the job first "
            "(databricks bundle run evaluate)"
        )
    by_run: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["scored_at"]):
        by_run.setdefault(row["run_id"] or "", []).append(row)
    runs: dict[str, tuple[ResultRecord, ...]] = {}
    for run_id, group in list(by_run.items())[-most_runs:]:
        name = f"{group[0]['scored_at']:%Y-%m-%d %H:%M}"
        runs[f"{name} {run_id[:6]}" if name in runs else name] = records_of_rows(group)
    past = open_table(f"{table.rstrip('/')}_runs", RUNS).read()
    if skill is not None:
        past = [row for row in past if skill in json.loads(row["scope"])[1]]
    newest = max(past, key=lambda row: row["finished_at"], default=None)
    return History(table=table, runs=runs, newest=newest)


def _counts(records: tuple[ResultRecord, ...]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for record in records:
        for name, check in record.checks.items():
            found.setdefault(name, Counter())[check.verdict] += 1
    return found
