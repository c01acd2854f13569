"""The skill under test as a folder of Claude Code's, without what its tests know."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import Manifest

__all__ = ["Skill", "skill_at", "skill_of"]

_FILE = "SKILL.md"
# A skill's folder is often its tests' folder too. The agent must not find the answers there.
_OF_TESTS = frozenset(
    (
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
        target = workspace / ".claude" / "skills" / self.name
        shutil.copytree(
            self.folder, target, symlinks=True, ignore=self._left_out, dirs_exist_ok=target.is_dir()
        )

    def digest(self) -> str:
        """A digest of all that is offered of it."""
        digest = hashlib.sha256()
        for directory, names, files in os.walk(self.folder):
            left_out = set(self._left_out(directory, [*names, *files]))
            names[:] = sorted(set(names) - left_out)
            for name in sorted(set(files) - left_out):
                path = Path(directory) / name
                digest.update(os.fsencode(path.relative_to(self.folder)) + b"\0")
                digest.update((path.read_bytes() if path.is_file() else b"") + b"\0")
        return digest.hexdigest()[:16]

    def _left_out(self, directory: str, names: list[str]) -> list[str]:
        here = Path(directory)
        top = here == self.folder
        return [n for n in names if (top and n in _OF_TESTS) or here / n in self.hidden]


def skill_of(manifest: Manifest, *, hidden: Iterable[Path] = ()) -> Skill:
    """The skill that a manifest describes: `skill.source_path` (SKILL.md or its folder), else the
    SKILL.md beside the manifest. `hidden` are further paths that only tests may know.

    Raises ConfigurationError if there is none.
    """
    folder = manifest.folder or Path()
    source = folder / Path(manifest.source_path).expanduser() if manifest.source_path else folder
    source = (source.parent if source.name == _FILE else source).resolve()
    if not (source / _FILE).is_file():
        raise ConfigurationError(
            f"{manifest.path or folder}: there is no {source / _FILE}; name the skill's folder "
            "under skill.source_path"
        )
    tests = {path.resolve() for path in (*manifest.datasets, *hidden)}
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
    return Skill(name=name, folder=folder, hidden=hidden)
