"""What is lasting in a path or a value, with what changes from run to run wildcarded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

__all__ = ["file_pattern", "lasting_input"]

# In order: the first pattern that matches a stretch of text takes it.
_VOLATILE = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"  # uuid
    r"|\d{4}-\d{2}-\d{2}(?:[T _]\d{2}[:-]?\d{2}(?:[:-]?\d{2})?(?:\.\d+)?Z?)?"  # date, time
    r"|(?<![A-Za-z0-9])tmp[A-Za-z0-9_]{6,}"  # a temporary name
    r"|(?<![A-Za-z])\d{5,}"  # a number long enough to be an id or a time stamp
    r"|(?<![A-Za-z0-9])(?=[a-f0-9]*\d)(?=[a-f0-9]*[a-f])[a-f0-9]{8,}(?![A-Za-z0-9])"  # a hash
)
_TEMPORARY = ("/tmp/", "/private/tmp/", "/var/folders/", "/private/var/folders/")  # noqa: S108
# The argument that says what a call was about; everything else changes from run to run.
_PATHS = ("file_path", "notebook_path")
_NAMES = ("skill", "subagent_type")


def lasting_input(arguments: Mapping[str, Any] | None, cwd: str | None) -> dict[str, Any]:
    """The part of a call's arguments that the next run will have too, as matchers."""
    found: dict[str, Any] = {}
    for key in _PATHS:
        value = (arguments or {}).get(key)
        if isinstance(value, str) and value:
            pattern = file_pattern(value, cwd)
            if pattern is not None:
                # `*` in front, since tools are given absolute and relative paths alike.
                found[key] = {"$glob": f"*{pattern}"}
    for key in _NAMES:
        value = (arguments or {}).get(key)
        if isinstance(value, str) and value and not _VOLATILE.search(value):
            found[key] = value
    return found


def file_pattern(path: str, cwd: str | None) -> str | None:
    """A glob for a file: relative to the working directory, ids and dates as `*`.

    None for a file in a temporary directory. Outside the working directory the name alone stays.
    """
    text = path.replace("\\", "/")
    base = (cwd or "").replace("\\", "/").rstrip("/")
    if base and text.startswith(f"{base}/"):
        text = text[len(base) + 1 :]
    elif text.startswith(_TEMPORARY):
        return None
    elif text.startswith("/") or re.match(r"[A-Za-z]:/", text):
        text = PurePosixPath(text).name
    text = text.removeprefix("./")
    escaped = re.sub(r"([*?\[])", r"[\1]", text)
    pattern = re.sub(r"\*{2,}", "*", _VOLATILE.sub("*", escaped))
    return pattern if pattern.strip("*/") else None
