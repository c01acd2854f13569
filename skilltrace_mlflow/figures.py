"""The few numbers of a session that two evaluations are compared by. Standard library only."""

from __future__ import annotations

from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.session import Session

__all__ = ["FIGURES", "figures"]

FIGURES = {
    "total_tokens": "tokens",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "tool_calls": "tool calls",
    "turns": "turns",
    "duration_seconds": "seconds",
    "cost_usd": "US dollars",
}
"""Key in a result line's `metrics`, and what the number is called; less is better in all."""


def figures(session: Session) -> dict[str, float | int | None]:
    """The numbers of a session under the keys of `FIGURES`; None where the evidence is missing."""
    metrics = compute_metrics(session)
    return {
        "total_tokens": None if session.lacks("usage", "total_tokens") else metrics.total_tokens,
        "input_tokens": (
            None if session.lacks("usage", "input_tokens") else metrics.total_input_tokens
        ),
        "output_tokens": (
            None if session.lacks("usage", "output_tokens") else metrics.total_output_tokens
        ),
        "tool_calls": metrics.total_tool_calls,
        "turns": None if session.lacks("turns") else metrics.num_turns,
        "duration_seconds": None if session.lacks("times") else metrics.duration_seconds,
        "cost_usd": metrics.cost_usd,
    }
