"""The response must match regular expressions, each so and so often."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks import (
    Example,
    Outcome,
    ParameterError,
    Verdict,
    check_regex,
)
from skilltrace_mlflow.patterns.regex import count_matches
from skilltrace_mlflow.responses._base import Response, mistakes, response_check

__all__ = ["Pattern", "parse_item", "pattern_adherence"]

_COUNT = {"type": "integer", "minimum": 0}
_REGEX = {"type": "string", "minLength": 1, "description": "A regular expression."}


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A regular expression and how often it must match."""

    pattern: str
    minimum: int = 1
    maximum: int | None = None
    description: str | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return self.description or self.pattern


def parse_item(item: Any, path: tuple[str | int, ...] = ()) -> Pattern:
    """An item of `expected_patterns`; ParameterError for one that is no pattern or can never hold.

    The minimum is 1 unless written, but 0 where the maximum is 0: `max_count: 0` alone
    means that the pattern must be absent.
    """
    if isinstance(item, str):
        check_regex(item, path)
        return Pattern(pattern=item)
    check_regex(item["pattern"], (*path, "pattern"))
    maximum = item.get("max_count")
    minimum = item.get("min_count", 1 if maximum is None else min(1, maximum))
    if maximum is not None and minimum > maximum:
        raise ParameterError(
            f"min_count {minimum} is more than max_count {maximum}, which nothing can meet",
            path=(*path, "min_count"),
        )
    return Pattern(
        pattern=item["pattern"],
        minimum=minimum,
        maximum=maximum,
        description=item.get("description"),
    )


def _parse(expectations: Mapping[str, Any]) -> tuple[Pattern, ...] | None:
    items = expectations.get("expected_patterns")
    if not items:
        return None
    return tuple(parse_item(item, ("expected_patterns", index)) for index, item in enumerate(items))


def _problems(given: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for index, item in enumerate(given["expected_patterns"]):
        yield from mistakes(parse_item, item, ("expected_patterns", index))


@response_check(
    name="pattern_adherence",
    parse=_parse,
    graded=True,
    keys={
        "expected_patterns": {
            "type": "array",
            "description": "Regular expressions that the response matches.",
            "items": {
                "description": "An expression, alone or with counts.",
                "anyOf": [
                    _REGEX,
                    {
                        "type": "object",
                        "description": "An expression, and how often it matches.",
                        "properties": {
                            "pattern": _REGEX,
                            "min_count": {**_COUNT, "description": "At least so often."},
                            "max_count": {**_COUNT, "description": "At most so often."},
                            "description": {
                                "type": "string",
                                "description": "What reports call it.",
                                "examples": ["reads the table twice"],
                            },
                        },
                        "required": ["pattern"],
                        "additionalProperties": False,
                    },
                ],
            },
        },
    },
    all_problems=_problems,
    examples=(
        Example(
            value={
                "expected_patterns": ["merge\\s+into", {"pattern": "overwrite", "max_count": 0}]
            },
            response="MERGE INTO events USING updates",
            verdict=Verdict.PASS,
            why="the first matches, the second must be absent",
        ),
        Example(
            value={"expected_patterns": [{"pattern": "select", "min_count": 2}]},
            response="SELECT 1",
            verdict=Verdict.FAIL,
            why="it matches once, not twice",
        ),
    ),
)
def pattern_adherence(response: Response, parameters: tuple[Pattern, ...]) -> Outcome:
    """Every pattern of `expected_patterns` matches often enough and not too often.

    An item is a regular expression, or `{pattern, min_count, max_count, description}`; the minimum
    is 1, or 0 where the maximum is 0 (the pattern must be absent). Case does not matter, nor
    whether an accent is a sign of its own. The score is the share of patterns that are met.
    """
    hits, misses = [], []
    for item in parameters:
        count = _count(item.pattern, response.text or "")
        if count < item.minimum:
            misses.append(f"{item.label}: {count} < {item.minimum}")
        elif item.maximum is not None and count > item.maximum:
            misses.append(f"{item.label}: {count} > {item.maximum}")
        else:
            hits.append(item.label)
    return Outcome.of(
        not misses,
        score=len(hits) / len(parameters),
        hits=tuple(hits),
        misses=tuple(misses),
        rationale="; ".join(misses) or f"{len(hits)} pattern(s) match",
    )


def _count(pattern: str, text: str) -> int:
    """How often the pattern matches the text, as both are written or composed (é, not e and ´)."""
    count = count_matches(pattern, text)
    if text.isascii() or pattern.isascii():
        return count
    composed = [unicodedata.normalize("NFC", one) for one in (pattern, text)]
    return max(count, count_matches(*composed)) if composed != [pattern, text] else count
