"""Program text cut into literals, names and signs, in whatever language.

Comments, docstrings and literals are told apart, and literals put together over `+`, side by side,
through `paste0` and names that the text itself gives one value; what is filled in (`f"{x}"`,
`s"$x"`, `%s`, a name with no value in sight) is `UNKNOWN`. Nothing here raises for what a text
holds, and all of it takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from skilltrace_mlflow.commands.command import UNKNOWN

__all__ = ["Piece", "arguments_of", "inside", "pieces_of", "text_of", "values_of"]

_JOINING_LIST = "paste paste0 concat dedent str text sql glue string"
_JOINING = frozenset(_JOINING_LIST.split())
_HASH = frozenset({"", "python", "py", "r", "ruby", "sh", "perl", "php"})
_SLASHES = frozenset(
    {"scala", "java", "javascript", "js", "typescript", "ts", "kotlin", "php", "go"}
)

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
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True)
class Piece:
    """A literal (with what is filled in as UNKNOWN), a name or a sign."""

    kind: str
    text: str


def pieces_of(code: str, language: str) -> list[Piece]:
    found: list[Piece] = []
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
            found.append(Piece("name", match["name"]))
        elif match["comment"]:
            if language not in _HASH:
                found.append(Piece("sign", "#"))
                at = match.start() + 1
        elif match["slashes"]:
            if language not in _SLASHES:
                found.append(Piece("sign", "//"))
                at = match.start() + 2
        elif match["block"]:
            if language in _SLASHES:
                end = code.find("*/", at)
                at = len(code) if end < 0 else end + 2
        elif match["sign"]:
            found.append(Piece("sign", match["sign"]))
    return found


def _literal(text: str, prefix: str, quote: str, language: str) -> Piece:
    kind = prefix.lower()
    if "r" not in kind and "\\" in text:
        text = _ESCAPE.sub(lambda m: _ESCAPED.get(m.group(1), m.group(1)), text)
    if "f" in kind:
        filled = _BRACED.sub(UNKNOWN, text)
        text = _DOLLAR.sub(UNKNOWN, filled) if "$" in filled and language == "scala" else filled
    elif kind == "s" or quote == "`":
        text = _DOLLAR.sub(UNKNOWN, text)
    return Piece("text", text)


def values_of(pieces: Sequence[Piece]) -> dict[str, str]:
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
        text = text_of(_expression(pieces, start), found)
        if behind[0].text == "+" or piece.text in found or text is None or UNKNOWN in text:
            lost.add(piece.text)
        else:
            found[piece.text] = text
    return {name: text for name, text in found.items() if name not in lost}


def _parameters(pieces: Sequence[Piece], at: int) -> Iterator[Piece]:
    """The names between `def f(` or `lambda` and the colon or bracket that ends them."""
    for piece in pieces[at : at + 60]:
        if piece.kind == "sign" and piece.text in ":)":
            return
        if piece.kind == "name":
            yield piece


def _expression(pieces: Sequence[Piece], start: int) -> list[Piece]:
    """What stands behind `=`: literals and names with `+` between, at most forty pieces."""
    found: list[Piece] = []
    for piece in pieces[start : start + 40]:
        follows = not found or (found[-1].kind == "sign" and found[-1].text == "+")
        if piece.kind == "text" or (piece.kind == "sign" and piece.text in "+.%()"):
            if not follows and piece.text in "()" and piece.kind == "sign" and piece.text == "(":
                return [*found, Piece("name", "")]
            found.append(piece)
        elif piece.kind == "name" and (follows or found[-1].text in (".", "(")):
            found.append(piece)
        else:
            break
    return found


def inside(pieces: Sequence[Piece], at: int) -> list[Piece]:
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


def arguments_of(inner: Sequence[Piece]) -> list[list[Piece]]:
    """What stands between a call's brackets, cut at its commas."""
    arguments: list[list[Piece]] = [[]]
    depth = 0
    for piece in inner:
        if piece.kind == "sign":
            depth += (piece.text in _OPEN) - (piece.text in _CLOSE)
            if piece.text == "," and not depth:
                arguments.append([])
                continue
        arguments[-1].append(piece)
    return arguments


def text_of(pieces: Sequence[Piece], values: Mapping[str, str]) -> str | None:
    """A text put together of literals; UNKNOWN where a name's value is not in sight."""
    parts: list[str] = []
    depth = 0  # inside the brackets of what is not read
    filled = False
    for at, piece in enumerate(pieces):
        before = pieces[at - 1] if at else Piece("sign", "")
        behind = pieces[at + 1] if at + 1 < len(pieces) else Piece("sign", "")
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
