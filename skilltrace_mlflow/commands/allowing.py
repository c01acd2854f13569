"""Whether allow rules cover a command line, as Claude Code documents it.

Every command of the line must be covered by a rule of its own or be one that only reads; commands
in substitutions too. What `timeout`, `time`, `nice`, `nohup`, `stdbuf` and a bare `xargs` carry is
compared in their place; behind any other carrier (`sudo`, `sh -c`) the carrier itself must be
covered. A line that cannot be parsed is not covered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from skilltrace_mlflow.commands.command import UNKNOWN, Command
from skilltrace_mlflow.commands.shell import read_script
from skilltrace_mlflow.commands.wrappers import carried, program_of

__all__ = ["covers_line"]

_WRAPPERS = {"nice", "nohup", "stdbuf", "time", "timeout"}
_READING = {
    "[", "cat", "cd", "diff", "du", "echo", "false", "grep", "head", "ls", "pwd", "stat", "tail",
    "test", "true", "wc", "which",
}  # fmt: skip
_READING_GIT = {"blame", "diff", "log", "ls-files", "rev-parse", "shortlog", "show", "status"}
_FIND_ACTS = ("-delete", "-exec", "-execdir", "-fls", "-fprint", "-fprint0", "-ok", "-okdir")


def covers_line(line: str, tests: Sequence[Callable[[str], bool]]) -> bool | None:
    """Whether each command passes one of the tests or only reads; None if one is composed."""
    script = read_script(line)
    if script.parser == "segments: syntax error":
        return False
    verdict: bool | None = True
    for command in (*script.commands, *script.uncalled):
        if command.carried and not command.substituted:
            continue
        forms = [*command.texts, *_unwrapped(command)]
        if any(test(form) for test in tests for form in forms) or _reads(command):
            continue
        if command.words[0].startswith(UNKNOWN):
            verdict = None
        else:
            return False
    return verdict


def _unwrapped(command: Command) -> list[str]:
    forms: list[str] = []
    words = command.words
    while True:
        program = program_of(words[0])
        bare_xargs = program == "xargs" and len(words) > 1 and not words[1].startswith("-")
        if program not in _WRAPPERS and not bare_xargs:
            return forms
        inner = [item for item in carried(Command(words=words)) if isinstance(item, tuple)]
        if not inner:
            return forms
        words = inner[0]
        forms.append(" ".join(words))


def _reads(command: Command) -> bool:
    program = command.words[0]
    if program == "find":
        return not any(word in _FIND_ACTS for word in command.words)
    if program == "git":
        return command.words[1:2] != () and command.words[1] in _READING_GIT
    return program in _READING
