"""Code in the response must not use names that do not exist or were replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from skilltrace_mlflow.checks import Example, Outcome, Verdict, check_regex
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.patterns.regex import count_matches
from skilltrace_mlflow.responses._base import Response, mistakes, response_check
from skilltrace_mlflow.responses._blocks import Block, code_blocks

__all__ = ["RULES", "ApiRule", "no_hallucinated_apis", "parse_rules"]

_BUILT_IN = Path(__file__).parent / "data" / "api_rules.yaml"


@dataclass(frozen=True, kw_only=True)
class ApiRule:
    """A pattern that code must not match, and what to write instead."""

    pattern: str
    instead: str = ""
    languages: tuple[str, ...] | None = None
    unless: str | None = None

    def applies(self, block: Block) -> bool:
        """Whether the rule is about blocks of this language."""
        return self.languages is None or block.language in self.languages


RULES: Mapping[str, Any] = {
    "type": "array",
    "description": "Further rules of no_hallucinated_apis.",
    "items": {
        "type": "object",
        "description": "A rule.",
        "properties": {
            "pattern": {
                "type": "string",
                "minLength": 1,
                "description": "A regular expression that no code block may match.",
            },
            "instead": {"type": "string", "description": "What to write instead."},
            "languages": {
                "type": "array",
                "items": {"type": "string", "description": "A language, as a block names it."},
                "description": "The code blocks that it is about; default all.",
                "examples": [["python"]],
            },
            "unless": {
                "type": "string",
                "description": "A regular expression: where it matches, the rule does not fire.",
                "examples": ["import legacy"],
            },
        },
        "required": ["pattern"],
        "additionalProperties": False,
    },
}
"""JSON Schema of a list of raw rules, in a test or in a file."""


@lru_cache(maxsize=1)
def _built_in() -> tuple[ApiRule, ...]:
    if not _BUILT_IN.is_file():
        raise ConfigurationError(f"{_BUILT_IN} is missing from the installation")
    import yaml

    document = yaml.safe_load(_BUILT_IN.read_text(encoding="utf-8"))
    return parse_rules(document["rules"], ("rules",))


def parse_rules(
    raw: Sequence[Mapping[str, Any]], path: tuple[str | int, ...]
) -> tuple[ApiRule, ...]:
    """Raw rules whose shape is right as rules; ParameterError for a pattern that is none."""
    return tuple(_rule(rule, (*path, index)) for index, rule in enumerate(raw))


def _rule(raw: Mapping[str, Any], path: tuple[str | int, ...]) -> ApiRule:
    languages = raw.get("languages")
    for key in ("pattern", "unless"):
        if key in raw:
            check_regex(raw[key], (*path, key))
    return ApiRule(
        pattern=raw["pattern"],
        instead=raw.get("instead", ""),
        languages=None if languages is None else tuple(name.lower() for name in languages),
        unless=raw.get("unless"),
    )


def _parse(expectations: Mapping[str, Any]) -> tuple[ApiRule, ...]:
    more = expectations.get("hallucinated_apis") or ()
    return (*_built_in(), *parse_rules(more, ("hallucinated_apis",)))


def _problems(given: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Path and message of every pattern that is none."""
    for index, rule in enumerate(given["hallucinated_apis"]):
        for key in ("pattern", "unless"):
            yield from mistakes(check_regex, rule.get(key, ""), ("hallucinated_apis", index, key))


@response_check(
    name="no_hallucinated_apis",
    parse=_parse,
    keys={"hallucinated_apis": RULES},
    listed=True,
    all_problems=_problems,
    examples=(
        Example(
            value={"hallucinated_apis": [{"pattern": "spark\\.magic", "instead": "spark.read"}]},
            response="```python\nspark.read.table('events')\n```\n",
            verdict=Verdict.PASS,
            why="no rule fires, neither a built-in one nor the test's own",
        ),
        Example(
            value={"hallucinated_apis": [{"pattern": "spark\\.magic", "instead": "spark.read"}]},
            response="```python\nspark.magic('events')\n```\n",
            verdict=Verdict.FAIL,
            why="the test's own rule fires, and the rationale says what to write instead",
        ),
    ),
)
def no_hallucinated_apis(response: Response, parameters: tuple[ApiRule, ...]) -> Outcome:
    """No code block uses an API that does not exist or was replaced.

    The rules are a data file (`responses/data/api_rules.yaml`); `hallucinated_apis` of a test, or
    `{rules: FILE}` beside the name in a manifest, adds to them. Prose is not searched, since it may
    name what to avoid. No code block: nothing to judge.
    """
    blocks = code_blocks(response.text or "")
    if not blocks:
        return Outcome(verdict=Verdict.NOT_APPLICABLE, rationale="no code block")
    misses = []
    for block in blocks:
        for rule in parameters:
            if not rule.applies(block) or not count_matches(f"(?m){rule.pattern}", block.text):
                continue
            if rule.unless is not None and count_matches(rule.unless, block.text):
                continue
            way_out = f", use {rule.instead}" if rule.instead else ""
            misses.append(f"block at line {block.line} matches {rule.pattern}{way_out}")
    return Outcome.of(
        not misses,
        misses=tuple(misses),
        rationale="; ".join(misses) or f"none of {len(parameters)} rules fires",
    )
