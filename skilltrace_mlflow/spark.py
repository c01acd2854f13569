"""Scoring traces where they lie: tables and volumes that one machine cannot hold, with Spark.

    outcomes = score_traces(spark.table("main.traces.agents_trace_unified"), "bronze-ingestion")

Works on classic Spark and on Spark Connect, as serverless compute is. Executors need this package,
pandas and pyarrow; they never touch MLflow. What pyspark offers is the caller's: almost all is done
by methods of the frame that is given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from skilltrace_mlflow.databricks.groups import GroupJudge, Item
from skilltrace_mlflow.databricks.outcomes import COLUMNS, expectation_digests
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import (
    Manifest,
    load_ground_truth,
    load_manifest,
)
from skilltrace_mlflow.expectations.manifest import manifest_from_mapping
from skilltrace_mlflow.score import Target

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

__all__ = ["OUTCOME_SCHEMA", "score_traces"]

OUTCOME_SCHEMA = ", ".join(f"`{column.name}` {column.type}" for column in COLUMNS)
"""The columns of the frame that `score_traces` gives: those of the outcome table."""

MOST_BYTES = 256_000_000
_ROWS_AT_ONCE = 2_000
_SESSION = "mlflow.trace.session"
_PLACE = "^trace:/.*/"
_TRANSCRIPT = r"\\.jsonl(\\.gz)?$|/subagents/|/tool-results/"


def score_traces(
    df: DataFrame,
    expectations: str | os.PathLike[str] | Mapping[str, Any] | Manifest,
    *,
    test_id: str | None = None,
    annotations: DataFrame | None = None,
    partitions: int | None = None,
    most_bytes: int = MOST_BYTES,
    scored_at: datetime | None = None,
) -> DataFrame:
    """The verdicts on every trace of a frame, one row each with the columns of the outcome table.

    `df` is one of
    - one row per trace with its spans (`<prefix>_trace_unified`): turns of one session meet, so
      that background agents and session expectations are judged with what belongs to them;
    - one row per span (`<prefix>_otel_spans`), with `annotations` (`<prefix>_otel_annotations`),
      without which sessions, and the agents of a turn, are not known;
    - transcripts: `format("binaryFile")` of a folder, or text with `wholetext=True`; sub-agents'
      files are read with their session's.

    `expectations` is a skill's name or folder, its manifest, or a mapping of trace expectations;
    `test_id` the test case whose expectations hold instead. Traces of other programs are left out;
    what cannot be read is a row with verdict `error`. `partitions` fixes how many tasks there are
    (Spark chooses otherwise); a session of more than `most_bytes` is an error row and holds up
    nobody. Raises ConfigurationError where the columns are none of these, or nothing is expected.
    """
    manifest = _manifest(expectations)
    target = Target.of(manifest, test_id)
    cases = load_ground_truth(manifest) if manifest.folder is not None else ()
    judge = GroupJudge(
        target=target,
        digests=expectation_digests(manifest, cases),
        scored_at=scored_at or datetime.now(timezone.utc),
        most_bytes=most_bytes,
    )
    rows = _keyed(df, annotations)
    spread = rows.repartition("key") if partitions is None else rows.repartition(partitions, "key")
    # Sorted, a group is read row by row: a task holds one group at a time, not its whole partition.
    work = spread.sortWithinPartitions("key").mapInPandas(_Work(judge), OUTCOME_SCHEMA)
    return cast("DataFrame", work)


@dataclass(frozen=True)
class _Work:
    """The function that runs on executors, over the frames of one partition."""

    judge: GroupJudge

    def __call__(self, frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        pending: list[dict[str, Any]] = []
        for rows in self._groups(frames):
            pending += rows
            if len(pending) >= _ROWS_AT_ONCE:
                yield _frame(pending)
                pending = []
        if pending:
            yield _frame(pending)

    def _groups(self, frames: Iterator[pd.DataFrame]) -> Iterator[list[dict[str, Any]]]:
        key: str | None = None
        items: list[Item] = []
        size = 0
        triples = chain.from_iterable(
            zip(frame["key"], frame["kind"], frame["payload"], strict=True) for frame in frames
        )
        for name, kind, payload in triples:
            if name != key:
                if key is not None:
                    yield self._done(key, items, size)
                key, items, size = name, [], 0
            size += len(payload)
            if size <= self.judge.most_bytes:
                items.append(Item(kind=kind, payload=payload))
            else:
                items.clear()
        if key is not None:
            yield self._done(key, items, size)

    def _done(self, key: str, items: list[Item], size: int) -> list[dict[str, Any]]:
        if size > self.judge.most_bytes:
            return self.judge.too_large(key, size)
        return self.judge.rows(key, items)


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    # Columns of objects: None stays None, and no count becomes a float beside it.
    frame: pd.DataFrame = pd.DataFrame(
        {c.name: pd.Series([row[c.name] for row in rows], dtype=object) for c in COLUMNS}
    )
    frame["scored_at"] = pd.to_datetime(frame["scored_at"], utc=True)
    return frame


def _manifest(expectations: Any) -> Manifest:
    if isinstance(expectations, Manifest):
        return expectations
    if not isinstance(expectations, Mapping):
        return load_manifest(expectations)
    whole = {"skill", "scorers", "trace_expectations", "session_expectations"} & set(expectations)
    data = dict(expectations) if whole else {"trace_expectations": dict(expectations)}
    return manifest_from_mapping({"skill": {"name": "expectations"}, **data}, where="expectations")


def _keyed(df: DataFrame, annotations: DataFrame | None) -> DataFrame:
    """Rows of (key, kind, payload): the key is the same for what is judged together."""
    columns = set(df.columns)
    if "spans" in columns:
        session = _entry(df, "trace_metadata", _SESSION) or _entry(df, "request_metadata", _SESSION)
        return _rows_of(df, "trace", f"coalesce({session or 'NULL'}, {_trace_id(df)})")
    if {"trace_id", "span_id"} <= columns:
        return _keyed_spans(df, annotations)
    if "path" not in columns and "value" in columns:
        df = _with_path(df)
        columns = set(df.columns)
    if columns & {"content", "value"}:
        return _keyed_files(df)
    raise ConfigurationError(
        f"columns {', '.join(sorted(columns)[:12])}: neither traces (spans), spans (trace_id, "
        "span_id) nor transcripts (path and content, or value)"
    )


def _keyed_spans(df: DataFrame, annotations: DataFrame | None) -> DataFrame:
    spans = _rows_of(df, "span", _trace_id(df))
    if annotations is None:
        return spans
    notes, sessions = _noted(annotations)
    # Notes on traces that have no span here would be groups of their own, with nothing to judge.
    told = notes.join(spans.select("key").distinct(), on="key", how="left_semi")
    return (
        spans.unionByName(told)
        .join(sessions, on="key", how="left")
        .selectExpr("coalesce(session, key) AS key", "kind", "payload")
    )


def _noted(annotations: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Rows of (trace's key, kind, payload), and the session of each trace's key."""
    columns = set(annotations.columns)
    if {"trace_id", "trace_metadata"} <= columns:  # the view <prefix>_trace_metadata
        key = _trace_id(annotations)
        session = _entry(annotations, "trace_metadata", _SESSION) or "NULL"
        sessions = annotations.selectExpr(f"{key} AS key", f"{session} AS session")
        return _rows_of(annotations, "annotation", key), sessions.dropDuplicates(["key"])
    wanted = {"target_id", "annotation_type", "value", "updated_at", "deleted_at"}
    if not wanted <= columns:
        raise ConfigurationError(
            f"annotations: columns {', '.join(sorted(columns)[:14])}; expected those of "
            f"<prefix>_otel_annotations ({', '.join(sorted(wanted))}) or <prefix>_trace_metadata"
        )
    from pyspark.sql.functions import expr

    notes = annotations.where("annotation_type IN ('METADATA', 'TAG')")
    if "target_type" in columns:
        notes = notes.where("target_type = 'TRACE'")
    key = f"regexp_replace(target_id, '{_PLACE}', '')"
    fields = {field.name: field.dataType.typeName() for field in annotations.schema.fields}
    value = "value" if fields["value"] == "string" else "to_json(value)"
    # Of rows of the same moment a deletion holds, as in `live_annotations`.
    newest = (
        "max_by(named_struct('session', session, 'gone', gone), "
        "named_struct('at', updated_at, 'gone', gone))"
    )
    sessions = (
        notes.where("annotation_type = 'METADATA'")
        .selectExpr(
            f"{key} AS key",
            f"get_json_object({value}, '$.trace_metadata[\\'{_SESSION}\\']') AS session",
            "updated_at",
            "deleted_at IS NOT NULL AS gone",
        )
        .groupBy("key")
        .agg(expr(newest).alias("last"))
        .where("NOT last.gone")
        .selectExpr("key", "last.session AS session")
    )
    return _rows_of(notes, "annotation", key), sessions


