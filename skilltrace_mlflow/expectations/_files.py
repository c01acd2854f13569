"""Expectations that live in another file: `permissions: .claude/settings.json`.

Checks do no input and output, so the file is read here, and its rules take the path's place in the
form that a person would write: only so do a test's rules merge with them.

Several settings files are read as the CLI (2.1.332) reads them: lists add up, the mode is that of
the last file that names one, `bypassPermissions` in a project's own settings counts for nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.expectations.documents import KeyPath
from skilltrace_mlflow.matching.cli_remarks import remark_on

__all__ = ["resolve_files"]

_LISTS = ("allow", "ask", "deny", "additionalDirectories")
_ANCHORED = re.compile(r"((?:Read|Edit)\(\s*)/(?!/)")
_ASKING = ("auto", "manual")  # the modes that are `default` under another name, as far as is played
_IGNORED = "a project's settings cannot switch asking off: Claude Code ignores it"
_DISABLED = "disableBypassPermissionsMode forbids it"


def resolve_files(
    layer: Mapping[str, Any], folder: Path, report: Callable[[KeyPath, str, bool], None]
) -> dict[str, Any]:
    """`layer` with the content of settings files where `permissions` names them, one directly or
    one or more as `{settings: FILE, deny: […]}`.

    The paths are relative to the YAML file's folder; problems go to `report`, the key is left out.
    Rules that Claude Code reads and never applies are named under `remarks`, with the settings file
    and line.
    """
    value = layer.get("permissions")
    given = value.get("settings") if isinstance(value, Mapping) else value
    named = [given] if isinstance(given, str) else given
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        return dict(layer)
    rest = {key: item for key, item in layer.items() if key != "permissions"}
    at: KeyPath = ("permissions", "settings") if isinstance(value, Mapping) else ("permissions",)
    try:
        rules, remarks = _read_settings([folder / Path(name).expanduser() for name in named])
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


@dataclass(frozen=True, kw_only=True)
class _Found:
    """One file's lists, its mode, whether it forbids bypassing, and remarks."""

    lists: dict[str, list[str]]
    mode: str | None
    forbids: bool
    remarks: list[str]


def _read_settings(paths: Sequence[Path]) -> tuple[dict[str, Any], list[str]]:
    """The permission rules of settings files, the weakest first, in the form that a person would
    write, and remarks on what is never applied. ValueError says what is wrong with a file.
    """
    found = [_read(path) for path in paths]
    rules: dict[str, Any] = {
        key: list(dict.fromkeys(text for one in found for text in one.lists[key])) for key in _LISTS
    }
    remarks = [remark for one in found for remark in one.remarks]
    # A settings file asks for what it does not mention; rules written inline leave it free.
    mode = next((one.mode for one in reversed(found) if one.mode is not None), "default")
    if mode == "bypassPermissions" and any(one.forbids for one in found):
        remarks.append(f"defaultMode: {mode}: {_DISABLED}")
        mode = "default"
    rules["defaultMode"] = mode
    return rules, remarks


def _read(path: Path) -> _Found:
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
    place = _place_of(path)
    lines = content.split("\n")
    lists: dict[str, list[str]] = {}
    remarks: list[str] = []
    for kind in _LISTS:
        texts = rules.get(kind, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            what = "folders" if kind == "additionalDirectories" else "rules"
            raise ValueError(f"{path}: permissions.{kind} is not a list of {what}")
        lists[kind] = []
        for text in texts:
            known, remark = (True, None) if kind not in _LISTS[:3] else _judge(text, kind)
            if known:
                lists[kind].append(_rooted(text) if place == "user" else text)
            if remark is not None:
                remarks.append(f"{path}:{_line_of(text, kind, lines)}: {kind}: {text}: {remark}")
    mode = rules.get("defaultMode")
    if mode == "bypassPermissions" and place == "project":
        line = _line_of(mode, "defaultMode", lines)
        remarks.append(f"{path}:{line}: defaultMode: {mode}: {_IGNORED}")
        mode = "default"
    return _Found(
        lists=lists,
        mode="default" if mode in _ASKING else mode,
        forbids=rules.get("disableBypassPermissionsMode") == "disable",
        remarks=remarks,
    )


def _place_of(path: Path) -> Literal["user", "project", "other"]:
    """Whose settings a file is, as far as its place tells: `--settings` takes any other."""
    folder = path.absolute().parent
    if folder.name != ".claude" or path.name not in ("settings.json", "settings.local.json"):
        return "other"
    return "user" if folder.parent == Path.home() else "project"


def _rooted(text: str) -> str:
    """A rule of a user's settings, whose `/x` starts at the folder of those settings."""
    return _ANCHORED.sub(r"\1~/.claude/", text)


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
