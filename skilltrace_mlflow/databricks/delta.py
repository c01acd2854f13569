"""Delta tables of outcomes: on one machine through `deltalake` (no JVM), on clusters through Spark.

Both merge by the same key, and both leave the table as it is, without a new version, where every
row stands in it already.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.comparison.records import ResultRecord
from skilltrace_mlflow.databricks.outcomes import (
    OUTCOMES,
    TableShape,
    create_table_sql,
    records_of_rows,
)
from skilltrace_mlflow.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

__all__ = [
    "LocalTable",
    "OutcomeTable",
    "SparkTable",
    "active_spark",
    "is_delta_folder",
    "load_outcomes",
    "names_table",
    "open_table",
    "unlike_frame",
]

Rows = Sequence[Mapping[str, Any]]
_RUN_ID = re.compile(r"[0-9a-fA-F]{32}")
_VIEW = "skilltrace_fresh_rows"


class OutcomeTable(ABC):
    """A table that rows are merged into, of outcomes unless another shape is given."""

    name: str
    shape: TableShape = OUTCOMES

    @abstractmethod
    def merge(self, rows: Rows) -> int:
        """Bring the table up to these rows; how many were new or changed.

        Rows of the same key must not differ within `rows`: the last one counts.
        """

    @abstractmethod
    def read(self, *, run_id: str | None = None) -> list[dict[str, Any]]:
        """The rows of a run, of all runs if none is named; [] if the table is not there yet."""

    def latest_run(self) -> str | None:
        """The run of the newest verdict, None in an empty table."""
        rows = [row for row in self.read() if row["run_id"]]
        return max(rows, key=lambda row: row["scored_at"])["run_id"] if rows else None


def open_table(
    place: str | os.PathLike[str], shape: TableShape = OUTCOMES, *, spark: Any = None
) -> OutcomeTable:
    """The table at a place: a path on this machine or a Volume, else `catalog.schema.table`.

    Raises ConfigurationError where the package that a place needs is not installed.
    """
    text = os.fspath(place)
    if "/" in text or "\\" in text or Path(text).exists():
        return LocalTable(text, shape)
    parts = text.split(".")
    if len(parts) not in (2, 3) or not all(part.strip("`") for part in parts):
        raise ConfigurationError(
            f"table {text!r}: give catalog.schema.table, or a folder (./outcomes) on this machine"
        )
    return SparkTable(text, shape, spark=spark)


def is_delta_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a Delta table lies in this folder."""
    return (Path(path) / "_delta_log").is_dir()


def names_table(source: str) -> bool:
    """Whether `source` names an outcome table, perhaps with a run behind it (`TABLE@RUN`)."""
    place, at, run_id = source.rpartition("@")
    if at and place and _RUN_ID.fullmatch(run_id) and not Path(source).expanduser().exists():
        return True
    return is_delta_folder(Path(source).expanduser())


def load_outcomes(source: str) -> tuple[ResultRecord, ...]:
    """The results in `TABLE@RUN`, or of the newest run of a table in a folder.

    Raises InputError if the table holds nothing of that run.
    """
    place, at, run_id = source.rpartition("@")
    if not (at and _RUN_ID.fullmatch(run_id)):
        place, run_id = source, ""
    table = open_table(place)
    wanted = run_id or table.latest_run()
    rows = [] if wanted is None else table.read(run_id=wanted)
    if not rows:
        raise InputError(f"{place}: the table holds no outcome of run {wanted or '(any)'}")
    return records_of_rows(rows)


class LocalTable(OutcomeTable):
    """A Delta table in a folder, without a JVM."""

    def __init__(self, path: str | os.PathLike[str], shape: TableShape = OUTCOMES) -> None:
        try:
            import deltalake
        except ImportError as error:
            raise ConfigurationError(
                "a table on this machine needs the package deltalake: "
                "pip install 'skilltrace-mlflow[delta]'"
            ) from error
        self._deltalake = deltalake
        self.path = Path(path).expanduser()
        self.shape = shape
        self.name = str(path)

    def merge(self, rows: Rows) -> int:
        fresh = _unlike(_by_key(rows, self.shape), self.read(), self.shape)
        if not fresh:
            return 0
        table = self._table(create=True)
        assert table is not None  # noqa: S101 - it was created
        import pyarrow as pa

        on = " AND ".join(f"t.`{name}` = s.`{name}`" for name in self.shape.key)
        (
            table.merge(
                pa.Table.from_pylist(fresh, schema=_schema(self.shape)),
                predicate=on,
                source_alias="s",
                target_alias="t",
            )
            .when_matched_update_all()
            .when_not_matched_insert_all()
            .execute()
        )
        return len(fresh)

    def read(self, *, run_id: str | None = None) -> list[dict[str, Any]]:
        table = self._table()
        if table is None:
            return []
        import pyarrow as pa

        rows: list[dict[str, Any]] = pa.table(table.to_pyarrow_table()).to_pylist()
        return [row for row in rows if run_id is None or row["run_id"] == run_id]

    @property
    def version(self) -> int | None:
        """The table's version, None if it is not there."""
        table = self._table()
        return None if table is None else table.version()

    def _table(self, *, create: bool = False) -> DeltaTable | None:
        if is_delta_folder(self.path):
            return self._deltalake.DeltaTable(str(self.path))
        if not create:
            return None
        if self.path.exists() and any(self.path.iterdir()):
            raise InputError(
                f"{self.path}: is not empty and holds no Delta table; name a new folder"
            )
        return self._deltalake.DeltaTable.create(
            str(self.path), schema=_schema(self.shape), mode="ignore"
        )


