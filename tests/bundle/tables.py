"""The tables that a job leaves, small, in an embedded engine: what queries are tried on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import duckdb

from skilltrace_mlflow.databricks.job import RUNS
from skilltrace_mlflow.databricks.outcomes import OUTCOMES, TableShape

__all__ = ["sample_tables"]

_TYPES = {"STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ"}


@contextmanager
def sample_tables(
    rows: Sequence[tuple[str, datetime, str]],
) -> Iterator[duckdb.DuckDBPyConnection]:
    """`outcomes` with a row for each (trace, time, verdict), and one row in `outcomes_runs`."""
    connection = duckdb.connect()
    try:
        for name, shape in (("outcomes", OUTCOMES), ("outcomes_runs", RUNS)):
            _create(connection, name, shape)
        for trace_id, moment, verdict in rows:
            _insert(connection, "outcomes", OUTCOMES, _outcome(trace_id, moment, verdict))
        _insert(connection, "outcomes_runs", RUNS, {})
        yield connection
    finally:
        connection.close()


def _outcome(trace_id: str, moment: datetime, verdict: str) -> dict[str, Any]:
    return {
        "trace_id": trace_id,
        "skill": "demo",
        "check": "tool_count",
        "verdict": verdict,
        "scored_at": moment,
        "total_tokens": 120,
        "cost_usd": 0.5,
        "details": json.dumps({"hits": [], "misses": ["Bash: 10 > 5"]}),
    }


def _create(connection: duckdb.DuckDBPyConnection, name: str, shape: TableShape) -> None:
    columns = ", ".join(f'"{c.name}" {_TYPES.get(c.type, c.type)}' for c in shape.columns)
    connection.execute(f"CREATE TABLE {name} ({columns})")


def _insert(
    connection: duckdb.DuckDBPyConnection, name: str, shape: TableShape, values: dict[str, Any]
) -> None:
    empty: dict[str, Any] = {"STRING": "x", "TIMESTAMP": datetime.now(timezone.utc)}
    row = [values.get(c.name, empty.get(c.type, 1) if c.required else None) for c in shape.columns]
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {name} VALUES ({marks})", row)  # noqa: S608
