"""Delta tables of outcomes: on one machine through `deltalake` (no JVM), on clusters through Spark.

Both merge by the same key, and both leave the table as it is, without a new version, where every
row stands in it already.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.comparison.records import ResultRecord
from skilltrace_mlflow.databricks.outcomes import (
    OUTCOMES,
    OutcomeTable,
    Rows,
    TableShape,
    by_key,
    catalog_name,
    missing_columns,
    records_of_rows,
    unlike,
)
from skilltrace_mlflow.databricks.spark_table import SparkTable
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError, InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

__all__ = [
    "LocalTable",
    "OutcomeTable",
    "SparkTable",
    "is_delta_folder",
    "load_outcomes",
    "names_table",
    "open_table",
]

_RUN_ID = re.compile(r"[0-9a-fA-F]{32}")
_TRIES = 6


def open_table(place: str | os.PathLike[str], shape: TableShape = OUTCOMES) -> OutcomeTable:
    """The table at a place: a path on this machine or a Volume, else `catalog.schema.table`.

    Raises ConfigurationError where the package that a place needs is not installed.
    """
    text = os.fspath(place)
    if "/" in text or "\\" in text or Path(text).exists():
        return LocalTable(text, shape)
    name = catalog_name(text, otherwise=", or a folder (./outcomes) on this machine")
    return SparkTable(name, shape)


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

    def prepare(self) -> None:
        with self._errors():
            self._whole_table()

    def _whole_table(self) -> DeltaTable:
        """The table with every column of its shape: made where it is not there, widened where an
        older version made it.
        """
        for left in reversed(range(_TRIES)):
            table = self._table(create=True)
            assert table is not None  # noqa: S101 - it was created
            lacking = missing_columns(self.name, _names(table), self.shape)
            if not lacking:
                return table
            wanted = _schema(TableShape(columns=lacking, key=(), compared=()))
            try:
                table.alter.add_columns(list(self._deltalake.Schema.from_arrow(wanted).fields))
            except self._deltalake.exceptions.DeltaError:
                if not left:  # else another run may have added them meanwhile: look again
                    raise
        raise AssertionError("the last try returns or raises")

    def merge(self, rows: Rows) -> int:
        from deltalake.exceptions import CommitFailedError

        wanted = by_key(rows, self.shape)
        if not wanted:
            return 0
        with self._errors():
            for left in reversed(range(_TRIES)):
                try:
                    return self._merged(wanted)
                except CommitFailedError:  # noqa: PERF203 - another run wrote meanwhile: look again
                    if not left:
                        raise
        return 0

    def _merged(self, wanted: list[dict[str, Any]]) -> int:
        import pyarrow as pa

        table = self._whole_table()
        present = pa.table(table.to_pyarrow_table()).to_pylist()
        fresh = unlike(wanted, present, self.shape)
        if not fresh:
            return 0
        on = " AND ".join(f"t.`{name}` = s.`{name}`" for name in self.shape.key)
        taken = {f"`{column.name}`": f"s.`{column.name}`" for column in self.shape.columns}
        (
            table.merge(
                pa.Table.from_pylist(fresh, schema=_schema(self.shape)),
                predicate=on,
                source_alias="s",
                target_alias="t",
            )
            # By name: the table may have columns of others, or of a newer version.
            .when_matched_update(taken)
            .when_not_matched_insert(taken)
            .execute()
        )
        return len(fresh)

    def read(self, *, run_id: str | None = None) -> list[dict[str, Any]]:
        with self._errors():
            table = self._table()
            if table is None:
                return []
            import pyarrow as pa

            lacking = missing_columns(self.name, _names(table), self.shape)
            rows: list[dict[str, Any]] = pa.table(table.to_pyarrow_table()).to_pylist()
        filled = ({**dict.fromkeys(column.name for column in lacking), **row} for row in rows)
        return [row for row in filled if run_id is None or row["run_id"] == run_id]

    @property
    def version(self) -> int | None:
        """The table's version, None if it is not there."""
        table = self._table()
        return None if table is None else table.version()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """What deltalake and the file system throw, as an EvaluationError of one line."""
        import pyarrow as pa
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (DeltaError, OSError, pa.ArrowException) as error:
            text = str(error).strip().split("\n", 1)[0]
            raise EvaluationError(f"table {self.name}: not written or read: {text}") from error

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


def _names(table: DeltaTable) -> list[str]:
    return [field.name for field in table.schema().fields]


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
