"""What a shell command line runs: its commands with quoting, variables and carriers resolved.

The line is parsed by tree-sitter-bash (`_shell_tree`); where that package is not installed or the
line is no valid syntax, it is cut into segments (`_shell_segments`), and `Script.parser` says so.

Text of files is out of sight: `bash deploy.sh` is the command `bash`, whatever the script does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from skilltrace_mlflow.commands import _shell_segments, _shell_tree
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command, Redirect

if TYPE_CHECKING:
    from skilltrace_mlflow.commands.file_use import FileUse

__all__ = ["Script", "read_line", "read_script", "reads_posix"]

_POWERSHELL = re.compile(r"power_?shell|pwsh", re.IGNORECASE)
_CMD = re.compile(r"cmd[._-]?exe|command[_-]?prompt|(?:^|[_-])cmd$", re.IGNORECASE)

_READ_WRITE = re.compile(r"<>\s*([^\s;&|<>()'\"]+)")  # which the grammar does not know


@dataclass(frozen=True, kw_only=True)
class Script:
    """The commands of a line in order, its redirections, and how it was read.

    `folder` is the directory the line ends in, relative to where it began. `uncalled` are the
    commands of functions that the line defines and never calls. `uses` is what PowerShell's
    commands do with files; for other shells the commands' words say it.
    `parser` is `tree-sitter`, `powershell` and `cmd` for those languages, `segments` (no parser
    installed) or `segments: syntax error` (both were used: what the tree holds, and the segments).
    """

    commands: tuple[Command, ...]
    redirects: tuple[Redirect, ...] = ()
    folder: str = ""
    uncalled: tuple[Command, ...] = ()
    uses: tuple[FileUse, ...] = ()
    parser: str = "tree-sitter"


@lru_cache(maxsize=4096)
def read_script(text: str) -> Script:
    """Take a command line apart. Never raises for what the line holds."""
    clean = text.replace(UNKNOWN, "").replace(UNKNOWN_WORDS, "").replace("\0", "")
    if not _shell_tree.available():
        return Script(commands=_shell_segments.commands(clean), parser="segments")
    walk = _shell_tree.walk(clean)
    commands, parser = tuple(walk.found), "tree-sitter"
    redirects, folder = tuple(walk.redirects), walk.folder
    uncalled = walk.uncalled()
    if not walk.valid:
        known = {command.words for command in commands}
        extra = (c for c in _shell_segments.commands(clean) if c.words not in known)
        commands, parser = (*commands, *extra), "segments: syntax error"
        redirects += tuple(Redirect(path=path, way="<>") for path in _READ_WRITE.findall(clean))
    return Script(
        commands=commands,
        redirects=redirects,
        folder=folder,
        uncalled=uncalled,
        parser=parser,
    )


def read_line(tool: str, text: str) -> Script:
    """Take a command line apart in the language of the tool that runs it: PowerShell, cmd, sh."""
    if _POWERSHELL.search(tool):
        from skilltrace_mlflow.commands.powershell.reader import read_powershell

        commands, writes, uses = read_powershell(text)
        redirects = tuple(Redirect(path=path, way=">") for path in writes)
        return Script(commands=commands, redirects=redirects, uses=uses, parser="powershell")
    if _CMD.search(tool):
        from skilltrace_mlflow.commands.other_shells import cmd_commands

        both = (*cmd_commands(text), *read_script(text).commands)  # the name says little
        return Script(commands=both, parser="cmd")
    return read_script(text)


@lru_cache(maxsize=1024)
def reads_posix(tool: str) -> bool:
    """Whether the tool's command lines are for a POSIX shell, as far as its name says."""
    return not (_POWERSHELL.search(tool) or _CMD.search(tool))
