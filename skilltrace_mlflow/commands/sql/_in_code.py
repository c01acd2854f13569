"""The SQL in program text: what `spark.sql(…)`, `cursor.execute(…)` and `%sql` are given.

The text is cut into literals, names and signs, so that comments, docstrings and other literals
never count. Literals are put together over `+`, side by side, through `paste0` and names that the
text itself gives one value; what is filled in (`f"{x}"`, `s"$x"`, `%s`, a name with no value in
sight) is `UNKNOWN`. It never raises, and takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

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
_JOINING_LIST = "paste paste0 concat dedent str text sql glue string"
_JOINING = frozenset(_JOINING_LIST.split())
_HASH = frozenset({"", "python", "py", "r", "ruby", "sh", "perl", "php"})
_SLASHES = frozenset(
    {"scala", "java", "javascript", "js", "typescript", "ts", "kotlin", "php", "go"}
)

_MAY_HOLD_SQL = re.compile(
    r"(?i)\b(?:" + "|".join(sorted(_FIRST | _SECOND | _COMMON)) + r")\s*\(|%%?\w*sql|%%bigquery"
)
_PARTS = ("sql", "exec", "quer", "prepare", "dbsend")  # of which each of these words has one

_TOKEN = re.compile(
    r"(?P<prefix>[A-Za-z]{0,3})(?P<triple>\"{3}|'{3})"
    r"|(?P<prefix1>[A-Za-z]{0,3})(?P<quote>[\"'`])"
    r"|(?P<name>[^\W\d][\w$]*|\$\w+)"
    r"|(?P<comment>#[^\n]*)|(?P<slashes>//[^\n]*)|(?P<block>/\*)"
    r"|(?P<space>\s+)|(?P<sign>.)",
    re.DOTALL,
)
_END = {
    '"': re.compile(r'(?:[^"\\\n]|\\.)*', re.DOTALL),
    "'": re.compile(r"(?:[^'\\\n]|\\.)*", re.DOTALL),
    "`": re.compile(r"(?:[^`\\]|\\.)*", re.DOTALL),
}
_ESCAPE = re.compile(r"\\(\n|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\n": ""}
_BRACED = re.compile(r"\{[^{}]*\}")
_DOLLAR = re.compile(r"\$\{[^{}]*\}|\$\w+")
_PERCENT = re.compile(r"%(?:\(\w+\))?[sdrfi]")
_MAGIC = re.compile(
    r"^[ \t]*(?:[\w, ]+=[ \t]*)?(?P<mark>%{1,2})(?P<name>\w*sql|bigquery)\b(?P<rest>[^\n]*)",
    re.MULTILINE | re.IGNORECASE,
)
_NOTEBOOK = re.compile(r"^(?:#|--|//) MAGIC ?", re.MULTILINE)
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True)
class _Piece:
    """A literal (with what is filled in as UNKNOWN), a name or a sign."""

    kind: str
    text: str


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
    pieces = _pieces(code, language.lower())
    values = _values(pieces)
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
        if at and pieces[at - 1] in (_Piece("name", "def"), _Piece("name", "function")):
            continue
        yield from _argument(_inside(pieces, at + 1), place, values)


def _pieces(code: str, language: str) -> list[_Piece]:
    found: list[_Piece] = []
    at = 0
    while at < len(code):
        match = _TOKEN.match(code, at)
        if match is None:
            break
        at = match.end()
        if match["triple"]:
            end = code.find(match["triple"], at)
            end = len(code) if end < 0 else end
            found.append(_literal(code[at:end], match["prefix"], "", language))
            at = end + 3
        elif match["quote"]:
            body = _END[match["quote"]].match(code, at)
            text = body.group() if body else ""
            at += len(text) + 1
            found.append(_literal(text, match["prefix1"], match["quote"], language))
        elif match["name"]:
            found.append(_Piece("name", match["name"]))
        elif match["comment"]:
            if language not in _HASH:
                found.append(_Piece("sign", "#"))
                at = match.start() + 1
        elif match["slashes"]:
            if language not in _SLASHES:
                found.append(_Piece("sign", "//"))
                at = match.start() + 2
        elif match["block"]:
            if language in _SLASHES:
                end = code.find("*/", at)
                at = len(code) if end < 0 else end + 2
        elif match["sign"]:
            found.append(_Piece("sign", match["sign"]))
    return found


def _literal(text: str, prefix: str, quote: str, language: str) -> _Piece:
    kind = prefix.lower()
    if "r" not in kind and "\\" in text:
        text = _ESCAPE.sub(lambda m: _ESCAPED.get(m.group(1), m.group(1)), text)
    if "f" in kind:
        filled = _BRACED.sub(UNKNOWN, text)
        text = _DOLLAR.sub(UNKNOWN, filled) if "$" in filled and language == "scala" else filled
    elif kind == "s" or quote == "`":
        text = _DOLLAR.sub(UNKNOWN, text)
    return _Piece("text", text)


def _values(pieces: Sequence[_Piece]) -> dict[str, str]:
    """Names that are given one literal value, and no other, in the text."""
    found: dict[str, str] = {}
    lost: set[str] = set()
    for at, piece in enumerate(pieces):
        behind = pieces[at + 1 : at + 3]
        if piece.kind != "name" or not behind:
            continue
        before = pieces[at - 1].text if at else ""
        if piece.text in ("def", "function", "lambda"):
            lost.update(inner.text for inner in _parameters(pieces, at + 1))
        if before in ("for", "as"):
            lost.add(piece.text)
        changed = behind[0].text in "+-:<" and len(behind) > 1 and behind[1].text in "=-"
        if behind[0].kind != "sign" or (not changed and behind[0].text != "="):
            continue
        if len(behind) > 1 and behind[1].text == "=" and behind[0].text == "=":
            continue  # a comparison
        for index in range(at - 1, max(0, at - 12), -2):  # a, b = …
            if pieces[index].text != "," or pieces[index - 1].kind != "name":
                break
            lost.add(pieces[index - 1].text)
            lost.add(piece.text)
        start = at + (3 if changed else 2)
        text = _text_of(_expression(pieces, start), found)
        if behind[0].text == "+" or piece.text in found or text is None or UNKNOWN in text:
            lost.add(piece.text)
        else:
            found[piece.text] = text
    return {name: text for name, text in found.items() if name not in lost}


def _parameters(pieces: Sequence[_Piece], at: int) -> Iterator[_Piece]:
    """The names between `def f(` or `lambda` and the colon or bracket that ends them."""
    for piece in pieces[at : at + 60]:
        if piece.kind == "sign" and piece.text in ":)":
            return
        if piece.kind == "name":
            yield piece


def _expression(pieces: Sequence[_Piece], start: int) -> list[_Piece]:
    """What stands behind `=`: literals and names with `+` between, at most forty pieces."""
    found: list[_Piece] = []
    for piece in pieces[start : start + 40]:
        follows = not found or (found[-1].kind == "sign" and found[-1].text == "+")
        if piece.kind == "text" or (piece.kind == "sign" and piece.text in "+.%()"):
            if not follows and piece.text in "()" and piece.kind == "sign" and piece.text == "(":
                return [*found, _Piece("name", "")]
            found.append(piece)
        elif piece.kind == "name" and (follows or found[-1].text in (".", "(")):
            found.append(piece)
        else:
            break
    return found


def _on_database(pieces: Sequence[_Piece], at: int) -> bool:
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


def _inside(pieces: Sequence[_Piece], at: int) -> list[_Piece]:
    """What stands between the bracket at a place and its end; at most some hundred pieces."""
    depth = 0
    for index in range(at, min(len(pieces), at + 400)):
        piece = pieces[index]
        if piece.kind != "sign":
            continue
        depth += (piece.text in _OPEN) - (piece.text in _CLOSE)
        if not depth:
            return list(pieces[at + 1 : index])
    return list(pieces[at + 1 : at + 400])


def _argument(inner: Sequence[_Piece], place: int, values: Mapping[str, str]) -> Iterator[str]:
    """The argument at a place, or one that is named like SQL."""
    arguments: list[list[_Piece]] = [[]]
    depth = 0
    for piece in inner:
        if piece.kind == "sign":
            depth += (piece.text in _OPEN) - (piece.text in _CLOSE)
            if piece.text == "," and not depth:
                arguments.append([])
                continue
        arguments[-1].append(piece)
    positional: list[list[_Piece]] = []
    for argument in filter(None, arguments):
        named = len(argument) > 2 and argument[0].kind == "name" and argument[1].text == "="
        if not named or argument[2].text == "=":
            positional.append(argument)
        elif argument[0].text.lower() in _KEYWORDS:
            yield UNKNOWN if (text := _text_of(argument[2:], values)) is None else text
    for argument in positional[place : place + 1]:
        yield UNKNOWN if (text := _text_of(argument, values)) is None else text


def _text_of(pieces: Sequence[_Piece], values: Mapping[str, str]) -> str | None:
    """A text put together of literals; UNKNOWN where a name's value is not in sight."""
    parts: list[str] = []
    depth = 0  # inside the brackets of what is not read
    filled = False
    for at, piece in enumerate(pieces):
        before = pieces[at - 1] if at else _Piece("sign", "")
        behind = pieces[at + 1] if at + 1 < len(pieces) else _Piece("sign", "")
        if depth:
            if piece.kind == "sign":
                depth += (piece.text in _OPEN) - (piece.text in _CLOSE)
        elif piece.kind == "text":
            parts.append(piece.text)
        elif piece.kind == "name":
            calls = behind.kind == "sign" and behind.text == "("
            if before.kind == "sign" and before.text == ".":
                filled = filled or piece.text in ("format", "format_map")
                if piece.text in ("replace", "join", "translate"):
                    parts = [UNKNOWN]
            elif calls and piece.text.lower() in _JOINING:
                continue
            else:
                parts.append(values.get(piece.text, UNKNOWN))
        elif piece.text == "%" and before.kind == "text":
            filled = True
            parts[-1] = _PERCENT.sub(UNKNOWN, parts[-1])
            depth = -1  # what is filled in stands behind
            break
        elif piece.text == "(" and before.kind == "name" and before.text.lower() not in _JOINING:
            depth = 1
        elif piece.text == "[":
            depth = 1
            parts.append(UNKNOWN)
    if not parts:
        return None
    text = "".join(parts)
    return _BRACED.sub(UNKNOWN, text) if filled else text
