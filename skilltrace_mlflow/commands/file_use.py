"""Which files a command line reads, writes, moves and deletes, as far as the line shows it.

`file_uses(line)` reads a line once for everybody who asks: `file_scope`, `expected_files`,
`permissions`, and selectors such as `Read(./secrets/**)`. What programs do with their operands
stands in `file_programs`; those whose arguments are languages of their own (`find`, `git`, `tar`,
`dd`) are read here. A path is as the line means it, relative to the directory the line began in:
`cd a && rm b` is `a/b`. It may hold what the shell matches (`*.py`) and `UNKNOWN`.

Out of sight: what scripts and programs do by themselves (`python build.py`, `make`), what git
takes from other commits (switching branches, pulling, merging), and archives' contents.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from skilltrace_mlflow.commands._named_files import (
    named_inputs,
    named_outputs,
    paths_in_code,
    rewritten,
)
from skilltrace_mlflow.commands.code_commands import code_language, commands_in_code
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command, Redirect
from skilltrace_mlflow.commands.file_programs import PROGRAMS, FileProgram, git_uses
from skilltrace_mlflow.commands.shell import read_line
from skilltrace_mlflow.commands.wrappers import program_of

__all__ = ["FileUse", "Kind", "file_uses", "uses_of", "uses_of_redirect"]

Kind = Literal["read", "list", "write", "delete", "folder"]

_DEVICES = re.compile(r"/dev/(?!shm/)|/proc/self/fd/")
_FIND_VALUED = re.compile(r"-(?:name|iname|path|ipath|wholename|regex|lname)$")
_EITHER: tuple[Kind, Kind] = ("read", "write")
_OPERATIONS = ("-exec", "-execdir", "-ok", "-okdir")


@dataclass(frozen=True, kw_only=True)
class FileUse:
    """One path that a command names, and what becomes of it.

    `below`: so does everything below it. `inside` is what is meant instead if the path is a folder
    (`cp a b` writes `b/a` then). `certain` is false where the command may leave it alone, or where
    it runs on another machine; `perhaps` where the command itself may not have run (`a || b`).
    `spoken`: a text in a program's text, that names the file if it is one's name at all.
    """

    kind: Kind
    path: str
    below: bool = False
    inside: str | None = None
    certain: bool = True
    perhaps: bool = False
    spoken: bool = False

    @property
    def unknown(self) -> bool:
        """Whether the path is filled in at run time."""
        return UNKNOWN in self.path or UNKNOWN_WORDS in self.path


@lru_cache(maxsize=4096)
def file_uses(line: str, tool: str = "Bash") -> tuple[FileUse, ...]:
    """What a line does with files, in the order of its commands; each use once.

    `tool` runs the line and says in which language it is.
    """
    script = read_line(tool, line)
    found: list[FileUse] = list(script.uses)
    for command in script.commands if script.parser != "powershell" else ():
        # `{}` stands for what find and xargs found: their own reading says so
        found.extend(use for use in _all_uses(command) if "{}" not in use.path)
        found.extend(_placed(_by_code(command), command.folder, command.within))
    for redirect in script.redirects:
        found.extend(uses_of_redirect(redirect))
    return tuple(dict.fromkeys(found))


def uses_of_redirect(redirect: Redirect) -> Iterator[FileUse]:
    """What a redirection reads or writes."""
    if redirect.path:
        kinds: list[Kind] = [*(["read"] if redirect.reads else [])]  # type: ignore[list-item]
        kinds += ["write"] if redirect.writes else []
        uses = (FileUse(kind=kind, path=redirect.path) for kind in kinds)
        yield from _placed(uses, redirect.folder, redirect.within)


def uses_of(command: Command) -> Iterator[FileUse]:
    """What one command's words do with files; paths relative to where its line began."""
    return (use for use in _all_uses(command) if not use.spoken)


def _all_uses(command: Command) -> Iterator[FileUse]:
    yield from _placed(_uses(command.words, command.stdin), command.folder, command.within)


def _placed(uses: Iterable[FileUse], folder: str, within: frozenset[str]) -> Iterator[FileUse]:
    away, perhaps = "elsewhere" in within, "otherwise" in within
    for use in uses:
        if _DEVICES.match(use.path) or use.path in ("", "-"):
            continue
        if away or perhaps:
            use = replace(use, certain=use.certain and not away, perhaps=perhaps)
        if not folder:
            yield use
            continue
        inside = None if use.inside is None else posixpath.join(folder, use.inside)
        yield replace(use, path=posixpath.join(folder, use.path), inside=inside)


