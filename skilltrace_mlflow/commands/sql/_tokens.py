"""SQL taken apart: comments, string literals and quoted names known for what they are.

sqlglot's tokenizer of the client's dialect does it; without sqlglot a small scanner does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from skilltrace_mlflow.commands.command import UNKNOWN

__all__ = ["SqlText", "Token", "executed_literals", "scan", "tokens", "with_templates"]

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


_FILLED_IN = re.compile(r"\$\{[^{}]*\}|\{\{[^{}]*\}\}")
_TEMPLATE_TAG = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)  # {% if full %}DROP …
# What may stand between a template and the statement behind it, whose first word is the group.
_IN_FRONT = re.compile(r"(?:[\s(]|--[^\n]*|/\*.*?\*/|\{\{[^{}]*\}\})*(\w*)", re.DOTALL)
_SETTING = re.compile(r"\{\{-?\s*config\s*\(")


def with_templates(text: str, verbs: frozenset[str]) -> str:
    """The text with UNKNOWN for what a template fills in.

    One in front of a statement that is written out, which begins with one of the verbs, stays what
    it is, as `{{ config(…) }}` does, which is no SQL.
    """

    def filled(match: re.Match[str]) -> str:
        before = match.string[: match.start()].rstrip()
        if match.group()[0] != "{" or before[-1:] not in ("", ";", "}"):
            return UNKNOWN
        behind = _IN_FRONT.match(match.string, match.end())
        begins = behind is not None and behind.group(1).upper() in verbs
        return match.group() if begins or _SETTING.match(match.group()) else UNKNOWN

    return _FILLED_IN.sub(filled, _TEMPLATE_TAG.sub(" ", text))


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
    name = re.sub(f"{UNKNOWN}+", UNKNOWN, name)
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


_ENDS = (";", "DO", "EXEC", "EXECUTE", "INTO", "PREPARE", "USING")
# Run a literal as SQL, the second row somewhere else.
_DYNAMIC = {"DO", "EXEC", "EXECUTE", "IMMEDIATE", "SP_EXECUTESQL"}
_GLUE = ("(", ")", "||", "+", ",", "CONCAT", "FROM", "IMMEDIATE", "N", "SP_EXECUTESQL")
_ELSEWHERE = {
    "DBLINK", "DBLINK_EXEC", "EXTERNAL_QUERY", "OPENQUERY", "OPENROWSET", "REMOTE_QUERY",
}  # fmt: skip


def executed_literals(stream: Sequence[Token]) -> Iterator[str]:
    """Texts that a statement runs as SQL: EXECUTE IMMEDIATE '...', EXEC('...'), PREPARE x FROM."""
    for index, token in enumerate(stream):
        prepares = token.word == "PREPARE" and any(t.word == "FROM" for t in stream[index:][:4])
        if not token.plain or not (token.word in _DYNAMIC | _ELSEWHERE or prepares):
            continue
        if token.word == "DO" and not _hands_over(stream[index + 1 : index + 2]):
            continue
        if token.word in _ELSEWHERE:
            yield from _within_brackets(stream, index + 1)
            continue
        parts: list[str] = []
        for following in stream[index + 1 :]:
            if following.literal is not None:
                parts.append(following.literal)
            elif following.word in _ENDS:
                break
            elif following.word not in _GLUE:
                parts.append(UNKNOWN)
        if token.word == "IMMEDIATE" or prepares or any(part != UNKNOWN for part in parts):
            yield "".join(parts)
        yield from (part for part in parts if part != UNKNOWN)


def _hands_over(following: Sequence[Token]) -> bool:
    """Whether DO is followed by its text (`DO LANGUAGE x '…'`), not by the body of a loop."""
    return any(token.literal is not None or token.word == "LANGUAGE" for token in following)


def _within_brackets(stream: Sequence[Token], at: int) -> Iterator[str]:
    """The literals of a function's arguments, each as it stands and all that are joined."""
    depth = 0
    for token in stream[at : at + 400]:
        if token.literal is not None:
            yield token.literal
        elif token.plain and token.word in ("(", ")"):
            depth += 1 if token.word == "(" else -1
        if depth <= 0:
            return
