"""Which skills a session tried to load, by name or glob."""

from __future__ import annotations

from skilltrace_mlflow.patterns.regex import glob_match
from skilltrace_mlflow.session import Session

__all__ = ["states_of"]


def states_of(session: Session, name: str) -> set[str]:
    """The states of all attempts to load a skill of that name, a plugin's name in front or not."""
    wanted = name.lstrip("/")
    return {
        use.status
        for use in session.skills
        if glob_match(wanted, use.name) or glob_match(wanted, use.name.rsplit(":", 1)[-1])
    }
