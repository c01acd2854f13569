"""Finds a skill's folder and its manifest."""

from __future__ import annotations

import os
from pathlib import Path

from skilltrace_mlflow.errors import ConfigurationError, InputError
from skilltrace_mlflow.expectations.names import did_you_mean

__all__ = ["SKILLS_DIR_VARIABLE", "find_manifest", "find_skills", "skills_root"]

SKILLS_DIR_VARIABLE = "SKILLTRACE_SKILLS_DIR"
_FILES = ("manifest.yaml", "manifest.yml", "ground_truth.yaml")


def skills_root(skills_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Where skills are: `skills_dir`, else SKILLTRACE_SKILLS_DIR, else the nearest `skills/`
    upward; None if there is none. Raises InputError for a directory that is named but not there.
    """
    named = skills_dir or os.environ.get(SKILLS_DIR_VARIABLE)
    if named:
        root = Path(named).expanduser()
        if not root.is_dir():
            label = "--skills-dir" if skills_dir else SKILLS_DIR_VARIABLE
            raise InputError(f"{label}: there is no directory {root}")
        return root
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "skills").is_dir():
            return folder / "skills"
    return None


def find_skills(root: Path) -> list[Path]:
    """Folders below `root` that hold a manifest or a ground truth, sorted by name."""
    return sorted(p for p in root.iterdir() if p.is_dir() and _has_files(p))


def find_manifest(
    source: str | os.PathLike[str], *, skills_dir: str | os.PathLike[str] | None = None
) -> tuple[Path, Path | None]:
    """A skill's folder and its manifest file, None where it has a ground truth only.

    `source` is a skill's name, a skill's folder, or a manifest file.
    """
    text = os.fspath(source)
    if not text.strip():
        raise ConfigurationError("the skill's name is empty")
    given = Path(text).expanduser()
    plain = isinstance(source, str) and given.name == text and given.suffix not in (".yaml", ".yml")
    root = skills_root(skills_dir) if plain or skills_dir else None
    if plain and root is not None and _has_files(root / text):
        return _in_folder(root / text)
    if given.is_file():
        return given.parent, given
    if given.is_dir():
        if _has_files(given):
            return _in_folder(given.resolve() if given.name in ("", ".", "..") else given)
        raise ConfigurationError(
            f"{given}: no manifest.yaml in this folder; `skilltrace-mlflow init` writes one"
        )
    if not plain:
        raise InputError(f"{given}: there is no such file or directory")
    if root is None:
        raise ConfigurationError(
            f"skill {text!r}: found no skills/ directory here or above; "
            f"give --skills-dir or set {SKILLS_DIR_VARIABLE}"
        )
    if (root / text).is_dir():
        raise ConfigurationError(
            f"skill {text!r}: no manifest.yaml in {root / text}; "
            f"`skilltrace-mlflow init {text}` writes one"
        )
    hint = did_you_mean(text, [p.name for p in find_skills(root)])
    raise ConfigurationError(f"skill {text!r}: there is none in {root}; {hint}")


def _has_files(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _FILES) or (
        (folder / "eval" / "manifest.yaml").is_file()
    )


def _in_folder(folder: Path) -> tuple[Path, Path | None]:
    for name in ("manifest.yaml", "manifest.yml", "eval/manifest.yaml"):
        if (folder / name).is_file():
            return folder, folder / name
    return folder, None
