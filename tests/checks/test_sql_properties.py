"""Properties of the reading of SQL: what stands around a statement never hides it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.commands.sql._in_code import sql_in_code
from skilltrace_mlflow.commands.sql._tokens import SqlText
from skilltrace_mlflow.commands.sql.patterns import parse_sql_pattern
from tests.builders import make_call
from tests.checks.judging import sql, verdict

_BETWEEN = st.sampled_from([" ", "\n", "\t", " /* a */ ", " -- b\n", " /*+ HINT(x) */ ", "  "])
_AROUND = st.sampled_from(
    ["", "SELECT 'it''s -- no comment';", "-- 'open\n", "/* ' */", "SELECT 1;", "SELECT \"a\";",
     "SELECT ';';", "SELECT `x`;", "SET a = '/*';"]
)  # fmt: skip


@given(st.lists(_AROUND, max_size=4), _BETWEEN, _BETWEEN, st.sampled_from(["drop", "DROP", "Drop"]))
@settings(max_examples=150, deadline=None)
def test_comments_and_literals_around_hide_no_statement(
    around: list[str], first: str, second: str, verb: str
) -> None:
    query = "".join(around) + f"{verb}{first}TABLE{second}t"
    assert verdict("banned_tools", ["DROP TABLE"], sql(query)) == "fail"


@given(st.lists(_AROUND, max_size=4), st.sampled_from(["'{}'", "/* {} */", "-- {}\n", "'; {} --'"]))
@settings(max_examples=100, deadline=None)
def test_comments_and_literals_hold_no_statement(around: list[str], form: str) -> None:
    query = "".join(around) + "SELECT 1 " + form.format("DROP TABLE t")
    assert verdict("banned_tools", ["DROP TABLE"], sql(query)) == "pass"


_LINES = st.sampled_from(
    ["x = 1", "# 'a comment", "s = \"it's\"", "'''doc \" string'''", "y = 7 // 2", "f(')')",
     "print(\"spark.sql('SELECT 1')\")", "z = {'a': [1, (2)]}", "t = 'SELECT 2'"]
)  # fmt: skip


@given(st.lists(_LINES, max_size=5), st.lists(_LINES, max_size=3), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_other_code_around_hides_no_call(before: list[str], after: list[str], cut: int) -> None:
    call = f"spark.sql('{'DROP TABLE t'[:cut]}' + '{'DROP TABLE t'[cut:]}')"
    code = "\n".join([*before, call, *after])
    made = make_call("mcp__databricks__execute_code", {"code": code})
    assert verdict("banned_tools", ["DROP TABLE"], made) == "fail"


_PIECES = st.sampled_from([
    "sql(", "execute(", "(", ")", "'", '"', '"""', "`", "%sql", "\n", "#", "//", "/*",
    "\\", "{", "}", "${", "f'", "DROP", " TABLE ", ";", "EXECUTE IMMEDIATE ",
    "IDENTIFIER(", ",", "=", "+", "q", ".",
])  # fmt: skip


@given(st.lists(_PIECES | st.text(max_size=3), max_size=60).map("".join))
@settings(max_examples=200, deadline=None)
def test_readers_never_raise(text: str) -> None:
    list(sql_in_code(text))
    pattern = parse_sql_pattern("DROP TABLE")
    assert pattern is not None
    pattern.find(SqlText(text=text))
    made = make_call("mcp__databricks__execute_sql", {"query": text, "code": text})
    assert verdict("banned_tools", ["DROP TABLE"], made) in ("pass", "fail", "unknown")


@pytest.mark.parametrize(
    "piece",
    ["sql(", "sql('", "(", "a = ", "%sql ", "f'{", "'", "q = q + ", "EXECUTE IMMEDIATE '", ","],
)
def test_hostile_text_ends_soon(piece: str) -> None:
    begun = time.monotonic()
    text = piece * (20_000 // len(piece)) + "DROP TABLE t"
    list(sql_in_code("sql(" + text))
    pattern = parse_sql_pattern("DROP TABLE")
    assert pattern is not None
    pattern.find(SqlText(text=text))
    assert time.monotonic() - begun < 15
