"""Which files Claude Code 2.1.332 sees a command line read and edit, when it compares Read and Edit
rules with it.

It is the reading of `file_use`, less what the CLI does not look at: programs that are not in its
tables, programs by their path (`/bin/cat`; not so for those that write), and what stands in
substitutions, loops, groups and functions or is carried by `sh -c`, `sudo` or `xargs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from skilltrace_mlflow.commands.allowing import unwrapped
from skilltrace_mlflow.commands.cli_tables import READING, WRITING
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.file_use import file_uses, uses_of, uses_of_redirect
from skilltrace_mlflow.commands.shell import read_script, reads_posix
from skilltrace_mlflow.commands.wrappers import program_of

__all__ = ["SeenFile", "seen_files"]

_HIDING = {"case", "function", "group", "loop", "while"}
_GLOB = re.compile(r"[*?\[]")
_DEEP = {"egrep", "fgrep", "find", "grep", "rg"}


@dataclass(frozen=True, kw_only=True)
class SeenFile:
    """A path that is read or edited; `deep`: what is directly below it too."""

    way: Literal["read", "edit"]
    path: str
    deep: bool = False


@lru_cache(maxsize=4096)
def seen_files(line: str, tool: str = "Bash") -> tuple[SeenFile, ...]:
    """The paths of a line that rules are compared with; a glob stands for the folder before it.

    Of PowerShell's lines all paths are: how far the CLI looks into those was not played.
    """
    if not reads_posix(tool):
        return tuple(
            SeenFile(
                way="read" if use.kind in ("read", "list") else "edit",
                path=use.path,
                deep=use.below,
            )
            for use in file_uses(line, tool)
            if not use.unknown
        )
    script = read_script(line)
    found: list[SeenFile] = []
    moves = sum(1 for command in script.commands if command.words[0] == "cd")
    for command in script.commands:
        if moves > 1 and command.words[0] == "cd":
            continue
        if not command.carried and not command.within & _HIDING:
            found.extend(_of_command(command))
    for redirect in script.redirects:
        if redirect.carried or redirect.filled or redirect.within & _HIDING:
            continue
        found.extend(
            SeenFile(way="read" if use.kind == "read" else "edit", path=use.path)
            for use in uses_of_redirect(redirect)
        )
    return tuple(
        dict.fromkeys(
            replace(item, path=_folder(item.path))
            for item in found
            if UNKNOWN not in item.path and UNKNOWN_WORDS not in item.path
        )
    )


def _of_command(command: Command) -> Iterator[SeenFile]:
    words = command.words
    inner = [found for found in unwrapped(command) if program_of(words[0]) != "xargs"]
    if inner:
        words = inner[-1]
    elif (
        words[0] == "env"
        and len(words) > 1
        and not words[1].startswith("-")
        and "=" not in words[1]
    ):
        words = words[1:]
    command = replace(command, words=words)
    program = program_of(words[0])
    reads = words[0] in READING or words[:2] == ("git", "diff")
    if words[0] == "cd" and len(words) > 1:
        target = "/".join([*([command.folder] if command.folder else []), words[1]])
        yield SeenFile(way="read", path=target)
    for use in uses_of(command):
        if use.kind in ("read", "list"):
            if reads:
                yield SeenFile(way="read", path=use.path, deep=use.below and program in _DEEP)
            if program == "sed":
                yield SeenFile(way="edit", path=use.path)
        elif program in WRITING:
            yield SeenFile(way="edit", path=use.path)
            if use.inside is not None:
                yield SeenFile(way="edit", path=use.inside)
        elif reads:
            yield SeenFile(way="read", path=use.path)


def _folder(path: str) -> str:
    """A path up to its first component with a wildcard."""
    parts = path.split("/")
    plain = next((i for i, part in enumerate(parts) if _GLOB.search(part)), len(parts))
    return path if plain == len(parts) else "/".join(parts[:plain]) or "."
