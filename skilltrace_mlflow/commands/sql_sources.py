"""Where a call holds SQL: the arguments of tools, the shell commands of SQL clients.

Statements come from the `query`, `statement`, `sql`… arguments of tools, and from shell commands of
SQL clients (`psql -c`, `mysql -e`, `sqlite3 db "…"`, a heredoc, a pipe), with the client's dialect
(Databricks where nothing else is known).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from skilltrace_mlflow.commands._sql_tokens import SqlText
from skilltrace_mlflow.commands.command import UNKNOWN, Command
from skilltrace_mlflow.commands.shell import read_script
from skilltrace_mlflow.commands.wrappers import program_of
from skilltrace_mlflow.session import ToolCall
from skilltrace_mlflow.tools import is_shell, tool_category

__all__ = ["executes_sql", "sql_of"]

_KEYS = ("sql", "query", "queries", "statement")  # parts of an argument's name
_CODE_KEYS = ("cell", "code", "command", "script", "source")
# Arguments of an SQL tool that describe what it does.
_SAYING = ("comment", "description", "explanation", "name", "reason", "title", "language")
_IN_CODE = re.compile(
    r"""\bsql\(\s*(?P<prefix>[fFrRbB]{0,2})(?:\"{3}(.*?)\"{3}|'{3}(.*?)'{3}|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""",
    re.DOTALL,
)
_TEXT = re.compile(r"(?:--?[\w-]+=)?(\S+\s.*)", re.DOTALL)  # a word of several words
_FILLED_IN = re.compile(r"\{[^{}]*\}")
_SEARCH = re.compile(r"search|find|lookup|docs?(_|$)|ask", re.IGNORECASE)
_EXECUTES = re.compile(r"sql|query|execut|run|statement", re.IGNORECASE)
_DIALECTS = {  # by what the name of a tool or its server holds
    **{
        name: name
        for name in (
            "bigquery", "clickhouse", "duckdb", "mysql", "postgres", "snowflake", "sqlite", "trino",
        )
    },
    "mariadb": "mysql", "mssql": "tsql", "neon": "postgres", "pg": "postgres", "psql": "postgres",
    "redshift": "redshift", "sqlserver": "tsql", "supabase": "postgres",
}  # fmt: skip
_NAME_PART = re.compile(r"[a-z\d]+")


@dataclass(frozen=True, kw_only=True)
class _Client:
    """A command-line client: options that take SQL, and from which operand on operands are SQL.

    A client that does `more` than run SQL takes other texts, too; of the others every word of
    several words is a statement, whatever option it follows.
    """

    dialect: str
    options: tuple[str, ...]
    operand: int | None = None
    more: bool = False


_CLIENTS: Mapping[str, _Client] = {
    "aws": _Client(
        dialect="databricks",
        options=("--sql", "--query-string", "--sqls", "--sql-statement"),
        more=True,
    ),
    "beeline": _Client(dialect="hive", options=("-e",)),
    "bq": _Client(dialect="bigquery", options=(), operand=1),
    "clickhouse": _Client(dialect="clickhouse", options=("-q", "--query")),
    "clickhouse-client": _Client(dialect="clickhouse", options=("-q", "--query")),
    "cockroach": _Client(dialect="postgres", options=("-e", "--execute")),
    "databricks": _Client(
        dialect="databricks",
        options=("-e", "-c", "-q", "--execute", "--query", "--sql", "--statement", "--json"),
        more=True,
    ),
    "cqlsh": _Client(dialect="databricks", options=("-e", "--execute")),
    "dbsqlcli": _Client(dialect="databricks", options=("-e",)),
    "duckdb": _Client(dialect="duckdb", options=("-c", "-s", "-cmd"), operand=1),
    "flyctl": _Client(dialect="postgres", options=("-c",), more=True),
    "gcloud": _Client(dialect="bigquery", options=("--sql", "--ddl"), more=True),
    "heroku": _Client(dialect="postgres", options=("-c", "--command"), more=True),
    "hive": _Client(dialect="hive", options=("-e",)),
    "isql": _Client(dialect="tsql", options=()),
    "litecli": _Client(dialect="sqlite", options=("-e", "--execute")),
    "mariadb": _Client(dialect="mysql", options=("-e", "--execute")),
    "mycli": _Client(dialect="mysql", options=("-e", "--execute")),
    "mysql": _Client(dialect="mysql", options=("-e", "--execute")),
    "pgcli": _Client(dialect="postgres", options=("-c", "--command")),
    "presto": _Client(dialect="trino", options=("--execute",)),
    "psql": _Client(dialect="postgres", options=("-c", "--command")),
    "snow": _Client(dialect="snowflake", options=("-q", "--query"), more=True),
    "snowsql": _Client(dialect="snowflake", options=("-q", "--query")),
    "spark-sql": _Client(dialect="databricks", options=("-e",)),
    "sqlcmd": _Client(dialect="tsql", options=("-Q", "-q")),
    "sqlplus": _Client(dialect="databricks", options=()),
    "sqlite": _Client(dialect="sqlite", options=("-cmd",), operand=1),
    "sqlite3": _Client(dialect="sqlite", options=("-cmd",), operand=1),
    "supabase": _Client(dialect="postgres", options=(), operand=2, more=True),
    "trino": _Client(dialect="trino", options=("--execute",)),
    "turso": _Client(dialect="sqlite", options=(), operand=3, more=True),
    "usql": _Client(dialect="postgres", options=("-c", "--command")),
    "wrangler": _Client(dialect="sqlite", options=("--command",), more=True),
}
_CLIENT_NAMES = re.compile(
    r"\b(?:" + "|".join(map(re.escape, _CLIENTS)) + r")\b"
    r"|\bsql\(|\b(?:curl|wget)\b.*(?i:statement|query|sql)",
    re.DOTALL,
)


def sql_of(call: ToolCall) -> list[SqlText]:
    """The SQL that a call executed, as far as its arguments show."""
    if call.input is None:
        return []
    if is_shell(call.name):
        line = call.input.get("command")
        return _of_line(line) if isinstance(line, str) else []
    if executes_sql(call.name):
        return list(_of_arguments(call))
    return []


def executes_sql(name: str) -> bool:
    """Whether a tool can be one that runs SQL: no built-in one, and none that searches."""
    if tool_category(name) not in ("other",) and not name.startswith("mcp__"):
        return False
    own = name.rsplit("__", 1)[-1]
    if own == "ToolSearch":
        return False
    return not _SEARCH.search(own) or bool(_EXECUTES.search(own))


def _of_arguments(call: ToolCall) -> Iterator[SqlText]:
    name = call.name.lower()
    parts = _NAME_PART.findall(name)
    known = (
        dialect
        for key, dialect in _DIALECTS.items()
        # short ones stand in other words too
        if (key in name if len(key) > 4 else any(part.startswith(key) for part in parts))
    )
    dialect = next(known, "databricks")
    own = call.name.rsplit("__", 1)[-1].lower()
    given = call.input or {}
    runs_code = bool(_EXECUTES.search(own))
    is_sql = any(part in own for part in _KEYS) or str(given.get("language", "")).lower() == "sql"
    for text in _statements(given, everything=is_sql, code=runs_code):
        yield SqlText(text=text, dialect=dialect)


def _statements(given: Mapping[Any, Any], *, everything: bool, code: bool) -> Iterator[str]:
    """Texts of arguments that hold SQL, at any depth; `code` looks into program text as well."""
    waiting: list[tuple[str, Any]] = [(str(key).lower(), value) for key, value in given.items()]
    while waiting:
        key, value = waiting.pop(0)
        if isinstance(value, Mapping):
            waiting.extend((str(inner).lower(), item) for inner, item in value.items())
        elif isinstance(value, (list, tuple)):
            waiting.extend((key, item) for item in value)
        elif isinstance(value, str):
            if any(part in key for part in _KEYS) or (everything and key not in _SAYING):
                yield from _unwrapped(value)
            elif code and key in _CODE_KEYS:
                yield from _in_code(value)


def _in_code(text: str) -> Iterator[str]:
    """The SQL in program text: a cell that begins with %sql, literals in spark.sql(...)."""
    if text.lstrip().startswith(("%sql", "%%sql")):
        yield text
        return
    for match in _IN_CODE.finditer(text):
        literal = next(group for group in match.groups()[1:] if group is not None)
        if "f" in match["prefix"].lower():
            literal = _FILLED_IN.sub(UNKNOWN, literal)
        yield literal


@lru_cache(maxsize=4096)
def _of_line(line: str) -> list[SqlText]:
    if not _CLIENT_NAMES.search(line):
        return []
    found: list[SqlText] = []
    for command in read_script(line).commands:
        program = program_of(command.words[0])
        client = _CLIENTS.get(program)
        if program.startswith("python"):
            code = [*command.words[1:], command.stdin or ""]
            found.extend(SqlText(text=text) for part in code for text in _in_code(part))
        elif program in ("curl", "wget"):
            bodies = [*command.words[1:], command.stdin or ""]
            found.extend(SqlText(text=t) for body in bodies for t in _body(body))
        if client is not None:
            found.extend(SqlText(text=t, dialect=client.dialect) for t in _given(command, client))
    return found


def _given(command: Command, client: _Client) -> Iterator[str]:
    """What a client is given to execute: option values, operands, standard input."""
    words = command.words[1:]
    operands: list[str] = []
    skip = False
    for index, word in enumerate(words):
        texts = _TEXT.fullmatch(word)
        if texts and not client.more:
            yield from _unwrapped(texts[1])
        if skip:
            skip = False
            continue
        text, used = _option_value(words, index, client)
        if text is not None:
            skip = used
            yield from _unwrapped(text)
        elif not word.startswith("-"):
            operands.append(word)
            if texts and "query" in operands:
                yield word  # databricks experimental aitools tools query "DROP …"
    if client.operand is not None:
        yield from operands[client.operand :]
    if command.stdin is not None:
        yield from _unwrapped(command.stdin)


def _option_value(words: Sequence[str], index: int, client: _Client) -> tuple[str | None, bool]:
    word = words[index]
    for option in client.options:
        if word == option:
            return (words[index + 1], True) if index + 1 < len(words) else (None, False)
        if option.startswith("--") and word.startswith(option + "="):
            return word[len(option) + 1 :], False
        letter = option[1:]
        if len(option) == 2 and word.startswith("-") and not word.startswith("--"):
            if word.startswith(option):
                return word[2:], False  # -c"DROP ..."
            if word.endswith(letter) and word[1:].isalpha() and index + 1 < len(words):
                return words[index + 1], True  # -qc "DROP ..."
    return None, False


def _unwrapped(text: str) -> Iterator[str]:
    """The SQL in an option's value: itself, or what a JSON body holds under its usual keys."""
    body = list(_body(text))
    yield from body or [text]


def _body(text: str) -> Iterator[str]:
    if not text.lstrip().startswith("{"):
        return
    try:
        body: Any = json.loads(text, strict=False)
    except ValueError:
        return
    if isinstance(body, dict):
        yield from _statements(body, everything=False, code=False)
