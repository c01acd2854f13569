"""SQL patterns such as `DROP DATABASE`, compared statement by statement.

A pattern is compared with the beginning of each statement, also inside procedures, CTEs, `EXECUTE
IMMEDIATE` and, for `ALTER`, anywhere in it. `DATABASE` and `SCHEMA` are one word. Words such as
`IF EXISTS`, `OR REPLACE`, `TEMPORARY` may stand between. String literals never count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skilltrace_mlflow.checks._command import UNKNOWN, UNKNOWN_WORDS
from skilltrace_mlflow.checks._commands import Sighting
from skilltrace_mlflow.checks._sql_tokens import SqlText, Token, scan, tokens

__all__ = ["SqlPattern", "parse_sql_pattern"]

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
_ENDS = (";", "DO", "EXEC", "EXECUTE", "INTO", "PREPARE", "USING")
_DYNAMIC = (
    "DBLINK_EXEC",
    "DO",
    "EXEC",
    "EXECUTE",
    "IMMEDIATE",
    "SP_EXECUTESQL",
)  # run a literal as SQL
# What clients and notebooks read for themselves: %sql, \\c name, DELIMITER //.
_EXECUTES_NAME = re.compile(r"\bEXECUTE\s+IMMEDIATE\b")
_GLUE = ("(", ")", "||", "+", ",", "CONCAT", "FROM", "IMMEDIATE", "N", "SP_EXECUTESQL")
_NOT_SQL = re.compile(r"^[ \t]*(?:\\[^\n]*$|DELIMITER\b[^\n]*$)", re.MULTILINE | re.IGNORECASE)
_MAGIC = re.compile(r"^\ufeff?\s*(?:%%?sql\b)?")
_MYSQL_EXECUTED = re.compile(r"/\*!\d*(.*?)\*/", re.DOTALL)


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
        stream, parser = tokens(text.replace(UNKNOWN_WORDS, UNKNOWN), sql.dialect)
        for at in _starts(stream):
            if self._matches(stream, at):
                return Sighting(met=True, command=_short(sql.text), parser=parser)
        for inner in _executed_literals(stream):
            found = self.find(SqlText(text=inner, dialect=sql.dialect))
            if found is not None:
                return found
        if parser != "sqlglot" and all(word in folded for word in self.words):
            return Sighting(met=None, command=_short(sql.text), parser=parser)
        return None

    def _matches(self, stream: Sequence[Token], at: int) -> bool:
        if not stream[at].plain:
            return False
        index = 0
        while at < len(stream):
            token = stream[at]
            if token.literal is None and _same(token.word) == _same(self.words[index]):
                index += 1
                if index == len(self.words):
                    return True
            elif token.plain and token.word in _SKIPPED and index:
                pass
            elif index and at + 1 < len(stream) and stream[at + 1].word == ".":
                at += 1  # a qualifier: DELETE FROM main.users is DELETE FROM users
            else:
                return False
            at += 1
        return False


def parse_sql_pattern(text: str) -> SqlPattern | None:
    """The pattern in a text, None if it does not begin with a word of SQL."""
    words = tuple(token.word for token in scan(text))
    if not words or words[0] not in _VERBS:
        return None
    return SqlPattern(text=text.strip(), words=words)


def _executed_literals(stream: Sequence[Token]) -> Iterator[str]:
    """Texts that a statement runs as SQL: EXECUTE IMMEDIATE '...', EXEC('...'), PREPARE x FROM."""
    for index, token in enumerate(stream):
        prepares = token.word == "PREPARE" and any(t.word == "FROM" for t in stream[index:][:4])
        if not token.plain or not (token.word in _DYNAMIC or prepares):
            continue
        parts: list[str] = []
        for following in stream[index + 1 :]:
            if following.word in _ENDS:
                break
            if following.literal is not None:
                parts.append(following.literal)
            elif following.word not in _GLUE:
                parts.append(UNKNOWN)
        if token.word == "IMMEDIATE" or any(part != UNKNOWN for part in parts):
            yield "".join(parts)
        yield from (part for part in parts if part != UNKNOWN)


def _starts(stream: Sequence[Token]) -> Iterator[int]:
    """Indexes at which a statement can begin."""
    altering = False
    fresh = True
    for index, token in enumerate(stream):
        if fresh or altering:
            yield index
        if token.word == ";":
            altering = False
        elif fresh and token.plain and token.word == "ALTER":
            altering = True
        fresh = token.plain and token.word in _OPENERS


def _same(word: str) -> str:
    return _SAME.get(word, word)


def _variants(word: str) -> set[str]:
    return {word, *(other for other, same in _SAME.items() if same == word)}


def _begins_unknown(text: str) -> bool:
    return any(part.strip().startswith((UNKNOWN, UNKNOWN_WORDS)) for part in text.split(";"))


def _short(text: str) -> str:
    text = " ".join(text.replace(UNKNOWN, "…").replace(UNKNOWN_WORDS, "…").split())
    return text if len(text) <= 100 else text[:97] + "..."
