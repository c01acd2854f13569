"""Options that other options, or operands, of a command amount to: `git push +main` is forced."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from skilltrace_mlflow.commands.options import table_of

__all__ = ["implied_options"]

_CURL_DATA = frozenset(
    {"-d", "--data", "--data-ascii", "--data-binary", "--data-raw", "--data-urlencode", "--json"}
)
_APT = ("apt", "apt-get")


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
