"""What a shell line is built with, as far as Claude Code asks about it before it runs unasked."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from skilltrace_mlflow.commands._shell_nodes import available, parse, text_of
from skilltrace_mlflow.commands.cli_tables import HARMLESS_VARIABLES, KNOWN_VARIABLES

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["BRACES", "assigns", "needs_a_look"]

_ASKED = {
    "subshell",
    "compound_statement",
    "function_definition",
    "c_style_for_statement",
    "case_statement",
    "process_substitution",
    "expansion",
    "ansi_c_string",
    "brace_expression",
    "declaration_command",
    "unset_command",
    "ERROR",
}
# `{a,b}` and `{1..3}`; an escaped brace, `@{u}..HEAD` and the quoted part of a word that is not
# quoted as a whole (`--format='{%h,%s}'`) are taken for one as well
BRACES = re.compile(r"\{\S*?(?:,|\.\.)")
_LOOKED_AT = re.compile(rf"{BRACES.pattern}|\\[ \t]")
_COMMIT = re.compile(r"\s*git\s+commit\b")


@lru_cache(maxsize=4096)
def needs_a_look(line: str) -> bool:
    """Whether the line holds something of which no rule about single commands can speak.

    Groups, loops with variables, functions, background jobs, substitutions in a command's words,
    variables that are not known: only a rule for the whole tool lets such a line run.
    """
    if not available():
        return bool(re.search(r"[$`(){}&]", line))
    root = parse(line)
    return root.has_error or any(child.type == "&" for child in root.children) or _asks(root)


@lru_cache(maxsize=4096)
def assigns(line: str) -> bool:
    """Whether a variable is set in front of a command of the line."""
    return not available() or _assigned(parse(line))


def _assigned(node: Node) -> bool:
    kinds = {child.type for child in node.children}
    if node.type == "command" and "variable_assignment" in kinds:
        return True
    return any(map(_assigned, node.named_children))


def _asks(node: Node) -> bool:
    kind = node.type
    if kind in _ASKED or (kind == "do_group" and any(c.type == "&" for c in node.children)):
        return True
    if kind in ("word", "concatenation") and _LOOKED_AT.search(text_of(node)):
        return True
    if kind == "redirected_statement" and node.child_by_field_name("body") is None:
        return True  # a redirection without a command: `> f`
    if kind == "simple_expansion":
        return text_of(node)[1:] not in KNOWN_VARIABLES
    if kind == "command_substitution":
        return not _harmless_substitution(node)
    if kind == "heredoc_redirect":
        start = next((c for c in node.children if c.type == "heredoc_start"), None)
        if start is None or not set(text_of(start)) & set("\"'\\"):
            return True
        around = (*node.children, *(node.parent.children if node.parent is not None else ()))
        if any(c.type == "file_redirect" for c in around):
            return True
        return any(_asks(c) for c in node.named_children if c.type != "heredoc_body")
    if kind == "variable_assignment" and node.parent is not None and node.parent.type == "command":
        name = node.child_by_field_name("name")
        value = node.child_by_field_name("value")
        if name is None or text_of(name) not in HARMLESS_VARIABLES:
            return True
        return value is not None and "$" in text_of(value)
    return any(_asks(child) for child in node.named_children)


def _harmless_substitution(node: Node) -> bool:
    """Whether what is inside is judged like the line's own commands: `X=$(ls)`, a message."""
    parent = node.parent
    if parent is not None and parent.type == "variable_assignment":
        outer = parent.parent
        return outer is not None and outer.type != "command"
    while parent is not None and parent.type != "command":
        if parent.type not in ("string", "concatenation"):
            return False
        parent = parent.parent
    return (
        parent is not None
        and node.parent is not None
        and node.parent.type == "string"
        and bool(_COMMIT.match(text_of(parent)))
    )
