"""The outcome table: one row per test, attempt and check, for dashboards, alerts and comparison.

The one declaration of its columns is `COLUMNS`; the Delta schema, the SQL that creates the table
and the rows follow from it. A row is identified by `KEY`: the same verdict on the same trace by the
same expectation is one row however often it is scored, and an edited expectation gives a new one.

`OutcomeTable` is what such a table can do, wherever it lies: be made, be merged into, be read.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import skilltrace_mlflow
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.comparison.records import CheckRecord, ResultRecord
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import Expectation, Manifest, TestCase, parse_expectations
from skilltrace_mlflow.figures import FIGURES, NO_FIGURES
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.score import SESSION_PREFIX
from skilltrace_mlflow.text import storable

__all__ = [
    "COLUMNS",
    "KEY",
    "OUTCOMES",
    "Column",
    "OutcomeTable",
    "Rows",
    "TableShape",
    "add_columns_sql",
    "by_key",
    "catalog_name",
    "create_table_sql",
    "expectation_digests",
    "missing_columns",
    "outcome_rows",
    "records_of_rows",
    "unlike",
]

WHOLE_TEST = "(whole test)"
"""The `check` of a row that says why a test as a whole could not be judged."""
_PATH = frozenset("/\\")
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: its name, its SQL type, what it holds, and whether it is always filled."""

    name: str
    type: str
    comment: str
    required: bool = False


COLUMNS: tuple[Column, ...] = (
    Column(
        name="trace_id",
        type="STRING",
        comment="MLflow trace, else session:ID or file:PATH of what was judged",
        required=True,
    ),
    Column(name="session_id", type="STRING", comment="Claude Code session"),
    Column(
        name="skill", type="STRING", comment="skill whose expectations were applied", required=True
    ),
    Column(
        name="test_id", type="STRING", comment="test case, else a name of the trace", required=True
    ),
    Column(name="attempt", type="INT", comment="1 for the first attempt at a test", required=True),
    Column(name="check", type="STRING", comment="check, or (whole test)", required=True),
    Column(name="verdict", type="STRING", comment="pass, fail, unknown or error", required=True),
    Column(name="score", type="DOUBLE", comment="in [0, 1]; null where none can be given"),
    Column(name="rationale", type="STRING", comment="expected and observed"),
    Column(name="details", type="STRING", comment="JSON: hits, misses and the check's own details"),
    Column(name="total_tokens", type="BIGINT", comment="input and output tokens of the session"),
    Column(name="input_tokens", type="BIGINT", comment="input tokens without the cache"),
    Column(name="output_tokens", type="BIGINT", comment="output tokens"),
    Column(name="tool_calls", type="BIGINT", comment="tool calls, sub-agents included"),
    Column(name="turns", type="BIGINT", comment="API responses of the main agent"),
    Column(name="duration_seconds", type="DOUBLE", comment="first to last entry"),
    Column(name="cost_usd", type="DOUBLE", comment="US dollars"),
    Column(
        name="at_least", type="STRING", comment="JSON: names of the figures that are lower bounds"
    ),
    Column(
        name="expectations_digest",
        type="STRING",
        comment="of the expectation that was judged by; changes when it is edited",
        required=True,
    ),
    Column(
        name="scored_at", type="TIMESTAMP", comment="when the verdict was reached", required=True
    ),
    Column(name="package_version", type="STRING", comment="of skilltrace-mlflow", required=True),
    Column(name="run_id", type="STRING", comment="MLflow run of the evaluation"),
)

KEY = ("trace_id", "skill", "test_id", "attempt", "check", "expectations_digest")
"""What identifies a row."""


@dataclass(frozen=True, kw_only=True)
class TableShape:
    """The shape of a table: its columns, what identifies a row, and what makes a row another one.

    A row whose `compared` columns are the same as those of the row in the table is not written
    again: the time at which the same verdict was reached once more is no change.
    """

    columns: tuple[Column, ...]
    key: tuple[str, ...]
    compared: tuple[str, ...]


_UNCOMPARED = {*KEY, "session_id", "scored_at", "package_version", "run_id"}
OUTCOMES = TableShape(
    columns=COLUMNS,
    key=KEY,
    compared=tuple(c.name for c in COLUMNS if c.name not in _UNCOMPARED),
)
"""The outcome table: a verdict is compared with its figures and its reason, not with its time."""


def create_table_sql(table: str, shape: TableShape = OUTCOMES, *, using: str = "DELTA") -> str:
    """`CREATE TABLE IF NOT EXISTS` for a table named `catalog.schema.name`, in Databricks SQL.

    `using` is its format; only Delta tables take a verdict that changed.
    """
    columns = ",\n".join(f"  {_declared(column)}" for column in shape.columns)
    return f"CREATE TABLE IF NOT EXISTS {table} (\n{columns}\n) USING {using}"


def add_columns_sql(table: str, columns: Iterable[Column]) -> str:
    """What gives a table the columns that a newer version of this package fills."""
    declared = ", ".join(_declared(column) for column in columns)
    return f"ALTER TABLE {table} ADD COLUMNS ({declared})"


