"""What no schema can see in the keys that concern the response: patterns that are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skilltrace_mlflow.checks import ParameterError, check_regex
from skilltrace_mlflow.expectations.documents import KeyPath

__all__ = ["Pattern", "parse_pattern_item", "response_problems"]


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


def parse_pattern_item(item: Any, path: KeyPath = ()) -> Pattern:
    """An item of `expected_patterns`; ParameterError for one that is no pattern or can never hold.

    The least number of matches is 1 unless written, but 0 where the most is 0: `max_count: 0` alone
    means that the pattern must be absent.
    """
    if isinstance(item, str):
        check_regex(item, path)
        return Pattern(pattern=item)
    check_regex(item["pattern"], (*path, "pattern"))
    most = item.get("max_count")
    least = item.get("min_count", 1 if most is None else min(1, most))
    if most is not None and least > most:
        raise ParameterError(
            f"min_count {least} is more than max_count {most}, which nothing can meet",
            path=(*path, "min_count"),
        )
    return Pattern(
        pattern=item["pattern"], least=least, most=most, description=item.get("description")
    )


def response_problems(raw: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Path and message of each bad pattern in a test's expectations whose shape is right."""
    for index, item in enumerate(_items(raw.get("expected_patterns"))):
        if isinstance(item, str) or (isinstance(item, Mapping) and "pattern" in item):
            yield from _tried(item, ("expected_patterns", index))
    for index, rule in enumerate(_items(raw.get("hallucinated_apis"))):
        for key in ("pattern", "unless"):
            text = rule.get(key) if isinstance(rule, Mapping) else None
            if isinstance(text, str):
                yield from _tried(text, ("hallucinated_apis", index, key))


def _tried(item: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    try:
        parse_pattern_item(item, path)
    except ParameterError as error:
        yield error.path, str(error)


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
