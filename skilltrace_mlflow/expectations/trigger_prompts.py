"""`trigger_prompts` of a ground truth: two lists of prompts that are many test cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from skilltrace_mlflow.expectations.documents import KeyPath

__all__ = ["TRIGGER_PROMPTS_SCHEMA", "of_skill", "trigger_cases"]

_LISTS = {"should": True, "should_not": False}
_PROMPTS = {"should": "Load the CSV files into bronze", "should_not": "What is a CSV file?"}

TRIGGER_PROMPTS_SCHEMA: Mapping[str, Any] = {
    "type": ["object", "null"],
    "description": "Prompts that should load the skill, and prompts that should not; each is a "
    "test case with `should_trigger`, named should_001, should_not_001, …",
    "properties": {
        name: {
            "type": ["array", "null"],
            "items": {"type": "string", "pattern": r"\S", "description": "A prompt."},
            "description": f"Prompts that {name.replace('_', ' ')} load the skill.",
            "examples": [[prompt]],
        }
        for name, prompt in _PROMPTS.items()
    },
    "additionalProperties": False,
}


def trigger_cases(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """The test cases that the lists stand for, each with the place of its prompt."""
    prompts = data.get("trigger_prompts")
    for name, expected in _LISTS.items() if isinstance(prompts, dict) else ():
        items = prompts.get(name) if isinstance(prompts, dict) else None
        for index, prompt in enumerate(items if isinstance(items, list) else ()):
            if isinstance(prompt, str):
                yield (
                    ("trigger_prompts", name, index),
                    {
                        "id": f"{name}_{index + 1:03d}",
                        "inputs": {"prompt": prompt},
                        "expectations": {"should_trigger": expected},
                        "metadata": {"category": "triggering"},
                    },
                )


def of_skill(skill: str, expected: bool) -> dict[str, Any]:
    """A test case's short form, with the skill that it means."""
    return {"skill": skill, "expected": expected}
