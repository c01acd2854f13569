"""Which files a session wrote, and which it may have written."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skilltrace_mlflow.commands.arguments import read_arguments
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.shell import read_script
from skilltrace_mlflow.commands.wrappers import program_of
from skilltrace_mlflow.matching.selectors import shell_lines
from skilltrace_mlflow.patterns.paths import is_absolute, relative_to
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.tools import EDITORS, PATH_KEYS

__all__ = ["ShellWrites", "shell_writes", "unsettled_writes", "written_files"]

# 2>&1 and > /dev/null, which stand in every other line, write no file.
_WRITES = re.compile(
    r">(?!&\d|\s*/dev/null)|\b(?:cp|dd|install|ln|mv|rm|rmdir|rsync|shred|tee|touch|truncate|unlink)\b"
    r"|\bsed\b.*\s(?:-\w*i|--in-place)",
    re.DOTALL,
)
_MOVES = re.compile(r"\b(?:cd|pushd)\b")
_ALL_OPERANDS = {"rm", "rmdir", "shred", "tee", "touch", "truncate", "unlink"}
_COPIES = {"cp", "install", "ln", "mv", "rsync"}


def written_files(session: Session) -> list[str]:
    """Paths that successful tool calls created or edited, each once, sorted."""
    return sorted({op.file_path for op in session.files if op.type != "read"})


def unsettled_writes(session: Session) -> list[str | None]:
    """Paths of writing calls of which nobody knows how they ended; None for a path not recorded."""
    known = {op.call_id for op in session.files if op.call_id is not None}
    found: list[str | None] = []
    for call in session.tool_calls:
        if call.name not in EDITORS or call.outcome != "unknown" or call.id in known:
            continue
        given = call.input or {}
        paths = [given[key] for key in PATH_KEYS if isinstance(given.get(key), str)]
        found.append(paths[0] if paths else None)
    return found


@dataclass(frozen=True, kw_only=True)
class ShellWrites:
    """Files that shell commands name as their target.

    `certain` of calls that succeeded; `possible` of calls that may not have got that far, or whose
    working directory an earlier `cd` may have changed; `composed` are lines whose target is known
    at run time only. `folders` are targets of `cp a b`, each with the file it means if it is a
    folder (`b/a`).
    """

    certain: tuple[str, ...] = ()
    folders: tuple[tuple[str, str], ...] = ()
    possible: tuple[str, ...] = ()
    composed: tuple[str, ...] = ()


def shell_writes(session: Session) -> ShellWrites:
    """What the shell calls wrote, as far as their lines show; refused calls ran nothing."""
    certain: set[str] = set()
    possible: set[str] = set()
    folders: set[tuple[str, str]] = set()
    composed: list[str] = []
    moves: dict[str, list[str]] = {}  # by agent: earlier lines that may have changed its directory
    for call, found in shell_lines(session):
        if found is None or (call.outcome == "denied" and not call.maybe_ran):
            continue
        line = found.text
        for path, below in _line_targets(line)[1] if _WRITES.search(line) else ():
            if UNKNOWN in path or UNKNOWN_WORDS in path:
                composed.append(" ".join(line.split())[:80])
            elif call.outcome == "succeeded" and (
                is_absolute(path) or not _moved(moves.get(call.agent, []), session.cwd)
            ):
                if below is None:
                    certain.add(path)
                else:
                    folders.add((path, below))
            else:
                possible.update((path,) if below is None else (path, below))
        if _MOVES.search(line):
            moves.setdefault(call.agent, []).append(line)
    return ShellWrites(
        certain=tuple(sorted(certain)),
        folders=tuple(sorted(folders)),
        possible=tuple(sorted(possible - certain)),
        composed=tuple(composed),
    )


def _moved(lines: list[str], cwd: str | None) -> bool:
    """Whether one of the lines left its shell in another directory than the session's."""
    ends = (_line_targets(line)[0] for line in lines)
    return any(folder and relative_to(folder, cwd) != "." for folder in ends)


_Target = tuple[str, "str | None"]  # a path, and the one that is meant if it is a folder


def _line_targets(line: str) -> tuple[str, list[_Target]]:
    """The directory a line ends in, relative to where it began, and the files it writes."""
    script = read_script(line)
    folder = ""
    found: list[_Target] = []

    def add(path: str, below: str | None = None) -> None:
        if not path.startswith("/dev/") and posixpath.basename(path) not in ("-", "1", "2"):
            inner = None if below is None else posixpath.join(folder, below)
            found.append((posixpath.join(folder, path), inner))

    for command in script.commands:
        if program_of(command.words[0]) in ("cd", "pushd"):
            folder = posixpath.join(folder, *(command.words[1:2] or ("~",)))
        for path, below in _targets(command):
            add(path, below)
    # The tree does not say between which commands a redirection stood: the last directory is taken.
    for path in script.writes:
        if path:
            add(path)
    return folder, found


def _targets(command: Command) -> Iterator[_Target]:
    program = program_of(command.words[0])
    words = command.words[1:]
    operands = [word for word in words if not word.startswith("-")]
    if program in _COPIES:
        yield from _copies(program, words, operands)
    elif program in _ALL_OPERANDS:
        for word in operands:
            yield word, None
            if program == "rm" and "-r" in read_arguments("rm", words).flags:
                yield posixpath.join(word, "*"), None
    elif program == "sed" and any(re.match(r"-\w*i|--in-place", word) for word in words):
        scripted = any(word in ("-e", "--expression", "-f") for word in words)
        yield from ((word, None) for word in (operands if scripted else operands[1:]))
    elif program == "dd":
        yield from ((word[3:], None) for word in words if word.startswith("of="))


def _copies(program: str, words: Sequence[str], operands: list[str]) -> Iterator[_Target]:
    """What cp, mv and their like write; mv takes its sources away."""
    target, certain = "", False
    for index, word in enumerate(words):  # cp -t folder a b
        if word.startswith("--target-directory="):
            target = word.partition("=")[2]
        elif word in ("-t", "--target-directory") and words[index + 1 : index + 2]:
            target = words[index + 1]
            operands = [
                *operands[: operands.index(target)],
                *operands[operands.index(target) + 1 :],
            ]
    if target:
        certain = True
    elif operands:
        *operands, target = operands
        name = posixpath.basename(target)
        certain = len(operands) > 1 or name in ("", ".", "..")
        if not certain and ("." in name or not operands):  # a file by its name
            yield target, None
            target = ""
    for source in operands:
        below = posixpath.join(target, posixpath.basename(source.rstrip("/")))
        if target:
            yield (below, None) if certain else (target, below)
        if program == "mv":
            yield source, posixpath.join(source, "*")
