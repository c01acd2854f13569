"""The options of the programs that agents use most, read off their manuals.

The tables are text files beside this module, one per family; the comment in front says what they
were read from and when. A line is a program with its subcommand and its options; names joined by
`/` are one option, `=` means that it takes a value, `?` that it may have one attached, and `...` at
the end that the list is not complete. `git:` holds the options in front of the subcommand. To add a
program, add a line.

`implied_options` are those that other options, or operands, of a command amount to: `git push
+main` is forced.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Traversable

__all__ = ["Option", "Table", "deepens", "has_subcommands", "implied_options", "table_of"]

# Programs whose options are those of another one.
_LIKE = {
    "apt-get": "apt", "bunx": "bun", "egrep": "grep", "fgrep": "grep", "mamba": "conda",
    "mariadb": "mysql", "micromamba": "conda", "nerdctl": "docker", "oc": "kubectl",
    "opentofu": "terraform", "podman": "docker", "py.test": "pytest", "tofu": "terraform",
    "yum": "dnf", "zypper": "dnf",
}  # fmt: skip
# Groups of subcommands whose name may be left out.
_GROUPS: Mapping[str, tuple[str, ...]] = {"docker": ("container",), "gcloud": ("alpha", "beta")}
# Subcommands that take the options of another one.
_SAME_OPTIONS = {
    "git pull": ("git fetch", "git merge"),
    "git stash save": ("git stash push",),
    "docker image build": ("docker build",),
    "docker image rm": ("docker rmi",),
    "docker image push": ("docker push",),
    "docker image pull": ("docker pull",),
    "docker compose create": ("docker compose up",),
}
_SHORTEST = 3  # `--f` is the shortest beginning of a long option that is looked up
_CURL_DATA = frozenset(
    {"-d", "--data", "--data-ascii", "--data-binary", "--data-raw", "--data-urlencode", "--json"}
)
_APT = ("apt", "apt-get")


@dataclass(frozen=True, kw_only=True)
class Option:
    """All names of one option; `takes` is "" for a flag, "=" with a value, "?" with an optional
    one, which then is attached."""

    names: frozenset[str]
    takes: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The options of a program, or of a subcommand of it, by each of their names."""

    options: Mapping[str, Option]
    complete: bool

    def find(self, name: str) -> Option | None:
        """The option of a name, or of the only one that begins so, as getopt_long reads it."""
        option = self.options.get(name)
        if option is not None or not name.startswith("--") or len(name) < _SHORTEST:
            return option
        longer = {o.names: o for full, o in self.options.items() if full.startswith(name)}
        return longer.popitem()[1] if len(longer) == 1 else None


def _folder() -> Path | Traversable:
    """Where the tables are: beside this file, unless the package is read from an archive.

    Loading `importlib.resources`, with `tempfile` and what packs files, takes longer than reading
    them.
    """
    folder = Path(__file__).parent
    if folder.is_dir():
        return folder
    from importlib import resources

    return resources.files(__name__)


@lru_cache(maxsize=1)
def _lines() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in _folder().iterdir():
        if not file.name.endswith(".txt"):
            continue
        key = ""
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                continue
            if line.startswith(" "):
                found[key] += line
            else:
                program, _, rest = line.partition(": ")
                key = _plain_key(program)
                found[key] = rest
    return found


def _plain_key(key: str) -> str:
    program, *rest = key.split()
    return " ".join([program, *(word for word in rest if word not in _GROUPS.get(program, ()))])


@lru_cache(maxsize=1)
def _beginnings() -> frozenset[str]:
    beginnings: set[str] = set()
    for key in (*_lines(), *_SAME_OPTIONS):
        words = key.split()
        beginnings.update(" ".join(words[: size + 1]) for size in range(len(words)))
    return frozenset(beginnings)


def deepens(program: str, path: Sequence[str], word: str) -> bool:
    """Whether a word goes on with a subcommand that has a table: `push` behind `git stash`."""
    known = _LIKE.get(program, program)
    return " ".join([known, *path, word]) in _beginnings()


