"""Lines of a transcript from wherever they come, and results fetched again on demand.

Results of tools are most of a transcript and hardly ever read, so they are not kept. A plain file
gives each call a `StoredResult` (where its line lies); a source that cannot be read again (gzip,
pipe, lines in memory) gives a `PackedResult` (the compressed line).

`Notes` is what was odd about a transcript, with the file and the line it was found in.
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
from typing import Any

import msgspec

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import Diagnostic
from skilltrace_mlflow.sources.transcript._wire import decode_json, split_values, text_of

__all__ = ["Notes", "PackedResult", "Source", "StoredResult", "open_source"]

_BLOCK = 1 << 18  # fits the processor's cache, which counts more than fewer reads
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"
_SURROGATE = re.compile("[\ud800-\udfff]")


class StoredResult(msgspec.Struct, frozen=True, gc=False):
    """Text of a tool's result, read from the transcript when called."""

    path: str
    offset: int
    length: int
    call_id: str

    def __call__(self) -> str:
        """The text. Raises InputError when the file is gone or has changed."""
        try:
            # unbuffered, as one read takes the line; and hundreds may be asked for
            with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123
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


class Source:
    """An opened transcript, and the line that is being read.

    `name` is for messages, `path` the file's if it is one. While iterating, `number` is the line's
    number from 1 and `data` its bytes, without a byte order mark.
    """

    __slots__ = ("_chunks", "_close", "_offset", "_stored_at", "data", "name", "number", "path")

    def __init__(
        self,
        name: str,
        chunks: Iterable[bytes],
        *,
        path: Path | None = None,
        stored_at: str | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self.number = 0
        self.data = b""
        self._chunks = chunks
        self._stored_at = stored_at
        self._close = close
        self._offset = 0

    def __iter__(self) -> Iterator[bytes]:
        """The lines. Raises InputError, with the line reached, for what cannot be read."""
        offset = number = 0
        try:
            for data in self._chunks:
                if not number and data.startswith(_BOM):
                    offset = len(_BOM)
                    data = data[offset:]
                number += 1
                self.number = number
                self.data = data
                self._offset = offset
                offset += len(data)
                yield data
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{self.name}, after line {self.number}: cannot be read: {_reason(error)}"
            ) from error
        finally:
            if self._close is not None:
                self._close()

    def keep(self, call_id: str) -> StoredResult | PackedResult:
        """What fetches the text of that call's result in the line being read."""
        if self._stored_at is not None:
            return StoredResult(self._stored_at, self._offset, len(self.data), call_id)
        return PackedResult(zlib.compress(self.data, 1), call_id)


def open_source(source: Any) -> Source:
    """Open a path, `-` (standard input) or an iterable of lines; InputError if it cannot be."""
    if not isinstance(source, (str, Path)) and hasattr(source, "__fspath__"):
        source = source.__fspath__()
    if isinstance(source, str) and source == "-":
        return Source("standard input", sys.stdin.buffer)
    if not isinstance(source, (str, Path)):
        if not isinstance(source, Iterable) or isinstance(source, (bytes, bytearray)):
            raise InputError(
                f"a transcript is a path or an iterable of lines, not {type(source).__name__}"
            )
        return Source("lines", _encoded(source))
    path = Path(source).expanduser()
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path}: is a directory, not a transcript; name a .jsonl file in it")
        file = io.BufferedReader(path.open("rb", buffering=0), _BLOCK)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {_reason(error)}") from error
    head = file.peek(4)[:4]
    if head[:2] in _UTF16:
        file.close()
        raise InputError(f"{path}: is UTF-16 text; save it as UTF-8")
    if head[:2] == _GZIP:
        unzipped = io.BufferedReader(gzip.GzipFile(fileobj=file), _BLOCK)
        return Source(str(path), unzipped, path=path, close=file.close)
    if not stat.S_ISREG(mode):
        return Source(str(path), file, close=file.close)
    return Source(str(path), file, path=path, stored_at=str(path.absolute()), close=file.close)


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
        found = _in_entry(decode_json(line.strip(b"\0 \t\r\n")), call_id)
    except ValueError:
        texts = (_in_entry(value, call_id) for value in split_values(line))
        found = next((text for text in texts if text is not None), None)
    return found


def _in_entry(entry: Any, call_id: str) -> str | None:
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


class Notes:
    """Diagnostics of a session's files.

    `incomplete` are the reasons why calls or messages may be missing, `usage_gaps` why tokens may.
    """

    def __init__(self) -> None:
        self.incomplete: list[str] = []
        self.usage_gaps: list[str] = []
        self._diagnostics: list[Diagnostic] = []
        self._unknown: dict[str, tuple[int, str, int]] = {}
        self._source = Source("", ())
        self._agent: str | None = None

    def begin(self, source: Source, agent: str | None) -> None:
        """What is noted from now on is about `source`, the file of `agent` if one is named."""
        self._source = source
        self._agent = agent

    @property
    def number(self) -> int:
        """The number of the line being read."""
        return self._source.number

    def where(self, number: int | None = None) -> str:
        """The line being read, or another one, in words."""
        line = f"line {self._source.number if number is None else number}"
        return line if self._agent is None else f"sub-agent {self._agent} {line}"

    def note(self, message: str, number: int | None = None) -> None:
        """Record something odd about the line being read, or about another one."""
        line = self._source.number if number is None else number
        self._diagnostics.append(Diagnostic(message=message, file=self._source.name, line=line))

    def damage(self, message: str, number: int | None = None) -> None:
        """Record something odd that may have held evidence."""
        self.note(message, number)
        self.incomplete.append(f"{self.where(number)}: {message}")

    def unknown(self, kind: str) -> None:
        """Record an entry of a kind that is not known."""
        first, file, count = self._unknown.get(kind, (self._source.number, self._source.name, 0))
        self._unknown[kind] = (first, file, count + 1)

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All of it, the unknown kinds of entries together in one."""
        if not self._unknown:
            return tuple(self._diagnostics)
        kinds = ", ".join(f"{kind!r} ({count}×)" for kind, (_, _, count) in self._unknown.items())
        line, file, _ = next(iter(self._unknown.values()))
        many = "types" if len(self._unknown) > 1 else "type"
        message = f"unknown entry {many} {kinds}"
        return (*self._diagnostics, Diagnostic(message=message, file=file, line=line))
