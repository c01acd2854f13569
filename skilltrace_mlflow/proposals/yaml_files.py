"""Changing people's YAML files: what is there keeps its comments and its layout."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError
from skilltrace_mlflow.report import write_atomic

__all__ = [
    "append_item",
    "block_text",
    "load",
    "locked_folder",
    "quoted",
    "replace_item",
    "save",
    "undone_on_error",
]


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Nobody else changes the folder's files by this module meanwhile; waits its turn."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise SkillTraceError(f"{folder}: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def undone_on_error(path: Path) -> Iterator[None]:
    """What the block writes to the file stays only if the block comes to its end."""
    before = path.read_bytes() if path.is_file() else None
    try:
        yield
    except BaseException:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            write_atomic(path, before)
        raise


def load(path: Path) -> Any:
    """The file with its comments, None if there is none. Raises ConfigurationError."""
    if not path.is_file():
        return None
    from ruamel.yaml.error import YAMLError

    try:
        return _round_trip().load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {' '.join(str(error).split())}") from None


def quoted(value: Any) -> Any:
    """A plain value to put into what `load` returned, so that every reader of YAML finds it again:
    a bare `yes` is a text in YAML 1.2 and true in 1.1.
    """
    return _round_trip().load(_dumped(value))


def save(path: Path, data: Any) -> None:
    """Write the file whole or not at all, with the ends of lines that it has."""
    stream = io.StringIO()
    _round_trip().dump(data, stream)
    end = _line_end(_read(path)) if path.is_file() else "\n"
    write_atomic(path, stream.getvalue().replace("\n", end))


def _read(path: Path) -> str:
    """The text with the ends of its lines as they are. Raises ConfigurationError."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text; save the file as UTF-8") from None


def _line_end(text: str) -> str:
    """How the text's lines end, as the first one does."""
    return "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"


def _round_trip() -> Any:
    from ruamel.yaml import YAML

    yaml_ = YAML(typ="rt")
    yaml_.preserve_quotes = True
    yaml_.width = 4096
    yaml_.allow_unicode = True
    yaml_.indent(mapping=2, sequence=4, offset=2)
    return yaml_


def append_item(path: Path, key: str, item: Mapping[str, Any], *, text: str | None = None) -> None:
    """Add a mapping to the list under a top-level key, and leave every other byte as it is.

    A file that does not exist is made. Where the list is written in one line, or missing, the file
    is written anew, comments included. `text` is the item with comments of its own, as an item of
    a list whose dashes stand in the first column. Raises ConfigurationError for a file that is no
    such thing.
    """
    block = _own_text(item, text)
    if not path.is_file():
        write_atomic(path, f"{key}:\n" + _shifted(block, 2))
        return
    there = _read(path)
    before = _plain(path, there)
    if before is None:
        end = _line_end(there)
        added = f"{key}:\n{_shifted(block, 2)}".replace("\n", end)
        write_atomic(path, f"{there.rstrip()}{end}{added}".lstrip())
        return
    if not isinstance(before, dict) or not isinstance(before.get(key) or [], list):
        raise ConfigurationError(f"{path}: expected a mapping with a list under {key!r}")
    wanted = {**before, key: [*(before.get(key) or []), dict(item)]}
    if _write_if_equal(path, _inserted(there, key, block), wanted):
        return
    data = load(path)
    if not data.get(key):
        data[key] = []
    data[key].append(_round_trip().load(block)[0])
    save(path, data)


def replace_item(
    path: Path, key: str, index: int, item: Mapping[str, Any], *, text: str | None = None
) -> None:
    """Write one item of the list under a top-level key anew, and leave every other byte as it is.

    Comments inside the old item go with it. `text` is as for `append_item`.
    """
    block = _own_text(item, text)
    there = _read(path)
    before = _plain(path, there)
    wanted = {**before, key: [dict(item) if i == index else x for i, x in enumerate(before[key])]}
    if _write_if_equal(path, _exchanged(there, key, index, block), wanted):
        return
    data = load(path)
    data[key][index] = _round_trip().load(block)[0]
    save(path, data)


