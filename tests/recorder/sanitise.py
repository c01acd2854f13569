"""Keeps the recording machine out of the recordings.

Recordings are made in neutral directories, so that nothing needs rewriting but the kernel's
version, which newer CLIs note. They also keep whole copies of their system prompt and of the
tool descriptions: `shorten` cuts those, since they are long and not ours. `leaks` is the proof
that nothing was missed.
"""

from __future__ import annotations

import json
import platform
import re
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["check_tree", "leaks", "rewrite", "shorten"]

_SNAPSHOTS = ("api-request-shape", "prompt_snapshot")
_KEPT = 120

_PATTERNS = {
    "path of a machine": re.compile(
        r"(?<![\w.*~-])/(?:root|opt|tmp|var|mnt|srv|work|Users|private|home/(?!dev\b)\w+)(?![\w-])"
        r"(?:/[^\s\"'\\,;:)]*)?"
    ),
    "e-mail address": re.compile(
        r"(?!noreply@anthropic\.com)\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}"
    ),
    "API key": re.compile(r"sk-ant-[\w-]+"),
}


def rewrite(text: str, replacements: Mapping[str, str]) -> str:
    """Replace every key of `replacements`, the longest first, by its value."""
    for old in sorted(replacements, key=len, reverse=True):
        text = text.replace(old, replacements[old])
    return text


def shorten(line: str) -> str:
    """Cut the long texts in one transcript line that is a snapshot of prompts; else the line."""
    if not any(f'"type":"{kind}"' in line for kind in _SNAPSHOTS):
        return line
    entry = json.loads(line)
    if (
        entry["type"] not in _SNAPSHOTS
        and entry.get("attachment", {}).get("type") not in _SNAPSHOTS
    ):
        return line
    return json.dumps(_cut(entry), ensure_ascii=False, separators=(",", ":"))


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _KEPT:
        return value[:_KEPT] + "… (cut by the recorder)"
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return value


def leaks(text: str, host: str | None = None) -> list[str]:
    """What in `text` tells something about a machine or a person, one line per finding.

    `host` is the host name to look for, none when empty; by default this machine's host
    name and kernel.
    """
    found = [
        f"{what}: {match.group()}"
        for what, pattern in _PATTERNS.items()
        for match in pattern.finditer(text)
    ]
    names = (socket.gethostname(), platform.release()) if host is None else (host,)
    found += [
        f"name of a machine: {name}"
        for name in names
        if name and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)
    ]
    return sorted(set(found))


def check_tree(folder: Path, host: str | None = None) -> list[str]:
    """Leaks in every file below `folder`, each with the file it stands in."""
    return [
        f"{path.relative_to(folder)}: {leak}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for leak in leaks(path.read_text(encoding="utf-8", errors="replace"), host)
    ]
