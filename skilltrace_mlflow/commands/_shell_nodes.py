"""The parser of shell lines, and what the nodes of its syntax trees say as text."""

from __future__ import annotations

import codecs
import re
import threading
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.commands.command import UNKNOWN

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = [
    "EXPRESSIONS",
    "available",
    "between",
    "decoded",
    "expand_braces",
    "has_braces",
    "last_command",
    "parse",
    "plain_text",
    "source_of",
    "text_of",
    "unescaped",
    "unmasked",
]

_ESCAPE = re.compile(r"\\(\n|.)", re.DOTALL)
_HEREDOC_ESCAPE = re.compile(r"\\([\\$`]|\n)")
_QUOTED_ESCAPE = re.compile(r'\\([\\"$`]|\n)')
_BRACES = re.compile(r"\{([^{}\s]*,[^{}\s]*)\}")

EXPRESSIONS = {
    "string",
    "raw_string",
    "ansi_c_string",
    "translated_string",
    "concatenation",
    "simple_expansion",
    "expansion",
    "command_substitution",
    "process_substitution",
    "arithmetic_expansion",
    "binary_expression",
    "unary_expression",
    "parenthesized_expression",
    "ternary_expression",
    "postfix_expression",
    "array",
}

# Characters beyond the first plane, and those that stand for them while a text is parsed.
_UNSAFE = re.compile("[\ue100-\uf8ff\U00010000-\U0010ffff]")
_FIRST_STAND_IN, _MOST_STAND_INS = 0xE100, 0xF8FF - 0xE100
_STAND_INS: dict[str, str] = {}
_ORIGINALS: dict[int, str] = {}
_LOCK = threading.Lock()
_THREAD = threading.local()  # a parser is not to be shared between threads


def _parser() -> Any:
    if not hasattr(_THREAD, "parser"):
        _THREAD.parser = _new_parser()
    return _THREAD.parser


def _new_parser() -> Any:
    try:
        import tree_sitter
        import tree_sitter_bash
    except ImportError:
        return None
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def parse(text: str) -> Node:
    """The root of a text's syntax tree; the parser has to be available."""
    root: Node = _parser().parse(_masked(text).encode("utf-8", "replace")).root_node
    return root


def _masked(text: str) -> str:
    """A text with a stand-in for every character that the grammar's scanner cannot take.

    It asks a table of the C library about each character, without a look whether that is so long:
    beyond the first plane that kills the process now and then. `unmasked` gives them back.
    """
    if text.isascii() or not _UNSAFE.search(text):
        return text
    return _UNSAFE.sub(lambda match: _stand_in(match.group()), text)


def _stand_in(char: str) -> str:
    with _LOCK:
        known = _STAND_INS.get(char)
        if known is None and len(_STAND_INS) < _MOST_STAND_INS:
            known = _STAND_INS[char] = chr(_FIRST_STAND_IN + len(_STAND_INS))
            _ORIGINALS[ord(known)] = char
    return known or "\ufffd"


def unmasked(data: bytes) -> str:
    """The text of a part of what was parsed."""
    text = data.decode("utf-8", "replace")
    return text if text.isascii() or not _ORIGINALS else text.translate(_ORIGINALS)


def available() -> bool:
    """Whether the parser is installed."""
    return _parser() is not None


def last_command(node: Node) -> Node:
    """The simple command to which a redirection behind a pipeline or a list belongs."""
    while node.type in ("pipeline", "list", "negated_command") and node.named_children:
        node = node.named_children[-1]
    return node


def text_of(node: Node) -> str:
    """The source of a node."""
    return unmasked(node.text or b"")


def between(node: Node, end: int, child: Node) -> bytes:
    """What stands between the end of one child of a node and another child."""
    return (node.text or b"")[end - node.start_byte : child.start_byte - node.start_byte]


def source_of(node: Node) -> str:
    """The source of a node, on one line."""
    return " ".join(text_of(node).split())


def plain_text(data: bytes, *, heredoc: bool = False) -> str:
    """The text between double quotes, or of a heredoc, where `\\"` stays; escapes resolved."""
    text = unmasked(data)
    escape = _HEREDOC_ESCAPE if heredoc else _QUOTED_ESCAPE
    return escape.sub(lambda m: "" if m.group(1) == "\n" else m.group(1), text)


def unescaped(text: str) -> str:
    """An unquoted word without the backslashes of its escapes."""
    return _ESCAPE.sub(_unescape, text)


def _unescape(match: re.Match[str]) -> str:
    return "" if match.group(1) == "\n" else match.group(1)


def decoded(text: str) -> str:
    """The text of an ANSI-C string, `$'...'`."""
    try:
        return codecs.decode(text.replace("\\'", "'"), "unicode_escape")
    except UnicodeDecodeError:
        return UNKNOWN


def has_braces(raw: str) -> bool:
    """Whether a word stands for several, as `{a,b}` does."""
    return _BRACES.search(raw) is not None


def expand_braces(raw: str) -> list[str]:
    """The words that a word with braces stands for."""
    done: list[str] = []
    waiting = [raw]
    while waiting and len(done) + len(waiting) < 200:
        text = waiting.pop(0)
        match = _BRACES.search(text)
        if match is None:
            done.append(text)
            continue
        before, after = text[: match.start()], text[match.end() :]
        waiting[:0] = [before + choice + after for choice in match.group(1).split(",")]
    return [word for word in (done + waiting) if word]
