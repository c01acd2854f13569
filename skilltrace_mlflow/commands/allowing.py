"""Whether allow rules cover a command line, and what runs unasked: as Claude Code 2.1.332 decides.

Every command of the line must be covered by a rule of its own, or be one that only reads, inside
the working directory, with options that are known to be harmless (`cli_tables`); commands in
substitutions too. What `timeout`, `nice`, `nohup` and their like carry is compared in their place;
behind any other carrier (`sudo`, `sh -c`) the carrier itself must be covered. A redirection to a
file needs an Edit rule, a path outside the working directory a Read rule. A line that cannot be
parsed, or that is built with more than single commands (`_line_features`), is not covered.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from skilltrace_mlflow.commands._line_features import BRACES, assigns, needs_a_look
from skilltrace_mlflow.commands.cli_tables import (
    EDITING,
    READ_ANY_OPTION,
    READ_SOME_OPTIONS,
    READING,
    VALUED,
    WRITING,
)
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.file_use import FileUse, uses_of, uses_of_redirect
from skilltrace_mlflow.commands.shell import Script, read_script
from skilltrace_mlflow.commands.wrappers import carried, program_of

__all__ = ["Permit", "covers_line", "prints_lines", "unwrapped"]

_WRAPPERS = {"builtin", "command", "nice", "nohup", "stdbuf", "time", "timeout"}
_BEFORE_READERS = {"builtin", "command", "timeout"}  # in front of a command that only reads
# How the options of carriers may be written in front of what an allow rule covers.
_ANY = re.compile("")
_PLAIN = {
    "nice": re.compile(r"(?:-n -?\d+ |-\d+ )?[^-]"),
    "stdbuf": re.compile(r"(?:-[ioe]\S+ )*[^-]"),
    "time": re.compile("[^-]"),
    "timeout": re.compile(r"(?!(?:.* )?(?:-s ?|--signal[= ])\d)"),
}
_FED_READERS = {"echo", "file", "grep", "head", "printf", "tail", "wc"}  # behind xargs
_FIND_ACTS = re.compile(r"-(?:delete|exec(?:dir)?|fls|fprint(?:0|f)?|ok(?:dir)?)$")
_WILD = re.compile(r"[*?\[]")
_NEVER = {"eval", "flock", "ionice", "setsid", "source", ".", "watch"}
_PRINTING = {"--posix", "--quiet", "--regexp-extended", "--silent"}
_PRINTS = re.compile(r"(?:\d+(?:,\d+)?)?p")  # sed -n 1,5p
_COUNTING = {"egrep", "fgrep", "grep", "rg"}
_TERMINAL = {"cols", "colors", "lines"}  # what tput may be asked
_PS_ENVIRONMENT = re.compile(r"[a-zA-Z]*e[a-zA-Z]*")  # ps auxe
_BARE = {"cp", "mv", "touch"}  # in acceptEdits without any option
# ASCII but `/;{}#!~,` and the line's end, said by ranges, which compile in a twentieth of the time
_TEXT = r"[\x00-\t\x0b-\x20\x22\x24-+\-.0-:<-z|\x7f]*"
# A folder that is left again: what it is a link to decides where `src/..` leads.
_BACK = re.compile(r"(?:^|/)(?!\.{1,2}(?:/|$))[^/]+/(?:\.?/)*\.\.(?:/|$)")
_SUBSTITUTION = re.compile(rf"s/{_TEXT}/{_TEXT}/[gpimIM]*[1-9]?[gpimIM]*")
_GIT_READERS = {("git", "diff"), ("git", "grep")}
_NO_OPERANDS = {"arch", "git remote", "hostname", "whoami", "pwd", "ifconfig", "history", "uniq"}


@dataclass(frozen=True, kw_only=True)
class Permit:
    """What the rules allow: `commands` test the text of one command, `edits` and `reads` a path.

    `here` tells the working directory itself; `editing` is true in acceptEdits, where mkdir, touch,
    cp, mv, rm and sed -i run as well.
    """

    commands: Sequence[Callable[[str], bool]]
    edits: Callable[[str], bool]
    reads: Callable[[str], bool]
    here: Callable[[str], bool]
    editing: bool = False


def covers_line(line: str, permit: Permit) -> bool:
    """Whether nobody has to be asked about the line."""
    script = read_script(line)
    if script.parser == "segments: syntax error" or needs_a_look(line):
        return False
    if permit.editing and "=" in line and assigns(line):
        permit = replace(permit, editing=False)
    moves = sum(1 for c in script.commands if c.words[0] == "cd" and not c.carried)
    if moves > 1 or (
        script.folder not in ("",) and _away(script.folder, permit) and _runs_git(script)
    ):
        return False
    leaves = any(
        c.words[0] == "cd" and not c.carried and not _stays(c.words[1:], permit)
        for c in script.commands
    )
    for redirect in script.redirects:
        for use in uses_of_redirect(redirect):
            # in a line that changes the folder, the file of a redirection is asked about
            if redirect.filled or leaves:
                return False
            if use.kind == "write":
                if ".." in use.path.split("/") or not permit.edits(use.path):
                    return False
            elif _BACK.search(use.path) or not permit.reads(use.path):
                return False
    return all(
        _covered(command, permit)
        for command in (*script.commands, *script.uncalled)
        if not command.carried or command.substituted
    )


def _covered(command: Command, permit: Permit) -> bool:
    forms = [*command.texts[:1], *(" ".join(words) for words in unwrapped(command, plainly=True))]
    forms += (
        command.texts[1:] if command.words[0] in command.source[: len(command.words[0])] else []
    )
    if any(test(form) for test in permit.commands for form in forms):
        return _within_reach(command, permit)
    return _reads(command, permit) or (permit.editing and _edits(command, permit))


def _away(folder: str, permit: Permit) -> bool:
    return not permit.here(folder)


def _stays(operands: Sequence[str], permit: Permit) -> bool:
    """Whether `cd` leads to the folder where it is already."""
    if len(operands) != 1 or _BACK.search(operands[0]):
        return False
    return posixpath.normpath(operands[0]) == "." or permit.here(operands[0])


def _runs_git(script: Script) -> bool:
    return any(command.words[0] == "git" for command in script.commands)


def _within_reach(command: Command, permit: Permit) -> bool:
    """Whether a rule on the text of a command is enough: not where it runs what it is given, and
    not for files outside the working directory.
    """
    words = (unwrapped(command, plainly=True) or [command.words])[-1]
    if words[0] in _NEVER or (words[0] == "find" and any(_FIND_ACTS.match(w) for w in words)):
        return False
    if words[0] == "cd":
        return _reads(command, permit)
    if not _names_files(words) and words[0] not in WRITING:
        return True
    return _inside(replace(command, words=words), permit)


def _names_files(words: Sequence[str]) -> bool:
    """Whether the CLI takes what a command is given for files that it reads."""
    return words[0] in READING or tuple(words[:2]) in _GIT_READERS


def unwrapped(command: Command, *, plainly: bool = False) -> list[tuple[str, ...]]:
    """The words behind timeout, nice and their like, one after the other; `plainly`: not where an
    option is written in a way that allow rules are not looked for behind.
    """
    found: list[tuple[str, ...]] = []
    words = command.words
    while True:
        program = program_of(words[0])
        bare_xargs = program == "xargs" and len(words) > 1 and not words[1].startswith("-")
        if program not in _WRAPPERS and not bare_xargs:
            return found
        if plainly and not _PLAIN.get(program, _ANY).match(" ".join(words[1:])):
            return found
        inner = [item for item in carried(Command(words=words)) if isinstance(item, tuple)]
        if not inner:
            return found
        words = inner[0]
        found.append(words)


def _edits(command: Command, permit: Permit) -> bool:
    """A command that acceptEdits lets run: it changes files that it names."""
    words = command.words
    if words[0] not in EDITING or command.folder or any(_WILD.search(word) for word in words[1:]):
        return False
    if words[0] == "sed" and not _substitutes(words[1:]):
        return False
    if any(".." in word.split("/") or word[:1] == "=" or word[-1:] == "$" for word in words[1:]):
        return False
    if words[0] in _BARE and any(word.startswith("-") for word in words[1:]):
        return False
    uses = list(uses_of(command))
    return bool(uses) and all(
        use.path.strip("./") != ""
        and not _open(use)
        and (permit.edits if use.kind not in ("read", "list") else permit.reads)(use.path)
        for use in uses
    )


def _substitutes(words: Sequence[str]) -> bool:
    """`sed -i s/a/b/g FILE…`: one substitution, with slashes, that runs and writes nothing else."""
    options = [word for word in words if word.startswith("-")]
    operands = [word for word in words if not word.startswith("-")]
    return (
        "-i" in options
        and set(options) <= {"-E", "-i"}
        and len(operands) > 1
        and _SUBSTITUTION.fullmatch(operands[0]) is not None
    )


def _open(use: FileUse) -> bool:
    return UNKNOWN in use.path or UNKNOWN_WORDS in use.path


def _inside(command: Command, permit: Permit) -> bool:
    words = command.words
    if words[0] == "find" and any(_BACK.search(word) for word in words):
        return False
    if words[:2] == ("git", "grep"):
        command = replace(command, words=_without_pattern(words))
    return all(
        not _open(use) and not _turns_back(use.path, command.folder) and permit.reads(use.path)
        for use in uses_of(command)
    )


def _without_pattern(words: tuple[str, ...]) -> tuple[str, ...]:
    """`git grep` without what it searches for, which is no file."""
    if "-e" in words:
        at = words.index("-e")
        return (*words[:at], *words[at + 2 :])
    at = next((i for i, word in enumerate(words) if i > 1 and not word.startswith("-")), len(words))
    return (*words[:at], *words[at + 1 :])


def _turns_back(path: str, folder: str) -> bool:
    """Whether a path leaves a folder that it entered; an absolute `cd` before it does not count."""
    if folder.startswith(("/", "~")):
        path = path.removeprefix(f"{folder.rstrip('/')}/")
    return _BACK.search(path) is not None


def _reads(command: Command, permit: Permit) -> bool:
    words = command.words
    while words[0] in _BEFORE_READERS and len(words) > 1:
        inner = unwrapped(replace(command, words=words), plainly=True)
        if not inner:
            return False
        words = inner[0]
    if words[0] == "cd":
        target = words[1:2]
        folder = "/".join([*([command.folder] if command.folder else []), *target])
        if _turns_back(folder, command.folder):
            return False
        return len(words) == 2 and UNKNOWN not in folder and permit.reads(folder)
    if not _only_reads(words):
        return False
    return not _names_files(words) or _inside(replace(command, words=words), permit)


def _only_reads(words: Sequence[str]) -> bool:
    name, rest = words[0], list(words[1:])
    if name in ("git", "docker", "ip"):
        size = next((n for n in (3, 2) if _known(" ".join(words[:n])) and len(words) >= n), 0)
        if name == "ip":
            return list(words) == ["ip", "addr"]
        if not size:
            return False
        name, rest = " ".join(words[:size]), list(words[size:])
    if words[0] == "xargs":
        return _feeds(rest)
    if words[0] == "sed":
        return prints_lines(rest)
    if words[0] == "find":
        return not any(_FIND_ACTS.match(word) for word in rest)
    if name in ("egrep", "fgrep", "grep") and any(BRACES.search(word) for word in rest):
        return False  # asked about where it is quoted, too: grep -E 'a{1,2}'
    if name in READ_ANY_OPTION:
        return not (name == "uniq" and any(not word.startswith("-") for word in rest))
    options = READ_SOME_OPTIONS.get(name)
    if options is None or not _options_known(name, rest, options):
        return name in _NO_OPERANDS and not rest
    if name != "jq" and any(BRACES.search(word) for word in rest):
        return False
    operands = [word for word in rest if not word.startswith("-")]
    if name in _NO_OPERANDS:
        return not operands
    if name == "git ls-remote" and operands:
        return False
    if name == "tput":
        terminal = rest[rest.index("-T") + 1 :][:1] if "-T" in rest else []
        return set(operands) <= {*_TERMINAL, *terminal}
    if name == "ps" and any(_PS_ENVIRONMENT.fullmatch(word) for word in operands):
        return False
    if name in ("git branch", "git tag"):
        listing = {"-l", "--list", "--contains", "--merged", "--no-merged", "--points-at", "--sort"}
        return not operands or any(word.split("=")[0] in listing for word in rest)
    if name == "git reflog":
        return all(
            word == "show" or rest[max(rest.index(word) - 1, 0)] == "-n" for word in operands
        )
    if name == "git config":
        return rest[:1] == ["--get"]
    if name == "date":
        return all(
            word.startswith("+") or rest[max(rest.index(word) - 1, 0)] in ("-d", "-r", "--date")
            for word in operands
        )
    if name == "jq":
        return not any(
            re.search(r"\benv\b|\$ENV|\binclude\b|\bimport\b", word) for word in operands[:1]
        )
    if name in ("node", "python", "python3"):
        return len(rest) == 1 and not operands  # one operand would be a script
    return True


def _known(name: str) -> bool:
    return name in READ_ANY_OPTION or name in READ_SOME_OPTIONS


def _options_known(program: str, words: Sequence[str], options: frozenset[str]) -> bool:
    """Whether all options are in the table; letters may stand together, a value behind one."""
    for word in words:
        if word == "--":
            return True
        if not word.startswith("-") or word == "-":
            continue
        name, sign, value = word.partition("=")
        if word.startswith("--"):
            if name not in options or (sign and name not in VALUED):
                return False
            if value.startswith("-") and not program.startswith("git "):
                return False
            continue
        if word in options or (word[1:].isdigit() and "-5" in options):
            continue
        if program in _COUNTING and re.fullmatch(r"-[ABCm]\d+", word):
            continue
        # a value that is attached to its letter (`-k2`) is asked about
        letters = word[1:]
        if program == "base64" or not all(c.isalpha() and f"-{c}" in options for c in letters):
            return False
    return True


def _feeds(words: Sequence[str]) -> bool:
    """xargs in front of a command that only reads what it is fed."""
    index = 0
    while index < len(words) and words[index].startswith("-"):
        if words[index] not in READ_SOME_OPTIONS["xargs"]:
            return False
        index += 2 if words[index] in ("-d", "-L", "-n", "-P", "-s") else 1
    return index >= len(words) or words[index] in _FED_READERS


def prints_lines(words: Sequence[str]) -> bool:
    """`sed -n 1,5p FILE`."""
    operands = [word for word in words if not word.startswith("-")]
    flags = [word for word in words if word.startswith("-")]
    quiet = any(
        flag in ("--quiet", "--silent") or re.fullmatch(r"-[nErz]*n[nErz]*", flag) for flag in flags
    )
    known = all(flag in _PRINTING or re.fullmatch(r"-[nErz]+", flag) for flag in flags)
    return (
        quiet
        and known
        and bool(operands)
        and all(_PRINTS.fullmatch(part.strip()) for part in operands[0].split(";"))
    )
