"""One command of a shell line, and the placeholders for what the shell fills in at run time.

`UNKNOWN` stands for one text (`$file`, `$(date)`), `UNKNOWN_WORDS` for words that may be options as
well (`$@`, `$FLAGS`, `"${args[@]}"`).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNKNOWN", "UNKNOWN_WORDS", "Command", "Redirect"]

UNKNOWN = "\ue000"
UNKNOWN_WORDS = "\ue001"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One simple command.

    `words` are resolved, the program first, assignments in front left out. `source` is the text as
    written, on one line. `carried` is true for what another command runs (`sudo`, `sh -c`, a
    substitution), false for what the line itself names; `substituted` for what stands in `$(…)`,
    backquotes or `<(…)`. `stdin` is the text a pipe, a heredoc or a here-string feeds into it, None
    where nothing does. `folder` is the directory it runs in, relative to where the line began
    (empty there). `within` names what it stands inside of (`subshell`, `loop`, `function`, …).
    """

    words: tuple[str, ...]
    source: str = ""
    carried: bool = False
    substituted: bool = False
    stdin: str | None = None
    folder: str = ""
    within: frozenset[str] = frozenset()

    @property
    def texts(self) -> tuple[str, ...]:
        """The command as written and as resolved, for rules that compare text."""
        joined = " ".join(self.words).replace(UNKNOWN_WORDS, UNKNOWN)
        return (joined,) if not self.source or self.source == joined else (self.source, joined)


@dataclass(frozen=True, kw_only=True)
class Redirect:
    """A file that a redirection reads or writes; `way` is the operator, without a descriptor.

    `filled`: its name comes from a variable or a substitution. `folder`, `carried`, `substituted`
    and `within` are those of the command it belongs to.
    """

    path: str
    way: str
    folder: str = ""
    carried: bool = False
    substituted: bool = False
    within: frozenset[str] = frozenset()
    filled: bool = False

    @property
    def writes(self) -> bool:
        """Whether it opens the file for writing (`<>` opens for both)."""
        return ">" in self.way

    @property
    def reads(self) -> bool:
        """Whether it opens the file for reading."""
        return self.way in ("<", "<>")
