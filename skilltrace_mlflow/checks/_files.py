"""Which files a session wrote, and which it may have written."""

from __future__ import annotations

from skilltrace_mlflow.checks._rules import EDITORS, PATH_KEYS
from skilltrace_mlflow.session import Session

__all__ = ["unsettled_writes", "written_files"]


def written_files(session: Session) -> list[str]:
    """Paths that successful tool calls created or edited, each once, sorted."""
    return sorted({op.file_path for op in session.files if op.type != "read"})


def unsettled_writes(session: Session) -> list[str | None]:
    """Paths of writing calls of which nobody knows how they ended; None for a path not recorded."""
    known = {op.call_id for op in session.files if op.call_id is not None}
    found: list[str | None] = []
    for call in session.tool_calls:
        if call.name not in EDITORS or call.outcome != "unknown" or call.id in known:
            continue
        given = call.input or {}
        paths = [given[key] for key in PATH_KEYS if isinstance(given.get(key), str)]
        found.append(paths[0] if paths else None)
    return found
