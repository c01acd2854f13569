"""`triggers`: how often skills were offered and loaded in recorded sessions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skilltrace_mlflow.cli._common import (
    format_option,
    note,
    output_option,
    verbosity_options,
    write_files,
    write_result,
)
from skilltrace_mlflow.cli._options import ExpandedPath
from skilltrace_mlflow.text import counted

if TYPE_CHECKING:
    from skilltrace_mlflow.triggers import SkillTriggers, Triggers

__all__ = ["command"]

_HEAD = (
    "skill",
    "offered",
    "loaded",
    "rate",
    "95 % interval",
    "tool",
    "slash",
    "nested",
    "read",
    "forked",
    "otherwise",
)


@click.command(epilog="Example: skilltrace-mlflow triggers ~/.claude/projects/my-project")
@click.argument("paths", nargs=-1, required=True, type=ExpandedPath(), metavar="FILE_OR_DIR...")
@click.option("--skill", "only", multiple=True, metavar="NAME", help="Only this skill.")
@format_option("table", "json", "markdown")
@output_option("table", "json", "markdown")
@verbosity_options
def command(
    paths: tuple[Path, ...],
    only: tuple[str, ...],
    output_format: str,
    outputs: tuple[Path, ...],
    quiet: bool,
    verbose: bool,
) -> int:
    """Count, over recorded sessions, how often each skill was offered and how often loaded.

    Everything counts sessions. What a session offered stands in its skill listing; sessions without
    one, or with one that names the skills only in part, are not known. "otherwise" were loaded
    there, or although the listing does not name them.
    """
    from skilltrace_mlflow.triggers import count_triggers

    found = count_triggers(paths, only=only)
    for path, problem in found.failed.items():
        note(problem if path in problem else f"{path}: {problem}")
    write_files(outputs, lambda name: _rendered(found, name), quiet=quiet)
    write_result(_rendered(found, output_format), output_format)
    return 3 if found.failed else 0


def _rendered(found: Triggers, output_format: str) -> str:
    if output_format == "json":
        return json.dumps([item.to_dict() for item in found.skills], indent=2, ensure_ascii=False)
    return _markdown(found) if output_format == "markdown" else _table(found)


def _cells(item: SkillTriggers) -> tuple[str, ...]:
    low, high = item.interval
    known = item.rate is not None
    return (
        item.skill,
        str(item.offered),
        str(item.loaded),
        f"{item.rate:.3f}" if known else "—",
        f"{low:.3f} to {high:.3f}" if known else "—",
        *(str(item.by[way]) for way in ("tool", "slash", "nested", "read", "forked")),
        str(item.loaded_otherwise),
    )


def _foot(found: Triggers) -> str:
    told = f"; what {found.not_known:,} of them offered is not known" if found.not_known else ""
    return counted(found.sessions, "session") + told


def _table(found: Triggers) -> str:
    from skilltrace_mlflow.report import columns_text

    rows = [_cells(item) for item in found.skills]
    table = columns_text(_HEAD, rows, numbers=range(1, len(_HEAD)))
    return f"{table}\n\n{_foot(found)}"


def _markdown(found: Triggers) -> str:
    lines = [f"| {' | '.join(_HEAD)} |", "|---" + "|---:" * (len(_HEAD) - 1) + "|"]
    lines += [
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in _cells(item))} |"
        for item in found.skills
    ]
    return "\n".join([*lines, "", _foot(found)])
