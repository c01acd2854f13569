"""Code in the response must not use names that do not exist or were replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from skilltrace_mlflow.checks import Outcome, ParameterError, Verdict, check_regex
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.responses._base import Response, ResponseSpec
from skilltrace_mlflow.responses._blocks import Block, code_blocks
from skilltrace_mlflow.responses._patterns import count_matches

__all__ = ["SPECS", "ApiRule", "load_rules"]

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


def load_rules(path: Path) -> list[dict[str, Any]]:
    """The raw rules of a file like the one that comes with the package.

    Raises ConfigurationError or InputError where it is not such a file.
    """
    from skilltrace_mlflow.expectations.documents import Problems, load_document
    from skilltrace_mlflow.expectations.explain import find_problems
    from skilltrace_mlflow.expectations.names import RESPONSE_KEYS

    document = load_document(path)
    problems = Problems(document)
    schema = {
        "type": "object",
        "properties": {"rules": RESPONSE_KEYS["hallucinated_apis"]},
        "required": ["rules"],
        "additionalProperties": False,
    }
    for where, message, at_key in find_problems(document.data, schema):
        problems.add(where, message, at_key=at_key)
    problems.raise_if_any()
    rules: list[dict[str, Any]] = document.data["rules"]
    try:
        for index, rule in enumerate(rules):
            _rule(rule, ("rules", index))
    except ParameterError as error:
        problems.add(error.path, str(error))
    problems.raise_if_any()
    return rules


@lru_cache(maxsize=1)
def _built_in() -> tuple[ApiRule, ...]:
    if not _BUILT_IN.is_file():
        raise ConfigurationError(f"{_BUILT_IN} is missing from the installation")
    return tuple(_rule(rule, ("rules", i)) for i, rule in enumerate(load_rules(_BUILT_IN)))


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
    own = tuple(_rule(raw, ("hallucinated_apis", i)) for i, raw in enumerate(more))
    return (*_built_in(), *own)


def _judge(response: Response, parameters: tuple[ApiRule, ...]) -> Outcome:
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


SPECS = (ResponseSpec(name="no_hallucinated_apis", parse=_parse, judge=_judge, listed=True),)
