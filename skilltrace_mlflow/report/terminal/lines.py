"""Lines for a terminal of any width, in which no name is ever broken.

A test's id, a check's name, a path: whoever reads one may want to copy it. Lines are broken at
blanks (and between the characters of scripts that write none); a word that is wider than the
terminal stands on a line of its own, and the terminal wraps it without breaking it for a copy.

This is also the one place that says how wide and how colourful rich's output is (`printed`,
`terminal_width`). `columns_text` is for whoever has rows and nothing else to say.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from skilltrace_mlflow.text import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

__all__ = [
    "cells",
    "columns_text",
    "grid",
    "hanging",
    "print_parts",
    "printed",
    "terminal_width",
    "wrapped",
]

# Scripts that write words without blanks between them: a line may end behind any character.
_UNSPACED = (
    "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60"
    "\U00020000-\U0003ffff"
)
# A quoted command stays together, where it is not longer than a line anyway.
_WORDS = re.compile(r"[ ]+|`[^`]{1,60}`[^ ]*|[^ ]+")
_LEAST = 36  # columns that a reason needs beside a name
_GAP = 2
_LONGEST = 2_000
_WIDTH_WITHOUT_TERMINAL = 100


def terminal_width() -> int:
    """Columns of the terminal (or of COLUMNS), 100 where there is none."""
    return shutil.get_terminal_size((_WIDTH_WITHOUT_TERMINAL, 24)).columns


def printed(parts: Iterable[RenderableType], *, width: int | None, color: bool) -> str:
    """`parts` as rich prints them, without trailing blanks.

    Markup, emoji names and highlighting are off: text from a trace is never interpreted.
    """
    from rich.console import Console

    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width or terminal_width(),
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        highlight=False,
        emoji=False,
        markup=False,
    )
    print_parts(console, parts)
    # Not splitlines: it would also break where text holds U+0085 or U+2028.
    return "\n".join(line.rstrip() for line in stream.getvalue().split("\n"))


def print_parts(console: Console, parts: Iterable[RenderableType]) -> None:
    """Print `parts`; a text that says so itself (`no_wrap`) is neither wrapped nor cut."""
    for part in parts:
        console.print(part, soft_wrap=bool(getattr(part, "no_wrap", False)))


def cells(text: str) -> int:
    """Columns that a text takes up on a terminal."""
    from rich.cells import cell_len

    return cell_len(text)


def wrapped(text: str, width: int, *, first: int | None = None) -> list[str]:
    """`text` in lines of at most `width` columns, a wider word alone on its line; at least one.

    `first` is the room on the first line, which stays empty where the first word is wider.
    """
    lines, line, used, room = [], "", 0, width if first is None else first
    for piece in _pieces(text, width):
        size = cells(piece)
        if used + size > room and (line.strip() or room < width):
            lines.append(line.rstrip())
            line, used, room = "", 0, width
        if not line and piece.isspace():
            continue
        line += piece
        used += size
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _pieces(text: str, width: int) -> Iterator[str]:
    for word in _WORDS.findall(text):
        if cells(word) > width:
            yield from _characters().findall(word)
        else:
            yield word


@cache
def _characters() -> re.Pattern[str]:
    """What a word that is too wide may be broken into; few words are, and compiling costs."""
    return re.compile(f"[{_UNSPACED}]|[^{_UNSPACED}]+")


def hanging(
    head: Sequence[tuple[str, str]],
    text: str,
    width: int,
    *,
    style: str = "",
    indent: int | None = None,
    column: bool = False,
) -> Text:
    """`head` (texts and their styles) followed by `text`.

    Its further lines stand by `indent` (without one, below its first). As a `column` they stand
    below its first as well, and all of it by `indent` where the head leaves too little room.
    """
    from rich.text import Text

    made = Text(no_wrap=True, overflow="ignore")
    for said, how in head:
        made.append(said, style=how)
    start = sum(cells(said) for said, _ in head)
    if indent is None or (column and width - start >= min(_LEAST, cells(text))):
        indent = start
    first = 0 if column and indent != start else max(width - start, 0)
    lines = wrapped(text, max(width - indent, 1), first=first)
    if not lines[0]:
        made.rstrip()
    made.append(f"\n{' ' * indent}".join(lines), style=style)
    return made


def grid(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    width: int,
    *,
    numbers: Sequence[int] = (),
    styles: Sequence[str] = (),
    headed: bool = True,
) -> list[Text]:
    """Rows under their heads (which are not shown unless `headed`), `numbers` naming the columns
    that stand to the right.

    The last column takes the room that is left, and breaks. Where the others leave it none, each
    row becomes a line with its first cell and one below with the rest of them, named by the head.
    `styles` are those of the rows.
    """
    from rich.text import Text

    rows = [tuple(row) for row in rows]
    measured = [head, *rows] if headed else rows
    sizes = [max((cells(row[i]) for row in measured), default=0) for i in range(len(head))]
    start = sum(sizes[:-1]) + _GAP * (len(sizes) - 1)
    room = width - start
    how = [*styles, *[""] * (len(rows) - len(styles))]
    if room < min(sizes[-1], 24):
        return [_block(head, row, width, style) for row, style in zip(rows, how, strict=True)]
    made: list[Text] = []
    if headed:
        made.append(_line(head, sizes, numbers, width, "bold"))
        made.append(Text("─" * min(width, start + min(sizes[-1], room)), style="dim"))
    made += [_line(row, sizes, numbers, width, style) for row, style in zip(rows, how, strict=True)]
    return made


def _line(
    row: Sequence[str], sizes: Sequence[int], numbers: Sequence[int], width: int, style: str
) -> Text:
    front = "".join(
        _cell(cell, size, index in numbers) + " " * _GAP
        for index, (cell, size) in enumerate(zip(row[:-1], sizes[:-1], strict=True))
    )
    last = row[-1]
    if len(row) - 1 in numbers:
        front, last = front + _cell(last, sizes[-1], True), ""
    return hanging([(front, style)], last, width, style=style)


def _cell(text: str, size: int, right: bool) -> str:
    space = " " * (size - cells(text))
    return space + text if right else text + space


def _block(head: Sequence[str], row: Sequence[str], width: int, style: str) -> Text:
    from rich.text import Text

    said = ", ".join(
        f"{name} {cell}".strip() for name, cell in zip(head[1:], row[1:], strict=True) if cell
    )
    made = Text(row[0], style=style, no_wrap=True, overflow="ignore")
    for line in wrapped(said, max(width - _GAP, 1)):
        made.append(f"\n{' ' * _GAP}{line}", style="")
    return made


def columns_text(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
    styles: Sequence[str] = (),
    headed: bool = True,
    color: bool = False,
) -> str:
    """`rows` below `head` (not shown unless `headed`), as wide as the terminal; see `grid`."""
    shown = [[one_line(cell, _LONGEST) for cell in row] for row in rows]
    width = terminal_width()
    lines = grid(head, shown, width, numbers=numbers, styles=styles, headed=headed)
    return printed(lines, width=width, color=color).rstrip("\n")
