"""The calls of a session by their tool, and those that run command lines with their lines.

A command line is what Claude Code's shells are given, and what other servers' tools are: a
`command`, a program with its arguments apart, words one by one, what is typed into a terminal, the
cells of a notebook that are a shell's, and program text that runs a command.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from skilltrace_mlflow.commands.code_commands import calls_shell, shell_cells
from skilltrace_mlflow.commands.prefilter import Line, Lines, line_of
from skilltrace_mlflow.commands.shell import reads_posix
from skilltrace_mlflow.session import Session, ToolCall
from skilltrace_mlflow.tools import is_shell, tool_category

__all__ = ["calls_by_name", "shell_index", "shell_lines"]

_ARGUMENTS = ("args", "arguments", "argv")
# Names of arguments, in small letters alone: a line for a shell, whatever the tool's name says; a
# program where that says that it runs something; a line where it says that it is a shell, or types.
_LINE_KEYS = ("command", "cmd", "commandline", "cmdline", "shellcommand")
_PROGRAM_KEYS = ("program", "executable", "bashcommand", "argv", "line")
_FILE_KEYS = ("file", "binary", "path")  # a program, where arguments stand beside it
_SHELL_KEYS = ("script", "input", "text", "code", "keys", "shell")
_CODE_KEYS = ("code", "source", "cellsource", "snippet", "cell", "script")
_LISTS = ("commands", "scripts", "lines")
_WITHIN = ("params", "parameters", "options", "request", "input", "arguments", "args", "payload")
_RUNS = re.compile(r"(?i)exec|process|spawn|(?<![a-z])run|batch")
_SHELL = re.compile(
    r"(?i)shell|bash|zsh|terminal|console|command|(?<![a-z])(?:cmd|ssh|sh)(?![a-z])"
)
_TYPES = re.compile(
    r"(?i)send_?(?:keys|input)|interact_with_process|write_to_process|write_stdin|"
    r"send_to_(?:pane|process|session)"
)
_RUNS_CODE = re.compile(r"(?i)exec|run|eval|repl|cell|notebook|python|code|submit")
_NO_LETTER = re.compile(r"[^A-Za-z]")
_SHELL_LANGUAGES = frozenset({"bash", "sh", "shell", "zsh"})


def calls_by_name(session: Session) -> dict[str, list[ToolCall]]:
    """The session's calls grouped by recorded name, in order; made once per session."""
    return session.from_calls("calls_by_name", _calls_by_name)


def _calls_by_name(session: Session) -> dict[str, list[ToolCall]]:
    groups: defaultdict[str, list[ToolCall]] = defaultdict(list)
    for call in session.tool_calls:
        groups[call.name].append(call)
    return dict(groups)


def shell_lines(session: Session) -> list[tuple[ToolCall, Line | None]]:
    """The calls that run command lines, with their lines; looked at once per session.

    None where a line should be and is not.
    """
    return session.from_calls("shell_lines", _shell_lines)


def _shell_lines(session: Session) -> list[tuple[ToolCall, Line | None]]:
    found: list[tuple[ToolCall, Line | None]] = []
    for name, group in calls_by_name(session).items():
        shell = is_shell(name)
        if not shell and not _may_be_shell(name):
            continue
        for call in group:
            text: Any = (call.input or {}).get("command") if shell else None
            if type(text) is not str:  # as nearly always
                text = _command_text(call)
            if text is not None:
                found.append((call, line_of(text)))
            elif shell:
                found.append((call, None))
    return found


def shell_index(session: Session) -> Lines:
    """The lines of `shell_lines`, to be asked for programs; made once per session.

    Lines that were cut short, and those of other shells, are worth reading for any.
    """
    return session.from_calls("shell_index", _shell_index)


def _shell_index(session: Session) -> Lines:
    lines = shell_lines(session)
    return Lines(
        [line for _, line in lines],
        [
            at
            for at, (call, _) in enumerate(lines)
            if call.input_truncated or not reads_posix(call.name)
        ],
    )


