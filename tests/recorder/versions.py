"""Older and newer versions of the CLI, installed from npm when a scenario asks for one.

Transcripts changed their shape from version to version; the scenario `tour` is played with
several. The installations are kept in `CLAUDE_VERSIONS` (default: `~/.cache/claude-versions`).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["of_version"]

_PACKAGE = "@anthropic-ai/claude-code"


def of_version(version: str) -> Path:
    """The binary of one version, installed first if need be; raises `CalledProcessError`."""
    default = Path.home() / ".cache" / "claude-versions"
    folder = Path(os.environ.get("CLAUDE_VERSIONS", default)) / version
    binary = folder / "node_modules" / ".bin" / "claude"
    if not binary.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder)]
        subprocess.run([*command, f"{_PACKAGE}@{version}"], check=True, capture_output=True)
    return binary.resolve()
