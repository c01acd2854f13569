"""Which files PowerShell's own commands name, and what becomes of them.

One row a command: what its parameters name by role, and the order of those that are given without
their names. Programs that are none of PowerShell's commands are read by `file_use`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from skilltrace_mlflow.commands.command import UNKNOWN
from skilltrace_mlflow.commands.file_use import FileUse, Kind
from skilltrace_mlflow.commands.powershell.names import CMDLETS, parameter_named

__all__ = ["folder_after", "uses_of_cmdlet"]


@dataclass(frozen=True, kw_only=True)
class _Row:
    """`roles` by parameter; `order` of what is given without a name, the last for all further."""

    roles: Mapping[str, tuple[Kind, ...]]
    order: tuple[str, ...] = ("path",)


def _row(order: str, **roles: str) -> _Row:
    kinds = {name: cast("tuple[Kind, ...]", tuple(role.split("_"))) for name, role in roles.items()}
    if "path" in kinds:
        kinds["literalpath"] = kinds["path"]
    if "filepath" in kinds:
        kinds["literalpath"] = kinds["filepath"]
    return _Row(roles=kinds, order=tuple(order.split()))


_WEB = _row("uri", outfile="write", infile="read")
_ROWS: Mapping[str, _Row] = {
    "add-content": _row("path value", path="write"),
    "clear-content": _row("path", path="write"),
    "clear-item": _row("path", path="write"),
    "compress-archive": _row("path destinationpath", path="read", destinationpath="write"),
    "copy-item": _row("path destination", path="read", destination="write"),
    "expand-archive": _row("path destinationpath", path="read", destinationpath="write"),
    "export-clixml": _row("path", path="write"),
    "export-csv": _row("path", path="write"),
    "get-childitem": _row("path filter", path="list"),
    "get-content": _row("path", path="read"),
    "get-filehash": _row("path", path="read"),
    "get-item": _row("path", path="list"),
    "import-clixml": _row("path", path="read"),
    "import-csv": _row("path", path="read"),
    "invoke-restmethod": _WEB,
    "invoke-webrequest": _WEB,
    "move-item": _row("path destination", path="read_delete", destination="write"),
    "new-item": _row("path", path="write"),
    "out-file": _row("filepath encoding", filepath="write"),
    "remove-item": _row("path", path="delete"),
    "rename-item": _row("path newname", path="read_delete", newname="write"),
    "select-string": _row("pattern path", path="read"),
    "set-content": _row("path value", path="write"),
    "start-process": _row(
        "filepath argumentlist",
        redirectstandardoutput="write",
        redirectstandarderror="write",
        redirectstandardinput="read",
    ),
    "start-bitstransfer": _row("source destination", destination="write"),
    "tee-object": _row("filepath", filepath="write"),
}
# Commands that take their paths from a pipe where none is given
_FED = frozenset({"clear-content", "clear-item", "move-item", "remove-item", "rename-item"})
_MOVES = ("set-location", "push-location")
# Parameters with a value that the table of command lines does not list, as no file is in them.
_VALUED = frozenset({"delimiter", "depth", "encoding", "inputobject", "source", "variable"})
_BY_NAME = frozenset(role for row in _ROWS.values() for role in row.roles)


# Of a script that is not read to its end: any file may be among those that it touches.
UNREAD_USES = (
    FileUse(kind="write", path=UNKNOWN, certain=False),
    FileUse(kind="delete", path=UNKNOWN, certain=False),
    FileUse(kind="read", path="/**/*", certain=False),
    FileUse(kind="read", path="**/*", certain=False),
)


def uses_of_cmdlet(name: str, words: Sequence[tuple[str, bool]], folder: str) -> Iterator[FileUse]:
    """What a command does with files; `words` are its arguments, and whether each is an option.

    `folder` is where it runs, relative to where the line began.
    """
    row = _ROWS.get(name)
    if row is None:
        return
    given, flags = _given(name, words, row.order)
    deep = "recurse" in flags
    for parameter, values in given.items():
        for kind in row.roles.get(parameter, ()):
            for value in values:
                unpacked = name == "expand-archive" and kind == "write"
                below = unpacked or (deep and kind in ("delete", "list", "read"))
                if name == "new-item":
                    value = posixpath.join(value, *given.get("name", [])[:1])
                    if any(v.lower().startswith("dir") for v in given.get("itemtype", ())):
                        kind = "folder"
                use = FileUse(kind=kind, path=value, below=below, certain=not unpacked)
                if kind == "write" and name in ("copy-item", "move-item"):
                    sources = given.get("path", given.get("literalpath", []))
                    inside = [posixpath.basename(s.replace("\\", "/")) for s in sources[:1]]
                    use = replace(use, inside=posixpath.join(value, *inside))
                yield _placed(use, folder)
    if name == "get-childitem" and not {"path", "literalpath"} & set(given):
        yield _placed(FileUse(kind="list", path=".", below=deep), folder)
    elif name in _FED and not set(row.roles) & set(given):
        kind = row.roles[row.order[0]][-1]
        yield FileUse(kind=kind, path=UNKNOWN, below=deep, certain=False)
    if name == "new-item" and "path" not in given:
        yield from (
            _placed(FileUse(kind="write", path=value), folder) for value in given.get("name", ())
        )


def folder_after(name: str, words: Sequence[tuple[str, bool]], folder: str) -> str:
    """The directory that a command leaves its line in."""
    if name not in _MOVES:
        return UNKNOWN if name == "pop-location" else folder
    given, _ = _given(name, words, ("path",))
    targets = given.get("path") or given.get("literalpath") or ["~"]
    return posixpath.join(folder, targets[0].replace("\\", "/"))


def _placed(use: FileUse, folder: str) -> FileUse:
    path = use.path.replace("\\", "/") if use.path[1:2] != ":" else use.path
    if not folder or use.path[1:2] == ":":
        return replace(use, path=path)
    inside = None if use.inside is None else posixpath.join(folder, use.inside)
    return replace(use, path=posixpath.join(folder, path), inside=inside)


def _given(
    name: str, words: Sequence[tuple[str, bool]], order: Sequence[str]
) -> tuple[dict[str, list[str]], set[str]]:
    """Values by parameter, those without a name put in their order, and the switches."""
    cmdlet = CMDLETS.get(name)
    switches = frozenset(cmdlet.switches) if cmdlet is not None else frozenset[str]()
    named: dict[str, list[str]] = {}
    plain: list[str] = []
    flags: set[str] = set()
    waiting: str | None = None
    for word, option in words:
        if option and len(word) > 1 and not word[1:2].isdigit():
            text, colon, value = word.lstrip("-").partition(":")
            parameter = parameter_named(cmdlet, text) or _beginning(text)
            waiting = None
            if parameter in switches or parameter in ("force", "recurse", "wait", "passthru"):
                flags.add(str(parameter))
            elif parameter is not None and colon and value:
                named.setdefault(parameter, []).append(value)
            else:
                waiting = parameter
        elif waiting is not None:
            named.setdefault(waiting, []).append(word)
            waiting = None
        else:
            plain.append(word)
    free = [parameter for parameter in order if parameter not in named]
    for index, word in enumerate(plain):
        # several paths, `-Path a, b`, where nothing else is without a name
        parameter = free[min(index, len(free) - 1)] if free else order[0]
        named.setdefault(parameter, []).append(word)
    return named, flags


def _beginning(text: str) -> str | None:
    """A parameter of the commands that the table of command lines does not hold."""
    fitting = [name for name in _BY_NAME | _VALUED if name.startswith(text.lower())]
    return fitting[0] if len(fitting) == 1 else None
