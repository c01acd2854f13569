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
    usage = session.lacks("usage") is None
    return {
        "total_tokens": metrics.total_tokens if usage else None,
        "input_tokens": metrics.total_input_tokens if usage else None,
        "output_tokens": metrics.total_output_tokens if usage else None,
        "tool_calls": metrics.total_tool_calls,
        "turns": None if session.lacks("turns") else metrics.num_turns,
        "duration_seconds": None if session.lacks("times") else metrics.duration_seconds,
        "cost_usd": metrics.cost_usd,
    }
