"""Text of strangers made safe to show: test ids, commands and results come from an agent's world.

Nothing here drops a character silently: what a terminal, a browser or an XML parser would obey is
written out as an escape (`\\x1b`, `\\u202e`), and what is cut says how much was cut. JSON is
written as everybody can read it: no NaN, nothing that a terminal would obey.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "clipped",
    "counted",
    "cut",
    "dumps",
    "label",
    "one_line",
    "plain",
    "safe_json",
    "storable",
    "without_password",
]

# Controls (but not tab and newline), bidirectional controls (they reorder the text around them,
# Unicode TR 36 section 3), invisible characters that make two ids look alike, line and paragraph
# separators, lone surrogates (no encoder takes them) and the two non-characters XML forbids.
_HIDDEN = (
    "\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f"
)
_OBEYED = re.compile(f"[\x00-\x08\x0b-\x1f{_HIDDEN}]")
_OBEYED_IN_JSON = re.compile(f"[{_HIDDEN}]")
_SPACES = re.compile(r"[ \t\n]+")
_DEEPEST = 200


def plain(text: str) -> str:
    """`text` with every character that would be obeyed instead of shown written as an escape."""
    text = text.replace("\r\n", "\n")
    return text.translate(_escapes()) if _OBEYED.search(text) else text


def cut(text: str, limit: int) -> str:
    """`text` on one line, at most `limit` characters, the last one an ellipsis where it was longer.

    For the words of a message; where a reader may need the rest, `clipped` says how much is gone.
    """
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def storable(text: str) -> str:
    """`text` as every store takes it: each lone surrogate and NUL is a replacement character."""
    if text.isascii() and "\0" not in text:
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\ufffd")


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 session`, `1,204 sessions`; `plural` where it is more than an `s` behind the noun."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def clipped(text: str, limit: int) -> str:
    """`text` made plain, at most about `limit` characters; says how many were left out."""
    if len(text) <= limit:
        return plain(text)
    return f"{plain(text[:limit])}… ({len(text) - limit:,} more characters)"


def one_line(text: str, limit: int = 200) -> str:
    """`text` made plain on one line, for a cell, a heading or an attribute."""
    return _SPACES.sub(" ", clipped(text, limit)).strip()


def label(test_id: str, attempt: int = 1, *, attempts: int = 1, limit: int = 120) -> str:
    """The name of a test on one line, with its attempt where there are several."""
    name = one_line(test_id, limit) or "(no id)"
    return f"{name} #{attempt}" if attempts > 1 or attempt > 1 else name


def safe_json(text: str) -> str:
    """JSON text in which characters that a terminal would obey are JSON escapes; same value."""
    return text.translate(_json_escapes()) if _OBEYED_IN_JSON.search(text) else text


@cache
def _escapes() -> dict[int, str]:
    """A table for `str.translate`: ten times faster than a substitution for a text full of them."""
    return {ord(char): _escape(ord(char)) for char in _matching(_OBEYED)}


@cache
def _json_escapes() -> dict[int, str]:
    return {ord(char): _json_escape(ord(char)) for char in _matching(_OBEYED_IN_JSON)}


def _matching(pattern: re.Pattern[str]) -> list[str]:
    candidates = (*range(0x10000), *range(0xE0000, 0xE0080))
    return [char for char in map(chr, candidates) if pattern.fullmatch(char)]


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def without_password(uri: str) -> str:
    """A tracking URI as it may be shown."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(uri)
        return uri.replace(f":{parts.password}@", ":***@") if parts.password else uri
    except ValueError:
        return uri


def below_here(path: Path) -> Path:
    """The path, relative to the current directory where it lies in it: shorter to read."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def dumps(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON text: NaN and infinity are null, foreign objects their text."""
    import json  # a start that writes none has no need of it

    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, indent=indent)
    return safe_json(text)


def _finite(value: Any, depth: int = 0) -> Any:
    """`value` as JSON can hold it: NaN and infinity become null, strange objects their text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > _DEEPEST:
        return "… nested too deeply to show"
    if isinstance(value, Mapping):
        return {str(key): _finite(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_finite(item, depth + 1) for item in value]
    return str(value)
