"""Expectations that live in another file: `permissions: .claude/settings.json`.

Checks do no input and output, so the file is read here, and its rules take the path's place in the
form that a person would write: only so do a test's rules merge with them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.expectations.documents import KeyPath
from skilltrace_mlflow.matching.cli_remarks import remark_on

__all__ = ["resolve_files"]

_RULES = ("allow", "ask", "deny")


def resolve_files(
    layer: Mapping[str, Any], folder: Path, report: Callable[[KeyPath, str, bool], None]
) -> dict[str, Any]:
    """`layer` with the content of a settings file where `permissions` names one, directly or as
    `{settings: FILE, deny: […]}`.

    The path is relative to the YAML file's folder; problems go to `report`, the key is left out.
    Rules that Claude Code reads and never applies are named under `remarks`, with the settings file
    and line.
    """
    value = layer.get("permissions")
    named = value.get("settings") if isinstance(value, Mapping) else value
    if not isinstance(named, str):
        return dict(layer)
    rest = {key: item for key, item in layer.items() if key != "permissions"}
    at: KeyPath = ("permissions",) if isinstance(value, str) else ("permissions", "settings")
    try:
        rules, remarks = _read(folder / Path(named).expanduser())
    except ValueError as error:
        report(at, str(error), False)
        return rest
    if isinstance(value, Mapping):
        more = value.get("deny") or []
        rules["deny"] = [*rules["deny"], *(rule for rule in more if rule not in rules["deny"])]
        rules.update({key: item for key, item in value.items() if key not in ("settings", "deny")})
    rules = {key: item for key, item in rules.items() if item}
    if remarks:
        rules["remarks"] = remarks
    return {**rest, "permissions": rules}


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The permission rules of a settings file, and remarks on rules that are never applied.

    ValueError says what is wrong with it.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
        settings = json.loads(content)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    rules = settings.get("permissions") if isinstance(settings, dict) else None
    if not isinstance(rules, dict):
        raise ValueError(f"{path} has no `permissions` with rules")
    found: dict[str, Any] = {}
    lines = content.split("\n")
    remarks: list[str] = []
    for kind in _RULES:
        texts = rules.get(kind, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{path}: permissions.{kind} is not a list of rules")
        found[kind] = []
        for text in texts:
            known, remark = _judge(text, kind)
            if known:
                found[kind].append(text)
            if remark is not None:
                remarks.append(f"{path}:{_line_of(text, kind, lines)}: {kind}: {text}: {remark}")
    # A settings file asks for what it does not mention; rules written inline leave it free.
    mode = rules.get("defaultMode", "default")
    found["defaultMode"] = "default" if mode in ("auto", "manual") else mode
    return found, remarks


def _judge(text: str, kind: str) -> tuple[bool, str | None]:
    """Whether a settings file's rule is one that the check knows, and what is to be said of it.

    Claude Code leaves out what it does not know, without a word.
    """
    try:
        return True, remark_on(kind, text)
    except ParameterError as error:
        return False, f"left out, as Claude Code never applies it: {error}"


def _line_of(text: str, kind: str, lines: Sequence[str]) -> int:
    """The line of a rule: behind the key of its list, where that is on a line of its own."""
    wanted = json.dumps(text), json.dumps(text, ensure_ascii=False)
    start = next((at for at, line in enumerate(lines) if f'"{kind}"' in line), 0)
    places = (*range(start, len(lines)), *range(start))
    return next((at + 1 for at in places if any(one in lines[at] for one in wanted)), 1)
