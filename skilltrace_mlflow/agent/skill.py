"""The skill under test as a folder of Claude Code's, without what its tests know."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from skilltrace_mlflow.agent._copying import copy_tree, entries
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import Manifest

__all__ = ["Skill", "skill_at", "skill_of"]

_FILE = "SKILL.md"
# A skill's folder is often its tests' folder too. The agent must not find the answers there, nor
# in the history of either.
_OF_TESTS = frozenset(
    (
        ".git",
        ".skilltrace",
        "__pycache__",
        "candidates.yaml",
        "evals",
        "ground_truth.yaml",
        "ground_truth.yml",
        "manifest.yaml",
        "manifest.yml",
        "traces",
    )
)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, kw_only=True)
class Skill:
    """A skill that can be offered: its name, its folder, and paths in it that are left out."""

    name: str
    folder: Path
    hidden: frozenset[Path] = frozenset()

    def install(self, workspace: Path) -> None:
        """Copy it to where Claude Code looks for a project's skills."""
        copy_tree(self.folder, workspace / self.place, self._left_out)

    @property
    def place(self) -> Path:
        """Where it is offered, relative to a workspace."""
        return Path(".claude", "skills", self.name)

    def hides(self, path: Path) -> bool:
        """Whether a path is the skill itself, or knows what only tests may know."""
        return path == self.folder or path in self.hidden

    def digest(self) -> str:
        """A digest of all that is offered of it."""
        digest = hashlib.sha256()
        for entry in entries(self.folder, self._left_out):
            digest.update(os.fsencode(entry.path) + b"\0" + os.fsencode(entry.text) + b"\0")
            if entry.kind == "file":
                digest.update(entry.source.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    def _left_out(self, path: Path) -> bool:
        top = path.parent == self.folder
        return (top and path.name in _OF_TESTS) or path in self.hidden


def skill_of(
    manifest: Manifest, *, workspace: Path | None = None, hidden: Iterable[Path] = ()
) -> Skill:
    """The skill that a manifest describes: `skill.source_path` (SKILL.md or its folder), else the
    SKILL.md beside the manifest. `workspace` is the folder that attempts get a copy of, `hidden`
    are further paths that only tests may know.

    Raises ConfigurationError if there is none, and for a workspace that is the skill.
    """
    folder = manifest.folder or Path()
    source = folder / Path(manifest.source_path).expanduser() if manifest.source_path else folder
    source = (source.parent if source.name == _FILE else source).resolve()
    if not (source / _FILE).is_file():
        raise ConfigurationError(
            f"{manifest.path or folder}: there is no {source / _FILE}; name the skill's folder "
            "under skill.source_path"
        )
    folder = folder.resolve()
    tests = {path.resolve() for path in (*manifest.datasets, *hidden)}
    tests |= {folder / name for name in _OF_TESTS if folder != source or name != ".git"}
    if workspace is not None:
        workspace = workspace.resolve()
        if workspace in (source, folder):
            raise ConfigurationError(
                f"agent.workspace: {workspace} is the skill's own folder, with what its tests "
                "expect; name a folder for the agent to work in"
            )
        if workspace.is_relative_to(source):
            tests.add(workspace)
    return skill_at(source, hidden=frozenset(tests))


def skill_at(folder: Path, *, hidden: frozenset[Path] = frozenset()) -> Skill:
    """The skill in a folder, under the name that its front matter gives it."""
    text = (folder / _FILE).read_text(encoding="utf-8", errors="replace")
    name = folder.name
    if text.startswith("---"):
        head = text[3:].split("\n---", 1)[0]
        try:
            values = yaml.safe_load(head)
        except yaml.YAMLError:
            values = None  # Claude Code reads on, and falls back to the folder's name
        if isinstance(values, dict) and isinstance(values.get("name"), str):
            name = values["name"].strip()
    if not _NAME.fullmatch(name):
        name = folder.name
    return Skill(name=name, folder=folder.resolve(), hidden=hidden)