@lru_cache(maxsize=1024)
def _may_be_shell(name: str) -> bool:
    return name.startswith("mcp__") or tool_category(name) == "other"


def _command_text(call: ToolCall) -> str | None:
    """The command line that a call runs, of several lines where it runs several; None if none."""
    if is_shell(call.name):
        line = (call.input or {}).get("command")
        if isinstance(line, str):
            return line  # as nearly always
        return shlex.join(line) if line and _are_words(line) else None
    if not call.input:
        return None
    arguments = _by_plain_name(call.input)
    found = _line_of(call.name, arguments)
    return found if found is not None else _code_lines(call.name.rsplit("__", 1)[-1], arguments)


def _line_of(name: str, arguments: Mapping[str, Any]) -> str | None:
    """The line in the arguments of a tool of that name; its server's may say that it is a shell."""
    server, _, own = name.rpartition("__")
    runs = _RUNS.search(own) is not None
    shell = _SHELL.search(own) is not None
    types = _TYPES.search(own) is not None
    keys: tuple[str, ...] = _LINE_KEYS
    if shell or types or runs:
        keys += _PROGRAM_KEYS
    if runs and any(arguments.get(key) for key in _ARGUMENTS):
        keys += _FILE_KEYS
    if shell or types:
        keys += _SHELL_KEYS
    elif runs and _SHELL.search(server):
        keys += ("script",)
    for key in keys:
        given = arguments.get(key)
        if isinstance(given, str) and (key != "shell" or " " in given):
            return " ".join([given, *_words_apart(arguments)])
        if given and _are_words(given):
            if types and key == "keys":
                return "\n".join(given)
            return shlex.join([*given, *(_plain_words(arguments) if key != "argv" else ())])
    several = list(_several(name, arguments))
    return "\n".join(several) if several else None


def _several(name: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a list of commands, each a text, words, or a mapping as of one call."""
    for key in _LISTS:
        given = arguments.get(key)
        for item in given if isinstance(given, (list, tuple)) else ():
            if isinstance(item, str):
                yield item
            elif item and _are_words(item):
                yield shlex.join(item)
            elif isinstance(item, Mapping):
                line = _line_of(name, _by_plain_name(item))
                if line is not None:
                    yield line


def _code_lines(own: str, arguments: Mapping[str, Any]) -> str | None:
    """The line that program text amounts to: a shell's cell, or the text behind its language."""
    if not _RUNS_CODE.search(own):
        return None
    code = next((arguments[k] for k in _CODE_KEYS if isinstance(arguments.get(k), str)), None)
    if code is None:
        return None
    said = arguments.get("language")
    language = said.lower() if isinstance(said, str) else "python"
    if language in _SHELL_LANGUAGES:
        return str(code)
    if language in ("powershell", "pwsh"):
        return shlex.join(["pwsh", "-Command", code])
    lines = shell_cells(code)
    if calls_shell(code):
        lines.append(shlex.join([f"%%{language}", code]))
    return "\n".join(lines) if lines else None


def _by_plain_name(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments by their names in small letters alone, those of `params` among them."""
    plain = {_NO_LETTER.sub("", str(key)).lower(): value for key, value in given.items()}
    for key in _WITHIN:
        inner = plain.get(key)
        if isinstance(inner, Mapping):
            plain = {**_by_plain_name(inner), **plain}
    return plain


def _are_words(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and all(isinstance(word, str) for word in given)


def _plain_words(arguments: Mapping[str, Any]) -> list[str]:
    given = next((arguments[key] for key in _ARGUMENTS if _are_words(arguments.get(key))), ())
    return list(given)


def _words_apart(arguments: Mapping[str, Any]) -> list[str]:
    """The words of `args`, quoted; a text is for a shell to cut."""
    text = next((arguments[key] for key in _ARGUMENTS if isinstance(arguments.get(key), str)), "")
    return [shlex.quote(word) for word in _plain_words(arguments)] or ([text] if text else [])
