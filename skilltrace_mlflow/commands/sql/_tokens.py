"""SQL taken apart: comments, string literals and quoted names known for what they are.

sqlglot's tokenizer of the client's dialect does it; without sqlglot a small scanner does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from skilltrace_mlflow.commands.command import UNKNOWN

__all__ = ["SqlText", "Token", "scan", "tokens"]

# Behind these sqlglot's tokenizer hands over the rest of the statement as one text.
_UNREAD = frozenset({"COMMAND", "EXECUTE", "FETCH", "RENAME", "SHOW"})


@dataclass(frozen=True, kw_only=True)
class SqlText:
    """A piece of SQL that a call executed, `otherwise` only under a condition of its line."""

    text: str
    dialect: str = "databricks"
    otherwise: bool = False


@dataclass(frozen=True)
class Token:
    """A word, a sign or a literal of a statement."""

    word: str  # upper case, without quotes
    plain: bool  # neither a quoted name nor a literal
    literal: str | None = None


_NAMED_LIST = "CATALOG DATABASE EXISTS FROM FUNCTION INTO JOIN SCHEMA TABLE UPDATE VIEW VOLUME ."
_NAMED = frozenset(_NAMED_LIST.split())  # what a name follows


@lru_cache(maxsize=2048)
def tokens(text: str, dialect: str) -> tuple[list[Token], str]:
    """The tokens of a text, and what took it apart: sqlglot or the scanner.

    A name that is filled in (`IDENTIFIER(:x)`, `TABLE :x`, `TABLE $x`) is one token, UNKNOWN.
    """
    found, reader = _taken_apart(text, dialect)
    return _with_filled_in(found), reader


def _with_filled_in(found: list[Token]) -> list[Token]:
    out: list[Token] = []
    at = 0
    while at < len(found):
        token = found[at]
        follows = found[at + 1] if at + 1 < len(found) else Token("", False)
        named = bool(out) and out[-1].plain and out[-1].word in _NAMED
        if token.plain and token.word == "IDENTIFIER" and follows.word == "(":
            end = next((i for i in range(at, len(found)) if found[i].word == ")"), len(found))
            out.extend(_identifier(found[at + 2 : end]))
            at = end + 1
        elif token.plain and token.word in (":", "$", "@", "&", "?") and named:
            out.append(Token(UNKNOWN, True))
            at += 1 if token.word == "?" else 2
        elif named and token.plain and len(token.word) > 1 and token.word[0] in "$@:&":
            out.append(Token(UNKNOWN, True))
            at += 1
        else:
            out.append(token)
            at += 1
    return out


def _identifier(inner: list[Token]) -> list[Token]:
    """The parts of the name that `IDENTIFIER(…)` gives."""
    name = "".join(
        token.literal.upper() if token.literal is not None else UNKNOWN
        for token in inner
        if not (token.plain and token.word in ("||", "+", "("))
    )
    parts: list[Token] = []
    for part in name.split("."):
        parts.extend((Token(".", True),) if parts else ())
        parts.append(Token(part, UNKNOWN in part))
    return parts


def _taken_apart(text: str, dialect: str) -> tuple[list[Token], str]:
    try:
        import sqlglot
        from sqlglot.errors import SqlglotError
    except ImportError:
        return scan(text), "scanner"
    try:
        raw = sqlglot.tokenize(text, read=dialect)
    except SqlglotError:
        return scan(text), "scanner: not tokenized"
    found: list[Token] = []
    before = ""
    for token in raw:
        kind = token.token_type.name
        literal = kind.endswith("STRING") or kind == "NUMBER"
        if kind == "STRING" and before in _UNREAD:
            found.extend(_taken_apart(token.text, dialect)[0])
        elif literal:
            # a name in most dialects, and a number can be part of a pattern
            named = kind == "NUMBER" or text[token.start : token.start + 1] == '"'
            found.append(Token(token.text.upper() if named else "", False, token.text))
        else:
            quoted = kind == "IDENTIFIER"
            words = [token.text] if quoted else token.text.split()
            found.extend(Token(word.upper(), not quoted) for word in words)
        before = kind
    return found, "sqlglot"


_SCANNER = re.compile(
    r"(?P<skip>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<text>'(?:[^']|'')*'?)"
    r"|(?P<name>`[^`]*`?|\"[^\"]*\"?)"
    r"|(?P<word>[^\W\d]\w*)|(?P<other>.)",
    re.DOTALL,
)


def scan(text: str) -> list[Token]:
    """The tokens of a text as the small scanner sees them; never raises."""
    found = []
    for match in _SCANNER.finditer(text):
        kind, value = match.lastgroup, match.group()
        if kind == "text":
            found.append(Token("", False, value.strip("'")))
        elif kind == "name":
            found.append(Token(value[1:].rstrip('`"').upper(), False))
        elif kind != "skip":
            found.append(Token(value.upper(), True))
    return found
