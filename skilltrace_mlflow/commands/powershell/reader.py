"""What PowerShell runs: no letter case, aliases and beginnings of parameters as it reads them.

Each command is given in every form that a pattern may be written in: PowerShell's own
(`remove-item --recurse --force x`) and the POSIX command that does the same (`rm -r -f x`). What
only carries a command is looked through: `&`, script blocks, `Invoke-Expression`, `Start-Process`,
`Set-Alias`, `-EncodedCommand`, `cmd /c`, `bash -c`. What is put together at run time is `UNKNOWN`;
script files are out of sight.
"""

from __future__ import annotations

import posixpath
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.powershell._words import MOST, Segment, resolved, segments
from skilltrace_mlflow.commands.powershell.names import (
    CMDLETS,
    COMMON,
    Cmdlet,
    cmdlet_named,
    looks_like_cmdlet,
    parameter_named,
)

if TYPE_CHECKING:
    from skilltrace_mlflow.commands.file_use import FileUse

__all__ = ["commands", "nested", "read_powershell"]

_MOST_DEPTH = 12  # of shells inside one another
_MOST_BRACKETS = 25
_KEYWORDS = frozenset(
    {
        "begin", "catch", "class", "data", "do", "else", "elseif", "end", "exit", "filter",
        "finally", "for", "foreach", "function", "if", "param", "process", "switch", "trap", "try",
        "until", "using", "while", "workflow",
    }
)  # fmt: skip
_PASSED_ON = frozenset({"return", "throw", "exit"})
_ASSIGNED = re.compile(
    r"(?:\[[\w.\[\]]+\])?(\$\{?[\w:]+\}?)\s*([-+*/%?]{0,2}=)(?!=)(.*)", re.DOTALL
)
_STATIC = re.compile(r"\[([\w.]+)\]::(\w+)\(|\.(\w+)\(")
_RUN_TEXT = frozenset({"create", "invokescript", "newscriptblock", "addscript"})
_IGNORED = frozenset({"confirm", "debug", "verbose", "whatif"})
_UNREAD = Command(words=(UNKNOWN_WORDS,), carried=True)
_NESTED = threading.local()
_DASHES = "-\u2013\u2014\u2015"  # PowerShell takes any of them in front of a parameter
_DASHED = re.compile(f"^[{_DASHES}]")
_WHOLE = re.compile(r"[A-Za-z]:|[\\/~$]")


@lru_cache(maxsize=1024)
def read_powershell(
    text: str,
) -> tuple[tuple[Command, ...], tuple[str, ...], tuple[FileUse, ...]]:
    """The commands of a script, the files that its redirections write, and what its commands do
    with files. Never raises."""
    clean = text.replace(UNKNOWN, "").replace(UNKNOWN_WORDS, "").replace("\0", "")
    reader = _Reader()
    reader.script(clean, fed=None, carried=False)
    return tuple(reader.found), tuple(dict.fromkeys(reader.writes)), tuple(reader.uses)


def commands(text: str, stdin: str | None = None) -> tuple[Command, ...]:
    """The commands of a script that something else runs."""
    reader = _Reader()
    with nested() as allowed:
        if not allowed:
            return (_UNREAD,)
        reader.script(text, fed=stdin, carried=True)
    return tuple(reader.found)


class nested:  # noqa: N801 (reads as a word behind `with`)
    """Counts how many shells stand inside one another; false where it is enough."""

    def __enter__(self) -> bool:
        _NESTED.depth = getattr(_NESTED, "depth", 0) + 1
        return bool(_NESTED.depth <= _MOST_DEPTH)

    def __exit__(self, *_: object) -> None:
        _NESTED.depth -= 1


