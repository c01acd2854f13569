"""Where a call holds SQL: the arguments of tools, the shell commands of SQL clients.

Statements come from the `query`, `statement`, `sql`… arguments of tools, and from shell commands of
SQL clients (`psql -c`, `mysql -e`, `sqlite3 db "…"`, a heredoc, a pipe), with the client's dialect
(Databricks where nothing else is known); from program text as `_in_code` reads it.

What an argument's name says is no SQL is left out: descriptions, thoughts, names, expected results,
bound parameters.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from skilltrace_mlflow.commands.code_commands import code_language, commands_in_code
from skilltrace_mlflow.commands.command import UNKNOWN, Command
from skilltrace_mlflow.commands.shell import read_line, read_script, reads_posix
from skilltrace_mlflow.commands.sql._clients import CLIENTS, Client
from skilltrace_mlflow.commands.sql._in_code import may_hold_sql, sql_in_code
from skilltrace_mlflow.commands.sql._tokens import SqlText
from skilltrace_mlflow.commands.wrappers import program_of
from skilltrace_mlflow.session import ToolCall
from skilltrace_mlflow.tools import is_shell, tool_category

__all__ = ["SqlText", "executes_sql", "hands_over_sql", "may_take_sql", "sql_of"]

_KEYS_LIST = "ddl dml queries query sql statement statements"
_KEYS = frozenset(_KEYS_LIST.split())  # words of names
_CODE_KEYS_LIST = "cell cells code command commands script source snippet"
_CODE_KEYS = frozenset(_CODE_KEYS_LIST.split())
# Words of an argument's name that describes what is run, or what came of it.
_SAYING_LIST = (
    "alias analysis annotation caption comment comments context description docstring "
    "documentation example expected explanation expectation format goal id intent intention "
    "justification kind label language memo message mode motivation name note notes output "
    "plan purpose rationale reason reasoning remark result results summary tag tags thinking "
    "thought thoughts title type why"
)
_SAYING = frozenset(_SAYING_LIST.split())
# Words of the name of an argument whose values are data of a statement.
_BOUND_LIST = (
    "args arguments bind binding bindings binds param parameter parameters params "
    "placeholders values variables vars"
)
_BOUND = frozenset(_BOUND_LIST.split())
_SEARCH_LIST = "ask doc docs documentation explain find fetch grep help lookup search suggest"
_SEARCH = frozenset(_SEARCH_LIST.split())
_EXECUTES = re.compile(r"sql|query|execut|run|statement|submit", re.IGNORECASE)
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
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_TEXT = re.compile(r"(?:--?[\w-]+=)?(\S+\s.*)", re.DOTALL)  # a word of several words
_CLIENT_NAMES = re.compile(
    r"(?i:\b(?:" + "|".join(map(re.escape, CLIENTS)) + r"|dbshell|dbconsole)\b|-enc|\biex\b)"
    r"|\b(?:curl|wget|http|https|xh)\b.*(?i:statement|query|sql|[\"'][A-Z]{4,}\s+[A-Z])",
    re.DOTALL,
)
# A line that has none of these as a whole word names no client.
_CLIENT_WORDS = frozenset(re.split(r"\W", name)[0] for name in CLIENTS) | {
    "iex", "curl", "wget", "http", "https", "xh", "dbshell", "dbconsole",
}  # fmt: skip
_STATEMENT = re.compile(r"\s*[A-Z]{4,}\s+[A-Z]")
_FLOW_VALUE = re.compile(
    r"""\b(?:sql|query|statement)["']?\s*:\s*(["'])(.+?)\1\s*[,}]""", re.DOTALL
)
_BODY = json.JSONDecoder(strict=False)
_FIELD = re.compile(r"\w+:?")
_SHELL_OF_A_FRAMEWORK = frozenset({"dbconsole", "dbshell"})
_PLAIN_WORDS = re.compile(r"\w+", re.ASCII)


