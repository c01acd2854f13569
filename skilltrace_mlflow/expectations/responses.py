"""The keys of a test's `expectations` that concern the response, derived from the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skilltrace_mlflow.checks import ParameterError
from skilltrace_mlflow.expectations.documents import KeyPath, Problems, load_document
from skilltrace_mlflow.expectations.explain import find_problems
from skilltrace_mlflow.responses import all_responses, texts
from skilltrace_mlflow.responses.no_hallucinated_apis import RULES, parse_rules

__all__ = ["load_rules", "response_keys", "response_problems"]

_READ_ELSEWHERE: Mapping[str, Mapping[str, Any]] = {
    "assertions": texts("Statements a model judges the response by.", "Names the table"),
    "custom": {
        "type": "object",
        "description": "Free values for custom scorers.",
        "examples": [{"least_rows": 100}],
    },
    "expected_response": {
        "type": "string",
        "description": "The answer that a model-based scorer compares with.",
        "examples": ["The table main.bronze.events was created."],
    },
    "guidelines": texts("Rules a model judges the response by.", "Answers in English"),
}
"""Keys that model-based and custom scorers read."""


def response_keys() -> Mapping[str, Mapping[str, Any]]:
    """Every key that concerns the response with its JSON Schema, sorted."""
    keys = dict(_READ_ELSEWHERE)
    for spec in all_responses().values():
        keys.update(spec.keys)
    return dict(sorted(keys.items()))


def response_problems(raw: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Path and message of what no schema can see in a test's expectations; keys whose shape is
    wrong are left to the schema."""
    for spec in all_responses().values():
        given = {key: raw[key] for key in spec.keys if raw.get(key) is not None}
        given = {k: v for k, v in given.items() if not any(find_problems(v, spec.keys[k]))}
        if given:
            yield from spec.problems(given)


def load_rules(path: Path) -> list[dict[str, Any]]:
    """The raw rules of a file like `responses/data/api_rules.yaml`.

    Raises ConfigurationError or InputError where it is not such a file.
    """
    document = load_document(path)
    problems = Problems(document)
    schema = {
        "type": "object",
        "properties": {"rules": RULES},
        "required": ["rules"],
        "additionalProperties": False,
    }
    for where, message, at_key in find_problems(document.data, schema):
        problems.add(where, message, at_key=at_key)
    problems.raise_if_any()
    rules: list[dict[str, Any]] = document.data["rules"]
    try:
        parse_rules(rules, ("rules",))
    except ParameterError as error:
        problems.add(error.path, str(error))
    problems.raise_if_any()
    return rules
