"""The response must match regular expressions, each so and so often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks import Outcome, ParameterError
from skilltrace_mlflow.responses._base import Response, ResponseSpec
from skilltrace_mlflow.responses._patterns import compile_pattern, count_matches

__all__ = ["SPECS", "Pattern"]


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A regular expression and how often it must match."""

    pattern: str
    least: int = 1
    most: int | None = None
    description: str | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return self.description or self.pattern


def _parse(expectations: Mapping[str, Any]) -> tuple[Pattern, ...] | None:
    items = expectations.get("expected_patterns")
    if not items:
        return None
    found = []
    for index, item in enumerate(items):
        path = ("expected_patterns", index)
        if isinstance(item, str):
            found.append(Pattern(pattern=compile_pattern(item, path)))
            continue
        most = item.get("max_count")
        # "at most 0" alone means absent; a default minimum of 1 could never be met.
        least = item.get("min_count", 1 if most is None else min(1, most))
        if most is not None and least > most:
            raise ParameterError(
                f"min_count {least} is above max_count {most}, which nothing can meet",
                path=(*path, "min_count"),
            )
        found.append(
            Pattern(
                pattern=compile_pattern(item["pattern"], (*path, "pattern")),
                least=least,
                most=most,
                description=item.get("description"),
            )
        )
    return tuple(found)


def _judge(response: Response, parameters: tuple[Pattern, ...]) -> Outcome:
    """Every pattern of `expected_patterns` matches often enough and not too often.

    An item is a regular expression, or `{pattern, min_count, max_count, description}`; the minimum
    is 1, or 0 where the maximum is 0 (the pattern must be absent). Case does not matter. The score
    is the share of patterns that are met.
    """
    hits, misses = [], []
    for item in parameters:
        count = count_matches(item.pattern, response.text or "")
        if count < item.least:
            misses.append(f"{item.label}: {count} < {item.least}")
        elif item.most is not None and count > item.most:
            misses.append(f"{item.label}: {count} > {item.most}")
        else:
            hits.append(item.label)
    return Outcome.of(
        not misses,
        score=len(hits) / len(parameters),
        hits=tuple(hits),
        misses=tuple(misses),
        rationale="; ".join(misses) or f"{len(hits)} pattern(s) match",
    )


SPECS = (ResponseSpec(name="pattern_adherence", parse=_parse, judge=_judge, graded=True),)
