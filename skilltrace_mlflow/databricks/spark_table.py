"""Tables of outcomes in a catalog, through the Spark session that runs here.

Rows are merged by Delta's MERGE. A table of a format that knows none (Parquet, ORC, …) is appended
to, and refused where a row of it would have to be changed.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from skilltrace_mlflow.databricks.outcomes import (
    OUTCOMES,
    OutcomeTable,
    Rows,
    TableShape,
    add_columns_sql,
    by_key,
    create_table_sql,
    missing_columns,
)
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError

__all__ = [
    "SparkTable",
    "active_spark",
    "first_line",
    "is_of_spark",
    "merge_sql",
    "spark_errors",
    "unlike_frame",
]

_APPENDED = frozenset({"parquet", "orc", "avro", "json", "csv", "hive"})
_STAGED = "_fresh_"
_CONDITION = re.compile(r"\[[A-Z][A-Z0-9_.]+\][^\n]*")
_TRIES = 3
_STAMP = "%Y%m%d%H%M%S"
_LEFT_OVER = timedelta(days=2)


class SparkTable(OutcomeTable):
    """A table named `catalog.schema.name`."""

    def __init__(self, name: str, shape: TableShape = OUTCOMES, *, spark: Any = None) -> None:
        self.name = name
        self.shape = shape
        self._spark = spark if spark is not None else _spark_for_table()

    def prepare(self) -> None:
        with spark_errors(self.name):
            if not self._spark.catalog.tableExists(self.name):
                self._spark.sql(create_table_sql(self.name, self.shape))
            for left in reversed(range(_TRIES)):
                columns = self._spark.table(self.name).columns
                lacking = missing_columns(self.name, columns, self.shape)
                if not lacking:
                    return
                try:
                    self._spark.sql(add_columns_sql(self.name, lacking))
                except Exception as error:
                    # Another run may have added them meanwhile: look again.
                    if not left or not is_of_spark(error):
                        raise

    def merge(self, rows: Rows) -> int:
        wanted = by_key(rows, self.shape)
        return self.merge_frame(self._frame(wanted), kept=True) if wanted else 0

    def merge_frame(self, frame: Any, *, kept: bool = False) -> int:
        """`merge` for the rows of a frame (as `score_traces` gives them), where they lie: nothing
        of it comes to the driver but the count.

        A frame is computed anew each time it is looked at, so that it is staged first, unless it is
        `kept`: read from a table, or made from rows of the driver.
        """
        self.prepare()
        if not kept:
            with self.staged(frame) as rows:
                return self.merge_frame(rows, kept=True)
        view = f"skilltrace_{uuid.uuid4().hex}"
        with spark_errors(self.name):
            present = self._spark.table(self.name)
            fresh = unlike_frame(frame, present, self.shape)
            count: int = fresh.count()
            if not count:
                return 0
            fresh.createOrReplaceTempView(view)
            try:
                self._spark.sql(self._statement(fresh, present, view))
            finally:
                self._spark.catalog.dropTempView(view)
        return count

    @contextlib.contextmanager
    def staged(self, frame: Any) -> Iterator[Any]:
        """The rows of a frame, computed once: in a table beside this one, which is dropped after.

        Its name is its own, so that two runs at once do not meet in it; what a killed run left is
        dropped by one two days later.
        """
        now = datetime.now(timezone.utc)
        place, _, own = self.name.rpartition(".")
        stem = f"{own.strip('`')}{_STAGED}"
        name = f"{place}.`{stem}{now:{_STAMP}}_{uuid.uuid4().hex[:8]}`"
        with spark_errors(self.name):
            for left in self._spark.sql(f"SHOW TABLES IN {place} LIKE '{stem}*'").collect():
                if _is_old(left["tableName"].rpartition(_STAGED)[2], now):
                    self._spark.sql(f"DROP TABLE IF EXISTS {place}.`{left['tableName']}`")
            try:
                frame.write.saveAsTable(name)  # refused by default where it exists
                yield self._spark.table(name)
            finally:
                self._spark.sql(f"DROP TABLE IF EXISTS {name}")

    def read(self, *, run_id: str | None = None) -> list[dict[str, Any]]:
        with spark_errors(self.name):
            if not self._spark.catalog.tableExists(self.name):
                return []
            frame = self._spark.table(self.name)
            lacking = missing_columns(self.name, frame.columns, self.shape)
            frame = frame.selectExpr(
                "*", *(f"cast(NULL AS {c.type}) AS `{c.name}`" for c in lacking)
            )
            if run_id is not None:
                frame = frame.where(frame["run_id"] == run_id)
            return [row.asDict() for row in frame.collect()]

    def _statement(self, fresh: Any, present: Any, view: str) -> str:
        """What brings the rows of a view into the table; EvaluationError if its format cannot."""
        described = self._spark.sql(f"DESCRIBE TABLE EXTENDED {self.name}").collect()
        found = [row["data_type"] for row in described if row["col_name"] == "Provider"]
        provider = found[-1].lower() if found else ""
        if provider not in _APPENDED:
            return merge_sql(self.name, view, self.shape)
        changed = fresh.join(present, on=list(self.shape.key), how="left_semi").count()
        if changed:
            raise EvaluationError(
                f"table {self.name}: {changed} verdicts have changed, and a table in {provider} "
                "format takes no changes; use a Delta table. Nothing was written"
            )
        names = ", ".join(f"`{column.name}`" for column in self.shape.columns)
        return f"INSERT INTO {self.name} ({names}) SELECT {names} FROM {view}"  # noqa: S608 - ours

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
    names = [f"`{column.name}`" for column in shape.columns]
    # By name: with `*` a column that others added to the table would have to be in the view, too.
    changes = ", ".join(f"{name} = s.{name}" for name in names)
    values = ", ".join(f"s.{name}" for name in names)
    return (
        f"MERGE INTO {table} AS t USING {source} AS s ON {on} WHEN MATCHED THEN UPDATE SET "  # noqa: S608 - ours
        f"{changes} WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({values})"
    )


@contextlib.contextmanager
def spark_errors(table: str) -> Iterator[None]:
    """What Spark throws, as an EvaluationError of one line about a table."""
    try:
        yield
    except Exception as error:
        if not is_of_spark(error):
            raise
        text, hint = first_line(error), ""
        if "DATA_SOURCE_NOT_FOUND" in text or "delta.DefaultSource" in text:
            hint = "; this Spark has no Delta Lake, and a table that is not there would be one"
        raise EvaluationError(f"table {table}: not written or read: {text}{hint}") from error


def is_of_spark(error: Exception) -> bool:
    """Whether Spark threw it: of itself, or what comes out of the JVM as it is."""
    return any(kind.__module__.startswith(("pyspark.", "py4j.")) for kind in type(error).__mro__)


def first_line(error: Exception) -> str:
    """What one of Spark's errors says, without the JVM's trace."""
    text = str(error).strip()
    found = _CONDITION.search(text)
    return found[0] if found else text.split("\n", 1)[0]


def active_spark(what: str, *, otherwise: str = "") -> Any:
    """The Spark session that runs here. Where Spark is not installed, ConfigurationError says that
    `what` needs it, and what would do `otherwise`.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigurationError(
            f"{what} needs Spark: run this on Databricks, or install "
            f"'skilltrace-mlflow[spark]'{otherwise}"
        ) from error
    return SparkSession.builder.getOrCreate()


def _spark_for_table() -> Any:
    return active_spark(
        "a table of a catalog", otherwise="; a folder (./outcomes) needs only [delta]"
    )


def _is_old(stamp: str, now: datetime) -> bool:
    try:
        made = datetime.strptime(stamp.partition("_")[0], _STAMP).replace(tzinfo=timezone.utc)
    except ValueError:
        return False  # of another's table whose name begins alike
    return now - made > _LEFT_OVER
