"""Claude Code's sessions on this machine by the ids under which a store may hold their traces."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path

from skilltrace_mlflow.sources.locate import claude_projects_dir, find_sessions, local_sessions

__all__ = ["LocalSession", "sessions_on_this_machine"]


@dataclass(frozen=True, kw_only=True)
class LocalSession:
    """A session's file, its name's id and the one that is written in it."""

    path: Path
    ids: frozenset[str]


def sessions_on_this_machine(
    directory: str | os.PathLike[str] | None = None,
) -> list[LocalSession]:
    """Sessions in which a model answered, of all directories or of one.

    A session without an answer has no trace, however it was recorded.
    """
    if directory is not None:
        paths = local_sessions(directory)
    else:
        folder = claude_projects_dir()
        paths = find_sessions(folder) if folder.is_dir() else []
    return [session for path in paths if (session := _session(path)) is not None]


def _session(path: Path) -> LocalSession | None:
    ids = {path.name.removesuffix(".gz").removesuffix(".jsonl")}
    opener = gzip.open if path.suffix == ".gz" else open
    known = False
    try:
        with opener(path, "rb") as lines:
            for line in lines:
                if known and b'"assistant"' not in line:
                    continue
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if not isinstance(entry, dict):
                    continue
                if isinstance(entry.get("sessionId"), str):
                    ids.add(entry["sessionId"])
                    known = True
                if entry.get("type") == "assistant":
                    return LocalSession(path=path, ids=frozenset(i for i in ids if "'" not in i))
    except (OSError, EOFError):
        return None
    return None
