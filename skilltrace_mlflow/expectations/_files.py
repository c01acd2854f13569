"""Expectations that live in another file: `permissions: .claude/settings.json`.

Checks do no input and output, so the file is read here and its rules take the path's place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from skilltrace_mlflow.expectations._yaml import KeyPath

__all__ = ["resolve_files"]

_RULES = ("allow", "ask", "deny")


def resolve_files(
    layer: Mapping[str, Any], folder: Path, report: Callable[[KeyPath, str, bool], None]
) -> dict[str, Any]:
    """`layer` with the content of a settings file where `permissions` names one.

    The path is relative to the YAML file's folder; problems go to `report`, the key is left out.
    """
    value = layer.get("permissions")
    if not isinstance(value, str):
        return dict(layer)
    rest = {key: item for key, item in layer.items() if key != "permissions"}
    path = folder / Path(value).expanduser()
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        report(("permissions",), f"{path} cannot be read: {error.strerror or error}", False)
        return rest
    except ValueError as error:
        report(("permissions",), f"{path} is not JSON: {error}", False)
        return rest
    rules = settings.get("permissions") if isinstance(settings, dict) else None
    if not isinstance(rules, dict):
        report(("permissions",), f"{path} has no `permissions` with rules", False)
        return rest
    return {**rest, "permissions": {kind: rules[kind] for kind in _RULES if kind in rules}}
