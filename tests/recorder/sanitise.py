"""Keeps the recording machine out of the recordings.

Recordings are made in neutral directories, so that normally nothing needs rewriting;
`rewrite` covers what remains and `leaks` is the proof that nothing was missed.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["check_tree", "leaks", "rewrite"]

_PATTERNS = {
    "path of a machine": re.compile(
        r"(?<![\w.*~-])/(?:root|opt|tmp|var|mnt|srv|work|Users|private|home/(?!dev\b)\w+)"
        r"(?:/[^\s\"'\\,;:)]*)?"
    ),
    "e-mail address": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}"),
    "API key": re.compile(r"sk-ant-[\w-]+"),
}


def rewrite(text: str, replacements: Mapping[str, str]) -> str:
    """Replace every key of `replacements`, the longest first, by its value."""
    for old in sorted(replacements, key=len, reverse=True):
        text = text.replace(old, replacements[old])
    return text


def leaks(text: str, host: str | None = None) -> list[str]:
    """What in `text` tells something about a machine or a person, one line per finding.

    `host` is the host name to look for: this machine's by default, none when empty.
    """
    found = [
        f"{what}: {match.group()}"
        for what, pattern in _PATTERNS.items()
        for match in pattern.finditer(text)
    ]
    name = socket.gethostname() if host is None else host
    if name and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text):
        found.append(f"host name: {name}")
    return sorted(set(found))


def check_tree(folder: Path, host: str | None = None) -> list[str]:
    """Leaks in every file below `folder`, each with the file it stands in."""
    return [
        f"{path.relative_to(folder)}: {leak}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for leak in leaks(path.read_text(encoding="utf-8", errors="replace"), host)
    ]
