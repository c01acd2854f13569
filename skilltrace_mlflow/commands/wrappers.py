"""Commands that only carry another command: `sudo`, `env`, `xargs`, `sh -c`, `find -exec`, …

`carried(command)` gives what is carried: a tuple of words, or a text that a shell will read. Where
an option is not known, both readings are given (its next word may be its value or the command).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from skilltrace_mlflow.commands._shell_escapes import command_of_setting, escapes
from skilltrace_mlflow.commands._wrapper_table import (
    CARRIERS,
    PREFIXES,
    SHELLS,
    SYNONYMS,
    TEXT_OPERANDS,
    TEXT_OPTION,
    TYPED_INTO,
    Prefix,
)
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS, Command
from skilltrace_mlflow.commands.operands import OWN_SUBCOMMANDS

__all__ = [
    "carried",
    "image_command",
    "is_known",
    "is_shell_program",
    "moves_to",
    "program_of",
    "runs_operands",
    "runs_where",
]

Carried = tuple[str, ...] | str


_GIT_FILTERS = tuple(
    f"--{kind}-filter" for kind in ("commit", "env", "index", "msg", "parent", "tag-name", "tree")
)
# Programs that hand what stands behind `run --` to a program or script of their own.
_OWN_ARGUMENTS = {
    "bun", "cargo", "deno", "dotnet", "git", "go", "gradle", "npm", "nx", "pnpm", "swift", "yarn",
    "zig",
}  # fmt: skip
_RUNNING = {"attach", "debug", "exec", "run", "shell", "ssh", "x"}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PYTHON = re.compile(r"(?:python|pypy|py$)[\d.]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=", re.DOTALL)
_API_PATH = re.compile(r"^/?api/\d[\d.]*/(?:unity-catalog/)?([\w-]+/[a-z][\w-]*)$")
_SSH_SETTING = re.compile(
    r"(?i)-o\s*(?:proxy|local|remote|knownhosts)command[\s=]+(?P<line>.+)", re.DOTALL
)
_SSH_VALUED = {f"-{letter}" for letter in "bBcDEeFIiJLlmOopQRSWw"}


def program_of(word: str) -> str:
    """The name of a program without its folder; `rm.exe` is `rm`."""
    name = word.replace("\\", "/").rsplit("/", 1)[-1]
    return name[:-4] if name.lower().endswith(".exe") else name


def carried(command: Command) -> list[Carried]:
    """What a command runs besides itself; texts are for a shell to read."""
    words = command.words
    program = program_of(words[0])
    rest = list(words[1:])
    found: list[Carried] = []
    if program in SHELLS:
        found.extend(_shell(rest, command.stdin))
    elif program == "eval":
        found.append(" ".join(rest))
    elif program == "trap":
        operands = [word for word in rest if not word.startswith("-")]
        found.extend(operands[:1] if len(operands) > 1 else [])
    elif program in ("source", ".") and rest:
        found.extend(_file(rest[0], command.stdin))
    elif program == "find":
        found.extend(_find(rest))
    elif program in ("fd", "fdfind"):
        found.extend(_after(rest, ("-x", "-X", "--exec", "--exec-batch")))
    elif program in ("ssh", "autossh"):
        found.extend(_ssh(rest, command.stdin))
    elif program == "git":
        found.extend(_git(rest))
    elif program == "tmux":
        found.extend(_typed(rest))
    elif program in TEXT_OPERANDS:
        found.extend(word for word in rest if not word.startswith("-"))
    elif program == "parallel":
        return _parallel(rest, command.stdin)
    elif program == "xargs":
        return _xargs(rest, command.stdin)
    elif program == "coproc":
        found.append(tuple(rest[rest.index("{") + 1 :] if "{" in rest else rest))
    elif program == "nix":
        found.extend(_after(rest, ("-c", "--command")))
    elif program == "docker-compose":
        found.append(("docker", "compose", *rest))
    elif _PYTHON.fullmatch(program):
        found.extend(_python(rest))
    elif program == "coverage" and rest[:1] == ["run"] and "-m" in rest:
        found.extend(_python(rest[rest.index("-m") :]))
    elif program == "sops" and rest[:1] in (["exec-env"], ["exec-file"]):
        found.extend(rest[2:])
    elif program == "aws":
        found.extend(_documents(rest))
    elif program == "env":
        found.extend(_settings(rest))
    elif program == "databricks" and rest[:1] == ["api"]:
        found.extend(_databricks_api(rest))
    elif UNKNOWN in program or UNKNOWN_WORDS in program:
        found.extend(_values(rest, ("-c",)))  # $SHELL -c '...'
    if program in TYPED_INTO or (program == "sudo" and {"-s", "-i", "--shell"} & set(rest)):
        found.extend([command.stdin] if command.stdin is not None else [])
    elif program == "watch":
        found.extend(_watch(rest))
    elif program == "flock":
        found.extend(_flock(rest))
    if program in TEXT_OPTION:
        found.extend(_values(rest, TEXT_OPTION[program]))
        found.extend(_after(rest, TEXT_OPTION[program]))  # nodemon -x rm -rf x
    found.extend(escapes(program, rest, command.stdin))
    found.extend(_prefixed(program, rest))
    if program in OWN_SUBCOMMANDS:
        found.extend(_package_binary(program, rest))
    if "--" in rest and program not in _OWN_ARGUMENTS and program not in PREFIXES:
        at = rest.index("--")
        if _RUNNING & set(rest[:at]):
            found.append(tuple(rest[at + 1 :]))
    return [item for item in dict.fromkeys(found) if item and item != words]


_AWAY = {
    "adb", "ansible", "autossh", "colima", "fly", "flyctl", "heroku", "limactl", "lxc", "mosh",
    "multipass", "pdsh", "pssh", "salt", "ssh", "tsh", "vagrant",
}  # fmt: skip
_AWAY_BY = {
    "aws": ("ssm", "ecs"), "az": ("vm", "container"), "docker": ("run", "exec", "container"),
    "docker-compose": ("run", "exec"), "gcloud": ("ssh",), "gh": ("codespace", "cs"),
    "incus": ("exec",), "kubectl": ("exec", "run", "debug", "rsh"), "minikube": ("ssh",),
    "nomad": ("exec", "alloc"), "devcontainer": ("exec",), "crictl": ("exec",),
}  # fmt: skip
_LATER = {"at", "batch", "crontab"}


def runs_where(words: Sequence[str]) -> tuple[str, ...]:
    """What is to be said of the place of what a command runs: on another machine or in a container
    (`elsewhere`), at another time (`otherwise`)."""
    program = program_of(words[0])
    if program in _LATER or (program == "trap" and not {"EXIT", "0"} & set(words[2:])):
        return ("otherwise",)
    first = (SYNONYMS.get(program, program).split() or [""])[0]
    subs = _AWAY_BY.get(first, ())
    if program in _AWAY or any(word in subs for word in words[1:6]):
        return ("elsewhere",)
    return ()


def moves_to(words: Sequence[str]) -> str:
    """The directory in which a command runs what it carries, relative to its own: `env -C DIR`."""
    options = {"env": ("-C", "--chdir"), "sudo": ("-D", "--chdir")}.get(program_of(words[0]), ())
    return next((text for text in _values(list(words[1:]), options) if isinstance(text, str)), "")


def is_shell_program(program: str) -> bool:
    """Whether a program is a shell."""
    return program in SHELLS


def runs_operands(words: Sequence[str]) -> int | None:
    """Where the words that a known program may run begin, in a way of it that is in no table.

    `nomad alloc exec x rm`: behind a word that says so; `uv $SUB rm`: behind one that may. None
    where the tables know what runs.
    """
    program = program_of(words[0])
    if program in _OWN_ARGUMENTS or carried(Command(words=tuple(words))):
        return None
    if any(_PATHS.get((SYNONYMS.get(program, program).split() or [""])[0], ())):
        first = next((at for at, word in enumerate(words) if at and not word.startswith("-")), 0)
        if UNKNOWN in words[first] or UNKNOWN_WORDS in words[first]:
            return first + 1
    return next((at + 1 for at, word in enumerate(words) if at and word in _RUNNING), None)


def is_known(program: str) -> bool:
    """Whether what a program runs is read out of its operands by rules of its own.

    A shell's script may run any of them.
    """
    return program in CARRIERS and program not in SHELLS


def _by_program() -> dict[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for key in PREFIXES:
        program, *path = key.split()
        found.setdefault(program, []).append(tuple(path))
    for paths in found.values():
        paths.sort(key=len, reverse=True)
    return found


_PATHS = _by_program()


def _prefixed(program: str, rest: list[str]) -> list[Carried]:
    words = [*(SYNONYMS.get(program, program).split() or [program]), *rest]
    if words[0] == "command" and words[1:2] and words[1] in ("-v", "-V"):
        return []  # asks where a command is, runs nothing
    for path in _PATHS.get(words[0], ()):
        at = _behind_path(words, path)
        if at is None:
            continue
        known = PREFIXES[" ".join([words[0], *path])]
        tails = _tails(words[at:], known)
        if known.program:
            return [(known.program, *tail) for tail in tails]
        if known.joins:
            return [*tails, *(" ".join(tail) for tail in tails)]
        if words[0] == "hatch":
            tails = [(tail[0].rpartition(":")[2], *tail[1:]) for tail in tails]
        if words[:2] == ["uv", "run"] and "-m" in words:
            return [*tails, *_python(words[2:])]
        return [*_entrypoints(words[at:], known), *tails]
    return []


def _behind_path(words: Sequence[str], path: Sequence[str]) -> int | None:
    """Where the words behind the subcommands of a path begin; options may stand between them."""
    at = 1
    for sub in path:
        while at < len(words) and words[at] != sub:
            if not words[at].startswith("-") or words[at] == "--":
                return None
            valued = "=" not in words[at] and words[at + 1 : at + 2] not in ([], [sub])
            at += 2 if valued and not words[at + 1].startswith("-") else 1
        if at >= len(words):
            return None
        at += 1
    return at


def _entrypoints(words: list[str], known: Prefix) -> list[Carried]:
    """`docker run --entrypoint rm image -rf x`: the program with what follows the image."""
    options = ("--entrypoint", *(("--command",) if "--command" in known.valued.split() else ()))
    programs = [text for text in _values(words, options) if isinstance(text, str)]
    tails = _tails(words, replace(known, operands=0)) if programs else []
    return [(*text.split(), *tail[1:]) for text in programs if text for tail in tails]


_RUNNING_MODULES = {"cProfile", "coverage", "debugpy", "pdb", "profile", "trace", "viztracer"}


def _python(words: list[str]) -> list[Carried]:
    """The program of `python -m`, in every spelling: `-mpip`, `-Im pip`, `-W ignore -m pip`."""
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if not word.startswith("-") or word.startswith("--"):
            if word.startswith("--"):
                index += word == "--check-hash-based-pycs"
                continue
            return []  # a script
        for at, letter in enumerate(word[1:], 1):
            if letter in "cWX":
                if letter == "c":
                    return []
                index += at == len(word) - 1
                break
            if letter == "m":
                behind = [word[at + 1 :]] if word[at + 1 :] else []
                module, *rest = [*behind, *words[index:]] or [""]
                found: list[Carried] = [(module.split(".")[0], *rest)]
                if module in _RUNNING_MODULES and "-m" in rest:
                    found.extend(_python(rest[rest.index("-m") :]))
                return found
    return []


def _tails(words: Sequence[str], prefix: Prefix) -> list[tuple[str, ...]]:
    """The command behind options, operands and assignments; several where that is not certain."""
    valued = set(prefix.valued.split())
    flags = set(prefix.flags.split())
    found: list[tuple[str, ...]] = []
    index = 0
    operands = prefix.operands
    while index < len(words):
        word = words[index]
        if word == "--":
            tail = tuple(words[index + 1 + operands :])
            return [*found, tail] if tail else found
        if word == "-" and word in flags:
            index += 1  # env - ls
            continue
        if word.startswith("-") and len(word) > 1:
            name = word.split("=", 1)[0]
            if name in valued and "=" not in word:
                index += 2
                continue
            short = word[:2]
            clustered = not word.startswith("--") and len(word) > 2
            if clustered and short in valued and word not in flags:
                index += 1  # -n10
                continue
            if clustered and word not in flags and f"-{word[-1]}" in valued:
                index += 2  # -nu root: the last of a cluster takes the value
                continue
            numeric = word[1:].isdigit()
            cluster = clustered and all(f"-{letter}" in flags for letter in word[1:])
            known = name in flags or numeric or "=" in word or cluster
            if not known and index + 2 < len(words) and not words[index + 1].startswith("-"):
                found.extend(_tails(words[index + 2 :], prefix))
            index += 1
            continue
        if prefix.assignments and _ASSIGNMENT.match(word):
            index += 1
            continue
        if operands > 0:
            operands -= 1
            index += 1
            continue
        break
    tail = tuple(words[index:])
    return [*found, tail] if tail else found


def _shell(words: list[str], stdin: str | None) -> list[Carried]:
    text_follows = False
    read: list[Carried] = []
    index = 0
    while index < len(words):
        word = words[index]
        if word in ("--rcfile", "--init-file"):
            read.extend(_file(words[index + 1], None) if words[index + 1 :] else [])
            index += 2
            continue
        if word.startswith(("-", "+")) and len(word) > 1:
            cluster = "" if word.startswith("--") else word
            if "n" in cluster and cluster[0] == "-":
                return []  # reads without running
            text_follows = text_follows or "c" in cluster
            index += 2 if cluster[-1:] in ("o", "O") else 1  # -euo pipefail
            continue
        break
    operands = words[index:]
    if text_follows:
        return [*read, *operands[:1]]
    if not operands or "-s" in words:
        return [*read, *([stdin] if stdin is not None else [])]
    return [*read, *_file(operands[0], stdin)]


def _file(name: str, stdin: str | None) -> list[Carried]:
    """A script that a shell reads from a file: known only if the file is the standard input."""
    if name in ("-", "/dev/stdin"):
        return [stdin] if stdin is not None else []
    return [UNKNOWN] if name.startswith("/dev/fd/") else []  # bash <(curl ...)


def _find(words: list[str]) -> list[Carried]:
    found: list[Carried] = []
    for index, word in enumerate(words):
        if word in ("-exec", "-execdir", "-ok", "-okdir"):
            inner: list[str] = []
            for part in words[index + 1 :]:
                if part in (";", "+"):
                    break
                inner.append(part)
            found.append(tuple(inner))
    return found


def _after(words: list[str], options: tuple[str, ...]) -> list[Carried]:
    return [tuple(words[i + 1 :]) for i, word in enumerate(words) if word in options]


def _ssh(words: list[str], stdin: str | None) -> list[Carried]:
    """The remote command, options before and behind the host; without one the standard input."""
    found: list[Carried] = []
    index, host = 0, False
    while index < len(words):
        word = words[index]
        if word == UNKNOWN_WORDS and not host:
            found.extend(_ssh(words[index + 1 :], stdin))  # $SSH_OPTS, or else the host
        if word.startswith("-") and len(word) > 1:
            whole = "".join(words[index : index + 2]) if word == "-o" else word
            setting = _SSH_SETTING.match(whole)
            if setting is not None:
                found.append(setting["line"])
            takes = f"-{word[-1]}" in _SSH_VALUED and not any(
                f"-{letter}" in _SSH_VALUED for letter in word[1:-1]
            )
            index += 2 if takes else 1
        elif not host:
            host = True
            index += 1
        else:
            break
    remote = words[index:]
    if remote:
        return [*found, " ".join(remote)]
    return [*found, stdin] if stdin is not None and host else found


def _xargs(words: list[str], stdin: str | None) -> list[Carried]:
    """What xargs runs, with the words it is fed where these are known."""
    marks = [text for text in _values(words, ("-I", "--replace")) if isinstance(text, str)]
    if "-i" in words or "--replace" in words:
        marks.append("{}")
    fed = () if stdin is None or UNKNOWN in stdin or marks else tuple(stdin.split())
    found: list[Carried] = []
    for tail in _prefixed("xargs", words):
        for mark in marks:
            tail = tuple(word.replace(mark, UNKNOWN) for word in tail if mark)
        if not marks and len(tail) == 2 and program_of(tail[0]) in SHELLS and not fed:
            fed = (UNKNOWN,)  # ... | xargs sh -c
        if fed and "-0" in words:
            fed = (stdin or UNKNOWN,)
        found.append((*tail, *fed))
    return found


def _parallel(words: list[str], stdin: str | None) -> list[Carried]:
    """GNU parallel joins its words and gives them to a shell, once for every argument."""
    at = next((i for i, word in enumerate(words) if word.startswith(":::")), len(words))
    lines = [" ".join(tail) for tail in _prefixed("parallel", words[:at])]
    if not lines:
        return list(words[at + 1 :] or ([stdin] if stdin is not None else []))
    found: list[Carried] = []
    for line in lines:
        for given in words[at + 1 :][:20] or [UNKNOWN]:
            given = given if given == UNKNOWN else shlex.quote(given)
            filled = line.replace("{}", given) if "{}" in line or given == UNKNOWN else ""
            found.append(filled or f"{line} {given}")
    return found


def _package_binary(program: str, words: list[str]) -> list[Carried]:
    """`pnpm next build`: what is no subcommand is a script, or a program of a package."""
    for tail in _tails(words, Prefix(valued="-C -F --dir --filter --cwd", flags="-r -w -s")):
        if tail[0] not in OWN_SUBCOMMANDS[program] and not tail[0].startswith("-"):
            return [tail]
    return []


def _git(words: list[str]) -> list[Carried]:
    """Commands that git runs for its user: foreach, bisect run, rebase -x, filters, aliases."""
    found: list[Carried] = []
    for index, word in enumerate(words):
        behind = words[index + 1 :]
        if word == "foreach" and "submodule" in words[:index]:
            found.append(" ".join(w for w in behind if w not in ("--recursive", "--quiet", "-q")))
        elif word == "run" and words[index - 1] == "bisect" and index:
            found.append(tuple(behind))
        elif word == "rebase":
            found.extend(_values(behind, ("-x", "--exec")))
        elif word == "filter-branch":
            found.extend(_values(behind, _GIT_FILTERS))
        elif word.startswith("alias.") and "=" in word and index:
            name, _, value = word[6:].partition("=")
            if value.startswith("!"):
                found.append(value[1:])
            elif name in behind:
                found.append(("git", *value.split(), *behind[behind.index(name) + 1 :]))
    return found


def _typed(words: list[str]) -> list[Carried]:
    """What tmux is told to run or to type."""
    if not words or words[0].startswith(("attach", "kill", "list", "ls", "set", "has", "-V")):
        return []
    operands = [at for at, word in enumerate(words) if at and not word.startswith("-")]
    texts = [words[at] for at in operands]
    return [*texts, " ".join(texts), *(" ".join(words[at:]) for at in operands[:8])]


def _watch(words: list[str]) -> list[Carried]:
    index = 0
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in ("-n", "--interval") else 1
    return [" ".join(words[index:])] if words[index:] else []


def _documents(words: list[str]) -> list[Carried]:
    """The lines in the parameters of a document: `aws ssm send-command --parameters …`."""
    found: list[Carried] = []
    for text in _values(words, ("--parameters",)):
        lines = text.partition("commands=")[2] if isinstance(text, str) else ""
        if isinstance(text, str) and '"commands"' in text:
            lines = text.partition('"commands"')[2].lstrip(" :")
        if lines.startswith(("[", '"')):
            found.extend(one.replace('\\"', '"') for one in _QUOTED.findall(lines))
            found.extend(lines.strip("[]}").split(",") if '"' not in lines else ())
        elif lines:
            found.append(lines)
    return found


def _flock(words: list[str]) -> list[Carried]:
    return [*_tails(words, Prefix(valued="-w -E --timeout --conflict-exit-code", operands=1))]


def _databricks_api(words: list[str]) -> Iterator[tuple[str, ...]]:
    """The command that a call of the API is: `api post /api/2.1/jobs/delete` is `jobs delete`."""
    for word in words[1:4]:
        found = _API_PATH.search(word)
        if found is not None:
            yield ("databricks", *found[1].split("/"))


def image_command(words: Sequence[str]) -> tuple[str, ...]:
    """The command of an image that is called like its program: `docker run alpine/git push`.

    Empty where it is none: an image without an owner is a base more often than a tool.
    """
    program = program_of(words[0])
    if SYNONYMS.get(program, program) != "docker" or "run" not in words[1:3]:
        return ()
    tails = _tails(
        list(words[words.index("run") + 1 :]), replace(PREFIXES["docker run"], operands=0)
    )
    image, *rest = tails[-1] if tails else ("",)
    name = image.rpartition("/")[2].partition(":")[0].partition("@")[0]
    return (name, *rest) if "/" in image else ()


def _settings(words: list[str]) -> Iterator[str]:
    """The command lines among the assignments of `env`."""
    for word in words:
        name, sign, value = word.partition("=")
        line = command_of_setting(name, value) if sign else None
        if line is not None:
            yield line


def _values(words: list[str], options: tuple[str, ...]) -> list[Carried]:
    found: list[Carried] = []
    for index, word in enumerate(words):
        for option in options:
            if word == option and index + 1 < len(words):
                found.append(words[index + 1])
            elif option.startswith("--") and word.startswith(option + "="):
                found.append(word[len(option) + 1 :])
            elif option.startswith("--") or word.startswith("--") or len(option) > 2:
                continue
            elif word.startswith(option) and len(word) > 2:
                found.append(word[2:].removeprefix("="))
            elif word[:1] == "-" and word[1:].isalpha() and word.endswith(option[1:]):
                found.extend(words[index + 1 : index + 2])  # -qc 'text'
    return found