def _keyed_files(df: DataFrame) -> DataFrame:
    if "path" not in df.columns:
        return _rows_of(df, "file", "sha2(cast(value AS STRING), 256)")
    files = df.where(f"`path` RLIKE '{_TRANSCRIPT}'")
    start = "cast(substring({}, 1, 65536) AS STRING)".format(
        "content" if "content" in df.columns else "value"
    )
    # Older sub-agents' files lie beside their session's, and only a line inside tells whose.
    owner = f'regexp_extract({start}, \'"sessionId" ?: ?"([^"]+)"\', 1)'
    folder = "regexp_extract(path, '^(.*)/[^/]*$', 1)"
    key = (
        "CASE WHEN path RLIKE '/(subagents|tool-results)/' "
        "THEN regexp_extract(path, '^(.*?)/(subagents|tool-results)/', 1) "
        f"WHEN path RLIKE '/agent-[^/]*$' AND {owner} <> '' THEN concat({folder}, '/', {owner}) "
        "ELSE regexp_replace(path, '\\\\.jsonl(\\\\.gz)?$', '') END"
    )
    return _rows_of(files, "file", key)


def _with_path(df: DataFrame) -> DataFrame:
    """A text frame with the path of its files, where Spark still knows them."""
    try:
        named = df.selectExpr("*", "_metadata.file_path AS path")
        _ = named.columns  # Spark Connect looks at names only when it is asked
    except Exception as error:
        if type(error).__name__ != "AnalysisException":
            raise
        return df
    return named


