"""What tools of MCP servers do with files, by the names of the tools and of their arguments.

The table holds the file tools of servers that are met most; any other tool whose name says that it
writes, edits, creates, moves or deletes may do so with every path among its arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from skilltrace_mlflow.commands.file_use import FileUse, Kind

__all__ = ["may_write", "mcp_uses"]

# Tools of @modelcontextprotocol/server-filesystem, serena, desktop-commander and their like:
# what becomes of which argument.
_TABLE: Mapping[str, Mapping[str, Kind]] = {
    "write_file": {"path": "write", "file_path": "write", "relative_path": "write"},
    "edit_file": {"path": "write", "file_path": "write", "relative_path": "write"},
    "create_text_file": {"relative_path": "write", "path": "write"},
    "create_directory": {"path": "folder"},
    "move_file": {"source": "delete", "destination": "write"},
    "copy_file": {"source": "read", "destination": "write"},
    "delete_file": {"path": "delete", "relative_path": "delete"},
    "edit_block": {"file_path": "write"},
    "replace_content": {"relative_path": "write"},
    "replace_regex": {"relative_path": "write"},
    "replace_symbol_body": {"relative_path": "write"},
    "insert_after_symbol": {"relative_path": "write"},
    "insert_before_symbol": {"relative_path": "write"},
    "read_file": {"path": "read", "relative_path": "read"},
    "read_text_file": {"path": "read"},
    "read_media_file": {"path": "read"},
    "read_multiple_files": {"paths": "read", "files": "read"},
    "read_files": {"paths": "read", "files": "read"},
    "write_files": {"paths": "write", "files": "write"},
    "list_directory": {"path": "list"},
    "directory_tree": {"path": "list"},
    "list_dir": {"relative_path": "list"},
}
_WRITING = re.compile(
    r"(?:^|_)(?:write|edit|create|move|rename|delete|remove|replace|insert|append|patch|save|update|"
    r"copy|apply|modify|change|upload|download|export|checkout|restore|revert|truncate|overwrite|touch|unlink|extract|"
    r"unzip|put|rm|mv|cp)(?:_|$)"
)
_WHOLE = re.compile(
    r"(?:^|_)(?:move|rename|delete|remove|copy|checkout|restore|revert|rm|mv|cp|dir|directory|folder)(?:_|$)"
)
_PATH_NAME = re.compile(
    r"path|file|source|destination|target|^(?:src|dst|dest|from|to|uri|p)$", re.I
)
# The files that a patch changes, in the forms of diff and of `apply_patch`.
_PATCHED = re.compile(
    r"^(?:(?:---|\+\+\+) (?:[ab]/)?|\*\*\* (?:Update|Add|Delete) File: )(?!/dev/null)(\S[^\t\n]*)",
    re.M,
)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-.]")


def may_write(name: str) -> bool:
    """Whether an MCP tool of that name writes, moves or deletes files, or may."""
    tool = _own_name(name)
    row = _TABLE.get(tool)
    if row is not None:
        return any(kind not in ("read", "list") for kind in row.values())
    return _WRITING.search(tool) is not None


def _own_name(name: str) -> str:
    return _WORDS.sub("_", name.rsplit("__", 1)[-1]).lower()


def mcp_uses(name: str, given: Mapping[str, Any] | None) -> Iterator[FileUse]:
    """The files that a call of an MCP tool is about."""
    if not given:
        return
    tool = _own_name(name)
    row = _TABLE.get(tool)
    if row is not None:
        for key, kind in row.items():
            value = given.get(key)
            for item in value if isinstance(value, list) else [value]:
                paths = _paths(item, 1) if isinstance(item, Mapping) else [item]
                for path in paths:
                    if isinstance(path, str):
                        yield FileUse(kind=kind, path=path, below=kind == "delete")
        if any(isinstance(given.get(key), (str, list)) for key in row):
            return
    if _WRITING.search(tool):
        for path in _paths(given, 3):
            yield FileUse(
                kind="write",
                path=path.removeprefix("file://"),
                below=_WHOLE.search(tool) is not None,
                certain=False,
            )
        for text in given.values():
            for path in _PATCHED.findall(text) if isinstance(text, str) else ():
                yield FileUse(kind="write", path=path, certain=False)


def _paths(given: Mapping[str, Any], depth: int) -> Iterator[str]:
    """The arguments that are named like paths, also inside others (`changes: [{path}]`)."""
    for key, value in given.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and _PATH_NAME.search(key) and _looks_like_path(item):
                yield item
            elif isinstance(item, Mapping) and depth:
                yield from _paths(item, depth - 1)


def _looks_like_path(text: str) -> bool:
    local = text.removeprefix("file://")
    return 0 < len(local) < 1000 and "\n" not in local and "://" not in local
