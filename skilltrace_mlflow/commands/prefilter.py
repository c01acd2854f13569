"""A cheap look at a shell line: can it run a given program at all?

Parsing costs a hundred times this look. It errs to one side only: a line that runs the program, or
may run it, is never ruled out. A program is run either by its name, which then stands in the line
(quotes and backslashes aside), or by a name that the shell composes (`$TOOL`, `/bin/r?`, `eval`,
`| sh`). Cutting the line at operators without regard to quotes finds more places for commands than
there are, never fewer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from skilltrace_mlflow.commands._wrapper_table import CARRIERS

__all__ = ["Line", "Lines", "Program", "line_of", "may_compose"]

_CUTS = re.compile(r"[;&|()\n`{}]")
_DYNAMIC = re.compile(r"[$*?\[]")
_MARKS = re.compile(r"[$`*?\[{]")
_RUNNERS = re.compile(r"\b(?:eval|source|(?:ba|z|da|k|a|fi|mk|rba)?sh)\b")
_BRACES = re.compile(r"(?<!\$)\{[^\s{}]*,")
_SHELL = re.compile(r"(?:^|[\s/'\"])(?:(?:ba|z|da|k|a|fi|mk|rba)?sh|eval|source|\.)(?:$|[\s'\"<])")
_PASSED_OVER = re.compile(
    r"(?:\s*(?:!|if|then|else|elif|fi|do|done|esac|while|until|time(?:\s+-p)?)\s)*\s*"
)
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
# What takes up lines that it is given: echo "$JOB" | crontab -
_FED = re.compile(
    r"\|(?:[^|;&\n]{0,200}\s)?(?:at|batch|crontab|su)\b|\b(?:at|batch|crontab|su)\b[^|;&\n]{0,200}<"
)
_GIT_RUNS = re.compile(r"\b(?:foreach|bisect|rebase|filter-branch|alias\.)")


@lru_cache(maxsize=8192)
def may_compose(line: str) -> bool:
    """Whether the line may run something whose name does not stand in it."""
    if "<(" in line or ">(" in line:
        return True  # bash <(curl …), . <(…), tee >(sh)
    if "<\n" in line or ">\n" in line:
        return True  # no shell takes it; the parser reads on in the next line
    if _may_name_other_shell(line) and _OTHER_SHELLS.search(line):
        return True  # in which a command goes by other names
    if not _striking(line):
        return False
    if ("$" in line or "`" in line) and (_RUNS_OWN.search(line) or _FED.search(line)):
        return True
    if "{" in line and _BRACES.search(line):
        return True
    if ("$(" in line or "`" in line) and _SUBSTITUTED.search(line):
        return True
    return any(_segment_may_compose(segment) for segment in _CUTS.split(line) if _striking(segment))


def _may_name_other_shell(line: str) -> bool:
    """Whether the words stand in the line at all; the search behind it costs six times as much."""
    low = line.lower()
    return (
        "cmd" in low
        or "shell" in low
        or "wsh" in low
        or ".ps1" in low
        or not line.isascii()  # some of whose letters are others' capitals
    )


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
    name = _without_quotes(word).rsplit("/", 1)[-1]
    if name == "find":
        carries = "-exec" in rest or "-ok" in rest
    elif name == "git":
        carries = _GIT_RUNS.search(rest) is not None
    elif name in ("fd", "fdfind"):
        carries = "-x" in rest.lower() or "-exec" in rest
    else:
        carries = name in CARRIERS or "=" in word or word[0] in "<>0123456789"
    return carries and (_DYNAMIC.search(rest) or _SHELL.search(rest)) is not None


def _unquoted(line: str) -> str:
    return _without_quotes(line.replace("\\\n", ""))


def _without_quotes(text: str) -> str:
    return text.replace('"', "").replace("'", "").replace("\\", "")


@lru_cache(maxsize=512)
def _word(name: str) -> re.Pattern[str]:
    version = r"(?:[23](?:\.\d+)?)?" if name in ("pip", "python") else ""
    # env -Srm: attached to an option; printf 'ls\nrm x': behind an escape
    escaped = r"(?<=\\[abefnrtv])|(?<=\\[0-7]{3})|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\[0-7]{2})"
    start = rf"(?:(?<![A-Za-z0-9_])|(?<=[\s'\"]-[A-Za-z])|{escaped})"
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
        if self.name not in line and self.name not in bare and not self.others:
            return False
        for word in self.words:  # before the search for the name, which costs more
            if word not in line and not self._words_in_parts(line, bare):
                return False
        return self.stands_in(line, bare)

    def _words_in_parts(self, line: str, bare: str) -> bool:
        """Whether the words may stand in a line that does not hold all of them as they are."""
        if "$" in line or "`" in line or "{" in line:
            return True  # the shell may put them together
        return all(word in bare for word in self.words)

    def stands_in(self, line: str, bare: str | None = None) -> bool:
        """Whether the name stands in the line as a word, quotes and backslashes aside."""
        if self.name in line and _word(self.name).search(line):
            return True
        if bare is None:
            bare = _unquoted(line)
        if self.name in bare and bare != line and _word(self.name).search(bare):
            return True
        return any(name in bare for name in self.others)


class Line(NamedTuple):
    """A shell line with what every pattern wants to know of it before it is parsed.

    `bare` is the line without quoting, `composes` what `may_compose` says of it, `folded` `bare`
    without letter case.
    """

    text: str
    bare: str
    composes: bool
    folded: str


def line_of(text: str) -> Line:
    """Look at a line once."""
    bare = _unquoted(text)
    return Line(text, bare, may_compose(text), bare.casefold())


class Lines:
    """All lines of a session, to be asked which of them are worth reading for a program.

    Most programs stand in none of them, which one look at all lines together tells. `always` are
    places of lines that are worth it whatever the program, besides those that may compose one.
    """

    def __init__(self, lines: Sequence[Line | None], always: Collection[int] = ()) -> None:
        self._lines = lines
        self._always = {at for at, line in enumerate(lines) if line is None or line.composes}
        self._always.update(always)
        self._sorted = sorted(self._always)
        texts = [text for line in lines if line is not None for text in (line.text, line.bare)]
        self._together = "\n".join(dict.fromkeys(texts))

    def which_may_run(self, program: Program) -> list[int]:
        """Places of the lines that may run the program with its words, in order."""
        if not self._hold(program):
            return self._sorted
        always = self._always
        return [
            at
            for at, line in enumerate(self._lines)
            if at in always or (line is not None and program.is_named(line.text, line.bare))
        ]

    def which_name(self, program: Program) -> list[int]:
        """Places of the lines in which the program's name stands, in order."""
        if not self._hold(program):
            return []
        return [
            at
            for at, line in enumerate(self._lines)
            if line is not None and program.stands_in(line.text, line.bare)
        ]

    def _hold(self, program: Program) -> bool:
        together = self._together
        return program.name in together or any(name in together for name in program.others)
