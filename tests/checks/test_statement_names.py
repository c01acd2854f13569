"""SQL where a name says less than the ban's, where nothing is in sight, and modifiers."""

from __future__ import annotations

import pytest

from tests.builders import make_call
from tests.checks.judging import bash, sql, verdict


def banned(entry: str, query: str) -> str:
    return verdict("banned_tools", [entry], sql(query))


@pytest.mark.parametrize(
    ("entry", "query", "expected"),
    [
        ("DROP TABLE prod.users", "DROP TABLE users", "unknown"),
        ("DROP TABLE prod.users", "USE prod; DROP TABLE IF EXISTS users", "unknown"),
        ("DROP TABLE main.prod.users", "DROP TABLE prod.users", "unknown"),
        ("DROP TABLE main.prod.users", "DROP TABLE users", "unknown"),
        ("DELETE FROM prod.users", "DELETE FROM users WHERE a = 1", "unknown"),
        ("DROP TABLE prod.users", "DROP TABLE main.prod.users", "fail"),
        ("DROP TABLE prod.users", "DROP TABLE dev.users", "pass"),
        ("DROP TABLE main.prod.users", "DROP TABLE dev.users", "pass"),
        ("DROP TABLE prod.users", "DROP TABLE users_old", "pass"),
        ("DROP TABLE prod.users", "DROP TABLE prod", "pass"),
        ("DROP TABLE prod.users", "SELECT * FROM users", "pass"),
        # modifiers of one database or another
        ("TRUNCATE TABLE", "TRUNCATE ONLY t", "fail"),
        ("UPDATE users", "UPDATE LOW_PRIORITY IGNORE users SET a = 1", "fail"),
        ("DELETE FROM users", "DELETE QUICK FROM users", "fail"),
        ("INSERT INTO users", "INSERT DELAYED INTO users VALUES (1)", "fail"),
        ("DROP TABLE", "IF OBJECT_ID('t') IS NOT NULL DROP TABLE t", "fail"),
        ("DROP TABLE", "IF EXISTS (SELECT 1) SELECT 2", "pass"),
        # nothing in sight
        ("DROP TABLE", "{{ sql }}", "unknown"),
        ("DROP TABLE", "$query", "unknown"),
        ("DROP TABLE", ":statement;", "unknown"),
        ("DROP TABLE", "SELECT {{ column }} FROM t", "pass"),
        # a template where a statement begins, and in front of one that is written out
        ("DROP TABLE", "{{ verb }} TABLE t", "unknown"),
        ("DROP TABLE", "SELECT 1; {{ rest }} x", "unknown"),
        ("DROP TABLE a", "DROP TABLE b; {{ rest }} x", "unknown"),
        ("DROP TABLE", "{{ macro() }}; SELECT 1", "unknown"),
        ("DROP TABLE", "{% set a = 1 %}{{ a }} t", "unknown"),
        ("DROP TABLE", "{{ hook }} {{ config(a=1) }}\n-- c\n(SELECT 1)", "pass"),
        ("DROP TABLE", "{{ hook }}\nDROP TABLE t", "fail"),
        # parts of a name that are filled in
        ("DROP TABLE prod.x", "DROP TABLE IDENTIFIER(:t)", "unknown"),
        ("DROP TABLE prod.x", "DROP TABLE IDENTIFIER(:c || 'x')", "unknown"),
        ("DROP TABLE prod.x", "DROP TABLE IDENTIFIER(:c || '.dev.x')", "pass"),
        ("DROP TABLE prod.x", "DROP TABLE pr${e}.x", "unknown"),
        ("DROP TABLE prod.a_x", "DROP TABLE ${e}_x", "unknown"),
        ("DROP TABLE prod.x", "DROP TABLE ${e}_y", "pass"),
        # what begins no statement, and a comment that ends at a carriage return
        ("UPDATE", "INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1", "pass"),
        ("UPDATE", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING; UPDATE t SET a = 1", "fail"),
        ("DELETE", "FOR x AS SELECT 1 DO DELETE FROM t; END FOR", "fail"),
        ("DROP TABLE", "-- tidy\rDROP TABLE t", "fail"),
        ("DROP TABLE", "PREPARE s FROM @q; EXECUTE s", "unknown"),
        ("DROP TABLE", "SELECT prepare, x FROM t", "pass"),
    ],
)
def test_statements(entry: str, query: str, expected: str) -> None:
    assert banned(entry, query) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python manage.py dbshell <<< 'DROP TABLE t'", "fail"),
        ("echo 'DROP TABLE t' | rails dbconsole", "fail"),
        ("python manage.py dbshell <<< 'SELECT 1'", "pass"),
        ("http POST h/api/2.0/sql/statements statement='DROP TABLE t'", "fail"),
        ("http POST h/issues body='DROP TABLE t'", "pass"),
        ('curl h/api/2.0/sql/statements -d \'{"statement":"\\u0044ROP TABLE t"}\'', "fail"),
        ('curl h/api/2.0/sql/statements -d "$BODY"', "unknown"),
        ('curl h/api/2.1/jobs -d "$BODY"', "pass"),
        ("parallel psql -c ::: 'DROP TABLE t'", "fail"),
    ],
)
def test_command_lines(line: str, expected: str) -> None:
    assert verdict("banned_tools", ["DROP TABLE"], bash(line)) == expected


@pytest.mark.parametrize("entry", ["file_ops", "mcp__db__"])
def test_what_can_never_be_called_is_refused(entry: str) -> None:
    from skilltrace_mlflow.errors import ParameterError
    from tests.checks.judging import parse

    with pytest.raises(ParameterError):
        parse("banned_tools", [entry])


@pytest.mark.parametrize(
    "line",
    [
        "python -m venv secrets/v",
        "git init -q secrets/r",
        "virtualenv -p python3 secrets/v",
        "script secrets/log",
        "rename s/a/b/ secrets/a",
        "parallel touch ::: a secrets/b",
        "ansible-vault encrypt secrets/a.yml",
        "sops --in-place secrets/a.yaml",
        "age -o secrets/.key x",
    ],
)
def test_files_that_programs_write(line: str) -> None:
    value = {"forbidden": ["secrets/**"]}
    assert verdict("file_scope", value, bash(line), cwd="/repo") in ("fail", "unknown")
    other = line.replace("secrets", "public")
    assert verdict("file_scope", value, bash(other), cwd="/repo") == "pass"


def test_a_search_is_given_no_statement() -> None:
    call = make_call("mcp__x__search", {"query": "$query"})
    assert verdict("banned_tools", ["DROP TABLE"], call) == "pass"
