"""Programs that are no launchers and have a way to run a command line: `psql -c '\\! rm x'`.

An editor's `!`, a database client's or debugger's escape, a table for cron, a makefile's recipes,
what AppleScript, sed, tar and git are told to run beside their work.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS

__all__ = ["command_of_setting", "escapes"]

_DO_SHELL = re.compile(r'do shell script "((?:[^"\\]|\\.)*)"')
_SPAWN = re.compile(r"(?:^|[;\n])\s*(?:spawn|exec|system)\s+((?:\{[^{}]*\}|[^;\n])+)")
_BRACED = re.compile(r"\{([^{}]*)\}")  # a word of Tcl's
_SQLITE = re.compile(r"^\s*\.(?:shell|system)\s+(.+)", re.MULTILINE)
_PSQL = re.compile(r"\\!\s*(.+)")
_MYSQL = re.compile(r"(?:^|;|\n)\s*(?:\\!|system\b)\s*(.+)")
_DEBUGGER = re.compile(r"^\s*(?:shell|platform shell|!)\s*(.+)", re.MULTILINE)
_SOCAT = re.compile(r"(?i)(?:^|,|!!)(?:exec|system|shell):[\"']?([^,\"']+)")
_LESS = re.compile(r"^\+{1,2}[^!]{0,3}!(.+)")
_RECIPE = re.compile(r"^(?:\t|[\w./%$() -]+:[^=\n]*;)\s*[@+-]*(.+)", re.MULTILINE)
_SED_RUNS = re.compile(
    r"(?:^|[;{}\n])\s*(?:(?:\d+|\$|/(?:[^/\\]|\\.)*/)[,~+\d$]*)?\s*!?\s*e\s+([^\n]+)"
)
# s/a/b/e: what takes the text's place runs
_SED_REPLACES = re.compile(
    r"s([^\w\s\\])(?:(?!\1)[^\\\n]|\\.)*\1((?:(?!\1)[^\\\n]|\\.)*)\1[giIpmM\d]*e"
)
_CRON = re.compile(r"\s*(?:@\w+|(?:[\d*/,A-Za-z-]+\s+){4}[\d*/,A-Za-z-]+)\s+(\S.*)")
_SETTINGS = re.compile(
    r"(?:[A-Z0-9]+_)*(?:EDITOR|PAGER|COMMAND|BROWSER)|VISUAL|LESSOPEN|GIT_(?:SSH|ASKPASS|PROXY_COMMAND"
    r"|EXTERNAL_DIFF|ALTERNATE_REFS_COMMAND)|SSH_ASKPASS|SUDO_ASKPASS|RSYNC_RSH|CVS_RSH|TAR_OPTIONS"
    r"|RUSTC_(?:WORKSPACE_)?WRAPPER|CARGO_TARGET_[A-Z0-9_]+_RUNNER"
)
# What shows text runs only where there is a terminal, and is nothing that is banned for its own.
_SHOWING = frozenset(("bat", "cat", "delta", "less", "more", "most", "view"))
# Settings of git that hold a command, by how their names end.
_GIT_SETTINGS = ("pager", "editor", "command", "cmd", "external", "textconv", "helper")


def escapes(program: str, words: Sequence[str], stdin: str | None) -> Iterator[str]:
    """The command lines in a program's arguments and in what it is fed."""
    pattern = _PATTERNS.get(program)
    if pattern is not None:
        for text in (*words, stdin or ""):
            yield from pattern.findall(text)
    elif program == "crontab" and stdin is not None:
        yield from _scheduled(stdin)
    elif program in ("make", "gmake", "just"):
        yield from _RECIPE.findall(stdin or "")
        yield from (word[6:] for word in words if word.startswith("SHELL="))
    elif program in ("expect", "tclsh"):
        for line in _SPAWN.findall("\n".join((*_behind(words, ("-c",)), stdin or ""))):
            yield _BRACED.sub(lambda word: shlex.quote(word[1]), line)
    elif program in _OWN:
        yield from _OWN[program](words)


def _scheduled(table: str) -> Iterator[str]:
    """The commands in a table for cron; a line that is filled in, or its time, may be any."""
    for line in table.splitlines():
        found = _CRON.match(line.lstrip(UNKNOWN))
        if found:
            yield found[1]
        elif UNKNOWN in line or UNKNOWN_WORDS in line:
            yield line.partition(" ")[2] or UNKNOWN  # $EVERY_NIGHT rm -rf x


def command_of_setting(name: str, value: str) -> str | None:
    """The command line that a variable's value is: `GIT_EDITOR='sed -i …' git rebase -i`.

    A value of one word is left out: it names a program that seldom runs in an agent's shell
    (`PAGER=cat`), and says nothing that a pattern of a command could mean.
    """
    if _SETTINGS.fullmatch(name) is None:
        return None
    words = value.split(None, 1)
    return value if len(words) > 1 and words[0] not in _SHOWING else None


def _osascript(words: Sequence[str]) -> Iterator[str]:
    for text in _behind(words, ("-e",)):
        yield from _DO_SHELL.findall(text)


def _sed(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if "e" in word and not word.startswith("--"):
            yield from _SED_RUNS.findall(word)
            yield from (text for _, text in _SED_REPLACES.findall(word))


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
    "less": _LESS,
    "socat": _SOCAT,
}
_OWN: Mapping[str, Callable[[Sequence[str]], Iterator[str]]] = {
    **dict.fromkeys(("vi", "vim", "nvim", "ex"), _vim),
    **dict.fromkeys(("sed", "gsed"), _sed),
    "git": _git, "osascript": _osascript, "tar": _tar,
}  # fmt: skip
