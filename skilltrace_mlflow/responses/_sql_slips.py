"""Slips in SQL that sqlglot lets pass, found in a statement's tokens.

sqlglot reads many dialects and fills in what one of them may leave out: an empty select list, a
comma after the last item, `DELETE t`, `JOIN b ON`, `INSERT INTO t` without rows. None of it runs on
Databricks. Statements that sqlglot does not know (`CREATE TABEL t`) it takes as they are.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["find_slip"]

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
