"""The command lines in program text: what `os.system(…)`, `subprocess.run([…])` and `!rm x` run.

Only what the text spells out in literals is seen; a command in a variable with no value in sight
stays out of sight, as does whether the program comes to the place at all. The cells of notebooks
that are a shell's (`%sh`, `%%bash`, `!git push`) are lines as any other.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from skilltrace_mlflow.commands._program_text import (
    Piece,
    arguments_of,
    inside,
    pieces_of,
    text_of,
    values_of,
)
from skilltrace_mlflow.commands.command import UNKNOWN

__all__ = ["INTERPRETERS", "calls_shell", "code_language", "commands_in_code", "shell_cells"]

INTERPRETERS: Mapping[str, str] = {
    "R": "r", "Rscript": "r", "amm": "scala", "awk": "awk", "bun": "javascript",
    "deno": "javascript", "elixir": "elixir", "emacs": "lisp", "emacsclient": "lisp",
    "gawk": "awk", "groovy": "groovy", "iex": "elixir", "ipython": "python",
    "ipython3": "python", "jshell": "java", "jupyter": "python", "kotlin": "kotlin",
    "lua": "lua", "luajit": "lua", "mawk": "awk", "mix": "elixir",
    "node": "javascript", "nodejs": "javascript",
    "perl": "perl", "php": "php", "pypy": "python", "pyspark": "python", "python": "python",
    "rails": "ruby", "ruby": "ruby", "scala": "scala", "spark-shell": "scala",
    "spark-submit": "python",
    "sparkR": "r", "ts-node": "javascript", "tsx": "javascript", "uv": "python",
}  # fmt: skip
"""Programs that run program text from an option or their standard input, with its language."""

_PYTHON = re.compile(r"(?:python|pypy|ipython)[\d.]*")
# Functions that run a command; of those of the second row only as methods of what runs processes.
_RUNNER_LIST = (
    "system popen popen2 popen3 popen4 getoutput getstatusoutput check_call check_output execv "
    "execve execvp execvpe execl execle execlp execlpe spawnl spawnlp spawnv spawnvp posix_spawn "
    "create_subprocess_shell create_subprocess_exec execsync execfile execfilesync spawn spawnsync "
    "shell_exec passthru proc_open pcntl_exec execa execacommand system2 qx processbuilder"
)
_RUNNERS = frozenset(_RUNNER_LIST.split())
_METHODS = frozenset({"run", "call", "execute", "command", "exec", "open", "cmd"})
_BASES = frozenset(
    {"subprocess", "sp", "os", "child_process", "deno", "process", "shelljs", "cp", "system"}
)
_BARE = {
    "exec": frozenset({"javascript", "php", "perl", "ruby", "typescript"}),
    "command": frozenset({"lisp"}),  # (shell-command "rm x")
}
# Languages in which `getRuntime().exec(…)` runs a command, and those in which a text does it itself
_RUNTIMES = frozenset({"groovy", "java", "kotlin", "scala"})
_OF_TEXT = {"execute": frozenset({"groovy"}), "!": frozenset({"scala"})}
_TICKS = frozenset({"perl", "php", "ruby"})  # backquotes run a command
_QUICK = re.compile(
    r"(?i)\b(?:"
    + "|".join(sorted(_RUNNERS))
    + r")\b|\b(?:"
    + "|".join(sorted(_METHODS))
    + r")\s*\("
    r"|`|%x|[\"'\])]\s*\.\s*(?:execute\b|!)|shell-command"
)
_PARTS = ("system", "open", "getoutput", "status", "check_", "exec", "spawn", "subproc", "`", "%x",
          "passthru", "run", "call", "qx", "command", "cmd", "Command", "Builder",
          ".!")  # fmt: skip
_OUTER_TICKS = re.compile(r"(?:%x|qx)[{(\[]([^})\]\n]*)[})\]]|`([^`\n]+)`")
_NOTEBOOK = re.compile(r"^(?:#|--|//) MAGIC ?", re.MULTILINE)
_CELL = re.compile(r"\A\s*%{1,2}(?:(?:script\s+)?(?:ba|z)?sh|system|bash)\b(?P<rest>[\s\S]*)")
_LINE = re.compile(
    r"^[ \t]*(?:[\w, ]+=[ \t]*)?(?:!{1,2}|%(?:sh|sx|system)\s)(?P<line>[^\n]+)", re.M
)
_FILLED = re.compile(r"(?<!\$)\{[^{}]*\}")


def code_language(program: str) -> str | None:
    """The language of the program text that a program runs; None for any other program."""
    return "python" if _PYTHON.fullmatch(program) else INTERPRETERS.get(program)


def calls_shell(code: str) -> bool:
    """Whether a program text may run a command; a quick look before it is taken apart."""
    return any(part in code for part in _PARTS) and _QUICK.search(code) is not None


def shell_cells(code: str) -> list[str]:
    """What a notebook's cell gives to a shell: all of it, or the lines that begin with `!`."""
    if "%" not in code and "!" not in code:
        return []
    code = _NOTEBOOK.sub("", code)
    cell = _CELL.match(code)
    if cell:
        return [cell["rest"].strip("\n")] if cell["rest"].strip() else []
    return [_FILLED.sub('"$x"', found["line"]) for found in _LINE.finditer(code)]


