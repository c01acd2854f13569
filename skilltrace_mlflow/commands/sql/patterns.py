"""SQL patterns such as `DROP DATABASE`, compared statement by statement.

A pattern is compared with the beginning of each statement, also inside procedures, CTEs, `EXECUTE
IMMEDIATE` and, for `ALTER`, anywhere in it. `DATABASE` and `SCHEMA` are one word. Words such as
`IF EXISTS`, `OR REPLACE`, `TEMPORARY` and optimiser hints may stand between, `TRUNCATE x` is
`TRUNCATE TABLE x`, and each name of a list counts (`DROP TABLE a, b`). A word that begins a clause
may stand behind others (`VACUUM RETAIN 0 HOURS` is `VACUUM t RETAIN 0 HOURS`). `*` in a name stands
for any text, `*` or `...` alone for a word or more. Capitals that begin no statement (`CROSS JOIN`)
are looked for anywhere in one. String literals and comments never count.

Names that are filled in (`${x}`, `{{ x }}`, `IDENTIFIER(:x)`, `:name`) may be any, and so may a
name that is the end of the pattern's (`users` of `prod.users`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS
from skilltrace_mlflow.commands.command_pattern import CommandMatch
from skilltrace_mlflow.commands.sql._tokens import (
    SqlText,
    Token,
    executed_literals,
    tokens,
    with_templates,
)
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.patterns.regex import wildcard
from skilltrace_mlflow.text import cut

__all__ = ["SqlPattern", "globs_a_verb", "parse_sql_pattern"]

_VERB_LIST = (
    "ALTER ANALYZE ATTACH CALL COPY CREATE DELETE DESC DESCRIBE DETACH DROP EXECUTE EXPLAIN GRANT "
    "INSERT LOAD MERGE MSCK OPTIMIZE PRAGMA PURGE REASSIGN REFRESH RENAME REORG REPLACE RESTORE "
    "REVOKE ROLLBACK SELECT SHOW TRUNCATE UNDROP UPDATE USE VACUUM"
)
_CAPITAL_LIST = (  # which in small letters are programs, or words of the shell
    "ABORT ADD BACKUP BEGIN CACHE CHECKPOINT CLUSTER COMMENT COMMIT CONVERT DBCC DECLARE EXPORT "
    "FLUSH FSCK GET IMPORT KILL LIST LISTEN LOCK NOTIFY PUT REINDEX REMOVE REPAIR RESET SAVEPOINT "
    "SET SHUTDOWN START STOP SYNC UNCACHE UNLOCK UNSET VALUES WITH"
)
_SKIPPED_LIST = (
    "ALL CASCADE CONCURRENTLY DELAYED EXISTS EXTERNAL FOREIGN GLOBAL HIGH_PRIORITY IF IGNORE LIVE "
    "LOCAL LOW_PRIORITY MANAGED MATERIALIZED NOT ONLY OR OVERWRITE QUICK RECURSIVE REPLACE "
    "RESTRICT STREAMING TEMP TEMPORARY TRANSIENT UNLOGGED VIRTUAL"
)
_MODIFIERS = frozenset({"DELAYED", "HIGH_PRIORITY", "IGNORE", "LOW_PRIORITY", "ONLY", "QUICK"})
_SAME = {"SCHEMA": "DATABASE", "SCHEMAS": "DATABASES"}
_OPENER_LIST = "; ( ) } BEGIN TRY CATCH THEN ELSE DO LOOP AS ANALYZE ATOMIC REPEAT GO EXECUTE"
_VERBS = frozenset(_VERB_LIST.split())
_CAPITAL_VERBS = frozenset(_CAPITAL_LIST.split())
_CLAUSE = re.compile(r"[A-Z_]+(?:\s+[A-Z\d_*.,=<>()]+)+")
_WORD = re.compile(r"/\*.*?\*/|--[^\n]*|[`\"]?([\w*]+)[`\"]?|([^\s`\"])", re.DOTALL)
# Words that may be left out, by the word before them.
_OPTIONAL = {
    ("ALL", "PRIVILEGES"), ("DELETE", "FROM"), ("INSERT", "INTO"), ("INTO", "TABLE"),
    ("MERGE", "INTO"), ("TRUNCATE", "TABLE"), ("USE", "CATALOG"),
    ("USE", "DATABASE"), ("USE", "SCHEMA"),
}  # fmt: skip
# Words that begin a clause, before which a pattern may leave out what stands there.
_CLAUSE_LIST = (
    "ADD ALTER CASCADE CLUSTER DRY FROM FULL INTO LITE ON OVERWRITE OWNER PARTITION RENAME "
    "RESTRICT RETAIN SET TO USING WHERE ZORDER"
)
_CLAUSES = frozenset(_CLAUSE_LIST.split())
_CLAUSE_ENDS = {";", "SELECT", "THEN", "WHEN"}
_NO_NAME = {"AND", "ELSE", "END", "OVERWRITE", "ROW", "VALUES", "WHEN"}
_LISTING = {"DROP", "GRANT", "REVOKE", "TRUNCATE"}
# Openers that stand in expressions too, and what no statement's first word is followed by there.
_SOFT = {"(", ")", "AS", "ELSE", "THEN"}
_NO_SECOND = {
    ")", ",", ".", "=", "<", ">", "<>", "!=", "<=", ">=", "+", "-", "/", "||", "::",
    "AND", "AS", "ELSE", "END", "FROM", "IN", "IS", "OR", "THEN",
}  # fmt: skip
_FUNCTIONS = {"INSERT", "REPLACE", "TRUNCATE"}
_SKIPPED = frozenset(_SKIPPED_LIST.split())
_OPENERS = frozenset(_OPENER_LIST.split())
# What clients and notebooks read for themselves: %sql, \\c name, DELIMITER //.
_EXECUTES_NAME = re.compile(r"\bEXECUTE\s+IMMEDIATE\b|\bPREPARE\s+\w+\s+FROM\b")
_NOT_SQL = re.compile(r"^[ \t]*(?:\\[^\n]*$|DELIMITER\b[^\n]*$)", re.MULTILINE | re.IGNORECASE)
_MAGIC = re.compile(r"^\ufeff?\s*(?:%%?sql\b)?")
_HINT = re.compile(r"/\*\+.*?\*/", re.DOTALL)
# A text that is nothing but one: `{{ sql }}`, `$query`, `:statement`.
_PLACEHOLDER = re.compile(r"\s*(?:\{\{[^{}]*\}\}|[$:@]\{?\w+\}?|\{\w+\}|<\w+>|\?)\s*;?\s*")
_GEXEC = re.compile(r"\\gexec\b")
_GAP = re.compile(r"(?<![.\w])\.\.\.(?![.\w])|…")
_MYSQL_EXECUTED = re.compile(r"/\*!\d*(.*?)\*/", re.DOTALL)


_MOST_DEPTH = 5
_ROUTINES = {"PROCEDURE", "FUNCTION", "TRIGGER"}


@dataclass(frozen=True, kw_only=True)
class SqlPattern:
    """Words that a statement must begin with, or hold `anywhere`."""

    text: str
    words: tuple[str, ...]
    anywhere: bool = False

    def find(self, sql: SqlText, depth: int = 0) -> CommandMatch | None:
        """The first statement that the pattern means, or may mean; None if there is none."""
        found = self._find(sql, depth)
        return replace(found, otherwise=True) if found is not None and sql.otherwise else found

    def _find(self, sql: SqlText, depth: int) -> CommandMatch | None:
        if _PLACEHOLDER.fullmatch(sql.text):
            return CommandMatch(met=None, command=_short(sql.text), parser="sqlglot")
        if "{" in sql.text:
            sql = replace(sql, text=with_templates(sql.text, _VERBS | _CAPITAL_VERBS | {"FROM"}))
        if "\r" in sql.text:  # alone it ends a comment, too
            sql = replace(sql, text=sql.text.replace("\r", "\n"))
        folded = sql.text.upper()
        if _EXECUTES_NAME.search(folded):
            folded += self.words[0]  # a statement in a variable: the tokens tell
        if not any(variant in folded for variant in _variants(self.words[0])):
            return _filled_in(sql.text)
        text = _HINT.sub(" ", _MAGIC.sub("", _NOT_SQL.sub(";", sql.text)))
        if sql.dialect == "mysql":
            text = _MYSQL_EXECUTED.sub(r" \1 ", text)
        stream, parser = tokens(text.replace(UNKNOWN_WORDS, UNKNOWN), sql.dialect)
        doubt: CommandMatch | None = None
        second: CommandMatch | None = None
        for at in range(len(stream)) if self.anywhere else _starts(stream):
            met = self._compare(stream, at)
            if met:
                found = CommandMatch(
                    met=True,
                    command=_short(sql.text),
                    parser=parser,
                    otherwise=_is_conditional(stream, at),
                )
                if not found.otherwise:
                    return found
                second = second or found
            if met is None:
                doubt = CommandMatch(met=None, command=_short(sql.text), parser=parser)
        if second is not None:
            return second
        for inner in executed_literals(stream) if depth < _MOST_DEPTH else ():
            executed = self.find(SqlText(text=inner, dialect=sql.dialect), depth + 1)
            if executed is not None and executed.met:
                return executed
            doubt = doubt or executed
        if doubt is None and _GEXEC.search(sql.text):  # psql runs what the query gives
            for literal in [token.literal for token in stream if token.literal]:
                if self.find(SqlText(text=literal, dialect=sql.dialect), _MOST_DEPTH):
                    doubt = CommandMatch(met=None, command=_short(sql.text), parser=parser)
        if doubt is None and parser != "sqlglot" and all(word in folded for word in self.words):
            return CommandMatch(met=None, command=_short(sql.text), parser=parser)
        return doubt or _filled_in(sql.text)

    def _compare(self, stream: Sequence[Token], at: int) -> bool | None:
        """Whether the pattern stands at a place; None if names filled in at run time decide."""
        if not stream[at].plain:
            return False
        words, index, doubtful = self.words, 0, False
        last = at  # the place before this one, modifiers such as ONLY aside
        item = 1 if words[0] in ("GRANT", "REVOKE") else 2  # where a list can begin
        while at < len(stream):
            token = stream[at]
            pair = words[index - 1 : index + 1] if index else ()
            left_out = pair in _OPTIONAL and _means(pair[0], stream[last])
            if left_out and not _means(pair[1], token) and _is_name(token):
                index += 1
            elif _means(words[index], token) or (
                index and words[index] == "*" and words[0] != "SELECT" and _is_name(token)
            ):
                last = at
                index, at = index + 1, at + 1
            elif not index:
                return False
            elif size := _filled_name(words, index, stream, at) or _end_of_name(
                words, index, stream, at
            ):
                index, at = index + 2 * size[0] - 1, at + 2 * size[1] - 1
                doubtful = True
            elif stream[at + 1 : at + 2] and stream[at + 1].word == "." and words[index - 1] != ".":
                at += 2  # a qualifier: DELETE FROM main.users is DELETE FROM users
            elif token.word == UNKNOWN:
                return None  # one name, or all the rest
            elif UNKNOWN in token.word and _could_mean(words[index], token):
                index, at, doubtful = index + 1, at + 1, True
            elif token.plain and (
                token.word in _SKIPPED or (stream[at - 1].word, token.word) in _OPTIONAL
            ):
                last = last if token.word in _MODIFIERS else at
                at += 1
            elif words[index] in _CLAUSES and (clause := _clause(stream, at, words[index])):
                at = clause
            elif index >= item and words[0] in _LISTING:
                index, at = item, _behind_comma(stream, at)
            else:
                return False
            if index == len(words):
                return None if doubtful else True
        return False


def _end_of_name(
    words: Sequence[str], index: int, stream: Sequence[Token], at: int
) -> tuple[int, int] | None:
    """How many parts the pattern's name and the statement's have, where the latter is the end of
    the former: `users` may be `prod.users`, as a statement before or the connection says."""
    if words[index - 1] == "." or stream[at - 1].word == ".":
        return None
    wanted = _parts_of_name(words, index)
    found = _parts_of_name([token.word for token in stream[at : at + 8]], 0)
    if len(found) >= len(wanted):
        return None
    tokens_of_name = stream[at : at + 2 * len(found) : 2]
    same = all(map(_means, wanted[-len(found) :], tokens_of_name))
    return (len(wanted), len(found)) if same else None


def _filled_name(
    words: Sequence[str], index: int, stream: Sequence[Token], at: int
) -> tuple[int, int] | None:
    """As `_end_of_name`, where filling a part of the statement's name can give the pattern's."""
    name = [token.word for token in stream[at : at + 8]]
    found = _parts_of_name(name, 0)
    if words[index - 1] == "." or words[index] == "*" or not any(UNKNOWN in p for p in found):
        return None
    if found[0] == UNKNOWN and len(found) == 1:
        return None  # one name, or all the rest
    wanted = _parts_of_name(words, index)
    met = _could_mean(".".join(wanted), Token(".".join(found), True))
    return (len(wanted), len(found)) if met else None


def _parts_of_name(words: Sequence[str], at: int) -> list[str]:
    """The parts of a qualified name from a place on: `main`, `prod`, `users`."""
    parts = [words[at]]
    while at + 2 < len(words) and words[at + 1] == ".":
        at += 2
        parts.append(words[at])
    return parts


def parse_sql_pattern(text: str) -> SqlPattern | None:
    """The pattern in a text, None if it does not begin with a word of SQL."""
    found = (match.group(1) or match.group(2) for match in _WORD.finditer(_GAP.sub("*", text)))
    words = tuple(word.upper() for word in found if word)
    if words and globs_a_verb(text, words[0]):
        raise ParameterError(
            f"{text.strip()!r} can never be met: a statement's first word is written out, "
            "as in DROP TABLE; name each of them"
        )
    while words[-1:] == (";",) or (len(words) > 2 and words[-1] == "*" and words[0] != "SELECT"):
        words = words[:-1]
    if not words:
        return None
    capitals = text.strip() == text.strip().upper()
    if words[0] in _VERBS or (capitals and len(words) == 1 and words[0] in _CAPITAL_VERBS):
        return SqlPattern(text=text.strip(), words=words)
    if _CLAUSE.fullmatch(text.strip()):
        return SqlPattern(text=text.strip(), words=words, anywhere=True)
    return None


def globs_a_verb(text: str, word: str) -> bool:
    """Whether a pattern in capitals has a glob where the verb should be: it can never be met."""
    if text != text.upper() or "*" not in word or not any(char.isalpha() for char in text):
        return False
    return any(wildcard(word, verb) for verb in _VERBS | _CAPITAL_VERBS)


def _clause(stream: Sequence[Token], at: int, word: str) -> int | None:
    """Where the clause begins that the statement goes on with; None if it has none."""
    for index in range(at, min(len(stream), at + 200)):
        token = stream[index]
        if token.plain and token.word == word:
            return index
        if token.plain and token.word in _CLAUSE_ENDS:
            return None
    return None


def _means(word: str, token: Token) -> bool:
    if "*" in word and word != "*":
        return bool(token.word) and wildcard(word, token.word)
    return bool(token.word) and _same(token.word) == _same(word)


def _could_mean(word: str, token: Token) -> bool:
    """Whether filling the placeholders of a token can give the word."""
    return wildcard(token.word.replace("*", "\\*").replace(UNKNOWN, "*"), word)


def _is_name(token: Token) -> bool:
    if not token.plain:
        return bool(token.word)
    return token.word.isidentifier() and token.word not in _NO_NAME | _SKIPPED


def _behind_comma(stream: Sequence[Token], at: int) -> int:
    """Where the next item of a list begins; the end where the statement has no further one."""
    for index in range(at, len(stream)):
        if stream[index].plain and stream[index].word in (",", ";"):
            return index + 1 if stream[index].word == "," else len(stream)
    return len(stream)


def _starts(stream: Sequence[Token]) -> Iterator[int]:
    """Indexes at which a statement can begin."""
    head = ""  # the first word of the statement
    opener = ";"
    upserts = False  # ON CONFLICT DO UPDATE is a part of its INSERT
    for index, token in enumerate(stream):
        word = token.word if token.plain else ""
        upserts = word == "CONFLICT" or (upserts and word != ";")
        fresh = opener in _OPENERS and not (opener in _SOFT and _is_expression(stream, index))
        fresh = fresh and not (opener == "DO" and upserts)
        # FROM a INSERT INTO b, as Hive and Spark have it
        action = head == "ALTER" and opener not in ("ON", "NO", "REFERENCES")  # ON DELETE CASCADE
        behind_condition = head in ("IF", "WHILE")  # T-SQL has no THEN
        if fresh or action or behind_condition or (head == "FROM" and word == "INSERT"):
            yield index
        if fresh and (opener not in _SOFT or word == "ALTER"):
            head = word
        opener = word


def _is_conditional(stream: Sequence[Token], at: int) -> bool:
    """Whether a statement runs only under a condition, or when the routine that it is in is called.

    Of several statements in a branch the first is known as one.
    """
    if not at or not stream[at - 1].plain:
        return False
    if stream[at - 1].word in ("THEN", "ELSE", "DO"):
        return True
    head = [token.word for token in stream[:4] if token.plain]
    return head[:1] == ["CREATE"] and not _ROUTINES.isdisjoint(head)


def _is_expression(stream: Sequence[Token], at: int) -> bool:
    """Whether a word that could begin a statement is rather a column, an alias or a function."""
    word = stream[at].word
    if at + 1 == len(stream):
        return word != "DELETE"  # MERGE … THEN DELETE
    behind = stream[at + 1].word
    if word == "DELETE" and behind in ("FROM", "AND"):
        return False
    return behind in _NO_SECOND or (behind == "(" and word in _FUNCTIONS)


def _same(word: str) -> str:
    return _SAME.get(word, word)


def _variants(word: str) -> set[str]:
    return {word, *(other for other, same in _SAME.items() if same == word)}


def _filled_in(text: str) -> CommandMatch | None:
    """The doubt about a statement whose beginning is filled in; None where there is none."""
    if UNKNOWN not in text or not _begins_unknown(text):
        return None
    return CommandMatch(met=None, command=_short(text), parser="sqlglot")


def _begins_unknown(text: str) -> bool:
    return any(part.strip().startswith((UNKNOWN, UNKNOWN_WORDS)) for part in text.split(";"))


def _short(text: str) -> str:
    return cut(text.replace(UNKNOWN, "…").replace(UNKNOWN_WORDS, "…"), 100)
