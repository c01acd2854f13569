"""Which files Claude Code 2.1.332 sees a command line read and edit, when it compares Read and Edit
rules with it.

It is the reading of `file_use`, less what the CLI does not look at: programs that are not in its
tables, programs by their path (`/bin/cat`; not so for those that write), what stands in
substitutions, groups and functions or is carried by `sh -c`, `sudo` or `xargs`, and commands with a
variable in a loop. Some words are paths to it that name no file: a pattern of `find -path`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from skilltrace_mlflow.commands.allowing import prints_lines, unwrapped
from skilltrace_mlflow.commands.cli_tables import READING, WRITING
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.file_use import file_uses, uses_of, uses_of_redirect
from skilltrace_mlflow.commands.shell import read_script, reads_posix
from skilltrace_mlflow.commands.wrappers import program_of

__all__ = ["SeenFile", "seen_files"]

_HIDING = {"case", "counted loop", "function", "group"}
_LOOPS = {"loop", "while"}
_GLOB = re.compile(r"[*?\[]")
_FIND_PATH = re.compile(r"-(?:[acm]?newer|newer[acmBt][acmtB]|samefile|i?path|i?wholename|i?lname)")
# Options with which all that cp is given counts as changed.
_WHOLE = re.compile(r"-(?!-)\w*[aRrt]|--(?:archive|recursive|target-directory)\b")
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
        if command.carried or command.within & _HIDING:
            continue
        if not (command.within & _LOOPS and "$" in command.source):
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
    words = _carried(command)
    command = replace(command, words=words)
    program = program_of(words[0])
    reads = words[0] in READING or words[:2] == ("git", "diff")
    if words[0] == "cd" and len(words) > 1:
        target = "/".join([*([command.folder] if command.folder else []), words[1]])
        yield SeenFile(way="read", path=target)
    if program == "find":
        pairs = pairwise(words)
        named = [value for option, value in pairs if _FIND_PATH.fullmatch(option)]
        yield from (SeenFile(way="read", path=posixpath.join(command.folder, n)) for n in named)
    for use in uses_of(command):
        if use.kind in ("read", "list"):
            if reads:
                yield SeenFile(way="read", path=use.path, deep=use.below and program in _DEEP)
            changes = program == "sed" and not prints_lines(words[1:])
            changes |= program == "cp" and any(_WHOLE.match(word) for word in words[1:])
            if changes or (program in WRITING and not reads):
                yield SeenFile(way="edit", path=use.path)
        elif program in WRITING:
            yield SeenFile(way="edit", path=use.path)
            if use.inside is not None:
                yield SeenFile(way="edit", path=use.inside)
        elif reads and program != "find":
            yield SeenFile(way="read", path=use.path)


def _carried(command: Command) -> tuple[str, ...]:
    """The words of the command behind timeout, nice, env and their like, of itself without."""
    words = command.words
    while True:
        if program_of(words[0]) == "xargs":
            return words
        inner = unwrapped(replace(command, words=words))
        behind = inner[-1] if inner else _behind_env(words)
        if behind is None:
            return words
        words = behind


def _behind_env(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """What `env` runs; its other options, and `--`, are not read."""
    if words[0] != "env":
        return None
    at = 1
    while at < len(words) and (
        ("=" in words[at] and not words[at].startswith("-")) or words[at] in ("-i", "-u")
    ):
        at += 2 if words[at] == "-u" else 1
    behind = words[at:]
    return behind if behind and not behind[0].startswith("-") else None


def _folder(path: str) -> str:
    """A path up to its first component with a wildcard."""
    parts = path.split("/")
    plain = next((i for i, part in enumerate(parts) if _GLOB.search(part)), len(parts))
    return path if plain == len(parts) else "/".join(parts[:plain]) or "."
