"""MLflow's recording of Claude Code sessions: set up, look, disable, without breaking settings.

`mlflow autolog claude` does the work; this module guards it. As of MLflow 3.17 it treats a settings
file that it cannot parse as empty and writes over it, `--disable` deletes such a file, and without
the `claude` binary a failed setup leaves an empty `.claude/` behind. So settings are parsed
strictly before anything is delegated, and put back as they were if the command fails.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import ConfigurationError, EvaluationError
from skilltrace_mlflow.text import cut

__all__ = ["AutologStatus", "SettingsChange", "autolog_status", "disable_autolog", "setup_autolog"]

_FILES = ("settings.json", "settings.local.json")
_ENABLED = "MLFLOW_CLAUDE_TRACING_ENABLED"
# The plugin's installation clones a repository; beyond this it is not coming.
_TIMEOUT_SECONDS = 180
_LONGEST = 400


@dataclass(frozen=True, kw_only=True)
class AutologStatus:
    """Whether sessions of a directory are traced, and where to; `files` are the settings read."""

    directory: Path
    enabled: bool
    tracking_uri: str | None
    experiment_id: str | None
    experiment_name: str | None
    files: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class SettingsChange:
    """What a command changed in one settings file; `diff` is a unified diff of its values."""

    path: Path
    diff: str


def autolog_status(directory: str | os.PathLike[str] = ".") -> AutologStatus:
    """Read `.claude/settings.json` and `settings.local.json` (which wins) of a directory.

    Raises ConfigurationError if one of them is not a JSON object.
    """
    folder = _directory(directory)
    merged: dict[str, Any] = {}
    files = []
    for path in _settings(folder):
        if path.exists():
            files.append(path)
            merged.update(_environment(path))
    return AutologStatus(
        directory=folder,
        enabled=merged.get(_ENABLED) == "true",
        tracking_uri=merged.get("MLFLOW_TRACKING_URI"),
        experiment_id=merged.get("MLFLOW_EXPERIMENT_ID"),
        experiment_name=merged.get("MLFLOW_EXPERIMENT_NAME"),
        files=tuple(files),
    )


def setup_autolog(
    project_path: str | os.PathLike[str] = ".",
    experiment_name: str | None = None,
    *,
    tracking_uri: str | None = None,
    experiment_id: str | None = None,
    local: bool = False,
) -> tuple[SettingsChange, ...]:
    """Configure `mlflow autolog claude` for a project; returns what changed in its settings.

    `local` writes `settings.local.json`, which is not meant for version control. Raises
    ConfigurationError (no `claude` binary, unreadable settings, name and id both given) before
    anything is touched, EvaluationError if MLflow's command fails; settings are then as before.
    """
    if experiment_name and experiment_id:
        raise ConfigurationError("give the experiment by name or by id, not both")
    if shutil.which("claude") is None:
        raise ConfigurationError(
            "the claude binary is not on PATH, and MLflow installs its tracing as a Claude Code "
            "plugin; install Claude Code (npm install -g @anthropic-ai/claude-code) and try again"
        )
    arguments = ["-y"]
    for option, value in (("-u", tracking_uri), ("-n", experiment_name), ("-e", experiment_id)):
        if value:
            arguments += [option, value]
    if local:
        arguments.append("--local")
    return _delegate(_directory(project_path), arguments)


def disable_autolog(directory: str | os.PathLike[str] = ".") -> tuple[SettingsChange, ...]:
    """Remove MLflow's tracing from both settings files; returns what changed.

    Raises ConfigurationError if a settings file is not a JSON object (MLflow would delete it).
    """
    return _delegate(_directory(directory), ["--disable"])


def _delegate(folder: Path, arguments: list[str]) -> tuple[SettingsChange, ...]:
    claude = folder / ".claude"
    existed = claude.is_dir()
    before = {path: path.read_bytes() if path.exists() else None for path in _settings(folder)}
    for path, content in before.items():
        if content is not None:
            _environment(path)
    command = [sys.executable, "-m", "mlflow", "autolog", "claude", "-d", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        failure = (
            _reason(done.stderr or done.stdout) or "it said nothing" if done.returncode else None
        )
    except subprocess.TimeoutExpired:
        failure = f"no answer within {_TIMEOUT_SECONDS} s"
    except BaseException:
        _restore(claude, before, existed)
        raise
    if failure is not None:
        _restore(claude, before, existed)
        raise EvaluationError(
            f"mlflow autolog claude failed: {failure}; the settings of {folder} are as before"
        )
    return tuple(
        SettingsChange(path=path, diff=diff)
        for path, content in before.items()
        if (diff := _diff(path, content))
    )


def _restore(claude: Path, before: Mapping[Path, bytes | None], existed: bool) -> None:
    for path, content in before.items():
        if content is None:
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    if not existed and claude.is_dir() and not any(claude.iterdir()):
        claude.rmdir()


def _directory(directory: str | os.PathLike[str]) -> Path:
    folder = Path(directory).expanduser().resolve()
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such directory")
    return folder


def _settings(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / ".claude" / name for name in _FILES)


def _environment(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror}; mend it first"
        ) from None
    except ValueError as error:
        line = getattr(error, "lineno", None)
        place = f"{path}:{line}" if line else str(path)
        raise ConfigurationError(
            f"{place}: not valid JSON ({getattr(error, 'msg', error)}); mend it first, MLflow "
            "would write over it"
        ) from None
    environment = settings.get("env", {}) if isinstance(settings, dict) else None
    if not isinstance(environment, dict):
        raise ConfigurationError(f"{path}: expected a JSON object whose env is an object")
    return environment


def _diff(path: Path, before: bytes | None) -> str:
    after = path.read_bytes() if path.exists() else b""
    if after == (before or b""):
        return ""
    old, new = _flat(before or b"{}"), _flat(after or b"{}")
    changed = difflib.unified_diff(old, new, str(path), str(path), lineterm="", n=0)
    return "\n".join(changed) or f"{path}: only its layout changed"


def _flat(content: bytes) -> list[str]:
    """Settings as a line per value, so that a change shows no neighbour: `env` holds secrets too,
    and in JSON a line loses its comma when the next one goes.
    """

    def lines(value: Any, name: str) -> list[str]:
        if isinstance(value, dict) and value:
            return [
                line
                for key, inner in value.items()
                for line in lines(inner, f"{name}.{key}" if name else key)
            ]
        return [f"{name}: {json.dumps(value, ensure_ascii=False)}"] if name else []

    return lines(json.loads(content), "")


def _reason(text: str) -> str:
    """What a failed command said, on one line: from its `Error:` on, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    start = next((n for n, line in enumerate(lines) if line.startswith("Error:")), -1)
    return cut(" ".join(lines[start:]).removeprefix("Error: "), _LONGEST)
