"""The skills that a session was offered, from the listings in its transcript.

Claude Code tells the model of the skills in an attachment `skill_listing`: `names` since about
2.1.150, before that only the text (`- name: description`), which it cuts where there are many
skills. A text whose count is not `skillCount` says nothing certain.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import InputError

__all__ = ["offered_skills"]

_MARK = b'"skill_listing"'
_LINE = re.compile(r"^- ([^\s:]+(?::[^\s:]+)*)(?:: |:?$)", re.MULTILINE)


def offered_skills(path: str | os.PathLike[str]) -> frozenset[str] | None:
    """Names of the skills that a transcript's main agent was told of; None where that is not known
    (no listing, or one that names them only in part). Raises InputError for an unreadable file.
    """
    offered: set[str] | None = None
    for listing in _listings(Path(path)):
        names = _names(listing)
        if names is None:
            return None
        offered = (offered or set()) | names
    return None if offered is None else frozenset(offered)


def _listings(path: Path) -> Iterator[Mapping[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            for line in file:
                if _MARK not in line:
                    continue
                try:
                    value = json.loads(line)
                except ValueError:
                    continue  # a damaged line is the reader's to report
                attachment = value.get("attachment") if isinstance(value, dict) else None
                if (
                    isinstance(attachment, dict)
                    and attachment.get("type") == "skill_listing"
                    and not value.get("isSidechain")
                ):
                    yield attachment
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _names(listing: Mapping[str, Any]) -> set[str] | None:
    names, count = listing.get("names"), listing.get("skillCount")
    if isinstance(names, list):
        found = {str(name) for name in names}
        return found if found or count in (0, None) else None
    found = set(_LINE.findall(str(listing.get("content") or "")))
    return found if found and len(found) == count else None