@lru_cache(maxsize=256)
def has_subcommands(program: str) -> bool:
    """Whether options of the program's subcommands are in the tables."""
    known = _LIKE.get(program, program) + " "
    return any(key.startswith(known) for key in _lines())


@lru_cache(maxsize=512)
def table_of(program: str, path: tuple[str, ...]) -> Table:
    """The options that a program takes behind the subcommands of a path, in front of them too.

    Without a table of the subcommand what is known of the program alone, as not complete.
    """
    known = _LIKE.get(program, program)
    lines = _lines()
    key = " ".join([known, *path])
    texts = [lines[name] for name in (key, *_SAME_OPTIONS.get(key, ())) if name in lines]
    complete = bool(texts)
    if path and known in lines:
        texts.append(lines[known])
    options: dict[str, Option] = {}
    for word in " ".join(texts).split():
        if word == "...":
            complete = False
            continue
        takes = word[-1] if word[-1] in "=?" and len(word) > 2 else ""
        names = frozenset((word.removesuffix(takes) if takes else word).split("/"))
        # the subcommand's own options come first and keep their names
        option = Option(names=names.difference(options), takes=takes)
        options.update(dict.fromkeys(option.names, option))
    return Table(options=options, complete=complete)


def implied_options(
    program: str,
    flags: Collection[str],
    values: Sequence[str],
    operands: Sequence[str],
    path: Sequence[str],
) -> Iterator[tuple[frozenset[str], str | None]]:
    """The names of each such option, with its value if it has one.

    `flags` are all names of the options given, `values` their values, `path` the subcommand.
    """
    for names in _flags(program, set(flags), values, operands, path):
        yield frozenset(names.split("/")), None
    method = _method(program, set(flags), operands)
    if method:
        long = "--request" if program == "curl" else "--method"
        yield frozenset({"-X", long}), method


def _flags(
    program: str,
    flags: set[str],
    values: Sequence[str],
    operands: Sequence[str],
    path: Sequence[str],
) -> list[str]:
    sub = path[0] if path else ""
    if program == "git" and sub == "branch":
        if {"-d", "-f"} <= flags:
            return ["-D"]
        return ["-d/--delete", "-f/--force"] if "-D" in flags else []
    if program == "git" and sub == "push":
        forced = any(word.startswith("+") for word in operands)
        deleted = any(word.startswith(":") and len(word) > 1 for word in operands)
        return [*(["-f/--force"] if forced else []), *(["-d/--delete"] if deleted else [])]
    if program in ("kill", "killall", "pkill") and flags & {"-s", "-n", "--signal"}:
        return [names for names in map(_signal, values) if names]
    if program == "tar" and operands and operands[0].isalpha() and not flags:
        table = table_of("tar", ())  # tar xzf a.tgz
        known = (table.options.get(f"-{letter}") for letter in operands[0])
        return ["/".join(option.names) for option in known if option is not None]
    if program in ("npm", "pnpm") and "global" in values:
        return ["-g/--global"]
    if program == "cp" and "-a" in flags:
        return ["-r/-R/--recursive"]
    if program == "rsync":
        deletes = any(name.startswith("--delete-") for name in flags)
        return [*(["-r/--recursive"] if "-a" in flags else []), *(["--delete"] if deletes else [])]
    if program == "grep" and "-R" in flags:
        return ["-r/--recursive"]
    if program in _APT and operands[:1] == ("purge",):
        return ["--purge"]
    if program == "curl" and flags & _CURL_DATA:
        return ["-d/--data"]
    return []


def _method(program: str, flags: set[str], operands: Sequence[str]) -> str:
    """The method of a request that its data decide: `curl -d a=b` posts."""
    if program == "curl" and not flags & {"-X", "-G", "-I"}:
        if flags & (_CURL_DATA | {"-F"}):
            return "POST"
        return "PUT" if "-T" in flags else ""
    if program == "gh" and operands[:1] == ("api",) and "-X" not in flags:
        return "POST" if flags & {"-f", "-F", "--input"} else ""
    return ""


def _signal(value: str) -> str:
    table = table_of("kill", ())
    option = table.options.get("-" + value.upper()) or table.options.get("-" + value)
    return "/".join(option.names) if option is not None else ""
