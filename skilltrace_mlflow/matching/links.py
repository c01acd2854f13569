"""Symbolic links that a session made or showed, and where paths through them lead.

A record does not say what a path points at; but it holds the `ln -s` of the session itself, and
what was printed of links: `ls -l`, `stat`, `file`, `readlink`, `realpath`, `find -type l`, `ls -F`,
`git ls-files --stage` (`shown_links`).

What is shown may have been so before a call or after it, and names are relative to a folder that is
not always known: whoever uses it takes it for a doubt, and for no more.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.shell import read_script, reads_posix
from skilltrace_mlflow.commands.wrappers import program_of
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.matching.session_calls import shell_lines
from skilltrace_mlflow.patterns.paths import clean_path, is_absolute
from skilltrace_mlflow.session import Session, ToolCall

__all__ = ["Link", "ShownLink", "links_of", "may_show", "shown_links", "through"]

_MAKES = re.compile(r"\bln\b|\bcp\b.*\s-\w*s|\bmklink\b")
_MOST_STEPS = 40  # as the system follows, at most
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


@dataclass(frozen=True, kw_only=True)
class Link:
    """`place` is the link, `target` what it points at, both from the root where that is known.

    `call` made or showed it; `certain` if it did. `target` is None where it is filled in at run
    time, or was not printed.
    """

    place: str
    target: str | None
    call: ToolCall
    certain: bool
    made: bool = True

    @property
    def shown(self) -> str:
        """For people: `notes -> secrets`."""
        return f"{self.place} -> {self.target or '…'}"


def links_of(session: Session) -> tuple[Link, ...]:
    """The links that the session's calls made or showed, in order; looked for once."""
    return session.from_calls("links_of", lambda session: tuple(_links(session)))


def _links(session: Session) -> Iterator[Link]:
    for call, found in shell_lines(session):
        if found is None or not reads_posix(call.name):
            continue
        text = found.text
        # the words first: a search with word boundaries costs ten times as much
        makes = ("ln" in text or "cp" in text or "mklink" in text) and _MAKES.search(text)
        cwd = call.cwd or session.cwd
        if makes and (call.outcome != "denied" or call.maybe_ran):
            for command in read_script(text).commands:
                for place, target in _made(command):
                    yield Link(
                        place=_whole(posixpath.join(command.folder, place), cwd),
                        target=_target(target, command.folder, place, cwd),
                        call=call,
                        certain=call.outcome == "succeeded" and not command.within,
                    )
        if may_show(text) and call.outcome != "denied":
            for shown in shown_links(call, text):
                place = _whole(posixpath.join(shown.folder, shown.name), cwd)
                leads_to = shown.target
                if leads_to is not None:
                    leads_to = _target(leads_to, shown.folder, shown.name, cwd)
                if leads_to != clean_path(place):  # else `realpath` of what is no link
                    yield Link(place=place, target=leads_to, call=call, certain=False, made=False)


def _order(session: Session) -> dict[int, int]:
    """The places of the session's calls, by identity."""
    return {id(call): at for at, call in enumerate(session.tool_calls)}


def _made(command: Command) -> Iterator[tuple[str, str]]:
    """The links that a command makes, and their targets as written."""
    words = command.words
    program = program_of(words[0])
    options = [word for word in words[1:] if word.startswith("-") and len(word) > 1]
    letters = "".join(word[1:] for word in options if not word.startswith("--"))
    symbolic = "s" in letters or {"--symbolic", "--symbolic-link"} & set(options)
    if program not in ("ln", "cp") or not symbolic:
        return
    operands = [word for word in words[1:] if word not in options]
    into = "t" in letters or any(word.startswith("--target-directory") for word in options)
    if into and operands:
        folder, targets = operands[0], operands[1:]
    elif len(operands) < 2:
        folder, targets = ".", operands
    else:
        folder, targets = operands[-1], operands[:-1]
        if len(targets) == 1 and folder.rstrip("/") not in (".", ".."):
            yield folder.rstrip("/"), targets[0]
    for target in targets:  # the last may be a folder in which the link is made
        yield posixpath.join(folder, posixpath.basename(target.rstrip("/"))), target


def _whole(path: str, cwd: str | None) -> str:
    cleaned = clean_path(path)
    return cleaned if is_absolute(cleaned) or cwd is None else posixpath.join(cwd, cleaned)


def _target(target: str, folder: str, place: str, cwd: str | None) -> str | None:
    """What a link points at; relative to the folder that the link is in."""
    if UNKNOWN in target or UNKNOWN_WORDS in target:
        return None
    beside = posixpath.join(folder, posixpath.dirname(place), target)
    whole = _whole(beside, cwd)
    return clean_path(whole)


def through(
    session: Session, path: str, call: ToolCall | None
) -> Iterator[tuple[str | None, Link]]:
    """Where a path leads by links that calls before `call` made, or that any call showed.

    Without a call, by those that were made at any time. `path` is absolute where the working
    directory is known; None for a target nobody knows.
    """
    cleaned = clean_path(path)
    links = links_of(session)
    if not links:
        return
    order = session.from_calls("order", _order)
    ahead, seen = [(cleaned, True)], {cleaned}
    for at, sure in ahead:  # grows: a link may lead to another
        for link in links:
            later = call is not None and order[id(link.call)] >= order.get(id(call), -1)
            if link.made and later:
                continue
            place = clean_path(link.place)
            if at != place and not at.startswith(place + "/"):
                continue
            certain = sure and link.certain
            found = link if certain == link.certain else replace(link, certain=certain)
            if link.target is None:
                yield None, found
                continue
            target = clean_path(posixpath.join(link.target, at[len(place) :].lstrip("/")))
            yield target, found
            if target not in seen and len(seen) < _MOST_STEPS:
                seen.add(target)
                ahead.append((target, certain))


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
