"""Rich output as a string: one place that says how wide and how colourful."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["print_parts", "printed", "terminal_width"]

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
