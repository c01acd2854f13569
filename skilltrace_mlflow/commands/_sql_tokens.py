"""SQL taken apart: comments, string literals and quoted names known for what they are.

sqlglot's tokenizer of the client's dialect does it; without sqlglot a small scanner does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["SqlText", "Token", "scan", "tokens"]

# Behind these sqlglot's tokenizer hands over the rest of the statement as one text.
_UNREAD = frozenset({"COMMAND", "EXECUTE", "FETCH", "RENAME", "SHOW"})


@dataclass(frozen=True, kw_only=True)
class SqlText:
    """A piece of SQL that a call executed."""

    text: str
    dialect: str = "databricks"


@dataclass(frozen=True)
class Token:
    """A word, a sign or a literal of a statement."""

    word: str  # upper case, without quotes
    plain: bool  # neither a quoted name nor a literal
    literal: str | None = None


@lru_cache(maxsize=2048)
def tokens(text: str, dialect: str) -> tuple[list[Token], str]:
    """The tokens of a text, and what took it apart: sqlglot or the scanner."""
    try:
        import sqlglot
    except ImportError:
        return scan(text), "scanner"
    try:
        raw = sqlglot.tokenize(text, read=dialect)
    except sqlglot.errors.SqlglotError:
        return scan(text), "scanner: not tokenized"
    found: list[Token] = []
    before = ""
    for token in raw:
        kind = token.token_type.name
        literal = kind.endswith("STRING") or kind == "NUMBER"
        if kind == "STRING" and before in _UNREAD:
            found.extend(tokens(token.text, dialect)[0])
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
