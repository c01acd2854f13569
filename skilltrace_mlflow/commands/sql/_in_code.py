"""The SQL in program text: what `spark.sql(…)`, `cursor.execute(…)` and `%sql` are given.

The text is read by `_program_text`, so that comments, docstrings and other literals never count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from skilltrace_mlflow.commands._program_text import (
    Piece,
    arguments_of,
    inside,
    pieces_of,
    text_of,
    values_of,
)
from skilltrace_mlflow.commands.command import UNKNOWN

__all__ = ["may_hold_sql", "sql_in_code"]

# Functions and methods that run their first argument, their second, or are too common to be taken
# for a database's unless what they are called on is named like one.
_FIRST_LIST = (
    "sql read_sql read_sql_query raw_sql exec_driver_sql executescript executemany executesql "
    "execute_sql execute_query run_sql run_query queryrawunsafe executerawunsafe "
    "executeupdate executequery preparestatement"
)
_FIRST = frozenset(_FIRST_LIST.split())
_SECOND_LIST = "dbexecute dbgetquery dbsendquery dbsendstatement sqlquery"
_SECOND = frozenset(_SECOND_LIST.split())
_COMMON_LIST = "execute exec query prepare"
_COMMON = frozenset(_COMMON_LIST.split())
_BASES = re.compile(
    r"(?:cur|cursor|conn?|connection|db|database|engine|sess|session|tx|client|pool|pg|sqlite|"
    r"duckdb|spark|statement|stmt|warehouse|mysql|postgres|dbh)\w*",
    re.IGNORECASE,
)
_KEYWORDS_LIST = "sqlquery query sql statement sqltext stmt operation"
_KEYWORDS = frozenset(_KEYWORDS_LIST.split())
_MAY_HOLD_SQL = re.compile(
    r"(?i)\b(?:" + "|".join(sorted(_FIRST | _SECOND | _COMMON)) + r")\s*\(|%%?\w*sql|%%bigquery"
)
_PARTS = ("sql", "exec", "quer", "prepare", "dbsend")  # of which each of these words has one

_MAGIC = re.compile(
    r"^[ \t]*(?:[\w, ]+=[ \t]*)?(?P<mark>%{1,2})(?P<name>\w*sql|bigquery)\b(?P<rest>[^\n]*)",
    re.MULTILINE | re.IGNORECASE,
)
_NOTEBOOK = re.compile(r"^(?:#|--|//) MAGIC ?", re.MULTILINE)


def may_hold_sql(text: str) -> bool:
    """Whether a text has what hands SQL over; a quick look before it is taken apart."""
    if "(" not in text and "%" not in text:
        return False
    lower = text.lower()
    return any(part in lower for part in _PARTS) and _MAY_HOLD_SQL.search(text) is not None


def sql_in_code(code: str, language: str = "") -> Iterator[str]:
    """The texts that a program hands over as SQL; UNKNOWN for one that is not in sight."""
    if not may_hold_sql(code):
        return
    code = _NOTEBOOK.sub("", code)
    magics = list(_MAGIC.finditer(code))
    for index, magic in enumerate(magics):
        end = magics[index + 1].start() if index + 1 < len(magics) else len(code)
        first = not code[: magic.start()].strip()
        line, behind = magic["rest"], code[magic.end() : end]
        if first or magic["mark"] == "%%" or not line.strip():
            yield line + behind
            if line.strip():
                yield behind  # the line may hold a connection
        else:
            yield line.partition("<<")[2] or line
    if magics and not code[: magics[0].start()].strip() and magics[0]["mark"] == "%%":
        return  # the whole cell
    pieces = pieces_of(code, language.lower())
    values = values_of(pieces)
    for at, (piece, behind_it) in enumerate(pairwise(pieces)):
        if piece.kind != "name" or behind_it.text != "(" or behind_it.kind != "sign":
            continue
        name = piece.text.lower().lstrip("$")
        if name in _SECOND:
            place = 1
        elif name in _FIRST or (name in _COMMON and _on_database(pieces, at)):
            place = 0
        else:
            continue
        if at and pieces[at - 1] in (Piece("name", "def"), Piece("name", "function")):
            continue
        yield from _argument(inside(pieces, at + 1), place, values)


def _on_database(pieces: Sequence[Piece], at: int) -> bool:
    """Whether a method is called on something that is named like a database."""
    if at < 2 or pieces[at - 1].text not in (".", ">"):
        return False
    names: list[str] = []
    depth = 0
    for piece in reversed(pieces[max(0, at - 14) : at - 1]):
        if piece.kind == "sign" and piece.text == ")":
            depth += 1
        elif piece.kind == "sign" and piece.text == "(":
            if not depth:
                break
            depth -= 1
        elif piece.kind == "name" and not depth:
            names.append(piece.text.lstrip("$_"))
        elif not depth and piece.text not in (".", "-", ">"):
            break
    return any(_BASES.fullmatch(name) for name in names)


def _argument(inner: Sequence[Piece], place: int, values: Mapping[str, str]) -> Iterator[str]:
    """The argument at a place, or one that is named like SQL."""
    positional: list[list[Piece]] = []
    for argument in filter(None, arguments_of(inner)):
        named = len(argument) > 2 and argument[0].kind == "name" and argument[1].text == "="
        if not named or argument[2].text == "=":
            positional.append(argument)
        elif argument[0].text.lower() in _KEYWORDS:
            yield UNKNOWN if (text := text_of(argument[2:], values)) is None else text
    for argument in positional[place : place + 1]:
        yield UNKNOWN if (text := text_of(argument, values)) is None else text
