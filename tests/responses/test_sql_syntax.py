"""sql_syntax: the blocks of SQL must parse as Databricks SQL."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.checks import Verdict
from tests.responses.judging import fenced, judge

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("SELECT 1", PASS),
        ("SELECT * FORM x", FAIL),
        ("SELEC * FROM x", FAIL),
        ("hello world", FAIL),
        ("SELECT (1", FAIL),
        ("SELECT 'unclosed", FAIL),
        ("SELECT 1; SELECT FROM WHERE", FAIL),
        ("-- a comment\nSELECT 1;\n-- another\n", PASS),
        ("SELECT * FROM ${catalog}.{schema}.<table>", PASS),
        ("SELECT * FROM {{ ref }} WHERE d = :day", PASS),
        ("CREATE OR REFRESH STREAMING TABLE b AS SELECT * FROM STREAM read_files('/x')", PASS),
        ("CREATE FLOW f AS AUTO CDC INTO t FROM stream(s) KEYS (id) SEQUENCE BY ts", PASS),
        ("APPLY CHANGES INTO t FROM STREAM s KEYS (id) SEQUENCE BY ts", PASS),
        ("CREATE OR REPLACE TABLE x AS SELECT FROM WHERE", FAIL),
        ("CREATE STREAMING TABLE x AS SELECT * FORM y", FAIL),
        ("BEGIN\n  DECLARE x INT;\n  SET x = 1;\nEND", PASS),
        ("", FAIL),
    ],
)
def test_sql_blocks_must_parse_as_databricks_sql(code: str, verdict: Verdict) -> None:
    assert judge("sql_syntax", fenced("sql", code)).verdict is verdict


@pytest.mark.parametrize(
    "code",
    [
        "SELECT a, FROM t",
        "SELECT FROM t",
        "SELECT DISTINCT FROM t",
        "SELECT * FROM t,",
        "SELECT * FROM a JOIN b ON",
        "SELECT a FROM t WHERE a IN",
        "SELECT count(*) FROM t GROUP BY",
        "SELECT * FROM t UNION ALL SELECT",
        "CREATE TABLE t (a INT,)",
        "CREATE TABLE t AS",
        "CREATE STREAMING TABLE x AS SELEC * FROM y",
        "CREATE OR REFRESH STREAMING TABLE",
        "INSERT INTO t (a, b)",
        "UPDATE t SET",
        "-- all of them\nDELETE t WHERE a",
        "DROP TABEL t",
        "CREATE OR REPLACE TABEL t (a INT)",
        "ALTER TABEL t ADD COLUMN a INT",
    ],
)
def test_slips_that_the_parser_lets_pass_are_found(code: str) -> None:
    assert judge("sql_syntax", fenced("sql", code)).verdict is FAIL


@pytest.mark.parametrize(
    "code",
    [
        "SELECT CAST(x AS ARRAY<STRING>) FROM t",
        "CREATE TABLE t (a ARRAY<STRING>, b MAP<STRING, INT>, c STRUCT<d: ARRAY<STRING>>)",
        "SELECT * FROM t WHERE a <b AND c> d",
        "SELECT * FROM <your catalog>.s.t",
        "SELECT window(ts, '1 hour').start, window.end FROM t GROUP BY window(ts, '1 hour')",
        "SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY b)",
        "%sql\nSELECT 1",
        "CREATE FUNCTION f(x STRING) RETURNS STRING LANGUAGE PYTHON AS $$\n# it's; (\nf(a,)\n$$",
        "SELECT msg.from, raw:order, x AS table FROM t",
        "SELECT a FROM t WHERE x IS DISTINCT FROM y",
        "SET spark.sql.ansi.enabled = on",
        "GRANT SELECT, MODIFY ON TABLE t TO `a b`",
        "INSERT INTO t TABLE s",
        "CREATE TABLE t (a INT GENERATED ALWAYS AS (b + 1)) AS (SELECT 1)",
        "CREATE VIEW v WITH METRICS LANGUAGE YAML AS $$ a: 1 $$",
        "DROP ${kind} x",
        "CREATE TABLE a DEEP CLONE b VERSION AS OF 3",
        "CREATE ONLINE TABLE o",
        "CREATE PROCEDURE p() LANGUAGE SQL AS BEGIN SELECT 1; SELECT 2; END",
        "SELECT begin, end FROM t; SELECT 2",
        "MERGE WITH SCHEMA EVOLUTION INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET *",
        "INSERT WITH SCHEMA EVOLUTION INTO t SELECT 1",
        "DESCRIBE DETAIL t",
        "RESTORE TABLE t TO VERSION AS OF 3",
        "CONVERT TO DELTA parquet.`s3://x`",
        "CREATE SEMANTIC MODEL m",
    ],
)
def test_databricks_own_sql_is_no_slip(code: str) -> None:
    assert judge("sql_syntax", fenced("sql", code)).verdict is PASS


def test_sql_that_the_parser_does_not_know_is_said() -> None:
    outcome = judge("sql_syntax", fenced("sql", "OPTIMIZE t ZORDER BY (a)"))
    assert outcome.verdict is PASS
    assert "checked for brackets and quotes only: OPTIMIZE t ZORDER" in outcome.rationale
