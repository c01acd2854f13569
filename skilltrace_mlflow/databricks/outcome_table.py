"""What a table of outcomes can do, wherever it lies: be made, be merged into, be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skilltrace_mlflow.databricks.outcomes import OUTCOMES, Column, TableShape
from skilltrace_mlflow.errors import ConfigurationError

__all__ = ["OutcomeTable", "Rows", "by_key", "catalog_name", "missing_columns", "unlike"]

_PATH = frozenset("/\\")
Rows = Sequence[Mapping[str, Any]]


class OutcomeTable(ABC):
    """A table that rows are merged into, of outcomes unless another shape is given.

    Every method raises EvaluationError where the table cannot be read or written, and then has
    changed no row of it.
    """

    name: str
    shape: TableShape = OUTCOMES

    @abstractmethod
    def prepare(self) -> None:
        """Make the table if it is not there, so that what would go wrong does so before any work.

        Raises ConfigurationError where something else is in its place.
        """

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


def catalog_name(text: str, *, otherwise: str = "") -> str:
    """`catalog.schema.table` (or `schema.table`) as it is; ConfigurationError for anything else."""
    parts = text.split(".")
    if len(parts) not in (2, 3) or not all(part.strip("` ") for part in parts) or _PATH & set(text):
        raise ConfigurationError(f"table {text!r}: give catalog.schema.table{otherwise}")
    return text


def missing_columns(name: str, columns: Iterable[str], shape: TableShape) -> tuple[Column, ...]:
    """The columns of a shape that a table lacks, and that can be added to it.

    An older version's table lacks some that need not be filled. Raises ConfigurationError where a
    required one is missing: it is somebody else's table.
    """
    held = set(columns)
    missing = tuple(column for column in shape.columns if column.name not in held)
    if any(column.required for column in missing):
        names = ", ".join(column.name for column in missing if column.required)
        raise ConfigurationError(
            f"table {name}: has no column {names}; it is no table of this job's, name another one"
        )
    return missing


def by_key(rows: Rows, shape: TableShape) -> list[dict[str, Any]]:
    """The last row of each key."""
    latest = {tuple(row[name] for name in shape.key): dict(row) for row in rows}
    return list(latest.values())


def unlike(
    rows: Sequence[dict[str, Any]], present: Rows, shape: TableShape
) -> list[dict[str, Any]]:
    """The rows that are not there yet, or there with another content."""

    def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in shape.key)

    def content(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in shape.compared)

    there = {key(row): content(row) for row in present}
    return [row for row in rows if there.get(key(row)) != content(row)]
