"""PowerShell and cmd where another shell starts them: `pwsh -c …`, `cmd /c …`, `cmd.exe //c …`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.powershell.names import CMDLETS, cmdlet_named

__all__ = ["cmd_commands", "other_shell", "posix_of_cmd"]

_VALUED = (
    "configurationname", "configurationfile", "custompipename", "encodedarguments",
    "executionpolicy", "inputformat", "outputformat", "psconsolefile", "settingsfile", "version",
    "windowstyle", "workingdirectory",
)  # fmt: skip
_SHORT_VALUED = frozenset({"ep", "ex", "wd", "if", "of", "o", "v", "w"})
_FLAGS = ("interactive", "login", "mta", "noexit", "nologo", "noninteractive", "noprofile", "sta")
_UNREAD = Command(words=(UNKNOWN_WORDS,), carried=True)
_CUT = re.compile(r"&&|\|\||[&|\n()]")
_FILLED_IN = re.compile(r"%[^%\s]+%|%%?~?\w|![^!\s]+!")
_WORD = re.compile(r"(?:\"[^\"]*\"?|[^\s\",;=]|[,;=](?=\S))+")
_CARRYING = frozenset({"call", "do", "else", "for", "if", "start"})
_SWITCH = re.compile(r"//?[A-Za-z?]")
_POSIX = {
    "copy": "cp", "del": "rm", "dir": "ls", "erase": "rm", "md": "mkdir", "move": "mv", "rd": "rm",
    "ren": "mv", "rename": "mv", "rmdir": "rm", "taskkill": "kill", "type": "cat", "xcopy": "cp",
}  # fmt: skip
_LETTERS = {
    "rm": {"s": "-r", "q": "-f", "f": "-f"},
    "kill": {"f": "-9"},
    "ls": {"s": "-R"},
    "cp": {"s": "-r", "e": "-r", "y": "-f"},
    "mv": {"y": "-f"},
}


def other_shell(command: Command, files: Mapping[str, str] | None = None) -> list[Command] | None:
    """What PowerShell or cmd is started with; None if the command starts neither.

    `files` are texts of files that the line wrote itself.
    """
    from skilltrace_mlflow.commands.wrappers import program_of

    program = program_of(command.words[0]).lower()
    words = command.words[1:]
    if program in ("powershell", "pwsh", "pwsh-preview", "powershell_ise"):
        return _powershell(program, words, command.stdin, files or {})
    if program in ("cmd", "command.com"):
        return _cmd(words, command.stdin)
    if program.endswith(".ps1") and files:
        return _file(command.words[0], files)
    return None


def _powershell(
    program: str, words: Sequence[str], stdin: str | None, files: Mapping[str, str]
) -> list[Command]:
    index = 0
    while index < len(words):
        word = words[index]
        if word == UNKNOWN_WORDS:
            return [_UNREAD]
        if word[:1] not in "-/" or len(word) < 2 or (word[0] == "/" and "/" in word[1:]):
            break
        name = word.lstrip("-/").lower()
        rest = words[index + 1 :]
        if UNKNOWN in name:
            return [_UNREAD]
        if "command".startswith(name) or name in ("commandwithargs", "cwa"):
            return _text(" ".join(rest) or "-", stdin) if rest or stdin is not None else []
        if name in ("ec", "enc") or (name.startswith("e") and "encodedcommand".startswith(name)):
            return _encoded(rest[0]) if rest else []
        if name == "f" or (len(name) > 1 and "file".startswith(name)):
            return _file(rest[0], files, stdin) if rest else []
        if name in _SHORT_VALUED or any(valued.startswith(name) for valued in _VALUED):
            flag = any(known.startswith(name) for known in _FLAGS) and name not in _SHORT_VALUED
            index += 1 if flag else 2
        else:
            index += 1
    rest = words[index:]
    if not rest:
        return _text("-", stdin) if stdin is not None else []
    if rest[0].lower().endswith(".ps1") or rest[0] in files:
        return _file(rest[0], files, stdin)
    return _text(" ".join(rest), stdin)


def _text(text: str, stdin: str | None) -> list[Command]:
    from skilltrace_mlflow.commands.powershell.reader import commands

    if text.strip() == "-":
        text = UNKNOWN if stdin is None else stdin
    if not text.strip(UNKNOWN + UNKNOWN_WORDS + " \n"):
        return [_UNREAD]
    return list(commands(text, stdin))


def _file(name: str, files: Mapping[str, str], stdin: str | None = None) -> list[Command]:
    """A script file: in sight only where the line wrote it."""
    import posixpath

    if name == "-":
        return _text("-", stdin)
    if name.startswith("/dev/fd/"):
        return [_UNREAD]
    text = files.get(posixpath.normpath(name.replace("\\", "/")))
    return _text(text, None) if text is not None else []


def _encoded(word: str) -> list[Command]:
    """`-EncodedCommand`: UTF-16 in Base64; what does not decode to known commands may be any."""
    from skilltrace_mlflow.commands.powershell.reader import commands

    try:
        text = base64.b64decode(word, validate=True).decode("utf-16-le")
    except (binascii.Error, ValueError):
        return [_UNREAD]
    found = list(commands(text))
    known = any(c.words[0] in CMDLETS or cmdlet_named(c.words[0]) for c in found)
    return found if known else [*found, _UNREAD]


def _cmd(words: Sequence[str], stdin: str | None) -> list[Command]:
    """`/c` and `/k`, Git Bash's `//c` and `/C` glued to the text; else the standard input."""
    for index, word in enumerate(words):
        lower = word.lower().replace("//", "/", 1) if word.startswith("//") else word.lower()
        if lower[:2] in ("/c", "/k", "/r"):
            glued = word[word.lower().index(lower[1]) + 1 :]
            rest = [*([glued] if glued else []), *words[index + 1 :]]
            if len(rest) == 1:
                return cmd_commands(rest[0])
            return cmd_commands(" ".join(f'"{w}"' if " " in w else w for w in rest))
        if not lower.startswith("/"):
            break
    return cmd_commands(stdin) if stdin is not None else []