def _uses(words: Sequence[str], stdin: str | None) -> Iterator[FileUse]:
    program = program_of(words[0])
    rest = list(words[1:])
    if program == "find":
        yield from _find(rest)
    elif program in ("fd", "fdfind"):
        for word in _operands(rest, FileProgram(valued="-t -e -E -d -S -x -X -c -j")).words[1:]:
            yield FileUse(kind="list", path=word, below=True)
    elif program == "git":
        yield from (FileUse(**use) for use in git_uses(rest))
    elif program == "dd":
        for word in rest:
            name, _, value = word.partition("=")
            if name in ("if", "of"):
                yield FileUse(kind="read" if name == "if" else "write", path=value)
    elif program in ("tar", "bsdtar"):
        yield from _tar(rest)
    elif program in ("unzip", "7z"):
        found = _operands(rest, FileProgram(valued="-d -x", writes=""))
        target = next(iter(found.values.get("-d", ())), ".")
        yield from (FileUse(kind="read", path=word) for word in found.words[:1])
        if not {"-l", "-p", "-t", "-Z", "-v"} & set(found.flags):
            yield FileUse(kind="write", path=target, below=True, certain=False)
    elif program == "xargs":
        yield from _xargs(rest, stdin)
    elif program in ("ffmpeg", "convert", "magick"):
        yield from (FileUse(kind="write", path=word, certain=False) for word in rest[-1:])
    elif program == "cpio":
        yield from _cpio(rest)
    elif program in PROGRAMS:
        yield from _by_table(program, rest, PROGRAMS[program])
    else:
        for path in (*rewritten(program, rest), *named_outputs(program, rest)):
            yield FileUse(kind="write", path=path, below=True, certain=False)
        yield from (FileUse(kind="read", path=path, certain=False) for path in named_inputs(rest))
    for path, changes in paths_in_code(program, rest, stdin):
        for kind in _EITHER[: 1 + changes]:
            yield FileUse(kind=kind, path=path, certain=False, spoken=True)


def _by_code(command: Command) -> Iterator[FileUse]:
    """What the command lines in a program's text do: `python -c 'os.system("rm x")'`."""
    language = code_language(program_of(command.words[0]))
    if language is None:
        return
    for text in (*command.words[1:], command.stdin or ""):
        for line in commands_in_code(text, language):
            yield from (replace(use, certain=False) for use in file_uses(line))


def _find(words: list[str]) -> Iterator[FileUse]:
    """`find A B -name x -delete`: deletes A/**/x; what -exec runs is read with such a path."""
    at = next((i for i, word in enumerate(words) if word[:1] in "-(!" and word not in _LINKS), None)
    places = [word for word in words[:at] if word not in _LINKS] or ["."]
    tests = words[at:] if at is not None else []
    names = [tests[i + 1] for i, word in enumerate(tests[:-1]) if _FIND_VALUED.fullmatch(word)]
    whole = not names or "-o" in tests or "-or" in tests or "!" in tests or "-not" in tests
    shapes = (
        ["**"] if whole else [f"**/{name.lstrip('*').lstrip('/') and name}" for name in names[-1:]]
    )
    matched = [posixpath.join(place, shape) for place in places for shape in shapes]
    yield from (FileUse(kind="list", path=place, below=True) for place in places)
    for index, word in enumerate(tests):
        if word == "-delete":
            yield from (FileUse(kind="delete", path=path, certain=False) for path in matched)
        elif word in ("-fprint", "-fprint0", "-fls", "-fprintf"):
            yield from (FileUse(kind="write", path=path) for path in tests[index + 1 : index + 2])
        elif word in _OPERATIONS:
            inner: list[str] = []
            for part in tests[index + 1 :]:
                if part in (";", "+"):
                    break
                inner.append(part)
            if not any("{}" in part for part in inner):
                continue  # which the reader of carriers reports
            for path in matched:
                filled = [part.replace("{}", path) for part in inner]
                for use in _uses(filled, None):
                    yield replace(use, certain=False) if path in use.path else use


_LINKS = ("-H", "-L", "-P")


