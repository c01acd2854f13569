"""Expectations that live in another file: `permissions: .claude/settings.json`.

Checks do no input and output, so the file is read here, and its rules take the path's place in the
form that a person would write: only so do a test's rules merge with them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.expectations.documents import KeyPath
from skilltrace_mlflow.matching.selectors import parse_selector

__all__ = ["resolve_files"]

_RULES = ("allow", "ask", "deny")


def resolve_files(
    layer: Mapping[str, Any], folder: Path, report: Callable[[KeyPath, str, bool], None]
) -> dict[str, Any]:
    """`layer` with the content of a settings file where `permissions` names one, directly or as
    `{settings: FILE, deny: […]}`.

    The path is relative to the YAML file's folder; problems go to `report`, the key is left out.
    """
    value = layer.get("permissions")
    named = value.get("settings") if isinstance(value, Mapping) else value
    if not isinstance(named, str):
        return dict(layer)
    rest = {key: item for key, item in layer.items() if key != "permissions"}
    at: KeyPath = ("permissions",) if isinstance(value, str) else ("permissions", "settings")
    try:
        rules = _read(folder / Path(named).expanduser())
    except ValueError as error:
        report(at, str(error), False)
        return rest
    if isinstance(value, Mapping):
        more = value.get("deny") or []
        rules["deny"] = [*rules["deny"], *(rule for rule in more if rule not in rules["deny"])]
        rules.update({key: item for key, item in value.items() if key not in ("settings", "deny")})
    rules = {key: item for key, item in rules.items() if item}
    if not any(rules.get(kind) for kind in _RULES):
        report(at, f"{folder / named} holds no permission rules", False)
        return rest
    return {**rest, "permissions": rules}


def _read(path: Path) -> dict[str, Any]:
    """The permission rules of a settings file; ValueError says what is wrong with it."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    rules = settings.get("permissions") if isinstance(settings, dict) else None
    if not isinstance(rules, dict):
        raise ValueError(f"{path} has no `permissions` with rules")
    found: dict[str, Any] = {}
    for kind in _RULES:
        texts = rules.get(kind, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{path}: permissions.{kind} is not a list of rules")
        found[kind] = [rule for rule in texts if _is_rule(rule, kind, path)]
    # A settings file asks for what it does not mention; rules written inline leave it free.
    mode = rules.get("defaultMode", "default")
    found["defaultMode"] = "default" if mode in ("auto", "manual") else mode
    return found


def _is_rule(text: str, kind: str, path: Path) -> bool:
    """Whether a settings file's rule is one that the check knows; says so where it is none.

    Claude Code leaves out what it does not know, without a word; `Cd(path)` is about a command.
    """
    try:
        parse_selector(text)
    except ParameterError as error:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        at = next((n for n, line in enumerate(lines, 1) if json.dumps(text)[1:-1] in line), 1)
        warnings.warn(f"{path}:{at}: permissions.{kind}: left out: {error}", stacklevel=2)
        return False
    return True
