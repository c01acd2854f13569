"""How the agent is started: the manifest's `agent:` block, overridden by options."""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations.documents import show
from skilltrace_mlflow.expectations.explain import find_problems

__all__ = ["PERMISSION_MODES", "AgentOptions", "agent_options"]

PERMISSION_MODES = (
    "acceptEdits",
    "auto",
    "bypassPermissions",
    "default",
    "dontAsk",
    "manual",
    "plan",
)
# What the CLI needs to reach its model and to run programs. Everything else of the caller's
# environment stays out, above all keys of other services.
_PASSED = ("ANTHROPIC_*", "CLAUDE_CODE_*", "PATH")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# They tell a CLI that it runs inside another one, or lead it to the caller's files.
_OF_A_PARENT = (
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CODE_TMPDIR",
)
_LISTS = ("allowed_tools", "disallowed_tools", "skills", "setup", "teardown")
_TEXTS = {"type": "array", "items": {"type": "string"}}
# What decides what the agent may do. The CLI leaves a whole settings file with a slip in it out
# without a word, and the attempt would be made without its rules.
_SHAPES: Mapping[str, Mapping[str, Any]] = {
    "mcp_config": {
        "type": "object",
        "properties": {
            "mcpServers": {"type": "object", "additionalProperties": {"type": "object"}}
        },
        "required": ["mcpServers"],
    },
    "settings": {
        "type": "object",
        "properties": {
            "permissions": {
                "type": "object",
                "properties": {
                    "allow": _TEXTS,
                    "ask": _TEXTS,
                    "deny": _TEXTS,
                    "additionalDirectories": _TEXTS,
                    "defaultMode": {"type": "string"},
                },
            },
            "env": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
            "hooks": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "object"}},
            },
            "model": {"type": "string"},
            "sandbox": {"type": "object"},
        },
    },
}


@dataclass(frozen=True, kw_only=True)
class AgentOptions:
    """The settings of a run, the same for all its attempts and for both arms.

    `workspace` is a folder that is copied, `skills` are folders of further skills that are offered
    beside the one under test. `setup` and `teardown` are shell commands. `mcp_config` and
    `settings` are the content of such files. `env` names variables that pass, or gives values.
    Paths are absolute.
    """

    model: str | None = None
    max_turns: int | None = None
    permission_mode: str = "acceptEdits"
    allowed_tools: tuple[str, ...] = ()
    disallowed_tools: tuple[str, ...] = ()
    mcp_config: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    workspace: Path | None = None
    setup: tuple[str, ...] = ()
    teardown: tuple[str, ...] = ()
    timeout: float = 600.0
    skills: tuple[Path, ...] = ()
    bundled_skills: bool = True
    git: bool = False

    def overridden(self, **values: Any) -> AgentOptions:
        """These options with those of `values` that are not None."""
        return replace(self, **{k: v for k, v in values.items() if v is not None})

    def environment(self, outside: Mapping[str, str]) -> dict[str, str]:
        """The part of the caller's environment that the agent gets."""
        passed = {
            name: value
            for name, value in outside.items()
            if name not in _OF_A_PARENT
            and (
                any(fnmatch.fnmatchcase(name, pattern) for pattern in _PASSED)
                or name.lower() in _PROXIES
                or (name in self.env and self.env[name] is None)
            )
        }
        return passed | {name: value for name, value in self.env.items() if value is not None}

    def lacking(self, outside: Mapping[str, str]) -> tuple[str, ...]:
        """The variables that `env` lets pass and that are not set here."""
        return tuple(sorted(k for k, v in self.env.items() if v is None and k not in outside))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, without what `env` holds: a run's plan keeps no secrets."""
        shown: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "env":
                value = sorted(value)
            elif isinstance(value, tuple):
                value = [str(part) for part in value]
            elif isinstance(value, Path):
                value = str(value)
            shown[item.name] = value
        return shown


def agent_options(block: Mapping[str, Any] | None, *, folder: Path) -> AgentOptions:
    """The options of a manifest's `agent:` block, which was validated against its schema; paths in
    it are relative to `folder`.

    Raises ConfigurationError for a file or folder that is not there.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in (block or {}).items():
        if value is None:
            continue
        try:
            values[key] = _value(key, value, folder)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(*problems)
    return AgentOptions(**values)


def _value(key: str, value: Any, folder: Path) -> Any:
    if key == "workspace":
        return _folder(f"agent.{key}", folder, value)
    if key == "skills":
        return tuple(_skill(f"agent.{key}", folder, item) for item in _listed(value))
    if key in _SHAPES:
        where = f"agent.{key}"
        if not isinstance(value, Mapping):
            where, value = f"{where}: {value}", _json(where, folder, value)
        _require_shape(where, value, _SHAPES[key])
        return value
    if key == "env":
        if isinstance(value, Mapping):
            return {name: None if text is None else str(text) for name, text in value.items()}
        return dict.fromkeys(_listed(value))
    if key == "timeout":
        return float(value)
    return tuple(_listed(value)) if key in _LISTS else value


def _require_shape(where: str, value: Any, schema: Mapping[str, Any]) -> None:
    found = [f"{where}: {show(path)}: {text}" for path, text, _ in find_problems(value, schema)]
    if found:
        raise ConfigurationError(*found)


def _listed(value: Any) -> Sequence[Any]:
    return [value] if isinstance(value, str) else value


def _folder(where: str, folder: Path, value: str) -> Path:
    path = Path(os.path.normpath(folder.resolve() / Path(value).expanduser()))
    if not path.is_dir():
        raise ConfigurationError(f"{where}: there is no folder {path}")
    return path


def _skill(where: str, folder: Path, value: str) -> Path:
    path = Path(value)
    found = _folder(where, folder, str(path.parent if path.name == "SKILL.md" else path))
    if not (found / "SKILL.md").is_file():
        raise ConfigurationError(f"{where}: there is no SKILL.md in {found}")
    return found


def _json(where: str, folder: Path, value: str) -> Mapping[str, Any]:
    path = folder / Path(value).expanduser()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{where}: {path}: {error}") from None
    if not isinstance(data, dict):
        raise ConfigurationError(f"{where}: {path}: expected a JSON object")
    return data