def sql_of(call: ToolCall, line: str | None = None) -> list[SqlText]:
    """The SQL that a call executed, as far as its arguments and its command line show."""
    if call.input is None:
        return []
    found = [] if line is None else _of_line(line, call.name)
    if not is_shell(call.name) and may_take_sql(call.name):
        return [*_of_arguments(call), *found]
    return found


def may_take_sql(name: str) -> bool:
    """Whether a tool's arguments can hold SQL that it runs: no built-in one."""
    if tool_category(name) not in ("other",) and not name.startswith("mcp__"):
        return False
    return name.rsplit("__", 1)[-1] != "ToolSearch"


def executes_sql(name: str) -> bool:
    """Whether a tool can be one that runs SQL by its name: no built-in one, none that searches."""
    return may_take_sql(name) and not _searches(name.rsplit("__", 1)[-1])


@lru_cache(maxsize=1024)
def _searches(own: str) -> bool:
    return not _SEARCH.isdisjoint(_words(own)) and not _EXECUTES.search(own)


@lru_cache(maxsize=4096)
def _words(name: str) -> frozenset[str]:
    """The words of a name in any spelling: `queryText`, `query_text`, `SQLText`."""
    return frozenset(word.lower() for word in _WORDS.findall(name))


@lru_cache(maxsize=1024)
def _dialect_of(tool: str) -> str:
    """The dialect that a tool's name tells, empty where it tells none."""
    name = tool.lower()
    parts = _NAME_PART.findall(name)
    known = (
        dialect
        for key, dialect in _DIALECTS.items()
        # short ones stand in other words too
        if (key in name if len(key) > 4 else any(part.startswith(key) for part in parts))
    )
    return next(known, "")


def _of_arguments(call: ToolCall) -> Iterator[SqlText]:
    dialect = _dialect_of(call.name)
    own = call.name.rsplit("__", 1)[-1]
    executes = bool(_EXECUTES.search(own))
    searches = _searches(own)
    is_sql = any(part in own.lower() for part in ("sql", "query", "queries", "statement"))
    texts = _statements(
        call.input or {},
        everything=not searches and (is_sql or (executes and bool(dialect))),
        code=executes,
        searching=searches,
    )
    for text in texts:
        yield SqlText(text=text, dialect=dialect or "databricks")


def _statements(
    given: Mapping[Any, Any], *, everything: bool, code: bool, searching: bool = False
) -> Iterator[str]:
    """Texts of arguments that hold SQL, at any depth; `code` looks into program text as well.

    A tool that is `searching` is given a `query` that is none of SQL's.
    """
    waiting: deque[tuple[frozenset[str], Any, bool, str]] = deque(
        [(frozenset(), given, everything, "")]
    )
    while waiting:
        key, value, everything, language = waiting.popleft()
        if isinstance(value, Mapping):
            said = {str(name).lower(): item for name, item in value.items()}.get("language")
            language = said.lower() if isinstance(said, str) else language
            everything = (everything and key.isdisjoint(_BOUND)) or language == "sql"
            for inner, item in value.items():
                waiting.append((_words(str(inner)) or key, item, everything, language))
        elif isinstance(value, (list, tuple)):
            waiting.extend((key, item, everything, language) for item in value)
        elif isinstance(value, str):
            named = not key.isdisjoint(_KEYS - {"query", "queries"} if searching else _KEYS)
            if not key.isdisjoint(_SAYING):
                continue
            if not key.isdisjoint(_BOUND):
                yield from _body(value)
                continue
            if named or everything:
                yield from _unwrapped(value)
            if code and not key.isdisjoint(_CODE_KEYS):
                yield from sql_in_code(value, language)


def hands_over_sql(line: str) -> bool:
    """Whether a line feeds a client or a program what it may not show: `<(…)`, a pipe, `sql(q)`."""
    return ("|" in line or "<(" in line or may_hold_sql(line)) and bool(_of_line(line))