def _own_text(item: Mapping[str, Any], text: str | None) -> str:
    """The item as a list's only one, in the first column; `text` where it says just that."""
    if text is not None:
        with contextlib.suppress(yaml.YAMLError):
            if yaml.safe_load(text) == [dict(item)]:
                return text
    return block_text(item, 0)


def _write_if_equal(path: Path, text: str | None, wanted: Mapping[str, Any]) -> bool:
    """Write the text if it is YAML that says what is wanted."""
    if text is None:
        return False
    with contextlib.suppress(yaml.YAMLError):
        if yaml.safe_load(text) == wanted:
            write_atomic(path, text)
            return True
    return False


def _plain(path: Path, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: {' '.join(str(error).split())}") from None


def _block_list(text: str, key: str) -> yaml.SequenceNode | None:
    """The list under a top-level key, None where it is missing, empty, or written in one line."""
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        return None
    items = next((v for k, v in root.value if k.value == key), None)
    if not isinstance(items, yaml.SequenceNode) or items.flow_style or not items.value:
        return None
    return items


def _inserted(text: str, key: str, block: str) -> str | None:
    """The text with the item behind the list's last one; None where that needs more than a line."""
    items = _block_list(text, key)
    if items is None:
        return None
    column = items.start_mark.column
    lines = text.splitlines(keepends=True)
    at = _line_after(items, lines, column)
    end = _line_end(text)
    head = "".join(lines[:at])
    if not head.endswith("\n"):
        head += end
    gap = end if end * 2 in text[items.start_mark.index : items.end_mark.index].rstrip() else ""
    return head + gap + _shifted(block, column).replace("\n", end) + "".join(lines[at:])


def _exchanged(text: str, key: str, index: int, block: str) -> str | None:
    """The text with another item in the place of one; None where that needs more than lines."""
    items = _block_list(text, key)
    if items is None:
        return None
    old = items.value[index]
    lines = text.splitlines(keepends=True)
    column = items.start_mark.column
    head, tail = lines[: old.start_mark.line], lines[_line_after(old, lines, column) :]
    return "".join([*head, _shifted(block, column).replace("\n", _line_end(text)), *tail])


def _line_after(node: yaml.Node, lines: Sequence[str], column: int) -> int:
    """The first line behind a node and behind the comments that belong to it: those that are
    indented deeper than the dashes of its list.
    """
    at = look = _last_line(node) + 1
    while look < len(lines) and lines[look].strip()[:1] in ("", "#"):
        if lines[look].strip() and len(lines[look]) - len(lines[look].lstrip()) > column:
            at = look + 1
        look += 1
    return at


def _last_line(node: yaml.Node) -> int:
    """The line on which a node's content ends."""
    if not isinstance(node, yaml.CollectionNode) or not node.value or node.flow_style:
        end = node.end_mark
        literal = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        return int(end.line) - (1 if literal or (end.column == 0 and end.line) else 0)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)


def block_text(item: Mapping[str, Any], column: int) -> str:
    """A mapping as an item of a list whose dashes stand in `column`."""
    lines = _dumped(dict(item)).split("\n")[:-1]
    text = "".join(
        (f"{'  ' if i else '- '}{line}" if line.strip() else "") + "\n"
        for i, line in enumerate(lines)
    )
    return _shifted(text, column)


def _dumped(value: Any) -> str:
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    if yaml.safe_load(text) != value:  # U+0085 and its like, which it writes as they are
        text = yaml.safe_dump(value, sort_keys=False, width=100)
    return text


def _shifted(text: str, column: int) -> str:
    """The lines of a block moved to the right; empty ones stay empty."""
    pad = " " * column
    return "".join(f"{pad}{line}\n" if line.strip() else "\n" for line in text.split("\n")[:-1])
