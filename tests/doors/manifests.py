"""Every manifest that the test suite writes or reads, collected from its source and its folders."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.doors.cases import CASES

__all__ = ["manifests"]

ROOT = Path(__file__).resolve().parents[2]
# Keys that a manifest alone has; `skill` and `scorers` alone would match other dictionaries.
_TELLING = {"trace_expectations", "session_expectations", "quality_gates", "evaluation", "enabled"}
_KNOWN = _TELLING | {
    "default_guidelines",
    "description",
    "disabled",
    "llm_scorers",
    "scorers",
    "skill",
    "skill_name",
    "trace_scorers",
}


def manifests() -> Iterator[tuple[str, str]]:
    """(where it comes from, its YAML text): files, texts and dictionaries of the tests, and the
    expectations of the door cases as a manifest's.
    """
    for path in sorted((ROOT / "examples").rglob("manifest.yaml")):
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    for case in CASES:
        yield f"case {case.id}", yaml.safe_dump({"trace_expectations": _plain(case.expectations)})
    for path in sorted((ROOT / "tests").rglob("*.py")):
        seen = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = _manifest_in(node)
            if text is not None and text not in seen:
                seen.add(text)
                yield f"{path.relative_to(ROOT)}:{node.lineno}", text  # type: ignore[attr-defined]


def _manifest_in(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value:
        text = node.value.replace("%s", "tool_count").replace("{{", "{").replace("}}", "}")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            return None
        return text if _is_manifest(value) else None
    if isinstance(node, ast.Dict):
        try:
            value = ast.literal_eval(node)
            return yaml.safe_dump(_plain(value)) if _is_manifest(value) else None
        except (ValueError, TypeError, yaml.YAMLError):
            return None
    return None


def _is_manifest(value: Any) -> bool:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return False
    scorers = value.get("scorers")
    inner = set(scorers) if isinstance(scorers, dict) else set()
    return value.keys() <= _KNOWN and bool(_TELLING & (value.keys() | inner))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