@lru_cache(maxsize=4096)
def _of_line(line: str, tool: str = "Bash") -> list[SqlText]:
    coded = "-e" in line.lower() and not reads_posix(tool)  # -EncodedCommand
    if not (coded or _names_client(line) or may_hold_sql(line)):
        return []
    return list(_of_commands(read_line(tool, line).commands))


def _names_client(line: str) -> bool:
    lower = line.lower()
    if "-enc" not in lower and _CLIENT_WORDS.isdisjoint(_PLAIN_WORDS.findall(lower)):
        return False
    return _CLIENT_NAMES.search(line) is not None


def _of_commands(commands: Sequence[Command]) -> Iterator[SqlText]:
    for command in commands:
        otherwise = "otherwise" in command.within
        for found in _of_command(command):
            yield replace(found, otherwise=True) if otherwise else found


def _of_command(command: Command) -> Iterator[SqlText]:
    program = program_of(command.words[0])
    client = CLIENTS.get(program)
    language = code_language(program)
    if language is not None and not _SHELL_OF_A_FRAMEWORK.intersection(command.words):
        for part in (*command.words[1:], command.stdin or ""):
            for text in sql_in_code(part, language):
                yield SqlText(text=text)
            yield from _of_lines_in(part, language)
    elif program.startswith("%%"):  # a tool's program text, of which its arguments tell the SQL
        for part in command.words[1:]:
            yield from _of_lines_in(part, program[2:])
    elif program in ("curl", "http", "https", "wget", "xh"):
        for body in (*command.words[1:], command.stdin or ""):
            for text in _posted(body):
                yield SqlText(text=text)
        if UNKNOWN in command.words and any("sql/statements" in w for w in command.words):
            yield SqlText(text=UNKNOWN)  # curl …/sql/statements -d "$BODY"
    elif _SHELL_OF_A_FRAMEWORK.intersection(command.words) and command.stdin is not None:
        yield SqlText(text=command.stdin)  # python manage.py dbshell <<< …
    if client is not None:
        for text in _given(command, client):
            yield SqlText(text=text, dialect=client.dialect)


def _of_lines_in(code: str, language: str) -> Iterator[SqlText]:
    """The SQL in the command lines that a program text runs: `os.system("psql -c 'DROP …'")`."""
    for line in commands_in_code(code, language):
        yield from _of_commands(read_script(line).commands)


def _given(command: Command, client: Client) -> Iterator[str]:
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
            if word.startswith("/dev/fd/"):
                yield UNKNOWN  # psql -f <(…)
    if client.operand is not None:
        yield from operands[client.operand :]
    if command.stdin is not None:
        yield from _unwrapped(command.stdin)


def _option_value(words: Sequence[str], index: int, client: Client) -> tuple[str | None, bool]:
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


def _posted(word: str) -> Iterator[str]:
    """The SQL in a request's body, or in one of the fields that httpie takes apart."""
    key, sign, value = word.partition("=")
    if sign and _words(key) & _KEYS and _FIELD.fullmatch(key):
        yield value
    elif _STATEMENT.match(word):
        yield word  # curl http://clickhouse:8123/ -d 'DROP TABLE x'
    else:
        yield from _body(word)


def _body(text: str) -> Iterator[str]:
    if text.lstrip()[:1] not in ("{", "["):
        return
    try:
        # what follows it is what else the command was fed
        body: Any = _BODY.raw_decode(text.lstrip())[0]
    except (ValueError, RecursionError):
        # {sql: 'DROP TABLE x'}, as YAML writes it
        yield from (value for _, value in _FLOW_VALUE.findall(text))
        return
    if isinstance(body, dict):
        yield from _statements(body, everything=False, code=False)
    elif isinstance(body, list):
        yield from _statements({"body": body}, everything=False, code=False)
        yield from (item for item in body if isinstance(item, str))
