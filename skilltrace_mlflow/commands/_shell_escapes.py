"""Programs that are no launchers and have a way to run a command line: `psql -c '\\! rm x'`.

An editor's `!`, a database client's or debugger's escape, a table for cron, what AppleScript, tar
and git are told to run beside their work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["escapes"]

_DO_SHELL = re.compile(r'do shell script "((?:[^"\\]|\\.)*)"')
_SPAWN = re.compile(r"(?:^|[;\n])\s*(?:spawn|exec|system)\s+([^;\n]+)")
_SQLITE = re.compile(r"^\s*\.(?:shell|system)\s+(.+)", re.MULTILINE)
_PSQL = re.compile(r"\\!\s*(.+)")
_MYSQL = re.compile(r"(?:^|;|\n)\s*(?:\\!|system\b)\s*(.+)")
_DEBUGGER = re.compile(r"^\s*(?:shell|platform shell|!)\s*(.+)", re.MULTILINE)
_CRON = re.compile(r"^\s*(?:@\w+|(?:[\d*/,A-Za-z-]+\s+){4}[\d*/,A-Za-z-]+)\s+(\S.*)", re.MULTILINE)
# Settings of git that hold a command, by how their names end.
_GIT_SETTINGS = ("pager", "editor", "command", "cmd", "external", "textconv", "helper")


def escapes(program: str, words: Sequence[str], stdin: str | None) -> Iterator[str]:
    """The command lines in a program's arguments and in what it is fed."""
    pattern = _PATTERNS.get(program)
    if pattern is not None:
        for text in (*words, stdin or ""):
            yield from pattern.findall(text)
    elif program == "crontab" and stdin is not None:
        yield from _CRON.findall(stdin)
    elif program in _OWN:
        yield from _OWN[program](words)


def _osascript(words: Sequence[str]) -> Iterator[str]:
    for text in _behind(words, ("-e",)):
        yield from _DO_SHELL.findall(text)


def _expect(words: Sequence[str]) -> Iterator[str]:
    for text in _behind(words, ("-c",)):
        yield from _SPAWN.findall(text)


def _tar(words: Sequence[str]) -> Iterator[str]:
    for text in _behind(words, ("--checkpoint-action",)):
        if text.startswith("exec="):
            yield text[5:]


def _vim(words: Sequence[str]) -> Iterator[str]:
    typed = (*_behind(words, ("-c", "--cmd")), *(word[1:] for word in words if word[:1] == "+"))
    yield from (text.lstrip(":! ") for text in typed if "!" in text[:2])


def _git(words: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(words) and words[at].startswith("-"):  # in front of the subcommand
        if words[at] == "-c" and at + 1 < len(words):
            name, _, value = words[at + 1].partition("=")
            if name.lower().endswith(_GIT_SETTINGS):
                yield value.lstrip("!")
        at += 2 if words[at] in ("-C", "-c", "--git-dir", "--work-tree", "--namespace") else 1
    if words[at : at + 1] == ["difftool"]:
        yield from _behind(words[at:], ("-x", "--extcmd"))


def _behind(words: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    for index, word in enumerate(words):
        if word in options:
            yield from words[index + 1 : index + 2]
        else:
            yield from (word[len(o) + 1 :] for o in options if word.startswith(o + "="))


_PATTERNS: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(("sqlite", "sqlite3", "duckdb"), _SQLITE),
    **dict.fromkeys(("psql", "pgcli"), _PSQL),
    **dict.fromkeys(("mysql", "mariadb"), _MYSQL),
    **dict.fromkeys(("gdb", "lldb"), _DEBUGGER),
}
_OWN: Mapping[str, Callable[[Sequence[str]], Iterator[str]]] = {
    **dict.fromkeys(("vi", "vim", "nvim", "ex"), _vim),
    "expect": _expect, "git": _git, "osascript": _osascript, "tar": _tar,
}  # fmt: skip
