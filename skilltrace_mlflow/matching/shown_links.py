"""Symbolic links in what commands printed: `ls -l`, `stat`, `file`, `readlink`, `realpath`,
`find -type l`, `ls -F`, `git ls-files --stage`.

What is shown may have been so before a call or after it, and names are relative to a folder that
is not always known: whoever uses it takes it for a doubt, and for no more.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from skilltrace_mlflow.commands.command import Command
from skilltrace_mlflow.commands.shell import read_script
from skilltrace_mlflow.commands.wrappers import program_of
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import ToolCall

__all__ = ["ShownLink", "may_show", "shown_links"]

_SHOWERS = ("ls", "ll", "stat", "readlink", "realpath", "find", "file")
_SHOWS = re.compile(
    r"\b(?:ls\b.*(?:\s-\w*[lgnoF]|--classify)|ll\b|(?<!-)stat\b|readlink\b|realpath\b"
    r"|find\b.*-(?:ls\b|type\s+l\b)|file\b|ls-files\b.*\s(?:-\w*s|--stage))"
)
_MOST_OUTPUT = 200_000
_WITH_TARGET = re.compile(
    r"^l[rwx-]{9}\S*\s.*?(?P<listed>\S+) -> (?P<to>.+)$"
    r"|^\s*File: [\"'‘]?(?P<stated>.+?)[\"'’]? -> [\"'‘]?(?P<stated_to>.+?)[\"'’]?$"
    r"|^(?P<filed>[^:\n]+):\s+(?:broken )?symbolic link to (?P<filed_to>.+)$",
    re.MULTILINE,
)
_STAGED = re.compile(r"^120000 [0-9a-f]+ \d\t(.+)$", re.MULTILINE)
_CLASSIFIES = re.compile(r"-\w*F|--classify")
_ALONE = re.compile(r"readlink|realpath|-type\s+l|-\w*F|--classify")
_MARKED = re.compile(r"(\S+)@(?:\s|$)")


def may_show(line: str) -> bool:
    """Whether what a line printed may tell of links: a look at its text alone."""
    # the words first: a search with word boundaries costs ten times as much
    for word in _SHOWERS:
        if word in line:
            return _SHOWS.search(line) is not None
    return False


class ShownLink(NamedTuple):
    """A link by its name, the folder that it may be relative to, and its target; None where only
    that it is a link was said.
    """

    folder: str
    name: str
    target: str | None


def shown_links(call: ToolCall, line: str) -> Iterator[ShownLink]:
    """The links that a call of a command line printed."""
    try:
        text = (call.result or "")[:_MOST_OUTPUT]
    except InputError:
        return
    found: list[tuple[str, str | None]] = []
    if _may_name_target(text):
        for match in _WITH_TARGET.finditer(text):
            name, target = (one for one in match.groups() if one is not None)
            found.append((name, target.strip()))
    if "120000 " in text:
        found += [(name, None) for name in _STAGED.findall(text)]
    if not found and not _ALONE.search(line):
        return
    commands = read_script(line).commands
    for folder in _folders(commands):
        yield from (ShownLink(folder, *each) for each in found)
    if len(commands) == 1:  # else whose lines they are cannot be told
        yield from _of_command(commands[0], text, named=bool(found))


def _may_name_target(text: str) -> bool:
    """The words of `_WITH_TARGET`: of hundreds of listings hardly one shows a link."""
    if "symbolic link to" in text:
        return True
    return " -> " in text and (
        "File:" in text or text[:1] == "l" or any(mode in text for mode in _LINK_MODES)
    )


_LINK_MODES = ("\nlr", "\nl-", "\nlw", "\nlx")


def _of_command(command: Command, text: str, *, named: bool) -> Iterator[ShownLink]:
    """What a program tells by what it prints of which operand; `named`: it named links itself."""
    program = program_of(command.words[0])
    words = command.words[1:]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    operands = [word for word in words if not word.startswith("-")]
    if program in ("readlink", "realpath") and len(lines) == len(operands):
        for place, line in zip(operands, lines, strict=True):
            yield ShownLink(command.folder, place, line)
    elif program == "find" and ("-type", "l") in pairwise(words) and not named:
        yield from (ShownLink(command.folder, line, None) for line in lines)
    elif program == "ls" and any(_CLASSIFIES.match(word) for word in words):
        for folder in _folders([command]):
            yield from (ShownLink(folder, name, None) for name in _MARKED.findall(text))


def _folders(commands: Sequence[Command]) -> Iterator[str]:
    """The folders that names in a listing may be relative to."""
    seen = {""}
    yield ""
    for command in commands:
        for word in ("", *command.words[1:]):
            folder = posixpath.join(command.folder, word)
            if not word.startswith("-") and folder not in seen:
                seen.add(folder)
                yield folder
