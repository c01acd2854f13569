"""SQL in templates, in requests' bodies, and fed to programs that nobody knows."""

from __future__ import annotations

import pytest

from tests.builders import make_call
from tests.checks.judging import bash, verdict

ENTRY = ["DROP TABLE"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("curl 'http://clickhouse:8123/' --data 'DROP TABLE a'", "fail"),
        ("fly pg connect <<< 'DROP TABLE a'", "fail"),
        ("dbt run-operation q --args \"{sql: 'DROP TABLE a'}\"", "fail"),
        ("rails runner \"ActiveRecord::Base.connection.execute('DROP TABLE a')\"", "fail"),
        ("frob <<< 'DROP TABLE a'", "unknown"),
        ("echo 'DROP TABLE a' | docker exec -i web frob", "unknown"),
        ("curl https://x -d 'title=DROP TABLE a'", "pass"),
        ('curl https://x -d \'{"title": "DROP TABLE a"}\'', "pass"),
        ("dbt run-operation q --args \"{note: 'DROP TABLE a'}\"", "pass"),
        ("sqlfluff lint - <<< 'DROP TABLE a'", "pass"),
        ("cat notes <<< 'DROP TABLE a'", "pass"),
        ("gh issue create -F - <<< 'DROP TABLE a'", "pass"),
    ],
)
def test_in_a_line(line: str, expected: str) -> None:
    assert verdict("banned_tools", ENTRY, bash(line)) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{% if full %}DROP TABLE a{% endif %}", "fail"),
        ("SELECT 1;\n{% for t in old %}DROP TABLE {{ t }};{% endfor %}", "fail"),
        ("{# DROP TABLE a #} SELECT 1", "pass"),
        ("{{ config(materialized='table') }} SELECT 1", "pass"),
    ],
)
def test_in_a_template(query: str, expected: str) -> None:
    call = make_call("mcp__databricks__execute_sql", {"query": query})
    assert verdict("banned_tools", ENTRY, call) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("frob <<< 'git push origin'", "unknown"),
        ("printf 'cd x\\ngit push\\n' | ./session.exp", "unknown"),
        ("cat <<< 'git push origin'", "pass"),
        ("mail -s done me <<< 'git push origin'", "pass"),
        ("frob <<< 'we should git push origin'", "pass"),
    ],
)
def test_a_command_that_an_unknown_program_is_fed(line: str, expected: str) -> None:
    assert verdict("banned_tools", ["git push"], bash(line)) == expected
