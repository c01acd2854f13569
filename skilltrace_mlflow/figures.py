"""The few numbers of a session that two evaluations are compared by, and how a figure is written.

Standard library only. A figure of which the record may miss a part is a lower bound; it is never
shown or stored as if it were exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.session import Session

__all__ = [
    "AT_LEAST",
    "FIGURES",
    "NO_FIGURES",
    "Figures",
    "figures",
    "shown_figure",
    "shown_seconds",
]

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

AT_LEAST = "at_least"
"""Key in a result line's `metrics` under which the figures stand that are lower bounds."""

_TOKENS = frozenset({"total_tokens", "input_tokens", "output_tokens", "cost_usd"})


@dataclass(frozen=True)
class Figures(Mapping[str, "float | int | None"]):
    """The numbers under the keys of `FIGURES`, None where the evidence is missing.

    `at_least` names those that are lower bounds.
    """

    values_by_name: Mapping[str, float | int | None]
    at_least: frozenset[str] = field(default=frozenset())

    def __getitem__(self, name: str) -> float | int | None:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def shown(self, name: str, *, none: str = "unknown") -> str:
        """The figure as people read it, `none` where it is not known."""
        value = self.get(name)
        return none if value is None else shown_figure(name, value, name in self.at_least)

    def to_dict(self) -> dict[str, float | int | list[str] | None]:
        """As plain JSON values; `at_least` only where there is a lower bound."""
        plain: dict[str, float | int | list[str] | None] = dict(self.values_by_name)
        if self.at_least:
            plain[AT_LEAST] = sorted(self.at_least)
        return plain


NO_FIGURES = Figures({})
"""The figures where there was no trace."""


def figures(session: Session) -> Figures:
    """The figures of a session."""
    metrics = compute_metrics(session)
    bounds: set[str] = set()
    if not session.usage_complete:
        bounds |= _TOKENS
    if session.incomplete:
        bounds |= {"tool_calls", "turns", "duration_seconds", *_TOKENS}
    values = {
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
    if session.cost_usd is not None:
        bounds.discard("cost_usd")  # the record states the cost of the whole in one figure
    known = {name for name in bounds if values[name] is not None}
    return Figures(values, frozenset(known))


def shown_figure(name: str, value: float, at_least: bool = False) -> str:
    """A figure of `FIGURES` as text: thousands apart, dollars to a hundredth of a cent."""
    if name == "cost_usd":
        text = f"${value:,.4f}"
    elif name == "duration_seconds":
        text = shown_seconds(value)
    elif float(value).is_integer():
        text = f"{int(value):,}"
    else:
        text = f"{value:,.1f}"
    return f"at least {text}" if at_least else text


def shown_seconds(value: float) -> str:
    """A duration for people: milliseconds below a second, minutes from two minutes on."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min"