class _Reader:
    """One pass over a script and the scripts inside it."""

    def __init__(self) -> None:
        self.found: list[Command] = []
        self.writes: list[str] = []
        self.uses: list[FileUse] = []
        self.folder = ""  # where the commands run, relative to where the script began
        self.values: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.depth = 0
        self.carried = False

    def script(self, text: str, *, fed: str | None, carried: bool) -> str | None:
        """Read a script; the text it gives, if that is a literal."""
        if self.depth > _MOST_BRACKETS or len(text) > MOST:
            from skilltrace_mlflow.commands.powershell._files import UNREAD_USES

            self.found.append(_UNREAD)
            self.uses.extend(UNREAD_USES)
        if self.depth > _MOST_BRACKETS:
            return None
        before, self.carried = self.carried, self.carried or carried
        self.depth += 1
        output: str | None = None
        recursing = False
        for segment in segments(text):
            stdin = output if segment.piped else fed
            if segment.piped and stdin is None:
                stdin = UNKNOWN
            for inner in segment.values:
                self.script(inner, fed=None, carried=False)
            start = len(self.found)
            output = self.statement(segment, stdin, recursing=segment.piped and recursing)
            recursing = any(
                c.words[0] == "get-childitem" and "--recurse" in c.words for c in self.found[start:]
            )
            written = (word for raw in segment.writes for word in self.read(raw))
            self.writes.extend(
                word if _WHOLE.match(word) else posixpath.join(self.folder, word)
                for word in written
            )
            for inner in segment.blocks:
                self.script(inner, fed=None, carried=False)
        self.depth -= 1
        self.carried = before
        return output

    def read(self, raw: str) -> list[str]:
        """The words of a raw word."""
        return resolved(raw, self.values)

    def statement(self, segment: Segment, stdin: str | None, *, recursing: bool) -> str | None:
        """One segment: an assignment, an expression, a keyword with blocks, or a command."""
        raws = segment.words
        for raw in raws:
            self.methods(raw)
        while raws and raws[0].lower() in _PASSED_ON:
            raws = raws[1:]
        joined = " ".join(raws[:3])
        assigned = _ASSIGNED.match(joined) if raws and raws[0][:1] in "$[" else None
        if assigned:
            raws = _behind_sign(raws)
            literal = len(raws) == 1 and (raws[0][:1] in "'\"(" or raws[0].startswith("@'"))
            self.assign(assigned[1], assigned[2], "".join(self.read(raws[0])) if literal else None)
            if literal:
                return None
        if not raws:
            return None
        first = raws[0]
        lower = first.lower()
        if lower in _KEYWORDS and not segment.called and not _is_alias(lower, raws):
            for name in raws:  # foreach ($x in …): a name with any value
                for variable in re.findall(r"\$(\w+)\s+in\b", name):
                    self.values[variable.lower()] = UNKNOWN
            behind = _behind_blocks(raws[1:])
            if behind:
                self.command(behind, stdin, recursing=False)
            return None
        if not segment.called and (first[0] in "'\"$([@{" or first[0].isdigit()):
            return "\n".join(self.read(first)) if len(raws) == 1 else UNKNOWN
        return self.command(raws, stdin, recursing=recursing)

    def assign(self, name: str, sign: str, text: str | None) -> None:
        """Remember a literal value; a second one, or any other, makes it unknown."""
        key = name[1:].strip("{}").lower()
        known = self.values.get(key)
        if text is None or sign != "=" or (known is not None and known != text):
            self.values[key] = UNKNOWN
        else:
            self.values[key] = text

    def methods(self, raw: str) -> None:
        """Methods of .NET that delete, run a program, or run a text."""
        if "(" not in raw or raw[0] in "'\"{" or raw.startswith(("@'", '@"')):
            return  # a block's are read with its commands
        for index, match in enumerate(_STATIC.finditer(raw)):
            if index == 20:
                self.found.append(_UNREAD)
                return
            kind = (match[1] or "").lower().rsplit(".", 1)[-1]
            member = (match[2] or match[3]).lower()
            behind = raw[match.end() : match.end() + 4000]
            arguments = self.read(behind.rsplit(")", 1)[0].split(")", 1)[0].strip())
            if member == "delete" and kind in ("directory", "file"):
                deep = ("-r", "-f") if "$true" in arguments else ()
                self.add(("rm", *deep, *_slashes(arguments[:1])))
            elif member == "delete" and "$true" in arguments:
                self.add(("rm", UNKNOWN_WORDS))
            elif member == "start" and kind == "process" and arguments:
                self.run(arguments, None)
            elif member in _RUN_TEXT and (kind == "scriptblock" or not kind):
                self.text(" ".join(arguments) or UNKNOWN)

    def add(self, words: Iterable[str], source: str = "", stdin: str | None = None) -> Command:
        command = Command(words=tuple(words), source=source, carried=self.carried, stdin=stdin)
        self.found.append(command)
        return command

    def text(self, text: str) -> None:
        """A text that is run as a script."""
        if text.strip(UNKNOWN + UNKNOWN_WORDS + " \n"):
            self.script(text, fed=None, carried=True)
        else:
            self.found.append(_UNREAD)

    def command(self, raws: Sequence[str], stdin: str | None, *, recursing: bool) -> str | None:
        """A command with its words still as written; what it writes, if that is known."""
        source = " ".join(" ".join(raws).split())
        words: list[tuple[str, bool]] = []
        for index, raw in enumerate(raws):
            read = self.read(raw)
            if not index:
                words.append(("".join(read[:1]), False))
                read = read[1:]
            option = raw[0] in _DASHES and len(raw) > 1
            words.extend((_DASHED.sub("-", word) if option else word, option) for word in read)
        return self.simple(words, source, stdin, recursing=recursing)

    def run(self, words: Sequence[str], stdin: str | None) -> None:
        """A command whose words are known."""
        with nested() as allowed:
            if allowed:
                self.simple([(w, w.startswith("-")) for w in words], "", stdin, recursing=False)
            else:
                self.found.append(_UNREAD)

    def simple(
        self, words: Sequence[tuple[str, bool]], source: str, stdin: str | None, *, recursing: bool
    ) -> str | None:
        from skilltrace_mlflow.commands.file_use import uses_of
        from skilltrace_mlflow.commands.powershell._files import folder_after, uses_of_cmdlet
        from skilltrace_mlflow.commands.wrappers import program_of

        given = words[0][0]
        rest = words[1:]
        given = self.aliases.get(given.lower(), given)
        lower = program_of(given).lower()
        if not lower:
            return None
        if UNKNOWN in given or UNKNOWN_WORDS in given:
            options = any(option for _, option in rest)
            more = (UNKNOWN_WORDS,) if options else ()
            self.add((lower, *more, *(word for word, _ in rest)), source, stdin)
            return UNKNOWN
        full = cmdlet_named(lower)
        lower = lower.removesuffix(".cmd").removesuffix(".bat")
        if full is None and not looks_like_cmdlet(program_of(given).title()):
            command = self.add((lower, *(word for word, _ in rest)), source, stdin)
            self.uses.extend(uses_of(replace(command, folder=self.folder)))
            self.carry(command)
            return UNKNOWN
        full = full or lower
        self.uses.extend(uses_of_cmdlet(full, rest, self.folder))
        self.folder = folder_after(full, rest, self.folder)
        cmdlet = CMDLETS.get(full)
        flags, letters, operands = _arguments(cmdlet, rest)
        if recursing and full == "remove-item":  # gci -Recurse | ri
            flags, letters = [*flags, "--recurse"], [*letters, "-r"]
        self.add((full, *flags, *operands), source, stdin)
        posix = cmdlet.posix if cmdlet is not None else ()
        if full == "new-item" and any(w.lower().startswith("dir") for w, _ in rest):
            posix, letters = ("mkdir",), ["-p"]
        for name in dict.fromkeys((*posix, *((lower,) if lower != full else ()))):
            self.carry(self.add((name, *letters, *_slashes(operands)), source, stdin))
        return self.special(full, operands, stdin)

    def special(self, name: str, operands: list[str], stdin: str | None) -> str | None:
        """Commands that run others, name them anew, or write a text that is known."""
        if name == "invoke-expression":
            self.text("\n".join(operands) if operands else (stdin or UNKNOWN))
        elif name == "start-process" and operands:
            self.run([part for word in operands for part in (word.split() or [word])], stdin)
        elif name in ("set-alias", "new-alias") and len(operands) > 1:
            self.aliases[operands[0].lower()] = operands[1]
        elif name in ("set-variable", "new-variable") and operands:
            self.assign("$" + operands[0], "=", operands[1] if len(operands) > 1 else None)
        elif name == "write-output":
            return "\n".join(operands)
        return UNKNOWN

    def carry(self, command: Command) -> None:
        """What a native program runs: another shell's text, or a command behind a wrapper."""
        from skilltrace_mlflow.commands.other_shells import other_shell
        from skilltrace_mlflow.commands.shell import read_script
        from skilltrace_mlflow.commands.wrappers import carried

        with nested() as allowed:
            if not allowed:
                self.found.append(_UNREAD)
                return
            inner = other_shell(command)
            if inner is not None:
                self.found.extend(inner)
                return
            for item in carried(command):
                if isinstance(item, str):
                    self.found.extend(read_script(item).commands)
                else:
                    self.run(item, command.stdin)