def _tar(words: list[str]) -> Iterator[FileUse]:
    letters = words[0].lstrip("-") if words and not words[0].startswith("--") else ""
    row = FileProgram(valued="-C -T -X --directory --exclude", reads="-T", writes="-f --file")
    found = _operands(words[1:] if letters.isalpha() else words, row)
    operands = list(found.words)
    archive = operands.pop(0) if "f" in letters and operands else None
    named = [*found.values.get("-f", ()), *found.values.get("--file", ())]
    archive = archive or (named[0] if named else None)
    target = next(iter(found.values.get("-C", found.values.get("--directory", ()))), ".")
    extracts = "x" in letters or "--extract" in words or "--get" in words or "-x" in words
    if "c" in letters or "--create" in words or "r" in letters or "u" in letters:
        yield from (
            FileUse(kind="read", path=posixpath.join(target, word), below=True) for word in operands
        )
        if archive:
            yield FileUse(kind="write", path=archive)
    elif archive:
        yield FileUse(kind="read", path=archive)
    if extracts:
        yield FileUse(kind="write", path=target, below=True, certain=False)


def _cpio(words: list[str]) -> Iterator[FileUse]:
    row = FileProgram(valued="-D -E -F -H -I -O -R -C -M --directory", reads="-I", writes="-O")
    found = _operands(words, row)
    folders = [*found.values.get("-D", ()), *found.values.get("--directory", ()), *found.words]
    if {"-i", "-p", "--extract", "--pass-through"} & set(found.flags):
        yield FileUse(kind="write", path=next(iter(folders), "."), below=True, certain=False)


def _xargs(words: list[str], stdin: str | None) -> Iterator[FileUse]:
    """Programs that xargs feeds with paths nobody knows."""
    if stdin is not None and UNKNOWN not in stdin:
        return
    plain = [word for word in words if not word.startswith("-")]
    for at, word in enumerate(words):
        if word in plain and program_of(word) in PROGRAMS:
            inner = [word, *words[at + 1 :], UNKNOWN]
            yield from (replace(u, certain=False) for u in _uses(inner, None) if u.unknown)
            return


@dataclass(frozen=True)
class _Operands:
    words: list[str]
    values: dict[str, list[str]]
    flags: list[str]


def _operands(words: Sequence[str], row: FileProgram) -> _Operands:
    """The words that are no options, the options' values, and the options."""
    valued = {*row.valued.split(), *row.reads.split(), *row.writes.split()}
    letters = {option[1] for option in valued if len(option) == 2}
    plain: list[str] = []
    values: dict[str, list[str]] = {}
    flags: list[str] = []
    waiting: str | None = None
    options = True
    for word in words:
        if waiting is not None:
            values.setdefault(waiting, []).append(word)
            waiting = None
        elif options and word == "--":
            options = False
        elif options and word.startswith("--"):
            name, sign, value = word.partition("=")
            flags.append(name)
            if sign:
                values.setdefault(name, []).append(value)
            elif name in valued:
                waiting = name
        elif options and word.startswith("-") and len(word) > 1:
            if word in valued:
                flags.append(word)
                waiting = word
                continue
            for at, letter in enumerate(word[1:], 1):
                flags.append(f"-{letter}")
                if letter in letters:
                    if word[at + 1 :]:
                        values.setdefault(f"-{letter}", []).append(word[at + 1 :])
                    else:
                        waiting = f"-{letter}"
                    break
        else:
            plain.append(word)
    return _Operands(plain, values, flags)