def commands_in_code(code: str, language: str = "") -> Iterator[str]:
    """The command lines that a program text may run, of those that it spells out."""
    if not calls_shell(code):
        return
    if language in _TICKS:
        yield from (one or other for one, other in _OUTER_TICKS.findall(code))
    pieces = pieces_of(code, language)
    values = values_of(pieces)
    for at, piece in enumerate(pieces[:-1]):
        behind = pieces[at + 1]
        if piece == Piece("sign", "$") and behind.kind == "text":
            yield behind.text.replace(UNKNOWN, '"$x"')  # Bun's $`rm x`
        after = pieces[at + 2].text if at + 2 < len(pieces) and behind.text == "." else ""
        if piece.kind == "text" and language in _OF_TEXT.get(after, ()):
            yield piece.text.replace(UNKNOWN, '"$x"')  # Groovy's "rm x".execute()
        if piece.kind != "name" or not _runs(pieces, at, language):
            continue
        if behind == Piece("sign", "("):
            given = arguments_of(inside(pieces, at + 1))
        elif behind.kind == "text":
            given = [[behind]]  # perl's system "rm x"
        else:
            continue
        yield from _lines(given, values)


def _runs(pieces: Sequence[Piece], at: int, language: str) -> bool:
    """Whether a name is that of a function that runs a command."""
    name = pieces[at].text.lower()
    before = pieces[at - 1].text if at else ""
    if before in ("def", "function", "sub", "func"):
        return False
    if name in _RUNNERS or (language in _BARE.get(name, ()) and before != "."):
        return True
    if name == "exec" and before == "." and language in _RUNTIMES:
        return True
    base = pieces[at - 2].text.lower() if at > 1 and before == "." else ""
    return name in _METHODS and base in _BASES


def _lines(given: Sequence[Sequence[Piece]], values: Mapping[str, str]) -> Iterator[str]:
    """The line of a call's arguments: a text, a list of words, a program and its list."""
    words: list[str] = []
    for argument in given:
        if len(argument) > 1 and argument[0].kind == "name" and argument[1].text == "=":
            if argument[0].text not in ("args", "command", "cmd"):
                break
            argument = argument[2:]
        if not argument:
            continue
        if argument[0].kind == "sign" and argument[0].text in "[(":
            words.extend(_word(item, values) for item in arguments_of(argument[1:-1]) if item)
        elif argument[0].kind == "sign" and argument[0].text == "{":
            for place, piece in enumerate(argument):  # {args: ["-rf"]}
                if piece.text == "args":
                    inner = inside(argument, place + 2)
                    words.extend(_word(item, values) for item in arguments_of(inner) if item)
            break
        else:
            words.append(_word(argument, values))
    if not words or words[0] == UNKNOWN:
        return
    first = words[0].replace(UNKNOWN, '"$x"')
    if len(words[0].split()) > 1:
        yield first
        return
    quoted = ['"$x"' if UNKNOWN in word else shlex.quote(word) for word in words]
    yield " ".join(quoted)
    if words[1:2] == words[:1]:
        yield " ".join(quoted[1:])  # execvp("rm", ["rm", "x"])


def _word(argument: Sequence[Piece], values: Mapping[str, str]) -> str:
    text = text_of(argument, values)
    return UNKNOWN if text is None else text
