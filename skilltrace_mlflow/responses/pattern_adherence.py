"""The response must match regular expressions, each so and so often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.checks import Outcome
from skilltrace_mlflow.expectations.patterns import Pattern, parse_pattern_item
from skilltrace_mlflow.responses._base import Response, ResponseSpec
from skilltrace_mlflow.responses._patterns import count_matches

__all__ = ["SPECS"]


def _parse(expectations: Mapping[str, Any]) -> tuple[Pattern, ...] | None:
    items = expectations.get("expected_patterns")
    if not items:
        return None
    return tuple(
        parse_pattern_item(item, ("expected_patterns", index)) for index, item in enumerate(items)
    )


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
