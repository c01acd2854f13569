"""SQL that a session executed, and patterns such as `DROP DATABASE` in it.

Statements come from the `query`, `statement`, `sql`… arguments of tools, and from shell commands of
SQL clients (`psql -c`, `mysql -e`, `sqlite3 db "…"`, a heredoc, a pipe). sqlglot's tokenizer of the
client's dialect (Databricks where nothing else is known) takes them apart, so that comments, string
literals and quoted names are known for what they are; without sqlglot a small scanner does.

A pattern is compared with the beginning of each statement, also inside procedures, CTEs, `EXECUTE
IMMEDIATE` and, for `ALTER`, anywhere in it. `DATABASE` and `SCHEMA` are one word. Words such as
`IF EXISTS`, `OR REPLACE`, `TEMPORARY` may stand between. String literals never count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from skilltrace_mlflow.checks._carriers import program_of
from skilltrace_mlflow.checks._command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.checks._commands import Sighting
from skilltrace_mlflow.checks._shell import read_script
from skilltrace_mlflow.metrics import tool_category
from skilltrace_mlflow.session import ToolCall

__all__ = ["SqlPattern", "SqlText", "parse_sql_pattern", "sql_of"]

_VERB_LIST = (
    "ALTER ANALYZE ATTACH CALL COPY CREATE DELETE DETACH DROP EXECUTE GRANT INSERT LOAD MERGE MSCK "
    "OPTIMIZE PURGE REFRESH RENAME REPLACE RESTORE REVOKE SELECT SHOW TRUNCATE UNDROP UPDATE USE "
    "VACUUM"
)
_SKIPPED_LIST = (
    "ALL CASCADE CONCURRENTLY EXISTS EXTERNAL FOREIGN GLOBAL IF IGNORE LIVE LOCAL MANAGED "
    "MATERIALIZED NOT ONLY OR OVERWRITE RECURSIVE REPLACE RESTRICT STREAMING TEMP TEMPORARY "
    "TRANSIENT UNLOGGED VIRTUAL"
)
_SAME = {"SCHEMA": "DATABASE", "SCHEMAS": "DATABASES"}
_OPENER_LIST = "; ( ) } BEGIN THEN ELSE DO LOOP AS ANALYZE ATOMIC REPEAT GO"
_VERBS = frozenset(_VERB_LIST.split())
_SKIPPED = frozenset(_SKIPPED_LIST.split())
_OPENERS = frozenset(_OPENER_LIST.split())
_KEYS = ("sql", "query", "queries", "statement")  # parts of an argument's name
_CODE_KEYS = ("cell", "code", "command", "script", "source")
# Arguments of an SQL tool that describe what it does.
_SAYING = ("comment", "description", "explanation", "name", "reason", "title", "language")
_ENDS = (";", "DO", "EXEC", "EXECUTE", "INTO", "PREPARE", "USING")
_DYNAMIC = (
    "DBLINK_EXEC",
    "DO",
    "EXEC",
    "EXECUTE",
    "IMMEDIATE",
    "SP_EXECUTESQL",
)  # run a literal as SQL
_IN_CODE = re.compile(
    r"""\bsql\(\s*[fFrRbB]{0,2}(?:\"{3}(.*?)\"{3}|'{3}(.*?)'{3}|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""",
    re.DOTALL,
)
# What clients and notebooks read for themselves: %sql, \\c name, DELIMITER //.
_EXECUTES_NAME = re.compile(r"\bEXECUTE\s+IMMEDIATE\b")
_GLUE = ("(", ")", "||", "+", ",", "CONCAT", "FROM", "IMMEDIATE", "N", "SP_EXECUTESQL")
_NOT_SQL = re.compile(r"^[ \t]*(?:\\[^\n]*$|DELIMITER\b[^\n]*$)", re.MULTILINE | re.IGNORECASE)
_MAGIC = re.compile(r"^\ufeff?\s*(?:%%?sql\b)?")
_SEARCH = re.compile(r"search|find|lookup|docs?(_|$)|ask", re.IGNORECASE)
_EXECUTES = re.compile(r"sql|query|execut|run|statement", re.IGNORECASE)
_DIALECTS = (
    "bigquery",
    "clickhouse",
    "duckdb",
    "mysql",
    "postgres",
    "snowflake",
    "sqlite",
    "trino",
)
# Behind these sqlglot's tokenizer hands over the rest of the statement as one text.
_UNREAD = frozenset({"COMMAND", "EXECUTE", "FETCH", "RENAME", "SHOW"})
_MYSQL_EXECUTED = re.compile(r"/\*!\d*(.*?)\*/", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class _Client:
    """A command-line client: options that take SQL, and from which operand on operands are SQL."""

    dialect: str
    options: tuple[str, ...]
    operand: int | None = None
    valued: str = ""


_CLIENTS: Mapping[str, _Client] = {
    "aws": _Client(
        dialect="databricks", options=("--sql", "--query-string", "--sqls", "--sql-statement")
    ),
    "beeline": _Client(dialect="hive", options=("-e",)),
    "bq": _Client(dialect="bigquery", options=(), operand=1),
    "clickhouse": _Client(dialect="clickhouse", options=("-q", "--query")),
    "clickhouse-client": _Client(dialect="clickhouse", options=("-q", "--query")),
    "cockroach": _Client(dialect="postgres", options=("-e", "--execute")),
    "databricks": _Client(dialect="databricks", options=("-e", "-c", "--statement", "--json")),
    "cqlsh": _Client(dialect="databricks", options=("-e", "--execute")),
    "dbsqlcli": _Client(dialect="databricks", options=("-e",)),
    "duckdb": _Client(dialect="duckdb", options=("-c", "-s", "-cmd"), operand=1),
    "flyctl": _Client(dialect="postgres", options=("-c",)),
    "gcloud": _Client(dialect="bigquery", options=("--sql", "--ddl")),
    "heroku": _Client(dialect="postgres", options=("-c", "--command")),
    "hive": _Client(dialect="hive", options=("-e",)),
    "isql": _Client(dialect="tsql", options=()),
    "litecli": _Client(dialect="sqlite", options=("-e", "--execute")),
    "mariadb": _Client(dialect="mysql", options=("-e", "--execute")),
    "mycli": _Client(dialect="mysql", options=("-e", "--execute")),
    "mysql": _Client(dialect="mysql", options=("-e", "--execute")),
    "pgcli": _Client(dialect="postgres", options=("-c", "--command")),
    "presto": _Client(dialect="trino", options=("--execute",)),
    "psql": _Client(dialect="postgres", options=("-c", "--command")),
    "snow": _Client(dialect="snowflake", options=("-q", "--query")),
    "snowsql": _Client(dialect="snowflake", options=("-q", "--query")),
    "spark-sql": _Client(dialect="databricks", options=("-e",)),
    "sqlcmd": _Client(dialect="tsql", options=("-Q", "-q")),
    "sqlplus": _Client(dialect="databricks", options=()),
    "sqlite": _Client(dialect="sqlite", options=("-cmd",), operand=1),
    "sqlite3": _Client(dialect="sqlite", options=("-cmd",), operand=1),
    "supabase": _Client(dialect="postgres", options=(), operand=2),
    "trino": _Client(dialect="trino", options=("--execute",)),
    "turso": _Client(dialect="sqlite", options=(), operand=3),
    "usql": _Client(dialect="postgres", options=("-c", "--command")),
    "wrangler": _Client(dialect="sqlite", options=("--command",)),
}
_CLIENT_NAMES = re.compile(
    r"\b(?:" + "|".join(map(re.escape, _CLIENTS)) + r")\b"
    r"|\bsql\(|\b(?:curl|wget)\b.*(?i:statement|query|sql)",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class SqlText:
    """A piece of SQL that a call executed."""

    text: str
    dialect: str = "databricks"


@dataclass(frozen=True)
class _Token:
    word: str  # upper case, without quotes
    plain: bool  # neither a quoted name nor a literal
    literal: str | None = None


@dataclass(frozen=True, kw_only=True)
class SqlPattern:
    """Words that a statement must begin with."""

    text: str
    words: tuple[str, ...]

    def find(self, sql: SqlText) -> Sighting | None:
        """The first statement that the pattern means, or may mean; None if there is none."""
        folded = sql.text.upper()
        if _EXECUTES_NAME.search(folded):
            folded += self.words[0]  # a statement in a variable: the tokens tell
        if not any(variant in folded for variant in _variants(self.words[0])):
            if UNKNOWN in sql.text and _begins_unknown(sql.text):
                return Sighting(met=None, command=_short(sql.text), parser="sqlglot")
            return None
        text = _MAGIC.sub("", _NOT_SQL.sub(";", sql.text))
        if sql.dialect == "mysql":
            text = _MYSQL_EXECUTED.sub(r" \1 ", text)
        tokens, parser = _tokens(text.replace(UNKNOWN_WORDS, UNKNOWN), sql.dialect)
        for at in _starts(tokens):
            if self._matches(tokens, at):
                return Sighting(met=True, command=_short(sql.text), parser=parser)
        for inner in _executed_literals(tokens):
            found = self.find(SqlText(text=inner, dialect=sql.dialect))
            if found is not None:
                return found
        if parser != "sqlglot" and all(word in folded for word in self.words):
            return Sighting(met=None, command=_short(sql.text), parser=parser)
        return None

    def _matches(self, tokens: Sequence[_Token], at: int) -> bool:
        if not tokens[at].plain:
            return False
        index = 0
        while at < len(tokens):
            token = tokens[at]
            if token.literal is None and _same(token.word) == _same(self.words[index]):
                index += 1
                if index == len(self.words):
                    return True
            elif token.plain and token.word in _SKIPPED and index:
                pass
            elif index and at + 1 < len(tokens) and tokens[at + 1].word == ".":
                at += 1  # a qualifier: DELETE FROM main.users is DELETE FROM users
            else:
                return False
            at += 1
        return False


def parse_sql_pattern(text: str) -> SqlPattern | None:
    """The pattern in a text, None if it does not begin with a word of SQL."""
    words = tuple(token.word for token in _scan(text))
    if not words or words[0] not in _VERBS:
        return None
    return SqlPattern(text=text.strip(), words=words)


def sql_of(call: ToolCall) -> list[SqlText]:
    """The SQL that a call executed, as far as its arguments show."""
    if call.input is None:
        return []
    if tool_category(call.name) == "bash":
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
    dialect = next((d for d in _DIALECTS if d in call.name.lower()), "databricks")
    own = call.name.rsplit("__", 1)[-1].lower()
    given = call.input or {}
    runs_code = bool(_EXECUTES.search(own))
    is_sql = "sql" in own or str(given.get("language", "")).lower() == "sql"
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
        yield next(group for group in match.groups() if group is not None)


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
        if skip:
            skip = False
            continue
        text, used = _option_value(words, index, client)
        if text is not None:
            skip = used
            yield from _unwrapped(text)
        elif not word.startswith("-"):
            operands.append(word)
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


def _executed_literals(tokens: Sequence[_Token]) -> Iterator[str]:
    """Texts that a statement runs as SQL: EXECUTE IMMEDIATE '...', EXEC('...'), PREPARE x FROM."""
    for index, token in enumerate(tokens):
        prepares = token.word == "PREPARE" and any(t.word == "FROM" for t in tokens[index:][:4])
        if not token.plain or not (token.word in _DYNAMIC or prepares):
            continue
        parts: list[str] = []
        for following in tokens[index + 1 :]:
            if following.word in _ENDS:
                break
            if following.literal is not None:
                parts.append(following.literal)
            elif following.word not in _GLUE:
                parts.append(UNKNOWN)
        if token.word == "IMMEDIATE" or any(part != UNKNOWN for part in parts):
            yield "".join(parts)
        yield from (part for part in parts if part != UNKNOWN)


def _starts(tokens: Sequence[_Token]) -> Iterator[int]:
    """Indexes at which a statement can begin."""
    altering = False
    fresh = True
    for index, token in enumerate(tokens):
        if fresh or altering:
            yield index
        if token.word == ";":
            altering = False
        elif fresh and token.plain and token.word == "ALTER":
            altering = True
        fresh = token.plain and token.word in _OPENERS


@lru_cache(maxsize=2048)
def _tokens(text: str, dialect: str) -> tuple[list[_Token], str]:
    try:
        import sqlglot
    except ImportError:
        return _scan(text), "scanner"
    try:
        raw = sqlglot.tokenize(text, read=dialect)
    except sqlglot.errors.SqlglotError:
        return _scan(text), "scanner: not tokenized"
    tokens: list[_Token] = []
    before = ""
    for token in raw:
        kind = token.token_type.name
        literal = kind.endswith("STRING") or kind == "NUMBER"
        if kind == "STRING" and before in _UNREAD:
            tokens.extend(_tokens(token.text, dialect)[0])
        elif literal:
            tokens.append(_Token("", False, token.text))
        else:
            quoted = kind == "IDENTIFIER"
            words = [token.text] if quoted else token.text.split()
            tokens.extend(_Token(word.upper(), not quoted) for word in words)
        before = kind
    return tokens, "sqlglot"


_SCANNER = re.compile(
    r"(?P<skip>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<text>'(?:[^']|'')*'?)"
    r"|(?P<name>`[^`]*`?|\"[^\"]*\"?)"
    r"|(?P<word>[^\W\d]\w*)|(?P<other>.)",
    re.DOTALL,
)


def _scan(text: str) -> list[_Token]:
    tokens = []
    for match in _SCANNER.finditer(text):
        kind, value = match.lastgroup, match.group()
        if kind == "text":
            tokens.append(_Token("", False, value.strip("'")))
        elif kind == "name":
            tokens.append(_Token(value[1:].rstrip('`"').upper(), False))
        elif kind != "skip":
            tokens.append(_Token(value.upper(), True))
    return tokens


def _same(word: str) -> str:
    return _SAME.get(word, word)


def _variants(word: str) -> set[str]:
    return {word, *(other for other, same in _SAME.items() if same == word)}


def _begins_unknown(text: str) -> bool:
    return any(part.strip().startswith((UNKNOWN, UNKNOWN_WORDS)) for part in text.split(";"))


def _short(text: str) -> str:
    text = " ".join(text.replace(UNKNOWN, "…").replace(UNKNOWN_WORDS, "…").split())
    return text if len(text) <= 100 else text[:97] + "..."
