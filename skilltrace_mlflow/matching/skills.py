"""Which skills a session tried to load, by name or glob."""

from __future__ import annotations

from skilltrace_mlflow.patterns.regex import glob_match
from skilltrace_mlflow.session import Session

__all__ = ["has_nameless", "states_of"]


def has_nameless(session: Session) -> bool:
    """Whether a skill was asked for whose name the record lost: it may be any."""
    return any(not use.name for use in session.skills)


def states_of(session: Session, name: str) -> set[str]:
    """The states of all attempts to load a skill of that name, a plugin's name in front or not."""
    wanted = name.lstrip("/")
    return {
        use.status
        for use in session.skills
        if glob_match(wanted, use.name) or glob_match(wanted, use.name.rsplit(":", 1)[-1])
    }
