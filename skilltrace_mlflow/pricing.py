"""What API usage costs, in US dollars, from a dated price table."""

from __future__ import annotations

from skilltrace_mlflow.session import Session

__all__ = ["session_cost"]


def session_cost(session: Session) -> float | None:
    """The recorded cost of a session."""
    return session.cost_usd
