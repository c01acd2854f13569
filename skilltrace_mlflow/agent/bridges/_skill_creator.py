"""`evals.json` of skill-creator: prompts with statements for a grader, or queries that should
trigger the skill or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skilltrace_mlflow.agent.bridges._case import ImportedCase, require
from skilltrace_mlflow.errors import InputError

__all__ = ["cases_of_evals", "is_evals"]

_STATEMENTS = {
    "type": ["array", "null"],
    "items": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"text": {"type": "string"}, "statement": {"type": "string"}},
            },
        ]
    },
}
_ITEM = {
    "type": "object",
    "properties": {
        "id": {"type": ["integer", "string", "null"]},
        "prompt": {"type": "string"},
        "query": {"type": "string"},
        "should_trigger": {"type": "boolean"},
        "expected_output": {"type": ["string", "null"]},
        "expectations": _STATEMENTS,
        "assertions": _STATEMENTS,
    },
}
_ITEMS = {"type": "array", "items": _ITEM, "minItems": 1}


def is_evals(document: Any) -> bool:
    """Whether a document claims to be skill-creator's."""
    return isinstance(document, list) or (isinstance(document, Mapping) and "evals" in document)


def cases_of_evals(document: Any, path: Path, skill: str) -> Iterator[ImportedCase]:
    """The cases of an `evals.json`. Raises InputError."""
    named = document.get("skill_name") if isinstance(document, Mapping) else None
    if isinstance(document, Mapping):
        require(document, {"type": "object", "properties": {"evals": _ITEMS}}, path)
    else:
        require(document, _ITEMS, path)
    items = document if isinstance(document, list) else document["evals"]
    kind = "trigger" if all("should_trigger" in item for item in items) else "eval"
    for number, item in enumerate(items, start=1):
        prompt = item.get("prompt") or item.get("query") or ""
        if not prompt.strip():
            raise InputError(f"{path}: evals[{number - 1}] has no prompt")
        expectations: dict[str, Any] = {}
        left_out = []
        if named not in (None, skill):
            left_out.append(f"it was written for the skill {named!r}")
        if "should_trigger" in item:
            expectations["should_trigger"] = {
                "skill": skill,
                "expected": item["should_trigger"],
            }
        statements = item.get("expectations") or item.get("assertions") or ()
        texts = [text for text in map(_statement, statements) if text]
        if texts:
            expectations["assertions"] = texts
        if item.get("expected_output"):
            expectations["expected_response"] = item["expected_output"]
        if item.get("files"):
            left_out.append("its files belong into the folder that agent.workspace names")
        identifier = number if item.get("id") is None else item["id"]
        yield ImportedCase(
            id=f"{kind}_{identifier}",
            prompt=prompt,
            expectations=expectations,
            left_out=tuple(left_out),
            origin=f"skill-creator: {path.name}",
        )


def _statement(item: Any) -> str:
    if isinstance(item, Mapping):
        item = item.get("text") or item.get("statement") or ""
    return str(item).strip()
