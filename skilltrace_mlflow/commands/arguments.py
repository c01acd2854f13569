"""Options and operands of commands, read so that spellings of one thing compare equal.

`read_arguments` gives the options of a command with all their names and with their values, and its
operands. What an option is called and whether it takes a value stands in the tables of `options`;
of an option that is not there the word behind it may be its value or an operand, and counts as an
operand.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS
from skilltrace_mlflow.commands.operands import (
    plain_mode,
    same_command,
    same_kind,
    same_subcommand,
    skipped,
    without_run,
)
from skilltrace_mlflow.commands.options import (
    Table,
    deepens,
    has_subcommands,
    implied_options,
    table_of,
)

__all__ = [
    "Arguments",
    "Given",
    "other_names",
    "plain_operand",
    "read_arguments",
    "same_program",
    "takes_place_of",
    "takes_subcommand",
]

_PIP = re.compile(r"pip[23](?:\.\d+)?")
_PYTHON = re.compile(r"python3(?:\.\d+)?")
_GNU = (  # that are called g… where another of the name stands beside them
    "chmod chown cp date dd find grep ln ls make mkdir mv readlink rm rmdir sed sort split stat "
    "tar tee timeout touch truncate xargs"
)
_SAME = {
    ".": "source", "flyctl": "fly", "helm3": "helm", "kubecolor": "kubectl", "nodejs": "node",
    "py.test": "pytest", **{f"g{name}": name for name in _GNU.split()},
}  # fmt: skip
_VERSION = re.compile(r"(?<=[\w.])@[\w.^~*+-]+$")  # ruff@latest, npm@10

# Programs whose options are words behind one dash: letters of such a word are no flags.
_LONG_SINGLE_DASH = {
    "clang", "convert", "ffmpeg", "find", "g++", "gcc", "go", "java", "javac", "magick", "nomad",
    "openssl", "packer", "sqlite3", "terraform", "tofu", "vault", "xcodebuild",
}  # fmt: skip
# Programs whose first operand is a subcommand, besides those with tables of subcommands.
_SUBCOMMANDS = {
    "apk", "apt", "apt-get", "aws", "az", "bundle", "bun", "databricks", "dnf", "docker-compose",
    "dotnet", "firebase", "flutter", "fly", "gcloud", "gem", "glab", "gsutil", "heroku", "npm",
    "pacman", "pnpm", "prisma", "pulumi", "rails", "redis-cli", "rustup", "snap", "snow",
    "supabase", "svn", "systemctl", "tofu", "vault", "vercel", "wrangler", "yarn", "yum",
}  # fmt: skip
# Programs that are made to take another one's place.
_DROP_INS: Mapping[str, tuple[str, ...]] = {
    "apt": ("apt-get", "aptitude"),
    "apt-get": ("apt", "aptitude"),
    "dnf": ("yum",),
    "docker": ("podman", "nerdctl"),
    "docker-compose": ("podman-compose",),
    "kubectl": ("oc",),
    "mysql": ("mariadb",),
    "terraform": ("tofu", "opentofu", "terragrunt"),
    "yum": ("dnf",),
}
# Programs whose own options end at their first operand, by subcommand: what follows it is another
# program's. ssh takes options behind the host as well.
_CONTAINERS = {"run": 1, "exec": 1, "create": 1, "compose run": 1, "compose exec": 1}
_OWN_OPTIONS_END: Mapping[str, Mapping[str, int]] = {
    **dict.fromkeys(("docker", "podman", "nerdctl"), _CONTAINERS),
    "ssh": {"": 2},
}
# Programs whose tables were written from their references, which leave out which options take a
# value now and then.
_FROM_REFERENCES = {
    "aws", "az", "brew", "bun", "databricks", "dbt", "gcloud", "go", "gsutil", "helm", "mariadb",
    "mysql", "npm", "pnpm", "pulumi", "redis-cli", "vault", "yarn",
}  # fmt: skip
# How many words name what a program does, where it has groups of subcommands throughout.
_LEVELS = {"aws": 2, "gh": 2}
_OFF = {"false", "False", "FALSE", "f", "F", "0"}


@dataclass(frozen=True, kw_only=True)
class Given:
    """One option as given: all its names, its value if it has one, and whether a table knows it.

    `both` is true where the tables know a short and a long name, so that it can have no third;
    `behind` is the word that follows an option of which nobody knows whether it takes a value.
    """

    names: frozenset[str]
    value: str | None = None
    known: bool = False
    both: bool = False
    behind: str | None = None


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What stands behind a program's name.

    `starts` are the indexes in `operands` at which a subcommand can stand; `open_ended` is true
    where words that may be options are filled in at run time. `levels` is how many words from a
    start on name the subcommand, `script` whether the operands are those of `run x` without `run`.
    """

    options: tuple[Given, ...] = ()
    operands: tuple[str, ...] = ()
    script: bool = False
    starts: tuple[int, ...] = ()
    open_ended: bool = False
    levels: int = 1
    flags: frozenset[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        names = frozenset(name for option in self.options for name in option.names)
        object.__setattr__(self, "flags", names)

    def uncertain(self, operand: str) -> bool:
        """Whether an operand may be the value of an option that nobody knows."""
        return any(option.behind == operand for option in self.options)

    def values(self, name: str) -> tuple[str, ...]:
        """The values of an option, by any of its names, in order."""
        found = (option.value for option in self.options if name in option.names)
        return tuple(value for value in found if value is not None)


def takes_subcommand(program: str) -> bool:
    """Whether the program's first operand is a subcommand."""
    return program in _SUBCOMMANDS or has_subcommands(program)


def same_program(program: str) -> str:
    """The name under which one program is compared: `pip3.11` and `pip@24` are `pip`, `python3` is
    `python`, `gsed` is `sed`."""
    if "@" in program:
        program = _VERSION.sub("", program)
    if _PIP.fullmatch(program):
        return "pip"
    if _PYTHON.fullmatch(program):
        return "python"
    return "mkfs" if program.startswith("mkfs.") else _SAME.get(program, program)


def takes_place_of(program: str, other: str) -> bool:
    """Whether a program does what another one does, given the same words."""
    return program in _DROP_INS.get(other, ())


def other_names(program: str) -> tuple[str, ...]:
    """The names under which a program, or one that takes its place, may stand in a line."""
    same = (name for name, known in _SAME.items() if known == program)
    return (*same, *_DROP_INS.get(program, ()))


def plain_operand(operand: str) -> str:
    """An operand without what changes nothing in a path: `./a//b/` is `a/b`."""
    if "/" not in operand or "://" in operand or UNKNOWN in operand:
        return operand
    cleaned = posixpath.normpath(operand)
    return "/" if cleaned == "//" else cleaned


def read_arguments(
    program: str, words: Sequence[str], *, trusting: bool = True, eager: bool = False
) -> Arguments:
    """Options and operands of a program; options with all their names and their values.

    Without `trusting` a table that was written from a reference, not read off the program itself,
    is not believed that an option takes the next word: that counts as an operand as well. An
    `eager` reading takes what stands behind an option that is in no table for its value, attached
    (`-nauto`) or not (`-n auto`).
    """
    reading = _Reading(program, trusting=trusting, eager=eager)
    waiting = list(words)
    while waiting:
        reading.take(waiting)
    options = reading.options
    renamed, starts, longer = same_command(program, reading.operands, reading.starts)
    operands = without_run(program, renamed)
    purges = any("--purge" in option.names for option in options)
    if purges and program in ("apt", "apt-get") and operands[:1] == ("remove",):
        operands = ("purge", *operands[1:])
    if program == "chmod":
        operands = tuple(map(plain_mode, operands))
    flags = {name for option in options for name in option.names}
    given = [option.value for option in options if option.value is not None]
    for names, value in implied_options(program, flags, given, operands, reading.path):
        options.append(Given(names=names, value=value, known=True, both=True))
    return Arguments(
        options=tuple(options),
        operands=operands,
        script=operands != renamed and renamed[:1] == ("run",),
        starts=starts,
        levels=max(len(reading.path) + longer, _LEVELS.get(program, 1)),
        open_ended=any(UNKNOWN_WORDS in word for word in words)
        or any(UNKNOWN in name for option in options for name in option.names),  # rm -r$FORCE
    )


class _Reading:
    """The state of one pass over the words."""

    def __init__(self, program: str, *, trusting: bool, eager: bool) -> None:
        self.program = program
        self.trusting = trusting
        self.eager = eager
        self.subcommands = takes_subcommand(program)
        self.table: Table = table_of(program, ())
        self.path: list[str] = []
        self.options: list[Given] = []
        self.operands: list[str] = []
        self.starts: list[int] = []
        self.settled = False  # whether the subcommand has certainly been seen
        self.ended = False  # whether `--` was
        self.own = 0  # how many operands name the subcommand
        self.may_be_value = False  # whether the last option may take the next word

    def take(self, waiting: list[str]) -> None:
        """Read the next word, and the one behind it if that is its value."""
        word = waiting.pop(0)
        if self.ended or not word.startswith("-") or len(word) < 2:
            self.operand(word)
        elif word == "--":
            self.ended = True
            self.may_be_value = False
        elif word.startswith("--") or self.program in _LONG_SINGLE_DASH:
            self.long(word, waiting)
        else:
            self.short(word, waiting)

    def long(self, word: str, waiting: list[str]) -> None:
        name, sign, value = word.partition("=")
        option = self.table.find(name)
        if option is None and self.program in _LONG_SINGLE_DASH:
            other = name[1:] if name.startswith("--") else "-" + name
            option = self.table.find(other)
        if sign:
            if value in _OFF and (option is None or option.takes != "="):
                return
            self.add(name, value, waiting, attached=True)
        else:
            self.add(name, None, waiting)

    def short(self, word: str, waiting: list[str]) -> None:
        name, sign, value = word.partition("=")
        if name in self.table.options:  # -nH, -KILL, or a letter
            if sign and self.table.options[name].takes == "" and value in _OFF:
                return
            self.add(name, value if sign else None, waiting, attached=bool(sign))
            return
        letters = word[1:]
        for at, letter in enumerate(letters):
            option = self.table.options.get(f"-{letter}")
            rest = letters[at + 1 :]
            if rest and (option.takes if option is not None else self.eager):
                value = rest.removeprefix("=")
                self.add(f"-{letter}", value, waiting, attached=True)
                return
            if rest.startswith("="):
                self.add(f"-{letter}", rest[1:], waiting, attached=True)
                return
            self.add(f"-{letter}", None, [] if rest else waiting)

    def add(
        self, name: str, value: str | None, waiting: list[str], *, attached: bool = False
    ) -> None:
        option = self.table.find(name)
        single = self.program in _LONG_SINGLE_DASH
        if option is None and single:
            option = self.table.find(name[1:] if name.startswith("--") else "-" + name)
        behind: str | None = None
        self.may_be_value = False
        if option is not None and option.takes == "=" and value is None and waiting:
            if self.trusting or not self._doubted():
                value = waiting.pop(0)
            elif not waiting[0].startswith("-"):
                behind = waiting[0]
                self.may_be_value = True
        elif option is None and self.eager:
            if value is None and waiting and not waiting[0].startswith("-"):
                value = waiting.pop(0)
        elif option is None:
            if attached and value is not None:
                self.operands.append(value)  # as it would stand behind a blank
            elif waiting and not waiting[0].startswith("-"):
                behind = waiting[0]
                self.may_be_value = True
        names = option.names if option is not None else frozenset((name,))
        if single:
            names = frozenset(n[1:] if n.startswith("--") else n for n in names)
        self.options.append(
            Given(
                names=names,
                value=value,
                known=option is not None,
                both=single or len({n.startswith("--") for n in names}) == 2,
                behind=behind,
            )
        )

    def _doubted(self) -> bool:
        return self.program in _FROM_REFERENCES or self.path[:1] == ["compose"]

    def operand(self, word: str) -> None:
        if self.subcommands and not self.settled:
            if skipped(self.program, word):
                return
            self.starts.append(len(self.operands))
            word = same_subcommand(self.program, word)
            self.settled = not self.may_be_value and word not in _group(self.program)
        if self.subcommands and len(self.path) < 3:
            deeper = deepens(self.program, self.path, word)
            # a value of an unknown option in front of the subcommand is none
            if deeper or (not self.path and self.settled):
                self.path.append(word)
                self.table = table_of(self.program, tuple(self.path))
                self.own = len(self.operands) + 1
        end = _OWN_OPTIONS_END.get(self.program, {}).get(" ".join(self.path))
        if end is not None and self.table.complete and not self.may_be_value:
            self.ended = self.ended or len(self.operands) + 1 - self.own >= end
        self.may_be_value = False
        kinds = same_kind(self.program, word)
        self.operands.extend(kinds)


def _group(program: str) -> tuple[str, ...]:
    groups: Mapping[str, tuple[str, ...]] = {"docker": ("container",), "gcloud": ("alpha", "beta")}
    return groups.get(program, ())
