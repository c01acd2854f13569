"""A cheap look at a shell line: can it run a given program at all?

Parsing costs a hundred times this look. It errs to one side only: a line that runs the program, or
may run it, is never ruled out. A program is run either by its name, which then stands in the line
(quotes and backslashes aside), or by a name that the shell composes (`$TOOL`, `/bin/r?`, `eval`,
`| sh`). Cutting the line at operators without regard to quotes finds more places for commands than
there are, never fewer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from skilltrace_mlflow.commands._wrapper_table import CARRIERS

__all__ = ["Line", "Program", "line_of", "may_compose"]

_QUOTING = str.maketrans("", "", "'\"\\")
_CUTS = re.compile(r"[;&|()\n`{}]")
_DYNAMIC = re.compile(r"[$*?\[]")
_MARKS = re.compile(r"[$`*?\[{]")
_PUTS_TOGETHER = re.compile(r"[$`{]")  # the shell may put words together
_RUNNERS = re.compile(r"\b(?:eval|source|(?:ba|z|da|k|a|fi|mk|rba)?sh)\b")
_BRACES = re.compile(r"(?<!\$)\{[^\s{}]*,")
_SHELL = re.compile(r"(?:^|[\s/'\"])(?:(?:ba|z|da|k|a|fi|mk|rba)?sh|eval|source|\.)(?:$|[\s'\"<])")
_PASSED_OVER = re.compile(r"(?:\s*(?:!|if|then|else|elif|fi|do|done|esac|while|until|time)\s)*\s*")
# $(echo rm) -rf x: the cut leaves the words behind the bracket as if they were a command
_SUBSTITUTED = re.compile(r"(?:^|[;&|(\n{!]|\b(?:then|do|else|if)\s)\s*[\"']?(?:\$\(|`)")
# A file that the line may have written itself, run; an alias.
_RUNS_OWN = re.compile(
    r"\balias\b|(?:>|\btee\b)(?s:.*)(?:^|[;&|(\n]|\b(?:then|do|else|sudo)\s)\s*"
    r"(?:[./~]|(?:ba|z|da|k|a|fi|mk|rba)?sh\b|source\b)",
    re.MULTILINE,
)
_OTHER_SHELLS = re.compile(
    r"p[\"'\\]*(?:ower[\"'\\]*shell|wsh)|\.ps1\b"
    r"|\bcmd(?:\.exe)?[\"']*(?:\s+[\"']*/|\s*(?:$|[<;&\n]))",
    re.IGNORECASE,
)
_GIT_RUNS = re.compile(r"\b(?:foreach|bisect|rebase|filter-branch|alias\.)")


@lru_cache(maxsize=8192)
def may_compose(line: str) -> bool:
    """Whether the line may run something whose name does not stand in it."""
    if "<(" in line or ">(" in line:
        return True  # bash <(curl …), . <(…), tee >(sh)
    if "<\n" in line or ">\n" in line:
        return True  # no shell takes it; the parser reads on in the next line
    if _OTHER_SHELLS.search(line):
        return True  # in which a command goes by other names
    if not _striking(line):
        return False
    if ("$" in line or "`" in line) and _RUNS_OWN.search(line):
        return True
    if "{" in line and _BRACES.search(line):
        return True
    if ("$(" in line or "`" in line) and _SUBSTITUTED.search(line):
        return True
    return any(_segment_may_compose(segment) for segment in _CUTS.split(line) if _striking(segment))


def _striking(text: str) -> bool:
    """Whether a text has anything that a program could be composed with."""
    if _MARKS.search(text):
        return True
    # the words first: a search with word boundaries costs ten times as much
    return ("sh" in text or "eval" in text or "source" in text) and bool(_RUNNERS.search(text))


def _segment_may_compose(segment: str) -> bool:
    passed = _PASSED_OVER.match(segment)
    rest = segment[passed.end() :] if passed else segment
    word = rest.split(None, 1)[0] if rest else ""
    if not word:
        return False
    if word in ("[", "[["):
        return "]" not in rest and _DYNAMIC.search(rest) is not None
    if "=" not in word and _DYNAMIC.search(word):
        return True
    name = word.translate(_QUOTING).rsplit("/", 1)[-1]
    if name == "find":
        carries = "-exec" in rest or "-ok" in rest
    elif name == "git":
        carries = _GIT_RUNS.search(rest) is not None
    elif name in ("fd", "fdfind"):
        carries = "-x" in rest.lower() or "-exec" in rest
    else:
        carries = name in CARRIERS or "=" in word or word[0] in "<>0123456789"
    return carries and (_DYNAMIC.search(rest) or _SHELL.search(rest)) is not None


@lru_cache(maxsize=8192)
def _unquoted(line: str) -> str:
    if '"' in line or "'" in line or "\\" in line:
        return line.replace("\\\n", "").translate(_QUOTING)
    return line


@lru_cache(maxsize=512)
def _word(name: str) -> re.Pattern[str]:
    version = r"(?:[23](?:\.\d+)?)?" if name == "pip" else ""
    # env -Srm: attached to an option
    start = r"(?:(?<![A-Za-z0-9_])|(?<=[\s'\"]-[A-Za-z]))"
    return re.compile(rf"{start}{re.escape(name)}{version}(?![A-Za-z0-9_])")


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program's name, and words that have to stand in the line too, to be looked for.

    `others` are names under which the same may be run.
    """

    name: str
    words: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def may_run(self, line: str) -> bool:
        """Whether the line may run the program with the words."""
        return may_compose(line) or self.is_named(line, _unquoted(line))

    def is_named(self, line: str, bare: str) -> bool:
        """Whether the line names the program and the words; `bare` is the line without quoting."""
        if not self.stands_in(line, bare):
            return False
        return (
            not self.words
            or all(word in line for word in self.words)
            or _PUTS_TOGETHER.search(line) is not None
            or all(word in bare for word in self.words)
        )

    def stands_in(self, line: str, bare: str | None = None) -> bool:
        """Whether the name stands in the line as a word, quotes and backslashes aside."""
        if self.name in line and _word(self.name).search(line):
            return True
        if bare is None:
            bare = _unquoted(line)
        if self.name in bare and bare != line and _word(self.name).search(bare):
            return True
        return any(name in bare for name in self.others)


@dataclass(frozen=True)
class Line:
    """A shell line with what every pattern wants to know of it before it is parsed."""

    text: str
    bare: str
    composes: bool


def line_of(text: str) -> Line:
    """Look at a line once."""
    return Line(text, _unquoted(text), may_compose(text))
