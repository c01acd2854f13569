"""PowerShell text cut into commands and words, without a grammar.

The grammar for tree-sitter (0.26) takes `git log --format=%h`, `ri a, b` and `$env:TEMP\\x` for
errors, so the text is cut by hand: at `;`, `|`, `&&` and line ends outside quotes, brackets and
blocks, whose texts are scripts of their own. It never raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS

__all__ = ["MOST", "Segment", "resolved", "segments"]

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "", "a": "", "b": "", "e": "", "f": "", "v": ""}
_VARIABLE = re.compile(r"\$(?:\{[^}]*\}|(?:\w+:)?\w+|[$?^])(?:\.\w+)*", re.DOTALL)
_LINE_END = re.compile(r"[ \t]*\r?\n")
_MERGED = re.compile(r"&\d")
_LIST_GOES_ON = re.compile(r"\s*,")
MOST = 50_000
"""Characters of a script that are read."""


@dataclass
class Segment:
    """The raw words of a command, what its brackets and blocks hold, and how it stands.

    `called` is true behind `&` and `.`, `piped` where the one before it feeds it.
    """

    words: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)  # (…) and $(…): run before it
    blocks: list[str] = field(default_factory=list)  # {…}
    writes: list[str] = field(default_factory=list)
    called: bool = False
    piped: bool = False


def segments(text: str) -> list[Segment]:
    """The commands of a script in order; those in brackets and blocks are texts of their own."""
    found = [Segment()]
    text = text[:MOST]
    word, at, target = "", 0, False

    def end_word() -> None:
        nonlocal word, target
        if word and target:
            found[-1].writes.append(word)
            target = False
        elif word:
            found[-1].words.append(word)
        word = ""

    def begin(*, piped: bool = False) -> None:
        end_word()
        if found[-1].words or found[-1].called:
            found.append(Segment())
        found[-1].piped = found[-1].piped or piped

    while at < len(text):
        char, follows = text[at], text[at + 1 : at + 2]
        if char == "`":
            goes_on = _LINE_END.match(text, at + 1)
            if goes_on:
                end_word()
                at = goes_on.end()
            else:
                word += text[at : at + 2]
                at += 2
        elif char in "'\"" or (char == "@" and follows in ("'", '"') and follows):
            literal = _literal_at(text, at)
            word += literal
            found[-1].values.extend(_subexpressions(literal))
            at += len(literal)
        elif char == "<" and follows == "#":
            end = text.find("#>", at)
            at = len(text) if end < 0 else end + 2
        elif char == "#" and not word:
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif char == "$" and follows == "{":
            end = text.find("}", at)
            end = len(text) if end < 0 else end + 1
            word += text[at:end]
            at = end
        elif char in "({":
            end = _closing(text, at)
            inner = text[at + 1 : end]
            (found[-1].values if char == "(" else found[-1].blocks).append(inner)
            if char == "{" and not word.startswith("@"):
                end_word()
            word += text[at : end + 1]
            at = end + 1
            if char == "{":
                end_word()
        elif char in "\n;)}" or (char in "&|" and follows == char):
            begin()
            at += 2 if char in "&|" else 1
        elif char == "|":
            begin(piped=True)
            at += 1
        elif char == "&" and not word and not found[-1].words:
            found[-1].called = True
            at += 1
        elif char == "&" and not word:
            begin()
            at += 1
        elif char == ">":
            word = "" if word in ("*", "1", "2", "3", "4", "5", "6") else word
            end_word()
            at += 2 if follows == ">" else 1
            merged = _MERGED.match(text, at)
            target = merged is None
            at = merged.end() if merged else at
        elif char.isspace():
            at += 1
            if not word.endswith(","):
                rest = _LIST_GOES_ON.match(text, at)
                if rest and word:
                    at = rest.end() - 1
                else:
                    end_word()
        elif char == "." and not word and not found[-1].words and follows.isspace():
            found[-1].called = True
            at += 1
        else:
            word += char
            at += 1
    end_word()
    return [segment for segment in found if segment.words]


def _subexpressions(literal: str) -> list[str]:
    """What stands in the `$(…)` of a text in double quotes."""
    found: list[str] = []
    if "$(" not in literal or literal.startswith(("'", "@'")):
        return found
    at = literal.find("$(")
    while at >= 0:
        end = _closing(literal, at + 1)
        found.append(literal[at + 2 : end])
        at = literal.find("$(", end)
    return found


def _literal_at(text: str, at: int) -> str:
    """The literal that begins at a place, quotes and all."""
    if text[at] == "@":
        quote = text[at + 1]
        first = text.find("\n", at)
        if first < 0 or text[at + 2 : first].strip():
            return "@"
        end = text.find(f"\n{quote}@", first)
        return text[at:] if end < 0 else text[at : end + 3]
    quote = text[at]
    index = at + 1
    while index < len(text):
        char = text[index]
        if char == "`" and quote == '"':
            index += 2
        elif char == "$" and quote == '"' and text[index + 1 : index + 2] == "(":
            index = _closing(text, index + 1, plain=True) + 1
        elif char == quote:
            if text[index + 1 : index + 2] != quote:
                return text[at : index + 1]
            index += 2
        else:
            index += 1
    return text[at:]


def resolved(raw: str, values: Mapping[str, str]) -> list[str]:
    """The words that a raw word stands for: a list gives several, `@args` words that may be any."""
    if raw.startswith("@") and raw[1:2].isalpha():
        return [UNKNOWN_WORDS]
    words = [""]
    at = 0
    while at < len(raw):
        char = raw[at]
        if char == "`":
            words[-1] += raw[at + 1 : at + 2]
            at += 2
        elif char in "'\"" or (char == "@" and raw[at + 1 : at + 2] in ("'", '"')):
            literal = _literal_at(raw, at)
            words[-1] += _text_of(literal, values)
            at += len(literal)
        elif char == "$":
            if raw[at + 1 : at + 2] == "(":
                words[-1] += UNKNOWN
                at = _closing(raw, at + 1) + 1
                continue
            match = _VARIABLE.match(raw, at)
            words[-1] += _value(match.group(), values) if match else "$"
            at = match.end() if match else at + 1
        elif char == "(":
            end = _closing(raw, at)
            words[-1] += _joined(raw[at + 1 : end], values)
            at = end + 1
        elif char == "{":
            return [UNKNOWN]  # a script block: its commands are read for themselves
        elif char == "@" and raw[at + 1 : at + 2] == "(":
            at += 1
            end = _closing(raw, at)
            inner_text = raw[at + 1 : end].strip()
            if "@(" in inner_text:
                return [UNKNOWN_WORDS]
            words[-1:] = resolved(inner_text, values) or [""]
            at = end + 1
        elif char == ",":
            words.append("")
            at += 1
            while at < len(raw) and raw[at].isspace():
                at += 1
        else:
            words[-1] += char
            at += 1
    return [word for word in words if word] or ([""] if raw[:1] in ("'", '"') else [])


def _text_of(literal: str, values: Mapping[str, str]) -> str:
    """What a literal says; `UNKNOWN` where something is filled in."""
    if literal.startswith("@"):
        quote = literal[1:2]
        body = literal.partition("\n")[2].removesuffix(f"\n{quote}@")
    else:
        quote = literal[:1]
        closed = len(literal) > 1 and literal.endswith(quote)
        body = literal[1:-1] if closed else literal[1:]
        if quote == "'":
            return body.replace("''", "'")
    if quote == "'":
        return body
    parts: list[str] = []
    at = 0
    while at < len(body):
        char = body[at]
        if char == "`":
            follows = body[at + 1 : at + 2]
            parts.append(_ESCAPES.get(follows, "" if follows == "\n" else follows))
            at += 2
        elif char == '"' and body[at + 1 : at + 2] == '"':
            parts.append('"')
            at += 2
        elif char == "$" and body[at + 1 : at + 2] == "(":
            parts.append(UNKNOWN)
            at = _closing(body, at + 1) + 1
        elif char == "$" and (match := _VARIABLE.match(body, at)):
            name = match.group().partition(".")[0]  # a text holds no properties
            parts.append(_value(name, values))
            at += len(name)
        else:
            parts.append(char)
            at += 1
    return "".join(parts)


def _value(name: str, values: Mapping[str, str]) -> str:
    plain = name[1:].strip("{}").lower()
    if plain in ("true", "false", "null"):
        return name.lower()
    return values.get(plain, UNKNOWN)


def _joined(text: str, values: Mapping[str, str]) -> str:
    """The text in brackets if it is literals joined by `+`, else UNKNOWN."""
    parts: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in "'\"":
            literal = _literal_at(text, at)
            parts.append(_text_of(literal, values))
            at += len(literal)
        elif char == "$" and (match := _VARIABLE.match(text, at)):
            parts.append(_value(match.group(), values))
            at = match.end()
        elif char in "+ \t\n":
            at += 1
        else:
            return UNKNOWN
    return "".join(parts) or UNKNOWN


def _closing(text: str, at: int, *, plain: bool = False) -> int:
    """Where the bracket at a place is closed; the text's end if it is not.

    Inside a text in double quotes (`plain`) quotes are no literals of their own to it.
    """
    depth = 0
    index = at
    while index < len(text):
        char = text[index]
        if char == "`":
            index += 1
        elif char in "'\"" and not plain:
            index += len(_literal_at(text, index)) - 1
        elif char in "({":
            depth += 1
        elif char in ")}":
            depth -= 1
            if not depth:
                return index
        index += 1
    return len(text)
