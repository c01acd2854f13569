"""The list of sessions or traces for a terminal: ids as far as they tell them apart."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from skilltrace_mlflow.report.terminal.lines import cells, grid, printed, wrapped
from skilltrace_mlflow.text import one_line

__all__ = ["traces_table"]

_WITHOUT_TERMINAL = 200  # a pipe gets whole ids, and the prompt on the same line
_WHOLE_IDS = 150
_LEAST_ID = 8
_LONGEST_PROJECT = 18
_LEAST_PROMPT = 40
_GAP = 2


def traces_table(
    rows: Sequence[Mapping[str, Any]], *, width: int | None = None, color: bool = False
) -> str:
    """Rows of `list-traces` under their heads. On a narrow terminal ids are shown as far as tells
    them apart (other commands take them so) and the prompt stands below its row.
    """
    columns = width or shutil.get_terminal_size((_WITHOUT_TERMINAL, 24)).columns
    whole = columns >= _WHOLE_IDS
    ids = _ids([str(row["id"]) for row in rows], whole=whole)
    sessions = _ids([str(row["session"] or "") for row in rows], whole=whole)
    head = ["id", "time (UTC)", "session", "project", "calls", "errors", "tokens"]
    table = [
        [
            ids[n],
            (row["time"] or "")[:16].replace("T", " "),
            sessions[n],
            _project(row["project"]),
            _number(row["calls"]),
            _number(row["errors"]),
            _tokens(row),
        ]
        for n, row in enumerate(rows)
    ]
    dropped = [n for n in (2, 3) if all(not line[n] or line[n] == line[0] for line in table)]
    head, *table = [
        [cell for n, cell in enumerate(line) if n not in dropped] for line in (head, *table)
    ]
    numbers = range(len(head) - 3, len(head))
    used = sum(max(cells(line[n]) for line in (head, *table)) for n in range(len(head)))
    room = columns - used - _GAP * len(head)
    prompts = [one_line(row["prompt"], 200) for row in rows]
    if room >= _LEAST_PROMPT:
        full = [[*line, _cut(prompt, room)] for line, prompt in zip(table, prompts, strict=True)]
        parts = grid([*head, "prompt"], full, columns, numbers=numbers)
    else:
        parts = grid(head, table, columns, numbers=numbers)
        for part, prompt in zip(parts[-len(rows) :], prompts, strict=True):
            if prompt:
                part.append(f"\n    {_cut(prompt, columns - 4)}", style="dim")
    return printed(parts, width=columns, color=color)


def _ids(ids: Sequence[str], *, whole: bool) -> list[str]:
    """Each id as far as it has to be told: eight characters, more where two begin alike."""
    if whole:
        return list(ids)
    size = _LEAST_ID
    front = 3 if all(text.startswith("tr-") for text in ids) else 0
    distinct = set(ids)
    while len({text[: front + size] for text in distinct}) < len(distinct):
        size += 1
    return [text[: front + size] if "/" not in text else text for text in ids]


def _project(path: str | None) -> str:
    """The last part of the directory that a session was in."""
    if not path:
        return ""
    name = (PureWindowsPath(path) if "\\" in path else PurePosixPath(path)).name or path
    return _cut(one_line(name), _LONGEST_PROJECT)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _tokens(row: Mapping[str, Any]) -> str:
    if row["tokens"] is None:
        return "?"
    bound = "" if row["usage_complete"] else "≥ "
    return f"{bound}{row['tokens']:,}"


def _cut(text: str, room: int) -> str:
    """`text` in so many columns; an ellipsis says that there is more."""
    from rich.cells import set_cell_size

    if cells(text) <= room:
        return text
    first = wrapped(text, room - 2)[0]
    fitting = cells(first) <= room - 2
    return f"{first if fitting else set_cell_size(text, room - 2).rstrip()} …"