class SparkTable(OutcomeTable):
    """A Delta table of a catalog, through the Spark session that runs here."""

    def __init__(self, name: str, shape: TableShape = OUTCOMES, *, spark: Any = None) -> None:
        self.name = name
        self.shape = shape
        self._spark = spark if spark is not None else active_spark()

    def merge(self, rows: Rows) -> int:
        wanted = _by_key(rows, self.shape)
        if not wanted:
            return 0
        self._spark.sql(create_table_sql(self.name, self.shape))
        fresh = _unlike(wanted, self._matching(wanted), self.shape)
        if not fresh:
            return 0
        self._frame(fresh).createOrReplaceTempView(_VIEW)
        self._spark.sql(merge_sql(self.name, _VIEW, self.shape))
        return len(fresh)

    def merge_frame(self, frame: Any) -> int:
        """`merge` for the rows of a frame (as `score_traces` gives them), where they lie: nothing
        of it comes to the driver but the count.

        The rows are written to `<table>_fresh` first, since a frame is computed anew each time it
        is looked at and serverless compute keeps none; that table is dropped in the end.
        """
        self._spark.sql(create_table_sql(self.name, self.shape))
        staged = f"{self.name}_fresh"
        frame.write.mode("overwrite").saveAsTable(staged)
        try:
            fresh = unlike_frame(
                self._spark.table(staged), self._spark.table(self.name), self.shape
            )
            count: int = fresh.count()
            if count:
                fresh.createOrReplaceTempView(_VIEW)
                self._spark.sql(merge_sql(self.name, _VIEW, self.shape))
        finally:
            self._spark.sql(f"DROP TABLE IF EXISTS {staged}")
        return count

    def read(self, *, run_id: str | None = None) -> list[dict[str, Any]]:
        if not self._spark.catalog.tableExists(self.name):
            return []
        frame = self._spark.table(self.name)
        if run_id is not None:
            frame = frame.where(frame["run_id"] == run_id)
        return [row.asDict() for row in frame.collect()]

    def _matching(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows of the table with a key of these, and nothing else of it."""
        keys = self._frame(rows).select(*self.shape.key)
        frame = self._spark.table(self.name).join(keys, on=list(self.shape.key), how="left_semi")
        return [row.asDict() for row in frame.collect()]

    def _frame(self, rows: Sequence[dict[str, Any]]) -> Any:
        schema = ", ".join(f"`{c.name}` {c.type}" for c in self.shape.columns)
        return self._spark.createDataFrame(
            [tuple(row[c.name] for c in self.shape.columns) for row in rows], schema
        )


def unlike_frame(rows: Any, present: Any, shape: TableShape = OUTCOMES) -> Any:
    """The rows of a frame, one for each key, that another does not hold or holds with another
    content.
    """
    from pyspark.sql.functions import expr

    same = [f"t.`{name}` = s.`{name}`" for name in shape.key]
    same += [f"t.`{name}` <=> s.`{name}`" for name in shape.compared]
    one = rows.select(*(column.name for column in shape.columns)).dropDuplicates(list(shape.key))
    return one.alias("s").join(present.alias("t"), expr(" AND ".join(same)), how="left_anti")


def merge_sql(table: str, source: str, shape: TableShape = OUTCOMES) -> str:
    """The MERGE of a view of fresh rows into the table, in Databricks SQL."""
    on = " AND ".join(f"t.`{name}` = s.`{name}`" for name in shape.key)
    return (
        f"MERGE INTO {table} AS t USING {source} AS s ON {on} "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )


def _by_key(rows: Rows, shape: TableShape) -> list[dict[str, Any]]:
    latest = {tuple(row[name] for name in shape.key): dict(row) for row in rows}
    return list(latest.values())


def _unlike(
    rows: Sequence[dict[str, Any]], present: Rows, shape: TableShape
) -> list[dict[str, Any]]:
    """The rows that are not there yet, or there with another content."""

    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in shape.key)

    def content(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in shape.compared)

    there = {key(row): content(row) for row in present}
    return [row for row in rows if there.get(key(row)) != content(row)]


def _schema(shape: TableShape) -> pa.Schema:
    import pyarrow as pa

    types = {
        "STRING": pa.string(),
        "INT": pa.int32(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    }
    fields = [
        pa.field(c.name, types[c.type], nullable=not c.required, metadata={"comment": c.comment})
        for c in shape.columns
    ]
    return pa.schema(fields)


def active_spark() -> Any:
    """The Spark session that runs here; ConfigurationError where Spark is not installed."""
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigurationError(
            "a table of a catalog needs Spark: run this on Databricks, or install "
            "'skilltrace-mlflow[spark]'; a folder (./outcomes) needs only [delta]"
        ) from error
    return SparkSession.builder.getOrCreate()
