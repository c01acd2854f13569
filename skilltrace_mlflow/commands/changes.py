"""A cheap look at a shell line: can it change any file?

Most lines cannot, and reading one costs a hundred times this look. As with `prefilter` it errs to
one side: a line of which `file_uses` says that it writes, moves or deletes is never ruled out.
"""

from __future__ import annotations

import re

from skilltrace_mlflow.commands._named_files import (
    CHANGES_FILES,
    COPYING,
    FORMATTERS,
    OUTPUT_OPTION,
)
from skilltrace_mlflow.commands.code_commands import INTERPRETERS
from skilltrace_mlflow.commands.file_programs import PROGRAMS
from skilltrace_mlflow.commands.prefilter import Line
from skilltrace_mlflow.commands.shell import read_script

__all__ = ["folder_after", "may_change_files"]

# In ASCII, which is faster and finds no fewer programs: their names are.
_WORDS = re.compile(r"\w+", re.ASCII)
_GLUED = re.compile(r"-[A-Za-z](\w+)", re.ASCII)
# cd /repo && …: by far the most common way to move
_PLAIN_MOVE = re.compile(r"cd (/[\w./-]*\w) && ([^()]*)", re.DOTALL)
_SINGLE_AND = re.compile(r"(?<![&>])&(?![&>\d])")
_CHANGING = ("prefix", "write", "open", "edit", "delete", "folder", "copy")
_IN_PLACE = re.compile(r"-\w*i|inplace")
_OUTPUT = re.compile(r"-\w*o")
_NAMES_OUTPUT = re.compile(rf"(?:^|\s)(?:{OUTPUT_OPTION.pattern})(?:=|\s+)\S*[/.]")
_GIT = frozenset(
    "rm mv restore checkout stash reset clean apply am clone init worktree".split()  # noqa: SIM905
)
_GIT_WITH_OUTPUT = frozenset(("diff", "log", "show", "format", "archive"))
_TO_NOWHERE = re.compile(r"[\d&]?>&[12](?=[\s;&|)'\"]|$)|[\d&]?>>?\s*/dev/null(?=[\s;&|)'\"]|$)")
_BEHIND_UNIQ = re.compile(r"(?:uniq|xxd)\b([^|;&\n)]*)")


def _always() -> frozenset[str]:
    """Words of the names of programs that change what their operands name."""
    names = {
        name
        for name, row in PROGRAMS.items()
        if any(role in row.operands for role in _CHANGING) or row.writes
    }
    names -= {"uniq", "xxd", *_WITH_OUTPUT}
    words = {word for word in _WORDS.findall(" ".join(names)) if len(word) > 1}  # not of g++
    return frozenset(words) | {
        *COPYING, "wheel", "7z", "bsdtar", "convert", "cpio", "dd", "ffmpeg", "magick", "tar",
        "unzip",
    }  # fmt: skip


_INTERPRETERS = frozenset(_WORDS.findall(" ".join((*INTERPRETERS, "python2 python3 pypy3"))))
_WITH_OUTPUT = frozenset(("sort", "shuf", "iconv", "tree", "du"))
_WITH_IN_PLACE = frozenset(("sed", "perl", "ruby", "awk", "gawk", "yq"))
_ALWAYS = _always()
_WITH_SECOND_OPERAND = frozenset(("uniq", "xxd"))
# The words of a formatter's name, and options of which it needs one to rewrite; by the last word.
_FORMATTERS: dict[str, list[tuple[set[str], list[str]]]] = {}
for _name, _row in FORMATTERS.items():
    _words = _WORDS.findall(_name)
    _FORMATTERS.setdefault(_words[-1], []).append((set(_words), _row[0].split()))
_FORMATTER_WORDS = frozenset(_FORMATTERS)
# Every word that asks for a second look.
_TELLING = frozenset(("git", "find")).union(
    _ALWAYS, _FORMATTER_WORDS, _WITH_OUTPUT, _WITH_IN_PLACE, _WITH_SECOND_OPERAND
)


def may_change_files(line: Line) -> bool:
    """Whether the line may write, move or delete a file that it names."""
    if line.composes or "<>" in line.text or "++" in line.bare:
        return True
    if ">" in line.text and ">" in _TO_NOWHERE.sub("", line.text):
        return True
    bare = line.bare
    words = _WORDS.findall(bare)
    if "-" in bare:
        words += _GLUED.findall(bare)  # env -Srm
    if "\\\n" in line.text:
        words += _WORDS.findall(line.text)  # a comment's end is joined to no word
    if not _TELLING.isdisjoint(words) and _words_may_change(line, words):
        return True
    # what every option that names the output has
    telling = "-o" in bare or "-dest" in bare or "-target-dir" in bare
    if telling and _NAMES_OUTPUT.search(bare) is not None:
        return True
    return not _INTERPRETERS.isdisjoint(words) and CHANGES_FILES.search(line.text) is not None


def _words_may_change(line: Line, words: list[str]) -> bool:
    """Whether programs with the words of a line may change a file."""
    bare = line.bare
    if not _ALWAYS.isdisjoint(words):
        return True
    if not _FORMATTER_WORDS.isdisjoint(words) and _may_format(line, words):
        return True
    if "git" in words:
        if not _GIT.isdisjoint(words):
            return True
        if not _GIT_WITH_OUTPUT.isdisjoint(words) and _OUTPUT.search(bare):
            return True
    if "find" in words and ("-delete" in bare or "-fprint" in bare or "-fls" in bare):
        return True
    if not _WITH_OUTPUT.isdisjoint(words) and _OUTPUT.search(bare):
        return True
    if not _WITH_IN_PLACE.isdisjoint(words) and _IN_PLACE.search(bare):
        return True
    return not _WITH_SECOND_OPERAND.isdisjoint(words) and _names_two(line)


def _may_format(line: Line, words: list[str]) -> bool:
    """Whether a formatter is named, with an option that it needs."""
    both = (line.bare, line.text)
    return any(
        name.issubset(words) and (not needed or any(o in text for o in needed for text in both))
        for word in _FORMATTER_WORDS.intersection(words)
        for name, needed in _FORMATTERS[word]
    )


def _names_two(line: Line) -> bool:
    """Whether uniq or xxd may be given a second operand, which it writes."""
    if "uniq" not in line.text and "xxd" not in line.text:
        return True  # spelled with quotes
    return any(
        len(tail.split()) > 1 or not tail.isprintable() or any(mark in tail for mark in "'\"\\")
        for tail in _BEHIND_UNIQ.findall(line.text)
    )


def folder_after(line: str) -> str:
    """The directory that a line leaves its shell in, relative to the one it began in."""
    if "cd" not in line and "pushd" not in line and "popd" not in line:
        return ""
    plain = _PLAIN_MOVE.fullmatch(line)
    if plain is not None and _stays(plain[2]):
        return plain[1]
    return read_script(line).folder


def _stays(rest: str) -> bool:
    """Whether what follows the move certainly moves no further."""
    moves = "cd" in rest or "popd" in rest or "pushd" in rest or "`" in rest
    return not moves and _SINGLE_AND.search(rest) is None
