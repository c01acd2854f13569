"""Removals that Claude Code 2.1.332 asks about in every mode, whatever an allow rule says.

`rm` and `rmdir` of the working directory, of a folder above it, of the home folder, of `/` and the
folders in it, and of all that is in one of them (`*`, `/repo/*`); not of what a glob chooses from
it (`s*`). Looked for behind `timeout`, `env`, `sh -c` and their like and in `$(…)`, not behind
`sudo`, `eval` and `xargs`. Behind a `cd`, `.` and `*` still mean everything.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.shell import read_script
from skilltrace_mlflow.commands.wrappers import carried, is_shell_program, program_of
from skilltrace_mlflow.patterns.paths import clean_path, is_absolute
from skilltrace_mlflow.session import Session, ToolCall

__all__ = ["clears_all"]

_THROUGH = {"builtin", "command", "env", "nice", "nohup", "stdbuf", "time", "timeout"}
_EVERYTHING = re.compile(r"(?:^|/)\*+(?:/\**)*$")  # what is in a folder: `*`, `x/*`, `x/**/*`


def clears_all(call: ToolCall, session: Session) -> bool:
    """Whether a command removes the working directory, or more than it."""
    line = (call.input or {}).get("command")
    if not isinstance(line, str) or "rm" not in line:
        return False
    folders = {folder for folder in (call.cwd, session.cwd) if folder is not None}
    return any(_is_all(path, folders) for path in _removed(line))


def _removed(line: str) -> Iterator[str]:
    """The paths that a line removes; relative ones to where the line begins."""
    for command in read_script(line).commands:
        if not command.carried or command.substituted:
            yield from _of_words(command.words, command.folder)


def _of_words(words: Sequence[str], folder: str) -> Iterator[str]:
    program = program_of(words[0])
    if program in ("rm", "rmdir"):
        for word in words[1:]:
            if not word.startswith("-"):
                yield word
                yield posixpath.join(folder, word)
    elif program in _THROUGH or is_shell_program(program):
        for inner in carried(Command(words=tuple(words))):
            if isinstance(inner, str):
                yield from (posixpath.join(folder, path) for path in _removed(inner))
            elif inner:
                yield from _of_words(inner, folder)


def _is_all(path: str, folders: set[str]) -> bool:
    if UNKNOWN in path or UNKNOWN_WORDS in path:
        return False
    base = _EVERYTHING.sub("", path) or ("/" if path.startswith("/") else ".")
    cleaned = clean_path(base)
    if cleaned == "~" or (is_absolute(cleaned) and cleaned.count("/") == 1 and cleaned[0] == "/"):
        return True
    if not is_absolute(cleaned):
        # without a working directory `..` and the folder itself are all that is known
        return set(cleaned.split("/")) <= {".", ".."} or any(
            _holds(clean_path(posixpath.join(folder, base)), folder) for folder in folders
        )
    return any(_holds(cleaned, folder) for folder in folders)


def _holds(path: str, folder: str) -> bool:
    """Whether a folder is the path, or below it."""
    inner = clean_path(folder)
    return inner == path or inner.startswith(f"{path.rstrip('/')}/")