def _by_table(program: str, words: list[str], row: FileProgram) -> Iterator[FileUse]:
    found = _operands(words, row)
    for option in row.reads.split():
        yield from (FileUse(kind="read", path=value) for value in found.values.get(option, ()))
    for option in row.writes.split():
        yield from (FileUse(kind="write", path=value) for value in found.values.get(option, ()))
    below = row.below == "*" or bool(set(row.below.split()) & set(found.flags))
    if row.operands == "copy":
        yield from _copies(program, found, below)
        return
    in_place = _edits_in_place(program, found.flags, words)
    if program == "touch" and {"-c", "--no-create"} & set(found.flags):
        yield from (FileUse(kind="write", path=word, certain=False) for word in found.words)
        return
    roles = row.operands.split()
    operands = list(found.words)
    if set(row.scripted.split()) & set(found.flags):
        if roles[0] != "text":
            return  # an interpreter, whose further words are its script's
        roles = roles[1:]
    if program == "patch" and not operands:
        yield FileUse(kind="write", path=".", below=True, certain=False)
    yield from _downloads(program, found)
    if not operands and program in ("ls", "tree", "du"):
        operands = ["."]
    if program in ("grep", "egrep", "rg", "ag", "ack") and below and len(operands) < len(roles):
        operands = [*operands, "."] if operands else operands
    for index, word in enumerate(operands):
        role = roles[index] if index < len(roles) else (roles[-1] if roles[-1][-1] == "*" else "-")
        role = role.rstrip("*")
        if role in ("-", "text"):
            continue
        if role == "open":
            yield FileUse(kind="read", path=word)
            yield FileUse(kind="write", path=word, certain=False)
        if role == "prefix":
            yield FileUse(kind="write", path=word + "*", certain=False)
        if role == "edit" or in_place:
            yield FileUse(kind="read", path=word, below=below)
            yield FileUse(kind="write", path=word, below=below)
        elif role in ("read", "list", "write", "delete", "folder"):
            kind: Kind = role  # type: ignore[assignment]
            yield FileUse(kind=kind, path=word, below=below)


def _edits_in_place(program: str, flags: list[str], words: list[str]) -> bool:
    if program in ("sed", "perl", "ruby"):
        return "-i" in flags or "--in-place" in flags
    if program in ("awk", "gawk"):
        return "inplace" in words
    return program == "yq" and ("-i" in flags or "--inplace" in flags)


def _downloads(program: str, found: _Operands) -> Iterator[FileUse]:
    """Files whose names curl and wget take from the address; what curl sends."""
    if program == "curl":
        for option in ("-d", "-F", "--data", "--data-binary", "--form", "--data-urlencode"):
            for value in found.values.get(option, ()):
                at = value.find("@")
                if at >= 0 and (at == 0 or "=" in value[:at] or option == "--data-urlencode"):
                    yield FileUse(kind="read", path=value[at + 1 :].split(";")[0])
        if not {"-O", "--remote-name", "-J"} & set(found.flags):
            return
    elif program != "wget" or "-O" in found.values or "--output-document" in found.values:
        return
    named = ("-P", "--directory-prefix", "--output-dir")
    folders = [folder for option in named for folder in found.values.get(option, ())]
    for word in found.words:
        name = posixpath.basename(urlsplit(word if "//" in word else f"//{word}").path)
        yield FileUse(kind="write", path=posixpath.join(*folders[:1], name or "index.html"))


def _copies(program: str, found: _Operands, below: bool) -> Iterator[FileUse]:
    """What cp, mv and their like read and write; mv takes its sources away."""
    targets = [*found.values.get("-t", ()), *found.values.get("--target-directory", ())]
    operands = list(found.words)
    if program == "install" and {"-d", "--directory"} & set(found.flags):
        yield from (FileUse(kind="folder", path=word) for word in operands)
        return
    if not targets and not operands:
        return
    target = targets[0] if targets else operands.pop()
    if not operands and not targets:
        if program == "ln":
            yield FileUse(kind="write", path=posixpath.basename(target))
        return
    name = posixpath.basename(target)
    sure = bool(targets) or len(operands) > 1 or name in ("", ".", "..")
    whole = below and program in ("cp", "rsync", "scp")
    for source in operands:
        if program != "ln":
            yield FileUse(kind="read", path=source, below=below)
        if program == "mv" or "--remove-source-files" in found.flags:
            yield FileUse(kind="delete", path=source)
            yield FileUse(kind="delete", path=source, below=True, certain=False)
        if program in ("scp", "rsync") and ":" in target.split("/")[0]:
            continue  # another machine's
        below_it = posixpath.join(target, posixpath.basename(source.rstrip("/")))
        if whole and (source.rstrip("/").endswith("/.") or source == "." or source.endswith("/")):
            yield FileUse(kind="write", path=target, below=True, certain=False)
        elif sure:
            yield FileUse(kind="write", path=below_it)
        elif "." in name.strip("."):
            yield FileUse(kind="write", path=target)
        else:
            yield FileUse(kind="write", path=target, inside=below_it)
        if whole:
            yield FileUse(kind="write", path=below_it, below=True, certain=False)
    if "--delete" in found.flags or any(flag.startswith("--delete-") for flag in found.flags):
        yield FileUse(kind="delete", path=target, below=True, certain=False)
