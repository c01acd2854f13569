"""A whole table or volume scored with Spark, into the outcome table: what a job's task runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.databricks.outcomes import KEY, catalog_name
from skilltrace_mlflow.databricks.spark_table import (
    SparkTable,
    active_spark,
    first_line,
    spark_errors,
)
from skilltrace_mlflow.errors import ConfigurationError, EvaluationFailedError
from skilltrace_mlflow.expectations import load_manifest
from skilltrace_mlflow.report.charts import bars
from skilltrace_mlflow.spark import score_traces

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ScaleReport", "score_at_scale"]

_JUDGED = ("pass", "fail", "unknown", "error")


@dataclass(frozen=True, kw_only=True)
class ScaleReport:
    """How many verdicts of each kind there are, by check; `written` says where to, "" for nowhere.

    `exit_code` is 0 where the share that passed is `pass_rate` or more, 1 where it would not be if
    all that is unknown had passed, else 3; 3, too, where nothing was judged.
    """

    skill: str
    counts: Mapping[str, Mapping[str, int]]
    pass_rate: float
    written: str = ""

    @property
    def total(self) -> Mapping[str, int]:
        """Verdicts by kind, of all checks; what did not apply is left out."""
        return {
            name: sum(counts.get(name, 0) for counts in self.counts.values()) for name in _JUDGED
        }

    @property
    def exit_code(self) -> int:
        """0, 1 or 3, as every command's."""
        total = self.total
        judged = sum(total.values())
        needed = self.pass_rate * judged
        if judged and total["pass"] >= needed:
            return 0
        return 1 if judged - total["fail"] < needed else 3

    @property
    def line(self) -> str:
        """The run in one line."""
        said = ", ".join(f"{count:,} {name}" for name, count in self.total.items())
        where = f"; written to {self.written}" if self.written else "; nothing was written"
        return f"{self.skill}: {said}; exit code {self.exit_code}{where}"

    def to_pandas(self) -> pd.DataFrame:
        """One row per check, with the number of verdicts of each kind."""
        import pandas as pd

        rows = [{"check": check, **counts} for check, counts in self.counts.items()]
        frame: pd.DataFrame = pd.DataFrame(rows, columns=["check", *_JUDGED]).fillna(0)
        return frame

    def _repr_html_(self) -> str:
        rates = [
            (check, counts.get("pass", 0) / judged)
            for check, counts in self.counts.items()
            if (judged := sum(counts.get(name, 0) for name in _JUDGED))
        ]
        return bars(rates, title=f"pass rate of {self.skill} by check")

    def raise_for_exit_code(self) -> None:
        """Raise EvaluationFailedError unless the exit code is 0: what fails a notebook's run."""
        if self.exit_code:
            raise EvaluationFailedError(
                f"{self.line} (asked for: {self.pass_rate:g} passed)", exit_code=self.exit_code
            )


def score_at_scale(
    source: str,
    skill: str,
    *,
    skills_dir: str | os.PathLike[str] | None = None,
    test_id: str | None = None,
    where: str = "",
    annotations: str = "",
    table: str = "",
    pass_rate: float = 1.0,
    partitions: int | None = None,
    spark: Any = None,
) -> ScaleReport:
    """Score every trace of a table, or transcript of a folder, by a skill's expectations.

    `source` is `catalog.schema.name`, or a path to a folder of transcripts; `where` a condition in
    SQL that rows of it have to meet, and `annotations` the table that belongs to a table of spans.
    Verdicts are merged into `table` (a catalog's), if one is named: staged beside it first, so that
    every trace is judged once; what stands there already is left as it is. Raises
    ConfigurationError for a source or an option that cannot be, EvaluationError where a table
    cannot be read or written.
    """
    if not 0 <= pass_rate <= 1:
        raise ConfigurationError(f"pass rate {pass_rate:g}: expected 0 to 1")
    session = spark if spark is not None else active_spark("scoring at scale")
    target = SparkTable(catalog_name(table.strip()), spark=session) if table.strip() else None
    manifest = load_manifest(skill, skills_dir=skills_dir)
    if target is not None:
        target.prepare()  # before hours of work
    with spark_errors(source):
        outcomes = score_traces(
            _frame(session, source, where),
            manifest,
            test_id=test_id or None,
            annotations=_table(session, annotations.strip()) if annotations.strip() else None,
            partitions=partitions,
        ).dropDuplicates(list(KEY))
    if target is None:
        with spark_errors(source):
            return _report(manifest.name, outcomes, pass_rate, "")
    with target.staged(outcomes) as rows:
        target.merge_frame(rows, kept=True)
        return _report(manifest.name, rows, pass_rate, target.name)


def _frame(session: Any, source: str, where: str) -> Any:
    place = source.strip()
    if not place:
        raise ConfigurationError("no source: name a table of traces, or a folder of transcripts")
    from pyspark.errors import AnalysisException

    try:
        if "/" in place:
            reader = session.read.format("binaryFile").option("recursiveFileLookup", "true")
            frame = reader.load(place)
        else:
            frame = _table(session, place)
        _ = frame.columns  # Spark Connect looks at what it was told only when it is asked
    except AnalysisException as error:
        raise ConfigurationError(f"{place}: {first_line(error)}") from error
    if not where.strip():
        return frame
    try:
        frame = frame.where(where)
        _ = frame.select("*").columns  # of `frame` itself Spark Connect takes those from before
    except AnalysisException as error:
        raise ConfigurationError(f"where {where!r}: {first_line(error)}") from error
    return frame


def _table(session: Any, name: str) -> Any:
    from pyspark.errors import AnalysisException

    try:
        there = session.catalog.tableExists(name)
    except AnalysisException as error:
        raise ConfigurationError(f"{name}: {first_line(error)}") from error
    if not there:
        raise ConfigurationError(f"{name}: there is no such table, or no grant to read it")
    return session.table(name)


def _report(skill: str, outcomes: Any, pass_rate: float, written: str) -> ScaleReport:
    counts: dict[str, dict[str, int]] = {}
    for row in outcomes.groupBy("check", "verdict").count().collect():
        if row["verdict"] in _JUDGED:
            # `count` is a method of every row as well.
            counts.setdefault(row["check"], {})[row["verdict"]] = int(row["count"])
    return ScaleReport(
        skill=skill,
        counts=dict(sorted(counts.items())),
        pass_rate=pass_rate,
        written=written,
    )
