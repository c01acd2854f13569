"""Lines of a transcript from wherever they come, and results fetched again on demand.

Results of tools are most of a transcript and hardly ever read, so they are not kept. A plain file
gives each call a `StoredResult` (where its line lies); a source that cannot be read again (gzip,
pipe, lines in memory) gives a `PackedResult` (the compressed line).
"""

from __future__ import annotations

import gzip
import io
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.sources._wire import decode_json, text_of

__all__ = ["Line", "PackedResult", "Source", "StoredResult", "open_source"]

_BLOCK = 1 << 20
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"
_SURROGATE = re.compile("[\ud800-\udfff]")


class Line(NamedTuple):
    """One line: its number from 1, its offset in the file, its bytes without a byte order mark."""

    number: int
    offset: int
    data: bytes


class StoredResult(msgspec.Struct, frozen=True, gc=False):
    """Text of a tool's result, read from the transcript when called."""

    path: str
    offset: int
    length: int
    call_id: str

    def __call__(self) -> str:
        """The text. Raises InputError when the file is gone or has changed."""
        try:
            with Path(self.path).open("rb") as file:
                file.seek(self.offset)
                line = file.read(self.length)
        except OSError as error:
            raise InputError(f"{self.path}: cannot read again: {error.strerror}") from error
        text = _find(line, self.call_id)
        if text is None:
            raise InputError(
                f"{self.path}: changed since it was read; the result of {self.call_id} is not where"
                " it was, read the transcript again"
            )
        return text


class PackedResult(msgspec.Struct, frozen=True, gc=False):
    """Text of a tool's result, kept as its compressed line."""

    packed: bytes
    call_id: str

    def __call__(self) -> str:
        """The text."""
        return _find(zlib.decompress(self.packed), self.call_id) or ""


class Source(NamedTuple):
    """An opened transcript: its name for messages, its path if it is a file, its lines, and what
    makes a `load_result` of a line and a call id.
    """

    name: str
    path: Path | None
    lines: Iterator[Line]
    keep: Callable[[Line, str], Callable[[], str]]


def open_source(source: Any) -> Source:
    """Open a path, `-` (standard input) or an iterable of lines.

    Raises InputError for what cannot be opened, and later, from the lines, for what cannot be read.
    """
    if not isinstance(source, (str, Path)) and hasattr(source, "__fspath__"):
        source = source.__fspath__()
    if isinstance(source, str) and source == "-":
        return Source("standard input", None, _numbered(sys.stdin.buffer, "standard input"), _pack)
    if not isinstance(source, (str, Path)):
        if not isinstance(source, Iterable) or isinstance(source, (bytes, bytearray)):
            raise InputError(
                f"a transcript is a path or an iterable of lines, not {type(source).__name__}"
            )
        return Source("lines", None, _numbered(_encoded(source), "lines"), _pack)
    path = Path(source).expanduser()
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path}: is a directory, not a transcript; name a .jsonl file in it")
        file = path.open("rb", buffering=_BLOCK)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {_reason(error)}") from error
    head = file.peek(4)[:4]  # type: ignore[attr-defined]  # of BufferedReader, not of every BinaryIO
    if head[:2] in _UTF16:
        file.close()
        raise InputError(f"{path}: is UTF-16 text; save it as UTF-8")
    if head[:2] == _GZIP:
        unzipped = io.BufferedReader(gzip.GzipFile(fileobj=file), _BLOCK)
        return Source(str(path), path, _closing(unzipped, file, str(path)), _pack)
    if not stat.S_ISREG(mode):
        return Source(str(path), None, _closing(file, file, str(path)), _pack)
    where = str(path.absolute())

    def keep(line: Line, call_id: str) -> StoredResult:
        return StoredResult(where, line.offset, len(line.data), call_id)

    return Source(str(path), path, _closing(file, file, str(path)), keep)


def _pack(line: Line, call_id: str) -> PackedResult:
    return PackedResult(zlib.compress(line.data, 1), call_id)


def _closing(file: BinaryIO | io.BufferedReader, raw: BinaryIO, name: str) -> Iterator[Line]:
    with raw, file:
        yield from _numbered(file, name)


def _numbered(chunks: Iterable[bytes], name: str) -> Iterator[Line]:
    number = offset = 0
    try:
        for data in chunks:
            number += 1
            if number == 1 and data.startswith(_BOM):
                offset = len(_BOM)
                data = data[offset:]
            yield Line(number, offset, data)
            offset += len(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{name}, after line {number}: cannot be read: {_reason(error)}"
        ) from error


def _encoded(lines: Iterable[Any]) -> Iterator[bytes]:
    for line in lines:
        if isinstance(line, (bytes, bytearray, memoryview)):
            yield bytes(line)
        elif isinstance(line, str):
            yield _SURROGATE.sub("\ufffd", line).encode()
        else:
            raise InputError(f"a line is text or bytes, not {type(line).__name__}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _find(line: bytes, call_id: str) -> str | None:
    """Text of the result of `call_id` in a line, also inside a sub-agent's progress entry.

    An empty id finds the first result that names no call.
    """
    try:
        entry = decode_json(line.strip(b"\0 \t\r\n"))
    except ValueError:
        return None
    for _ in range(2):
        if not isinstance(entry, dict):
            return None
        message = entry.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and (block.get("tool_use_id") or "") == call_id:
                return text_of(block.get("content"))
        data = entry.get("data")
        entry = data.get("message") if isinstance(data, dict) else None
    return None
