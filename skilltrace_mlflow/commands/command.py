"""One command of a shell line, and the placeholders for what the shell fills in at run time.

`UNKNOWN` stands for one text (`$file`, `$(date)`), `UNKNOWN_WORDS` for words that may be options as
well (`$@`, `$FLAGS`, `"${args[@]}"`).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNKNOWN", "UNKNOWN_WORDS", "Command"]

UNKNOWN = "\ue000"
UNKNOWN_WORDS = "\ue001"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One simple command.

    `words` are resolved, the program first, assignments in front left out. `source` is the text as
    written, on one line. `carried` is true for what another command runs (`sudo`, `sh -c`, a
    substitution), false for what the line itself names; `substituted` for what stands in `$(…)`,
    backquotes or `<(…)`. `stdin` is the text a pipe, a heredoc or a here-string feeds into it, None
    where nothing does.
    """

    words: tuple[str, ...]
    source: str = ""
    carried: bool = False
    substituted: bool = False
    stdin: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The command as written and as resolved, for rules that compare text."""
        joined = " ".join(self.words).replace(UNKNOWN_WORDS, UNKNOWN)
        return (joined,) if not self.source or self.source == joined else (self.source, joined)
