"""SQL code blocks must parse as Databricks SQL.

sqlglot reads many dialects and fills in what one of them may leave out: an empty select list, a
comma after the last item, `DELETE t`, `JOIN b ON`, `INSERT INTO t` without rows. None of it runs on
Databricks. Statements that sqlglot does not know (`CREATE TABEL t`) it takes as they are. Such
slips are found in a statement's tokens (`find_slip`).
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Sequence
from typing import Any

from skilltrace_mlflow.checks import Example, Outcome, Verdict
from skilltrace_mlflow.responses._base import Response, response_check
from skilltrace_mlflow.responses._blocks import Block, code_blocks, judge_blocks

__all__ = ["find_slip", "sql_syntax"]

_LANGUAGES = ("databricks", "databricks-sql", "sparksql", "sql")
_HEADS = re.compile(
    r"(?:ADD|ALTER|ANALYZE|APPLY|AUTO|BEGIN|CACHE|CALL|CLEAR|COMMENT|CONVERT|COPY|CREATE|DECLARE|"
    r"DELETE|DENY|"
    r"DESC|DESCRIBE|DROP|EXECUTE|EXPLAIN|EXPORT|FROM|FSCK|GENERATE|GET|GRANT|INSERT|LIST|LOAD|"
    r"MERGE|MSCK|OPTIMIZE|PUT|REFRESH|REMOVE|REORG|REPAIR|RESET|RESTORE|REVOKE|SELECT|SET|"
    r"SHOW|SYNC|TABLE|TRUNCATE|UNCACHE|UNDROP|UNSET|UPDATE|USE|VACUUM|VALUES|WITH)",
    re.IGNORECASE,
)
# Databricks' own statements that sqlglot (26-30) refuses or does not know; of these only brackets
# and quotes are checked, and the rationale says so.
_BEYOND = re.compile(
    r"^\s*(?:ADD\b|APPLY\s+CHANGES|AUTO\s+CDC|BEGIN\b|DECLARE\b|EXECUTE\b|GET\b|LIST\b|PUT\b|REMOVE\b"
    r"|CREATE\s+(?:OR\s+(?:REFRESH|REPLACE)\s+)?(?:PRIVATE\s+|TEMPORARY\s+)?"
    r"(?:STREAMING|LIVE|MATERIALIZED|FLOW|POLICY|RECIPIENT|SHARE|CONNECTION|EXTERNAL|STORAGE)\b"
    r"|CREATE\s+(?:OR\s+REPLACE\s+)?PROCEDURE\b|CONVERT\s+TO\s+DELTA\b|DESC(?:RIBE)?\s+DETAIL\b"
    r"|RESTORE\b|ALTER\b|SYNC\b|UNDROP\b|DENY\b)"
    r"|\bON\s+VIOLATION\b",
    re.IGNORECASE,
)
# What a reader is meant to fill in: {{ x }}, ${x}, {x}, <your_catalog>, :parameter stays as it is.
# ARRAY<STRING> is a type, and `a <b AND c> d` compares.
_PLACEHOLDER = re.compile(
    r"\{\{\s*[\w.]+\s*\}\}|\$\{[\w.\-]+\}|\{[A-Za-z_][\w.\-]*\}"
    r"|(?<!ARRAY)(?<!MAP)(?<!STRUCT)<[A-Za-z_](?:(?!\s(?:AND|OR)\s)[\w\- ])*>",
    re.IGNORECASE,
)
# The body of a function in another language; its line breaks are kept for the numbers of lines.
_BODY = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
# A notebook's mark of the cell's language.
_CELL_MARK = re.compile(r"\A\s*%{1,2}sql\b")
# The function of that name, which sqlglot takes for the beginning of a WINDOW clause.
_WINDOW = re.compile(r"\bwindow(?=\s*\(|\.(?:start|end)\b)", re.IGNORECASE)
# A clause of Databricks' between the verb and INTO; its line breaks are kept.
_EVOLUTION = re.compile(r"\b(MERGE|INSERT)(\s+)WITH\s+SCHEMA\s+EVOLUTION\b", re.IGNORECASE)
_QUERY = re.compile(r"\bAS\s+((?:SELECT|WITH)\b.*)\Z", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(r"<Token [^>]*?text: ([^,]*),[^>]*>")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
# Names of token types after which something has to come, before the statement or bracket ends.
_NEEDS_MORE = frozenset(
    (
        "ALIAS",
        "AND",
        "COMMA",
        "FROM",
        "GROUP_BY",
        "HAVING",
        "IN",
        "INTO",
        "JOIN",
        "LIKE",
        "ON",
        "OR",
    )
) | {"ORDER_BY", "SELECT", "SET", "UNION", "WHERE"}
_ENDS = frozenset(("R_PAREN", "SEMICOLON", "GROUP_BY", "HAVING", "ORDER_BY", "WHERE"))
# A word after one of these is a name, whatever it says: `msg.from`, `raw:order`, `x AS table`.
_BEFORE_NAMES = frozenset(("ALIAS", "COLON", "DOT"))
_QUERIES = frozenset(("FROM", "L_PAREN", "SELECT", "TABLE", "VALUES", "WITH"))
_DEFINITION = re.compile(
    r"\s*(?:ALTER|CREATE|DROP|UNDROP)\b\s*(?:OR\s+(?:REFRESH|REPLACE)\b\s*)?([A-Za-z_]\w*)?",
    re.IGNORECASE,
)
# Kinds of objects; one that is none of them but looks like one is a slip, any other may be new.
_KINDS = (
    *("bloomfilter", "catalog", "connection", "credential", "database", "external", "flow"),
    *("foreign", "function", "global", "group", "index", "live", "location", "materialized"),
    *("metric", "policy", "private", "procedure", "provider", "recipient", "role", "schema"),
    *("service", "share", "storage", "streaming", "table", "temporary", "user", "variable"),
    *("view", "volume"),
)
_SELECT_DISTINCT = ("SELECT", "DISTINCT")
_SETS = re.compile(r"\s*SET\b", re.IGNORECASE)  # `SET x = on` ends as it likes


@response_check(
    name="sql_syntax",
    parse=lambda expectations: (),
    listed=True,
    examples=(
        Example(
            value={},
            response="```sql\nSELECT id FROM events\n```\n",
            verdict=Verdict.PASS,
            why="the statement parses",
        ),
        Example(
            value={},
            response="```sql\nSELECT FROM events WHERE\n```\n",
            verdict=Verdict.FAIL,
            why="nothing follows SELECT",
        ),
    ),
)
def sql_syntax(response: Response, parameters: Any) -> Outcome:
    """Every SQL code block of the response parses in sqlglot's Databricks dialect.

    Placeholders such as `${catalog}` count as names. Statements that sqlglot does not know are
    checked for brackets and quotes only; the rationale counts them. No SQL block: nothing to judge.
    """
    partly: list[str] = []
    outcome = judge_blocks(
        response.text or "", _LANGUAGES, "SQL", lambda block: _problem(block, partly)
    )
    if not partly or not code_blocks(response.text or "", _LANGUAGES):
        return outcome
    note = f"{len(partly)} statement(s) checked for brackets and quotes only: {_join(partly)}"
    return Outcome(
        verdict=outcome.verdict,
        score=outcome.score,
        hits=outcome.hits,
        misses=outcome.misses,
        rationale=f"{outcome.rationale} ({note})",
        details={**outcome.details, "partly_checked": list(partly)},
    )


def _problem(block: Block, partly: list[str]) -> str | None:
    text = _BODY.sub(lambda body: f"'{chr(10) * body[1].count(chr(10))}'", block.text)
    text = _PLACEHOLDER.sub("placeholder", _CELL_MARK.sub("", text))
    text = _EVOLUTION.sub(r"\1\2", _WINDOW.sub("time_window", text))
    try:
        statements = _split(text)
    except _TokenError as problem:
        return str(problem)
    if not statements:
        return "no statement in it"
    for statement in statements:
        head = (re.match(r"[(\s]*([A-Za-z_]\w*)", _uncommented(statement)) or [None, ""])[1] or ""
        if not _HEADS.fullmatch(head):
            shown = head or statement.strip()[:20]
            return f"{shown!r} begins no SQL statement"
        found = _slip(statement) or _parse(statement, partly)
        if found is not None:
            return found
    return None


class _TokenError(ValueError):
    """Quotes or brackets that do not close."""


def _split(text: str) -> list[str]:
    """Statements of a text, by the semicolons that are outside quotes, brackets and BEGIN…END."""
    import sqlglot
    from sqlglot import TokenType
    from sqlglot.errors import TokenError

    try:
        tokens = sqlglot.tokenize(text, read="databricks")
    except TokenError as error:
        raise _TokenError(str(error).splitlines()[0]) from None
    pairs = {
        TokenType.R_PAREN: TokenType.L_PAREN,
        TokenType.R_BRACKET: TokenType.L_BRACKET,
        TokenType.R_BRACE: TokenType.L_BRACE,
    }
    opened: list[Any] = []
    cuts = [0]
    script = False
    head: Any = None
    for token in tokens:
        kind = token.token_type
        head = head or kind
        script = script or (kind is TokenType.BEGIN and head in (kind, TokenType.CREATE))
        if kind in pairs.values():
            opened.append(token)
        elif kind in pairs:
            if not opened or opened.pop().token_type is not pairs[kind]:
                raise _TokenError(f"unbalanced {token.text!r} at line {token.line} of the block")
        elif kind is TokenType.SEMICOLON and not opened and not script:
            cuts.append(token.end + 1)
            head = None
    if opened:
        token = opened[-1]
        raise _TokenError(f"{token.text!r} at line {token.line} of the block is never closed")
    parts = [text[a:b].rstrip("; \n\t") for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]
    return [part for part in parts if _has_code(part)]


def _has_code(statement: str) -> bool:
    without = re.sub(r"--[^\n]*|/\*.*?\*/", "", statement, flags=re.DOTALL)
    return bool(without.strip(" ;\n\t"))


def _slip(statement: str) -> str | None:
    import sqlglot

    return find_slip(_uncommented(statement), sqlglot.tokenize(statement, read="databricks"))


def _parse(statement: str, partly: list[str]) -> str | None:
    found, known = _parse_one(statement)
    if known or (found is not None and not _BEYOND.search(_uncommented(statement))):
        return found
    # Not understood as a whole; the query that it may end with is.
    query = _QUERY.search(statement)
    if query is not None:
        found, _ = _parse_one(query[1])
        if found is not None:
            return found
    partly.append(_head(statement))
    return None


def _parse_one(statement: str) -> tuple[str | None, bool]:
    """What is wrong with a statement, and whether sqlglot knows such statements at all."""
    import sqlglot
    from sqlglot.errors import SqlglotError
    from sqlglot.expressions import Command

    logger = logging.getLogger("sqlglot")
    before, logger.disabled = logger.disabled, True  # it warns on each statement it does not know
    try:
        parsed = sqlglot.parse_one(statement, dialect="databricks")
    except SqlglotError as error:
        line = _ESCAPES.sub("", str(error).splitlines()[0])
        return _TOKEN.sub(r"'\1'", line).strip(), False
    finally:
        logger.disabled = before
    return None, not isinstance(parsed, Command)


def _uncommented(statement: str) -> str:
    return re.sub(r"^(?:\s*--[^\n]*\n|\s*/\*.*?\*/)+", "", statement, flags=re.DOTALL)


def _head(statement: str) -> str:
    return " ".join(_uncommented(statement).split()[:3])


def _join(items: list[str]) -> str:
    unique = list(dict.fromkeys(items))
    return ", ".join(unique[:3]) + (", …" if len(unique) > 3 else "")


def find_slip(statement: str, tokens: Sequence[Any]) -> str | None:
    """What is wrong with a statement (comments in front of it taken away), None if nothing is."""
    if _SETS.match(statement):
        return None
    defined = _DEFINITION.match(statement)
    if defined is not None and _is_no_kind((defined[1] or "").lower()):
        return f"{defined[0].strip()!r} names no kind of object"
    names = [token.token_type.name for token in tokens]
    for index, name in enumerate(names):
        before = names[index - 1] if index else ""
        after = names[index + 1] if index + 1 < len(names) else "SEMICOLON"
        if before in _BEFORE_NAMES:
            continue
        told = f"nothing follows {tokens[index].text!r} at line {tokens[index].line}"
        if name in _NEEDS_MORE and after in _ENDS:
            return told
        if name in ("TABLE", "VIEW") and after == "SEMICOLON":
            return told
        if after == "FROM" and (name in ("COMMA", "SELECT") or (before, name) == _SELECT_DISTINCT):
            return told
    if names[:1] == ["DELETE"] and names[1:2] != ["FROM"]:
        return "DELETE without FROM"
    if names[:1] == ["INSERT"] and not _QUERIES.intersection(names[3:]) - {"L_PAREN"}:
        return "INSERT without rows to insert"
    return _without_query(names, tokens)


def _is_no_kind(word: str) -> bool:
    return not word or (
        word not in _KINDS and bool(difflib.get_close_matches(word, _KINDS, n=1, cutoff=0.75))
    )


def _without_query(names: Sequence[str], tokens: Sequence[Any]) -> str | None:
    """`CREATE … TABLE x AS` must go on with a query."""
    if names[:1] != ["CREATE"] or not {"TABLE", "VIEW"}.intersection(names[:6]):
        return None
    depth = 0
    for index, name in enumerate(names):
        depth += {"L_PAREN": 1, "R_PAREN": -1}.get(name, 0)
        if name == "ALIAS" and depth == 0:
            after = names[index + 1] if index + 1 < len(names) else ""
            if after == "VAR" and tokens[index + 1].text.upper() != "OF":  # VERSION AS OF
                return f"{tokens[index + 1].text!r} after AS begins no query"
            return None
    return None