def cmd_commands(text: str, depth: int = 0) -> list[Command]:
    """The commands of a text that cmd runs."""
    from skilltrace_mlflow.commands.powershell.reader import nested

    found: list[Command] = []
    with nested() as allowed:
        if not allowed:
            return [_UNREAD]
        for segment in _cut(text):
            words = [word.strip('"') for word in _WORD.findall(segment)]
            words = [_FILLED_IN.sub(UNKNOWN, word) for word in words]
            while words and (words[0].startswith("@") or words[0].lower() in ("call", "do")):
                words[0] = words[0].lstrip("@")
                if not words[0] or words[0].lower() in ("call", "do"):
                    words.pop(0)
            if words:
                found.extend(_cmd_command(words, " ".join(segment.split())))
    return found


def _cut(text: str) -> list[str]:
    """A text cut at operators outside quotes; `^` takes a sign's meaning."""
    parts = [""]
    quoted = False
    at = 0
    while at < len(text):
        char = text[at]
        if char == "^" and not quoted:
            parts[-1] += text[at + 1 : at + 2].replace("\n", "")
            at += 2
            continue
        if char == '"':
            quoted = not quoted
        if not quoted and char in "&|\n()":
            parts.append("")
        elif not quoted and char in "<>":
            parts[-1] += " "
        else:
            parts[-1] += char
        at += 1
    return [part for part in parts if part.strip()]


def _cmd_command(words: list[str], source: str) -> list[Command]:
    from skilltrace_mlflow.commands.shell import read_script
    from skilltrace_mlflow.commands.wrappers import carried, program_of

    name = program_of(words[0]).lower().removesuffix(".cmd").removesuffix(".bat")
    rest = words[1:]
    if "/" in name:  # del/s/q
        name, _, glued = name.partition("/")
        rest = ["/" + glued, *rest]
    if name in _CARRYING:
        # conditions and titles have words of their own: each word behind may begin the command
        return [
            command
            for at in range(1, min(len(words), 24))
            if words[at].lower() not in _CARRYING and not _SWITCH.fullmatch(words[at])
            for command in _cmd_command(words[at:], source)
        ]
    command = Command(words=(name, *rest), source=source, carried=True)
    found = [command]
    posix = posix_of_cmd(name, rest)
    if posix is not None:
        found.append(Command(words=posix, source=source, carried=True))
    inner = other_shell(command)
    if inner is not None:
        return [*found, *inner]
    for item in carried(command):
        if isinstance(item, str):
            found.extend(read_script(item).commands)
        else:
            found.append(Command(words=item, source=source, carried=True))
    return found


def posix_of_cmd(name: str, words: Sequence[str]) -> tuple[str, ...] | None:
    """The POSIX command that does what one of cmd's own does: `rd /s /q x` is `rm -r -f x`."""
    program = _POSIX.get(name)
    if program is None:
        return None
    letters: list[str] = []
    operands: list[str] = []
    known = _LETTERS.get(program, {})
    for word in words:
        if re.fullmatch(r"(?://?[A-Za-z](?::[\w-]*)?)+", word):
            found = re.findall(r"/([A-Za-z])", word.lower())
            letters.extend(known[letter] for letter in found if letter in known)
        else:
            operands.append(word.replace("\\", "/"))
    if program == "rm" and name in ("rd", "rmdir") and "-r" not in letters:
        program = "rmdir"
    return (program, *dict.fromkeys(letters), *operands)
