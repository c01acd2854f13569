"""What a shell command line runs: its commands with quoting, variables and carriers resolved.

The line is parsed by tree-sitter-bash (`_shell_tree`); where that package is not installed or the
line is no valid syntax, it is cut into segments (`_shell_segments`), and `Script.parser` says so.

Text of files is out of sight: `bash deploy.sh` is the command `bash`, whatever the script does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from skilltrace_mlflow.commands import _shell_segments, _shell_tree
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command

__all__ = ["Script", "read_script"]


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
    clean = text.replace(UNKNOWN, "").replace(UNKNOWN_WORDS, "").replace("\0", "")
    if not _shell_tree.available():
        return Script(commands=_shell_segments.commands(clean), parser="segments")
    commands, writes, valid = _shell_tree.commands(clean)
    if valid:
        return Script(commands=commands, writes=writes)
    extra = tuple(c for c in _shell_segments.commands(clean) if c not in commands)
    return Script(commands=(*commands, *extra), writes=writes, parser="segments: syntax error")
