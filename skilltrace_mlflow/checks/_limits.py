"""Limits on numbers: `5` or `{min: 1, max: 5}`, and what a count says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks._base import Finding, ParameterError
from skilltrace_mlflow.checks._schema import COUNT

__all__ = ["LIMIT", "Limit", "parse_limit"]

LIMIT: Mapping[str, Any] = {
    "anyOf": [
        COUNT,
        {
            "type": "object",
            "properties": {"min": COUNT, "max": COUNT},
            "minProperties": 1,
            "additionalProperties": False,
        },
    ]
}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Bounds that a count must keep, both inclusive; None for no bound."""

    least: int | None = None
    most: int | None = None

    def judge(self, label: str, at_least: int, at_most: int) -> Finding:
        """The finding for a count known to lie between two numbers (usually one and the same)."""
        shown = str(at_least) if at_least == at_most else f"{at_least} to {at_most}"
        if self.most is not None and at_least > self.most:
            return Finding(text=f"{label}: {shown} > {self.most}", met=False)
        if self.least is not None and at_most < self.least:
            return Finding(text=f"{label}: {shown} < {self.least}", met=False, could_meet=True)
        over = self.most is not None and at_most > self.most
        under = self.least is not None and at_least < self.least
        bounds = " and ".join(
            f"{sign} {bound}"
            for sign, bound in (("≥", self.least), ("≤", self.most))
            if bound is not None
        )
        return Finding(
            text=f"{label}: {shown} {bounds}"
            if not (over or under)
            else f"{label}: {shown}, must be {bounds}",
            met=None if over or under else True,
            could_break=self.most is not None,
        )


def parse_limit(value: Any, path: tuple[str | int, ...]) -> Limit:
    """A number is a maximum; ParameterError if the minimum is above the maximum."""
    if isinstance(value, Mapping):
        limit = Limit(least=value.get("min"), most=value.get("max"))
    else:
        limit = Limit(most=value)
    if limit.least is not None and limit.most is not None and limit.least > limit.most:
        raise ParameterError(f"min {limit.least} is more than max {limit.most}", path=path)
    return limit