def _arguments(
    cmdlet: Cmdlet | None, words: Sequence[tuple[str, bool]]
) -> tuple[list[str], list[str], list[str]]:
    """PowerShell's flags, the same as POSIX letters, and the operands of a command."""
    flags: list[str] = []
    letters: list[str] = []
    operands: list[str] = []
    index = 0
    while index < len(words):
        word, option = words[index]
        index += 1
        if not option or word in ("-", "--") or word[1:2].isdigit():
            operands.append(word)
            continue
        text, colon, value = word.lstrip("-").partition(":")
        if colon and not value and index < len(words) and not words[index][1]:
            value = words[index][0]
            index += 1
        name = parameter_named(cmdlet, text)
        if name is None:
            posix = cmdlet is not None and bool(cmdlet.posix)
            letters.append(word)
            flags.append(word if posix else f"--{text.lower()}")
            if not posix or len(text) > 2 or UNKNOWN in word:
                flags.append(UNKNOWN_WORDS)  # of what it may be short for nothing is known
                letters.extend(() if posix and UNKNOWN not in word else (UNKNOWN_WORDS,))
            continue
        if cmdlet is not None and name in cmdlet.parameters:
            valued = name not in cmdlet.switches
            shown = cmdlet.switches.get(name, "")
        else:
            valued = COMMON[name]
            shown = f"--{name}"
        if valued:
            values = [value] if colon else []
            if not colon and index < len(words):
                values = [words[index][0]]
                index += 1
            if cmdlet is None or name in cmdlet.plain:
                operands.extend(values)
        elif name not in _IGNORED and value.lower() not in ("$false", "0"):
            known = not colon or value.lower() in ("$true", "1")
            flags.append(f"--{name}" if known else UNKNOWN_WORDS)
            letters.append(shown if known else UNKNOWN_WORDS)
    return flags, letters, operands


def _slashes(words: Iterable[str]) -> Iterator[str]:
    """Paths as other systems write them."""
    return (word.replace("\\", "/") for word in words)


def _behind_sign(raws: Sequence[str]) -> list[str]:
    """What an assignment gives: the words behind its sign."""
    for index, raw in enumerate(raws[:3]):
        match = re.match(r"(?:\[[\w.\[\]]+\])?(?:\$\{?[\w:]+\}?)?[-+*/%?]{0,2}=", raw, re.DOTALL)
        if match:
            rest = raw[match.end() :]
            return [*([rest] if rest else []), *raws[index + 1 :]]
    return []


def _is_alias(word: str, raws: Sequence[str]) -> bool:
    """Whether `foreach {…}` is the command and not the keyword."""
    return word == "foreach" and len(raws) > 1 and not raws[1].startswith("(")


def _behind_blocks(raws: Sequence[str]) -> list[str]:
    """The words behind the last block of a statement, if they are a command of their own."""
    last = max((i for i, raw in enumerate(raws) if raw.startswith("{")), default=len(raws))
    behind = list(raws[last + 1 :])
    return behind if behind and behind[0].lower() not in _KEYWORDS and behind[0] != "(" else []