def expectation_digests(
    manifest: Manifest, cases: Sequence[TestCase] = ()
) -> dict[tuple[str | None, str], str]:
    """A digest of each expectation by (test id, check); None for traces that are no test's.

    It is of the value as written, with its scope: what a reader would call the same expectation.
    Checks of the response share the digest of all that their test expects.
    """
    where = str(manifest.path or manifest.name)
    own = (
        parse_expectations(raw, where=where)
        for raw in (manifest.trace_expectations, manifest.session_expectations)
    )
    digests: dict[tuple[str | None, str], str] = {
        (None, name): digest for name, digest in _digests(*own)
    }
    for case in cases:
        for name, digest in _digests(case.expectations, case.session_expectations):
            digests[case.id, name] = digest
        digests[case.id, ""] = _digest(dict(case.response_expectations))
    return digests


def outcome_rows(
    evaluation: Evaluation,
    *,
    digests: Mapping[tuple[str | None, str], str] | None = None,
    scored_at: datetime | None = None,
) -> list[dict[str, Any]]:
    """The rows of an evaluation, as dictionaries with the keys of `COLUMNS`.

    `digests` as `expectation_digests` gives them; a check that it does not know has the digest "".
    A test that could not be judged as a whole is one row of its own. `scored_at` is now by default.
    """
    known = digests or {}
    when = scored_at or datetime.now(timezone.utc)
    return [
        _storable(
            {
                **_place(result, evaluation),
                "check": outcome.check,
                "verdict": str(outcome.verdict),
                "score": outcome.score,
                "rationale": outcome.rationale,
                "details": _details(outcome),
                **_figures(result),
                "expectations_digest": _known_digest(known, result.test_id, outcome.check),
                "scored_at": when,
                "package_version": skilltrace_mlflow.__version__,
                "run_id": result.run_id or evaluation.run_id,
            }
        )
        for result in evaluation.results
        for outcome in _outcomes(result)
    ]


def records_of_rows(rows: Iterable[Mapping[str, Any]]) -> tuple[ResultRecord, ...]:
    """Rows as the records that two evaluations are compared by, one per trace, skill and test.

    Where a test was met on several traces with the same number of attempt, they are numbered anew.
    Of several verdicts by different expectations the newest counts.
    """
    traces: dict[tuple[str, str, int], dict[str, list[Mapping[str, Any]]]] = {}
    for row in sorted(rows, key=lambda row: (row["scored_at"], row["trace_id"])):
        key = (row["skill"], row["test_id"], int(row["attempt"]))
        traces.setdefault(key, {}).setdefault(row["trace_id"], []).append(row)
    found: list[ResultRecord] = []
    numbers: dict[tuple[str, str], set[int]] = {}
    for (skill, test_id, attempt), by_trace in sorted(traces.items()):
        taken = numbers.setdefault((skill, test_id), set())
        for group in by_trace.values():
            number = attempt if attempt not in taken else max(taken) + 1
            taken.add(number)
            found.append(_record((skill, test_id, number), group))
    return tuple(found)


def _record(key: tuple[str, str, int], rows: Sequence[Mapping[str, Any]]) -> ResultRecord:
    skill, test_id, attempt = key
    checks = {
        row["check"]: CheckRecord(
            verdict=row["verdict"], score=row["score"], rationale=row["rationale"] or ""
        )
        for row in rows
        if row["check"] != WHOLE_TEST
    }
    verdicts = {row["verdict"] for row in {row["check"]: row for row in rows}.values()}
    worst = next((v for v in ("fail", "error", "unknown", "pass") if v in verdicts), "unknown")
    first = rows[-1]
    return ResultRecord(
        test_id=test_id,
        attempt=attempt,
        skill=skill,
        verdict=worst,
        checks=checks,
        figures={name: first[name] for name in FIGURES if first.get(name) is not None},
        at_least=frozenset(json.loads(first.get("at_least") or "[]")),
    )


def _storable(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: storable(v) if isinstance(v, str) else v for name, v in row.items()}


def _place(result: TestResult, evaluation: Evaluation) -> dict[str, Any]:
    session_id = None if result.session is None else result.session.session_id
    judged = f"session:{session_id}" if session_id else f"file:{result.source or result.test_id}"
    return {
        "trace_id": result.trace_id or judged,
        "session_id": session_id,
        "skill": result.skill or evaluation.skill,
        "test_id": result.test_id,
        "attempt": result.attempt,
    }


def _figures(result: TestResult) -> dict[str, Any]:
    figures = result.figures or NO_FIGURES
    return {
        **{name: figures.get(name) for name in FIGURES},
        "at_least": json.dumps(sorted(figures.at_least)) if figures.at_least else None,
    }


def _outcomes(result: TestResult) -> Iterable[Outcome]:
    if result.error is not None:
        yield Outcome(check=WHOLE_TEST, verdict=Verdict.ERROR, rationale=result.error)
    yield from result.judged


def _details(outcome: Outcome) -> str:
    found = {"hits": list(outcome.hits), "misses": list(outcome.misses), **outcome.details}
    return json.dumps(found, ensure_ascii=False, sort_keys=True, default=str)


def _known_digest(known: Mapping[tuple[str | None, str], str], test_id: str, check: str) -> str:
    for key in ((test_id, check), (test_id, ""), (None, check)):
        if key in known:
            return known[key]
    return ""


def _digests(
    expectations: Iterable[Expectation], session_expectations: Iterable[Expectation]
) -> Iterable[tuple[str, str]]:
    for item in expectations:
        yield item.spec.name, _digest([item.spec.key, item.value, item.scope])
    for item in session_expectations:
        yield SESSION_PREFIX + item.spec.name, _digest([item.spec.key, item.value, item.scope])


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _declared(column: Column) -> str:
    filled = " NOT NULL" if column.required else ""
    return f"`{column.name}` {column.type}{filled} COMMENT {_literal(column.comment)}"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


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
