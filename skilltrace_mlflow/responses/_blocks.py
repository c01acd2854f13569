"""Fenced code blocks of a Markdown text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from skilltrace_mlflow.checks import Outcome, Verdict

__all__ = ["Block", "code_blocks", "judge_blocks"]

# The fence may begin a list item. Of the info string the language is what counts: `python:a.py`,
# `{.python}` and `python,linenos` are Python.
_OPENING = re.compile(
    r"^((?:[ \t>]|[-*+][ \t]|\d{1,9}[.)][ \t])*)(`{3,}|~{3,})[ \t]*"
    r"(?:\{[ \t]*\.?)?([A-Za-z][\w+-]*)?(.*)$"
)
# Markdown's line ends only: a form feed or U+2028 in a string does not end the line.
_LINE_END = re.compile(r"\r\n?|\n")
_QUOTE = re.compile(r"^[ \t]*> ?")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A code block: its language in lower case ("" if none), its text, its first line (from 1)."""

    language: str
    text: str
    line: int


def code_blocks(text: str, languages: Iterable[str] | None = None) -> list[Block]:
    """The fenced blocks of `text`, those of certain `languages` or all.

    A fence closes with at least as many of the same character, as CommonMark has it; a block that
    is never closed reaches to the end.
    """
    wanted = None if languages is None else {name.lower() for name in languages}
    blocks: list[Block] = []
    opened: tuple[str, str, int] | None = None
    quoted = False
    body: list[str] = []
    for number, line in enumerate([*_LINE_END.split(text), None], start=1):
        if opened is None:
            match = _OPENING.match(line) if line is not None else None
            # ```inline``` on one line is no block.
            if match and not (match[2][0] == "`" and "`" in match[4]):
                opened, body = (match[2], (match[3] or "").lower(), number + 1), []
                quoted = ">" in match[1]
            continue
        fence, language, first = opened
        if line is None or _closes(line, fence):
            if wanted is None or language in wanted:
                source = textwrap.dedent("\n".join(body)) + "\n"
                blocks.append(Block(language=language, text=source, line=first))
            opened = None
        else:
            body.append(_QUOTE.sub("", line) if quoted else line)
    return blocks


def judge_blocks(
    text: str, languages: Iterable[str], kind: str, problem: Callable[[Block], str | None]
) -> Outcome:
    """Pass if `problem` finds nothing in any block of these languages; no block: nothing to judge.

    Problems are named by the block's number and the line of the response.
    """
    blocks = code_blocks(text, languages)
    if not blocks:
        return Outcome(verdict=Verdict.NOT_APPLICABLE, rationale=f"no {kind} code block")
    hits, misses = [], []
    for number, block in enumerate(blocks, start=1):
        found = problem(block)
        label = f"{kind} block {number} (line {block.line})"
        if found is None:
            hits.append(label)
        else:
            misses.append(f"{label}: {found}")
    return Outcome.of(
        not misses,
        hits=tuple(hits),
        misses=tuple(misses),
        rationale="; ".join(misses) or f"{len(blocks)} {kind} block(s) parse",
        details={"blocks": len(blocks)},
    )


def _closes(line: str, fence: str) -> bool:
    stripped = line.strip(" \t>")
    return len(stripped) >= len(fence) and set(stripped) == {fence[0]}