def _rows_of(df: DataFrame, kind: str, key: str) -> DataFrame:
    payload = "to_json(struct(*))"
    return df.selectExpr(
        f"coalesce({key}, sha2({payload}, 256)) AS key",
        f"'{kind}' AS kind",
        f"{payload} AS payload",
    )


def _trace_id(df: DataFrame) -> str:
    """The trace's bare id: `trace:/catalog.schema.prefix/<id>` and `<id>` are one."""
    names = [name for name in ("trace_id", "client_request_id") if name in df.columns]
    texts = ", ".join(f"nullif(cast(`{name}` AS STRING), '')" for name in names) or "NULL"
    return f"regexp_replace(coalesce({texts}, NULL), '{_PLACE}', '')"


def _entry(df: DataFrame, column: str, key: str) -> str | None:
    """SQL for an entry of a column that is a map, a structure, a VARIANT or JSON text."""
    fields = {field.name: field.dataType for field in df.schema.fields}
    if column not in fields:
        return None
    kind = fields[column].typeName()
    if kind == "map":
        return f"`{column}`['{key}']"
    if kind == "struct":
        inside = {field.name for field in fields[column].fields}
        return f"`{column}`.`{key}`" if key in inside else None
    if kind == "variant":
        return f"variant_get(`{column}`, '$[\"{key}\"]', 'string')"
    if kind == "string":
        return f"get_json_object(`{column}`, '$[\\'{key}\\']')"
    return None
