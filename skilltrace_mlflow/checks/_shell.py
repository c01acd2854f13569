"""What a shell command line runs: its commands with quoting, variables and carriers resolved.

The line is parsed by tree-sitter-bash (`_shell_tree`); where that package is not installed or the
line is no valid syntax, it is cut into segments (`_shell_segments`), and `Script.parser` says so.

What the shell fills in at run time stands as a placeholder: `UNKNOWN` for one text (`$file`,
`$(date)`), `UNKNOWN_WORDS` for words that may be options as well (`$@`, `$FLAGS`, `"${args[@]}"`).
Text of files is out of sight: `bash deploy.sh` is the command `bash`, whatever the script does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

__all__ = ["UNKNOWN", "UNKNOWN_WORDS", "Command", "Script", "read_script"]

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


@dataclass(frozen=True, kw_only=True)
class Script:
    """The commands of a line in order, the files its redirections write, and how it was read.

    `parser` is `tree-sitter`, `segments` (no parser installed) or `segments: syntax error` (both
    were used: what the tree holds, and the segments).
    """

    commands: tuple[Command, ...]
    writes: tuple[str, ...] = ()
    parser: str = "tree-sitter"


@lru_cache(maxsize=4096)
def read_script(text: str) -> Script:
    """Take a command line apart. Never raises for what the line holds."""
    from skilltrace_mlflow.checks import _shell_segments, _shell_tree

    clean = text.replace(UNKNOWN, "").replace(UNKNOWN_WORDS, "").replace("\0", "")
    if not _shell_tree.available():
        return Script(commands=_shell_segments.commands(clean), parser="segments")
    commands, writes, valid = _shell_tree.commands(clean)
    if valid:
        return Script(commands=commands, writes=writes)
    extra = tuple(c for c in _shell_segments.commands(clean) if c not in commands)
    return Script(commands=(*commands, *extra), writes=writes, parser="segments: syntax error")
