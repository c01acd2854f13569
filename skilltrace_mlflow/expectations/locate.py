"""Finds a skill's folder and its manifest, where people and Claude Code keep skills.

Without `--skills-dir` and SKILLTRACE_SKILLS_DIR, the places are, the first with the skill's
expectations being taken:

1. `skills/`, `.claude/skills/` and `.test/skills/` of the current directory, then of each above it;
2. the user's: `skills/` in CLAUDE_CONFIG_DIR, by default `~/.claude`;
3. those of installed plugins (`plugins/installed_plugins.json` there, as Claude Code 2.1.332 writes
   it), where `PLUGIN:SKILL` is a skill's name too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skilltrace_mlflow.errors import ConfigurationError, InputError
from skilltrace_mlflow.expectations.names import did_you_mean
from skilltrace_mlflow.streams import module_logger

__all__ = [
    "SKILLS_DIR_VARIABLE",
    "all_skills",
    "find_manifest",
    "find_skills",
    "place_of_skill",
    "skills_root",
]

SKILLS_DIR_VARIABLE = "SKILLTRACE_SKILLS_DIR"
PLACES = ("skills", ".claude/skills", ".test/skills")
_FILES = ("manifest.yaml", "manifest.yml", "ground_truth.yaml")
_NOWHERE = (
    "found no skills/, .claude/skills/ or .test/skills/ directory here or above; "
    f"give --skills-dir or set {SKILLS_DIR_VARIABLE}"
)
_log = module_logger(__name__)


def skills_root(skills_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Where skills are: `skills_dir`, else SKILLTRACE_SKILLS_DIR, else the nearest `skills/`,
    `.claude/skills/` or `.test/skills/` upward; None if there is none. Raises InputError for a
    directory that is named but not there.
    """
    named = _named(skills_dir)
    return named or next(_upward(), None)


def all_skills(skills_dir: str | os.PathLike[str] | None = None) -> list[Path]:
    """The folders with expectations in the directory that is named; else in the nearest places
    upward that have any. Raises ConfigurationError where there is none.
    """
    named = _named(skills_dir)
    if named is not None:
        found = find_skills(named)
        if not found:
            raise ConfigurationError(f"{named}: no folder in it has a manifest or a ground truth")
        return found
    places = list(_upward())
    for place in places:
        nearest = [other for other in places if _owner(other) == _owner(place)]
        found = [skill for other in nearest for skill in find_skills(other)]
        if found:
            return found
    if places:
        raise ConfigurationError(f"{places[0]}: no folder in it has a manifest or a ground truth")
    raise ConfigurationError(f"{_NOWHERE}; or name a SKILL")


def find_skills(root: Path) -> list[Path]:
    """Folders below `root` that hold a manifest or a ground truth, sorted by name."""
    return sorted(p for p in root.iterdir() if p.is_dir() and _has_files(p))


def place_of_skill(skill: str) -> Path | None:
    """The folder that a skill of this name has already, with expectations or without.

    Raises ConfigurationError where it is an installed plugin's: the next update would replace
    what is written there.
    """
    for root, name, plugin in _candidates(skill):
        if (root / name).is_dir():
            if plugin:
                raise ConfigurationError(
                    f"skill {skill!r} belongs to the installed plugin {plugin} ({root / name}); "
                    "write its expectations in the plugin's own repository, or give --skills-dir"
                )
            return root / name
    return None


def find_manifest(
    source: str | os.PathLike[str], *, skills_dir: str | os.PathLike[str] | None = None
) -> tuple[Path, Path | None, tuple[str, ...]]:
    """A skill's folder, its manifest file, None where it has a ground truth only, and what a person
    has to be told of the choice: which was taken where several places have the skill.

    `source` is a skill's name, a skill's folder, or a manifest file.
    """
    text = os.fspath(source)
    if not text.strip():
        raise ConfigurationError("the skill's name is empty")
    given = Path(text).expanduser()
    plain = isinstance(source, str) and given.name == text and given.suffix not in (".yaml", ".yml")
    named = _named(skills_dir) if plain or skills_dir else None
    folders: list[Path] = []
    if plain and text not in (".", ".."):
        folders = (
            [named / text]
            if named is not None
            else [root / name for root, name, _ in _candidates(text)]
        )
        taken = [folder for folder in folders if _has_files(folder)]
        if taken:
            return *_in_folder(taken[0]), _choice(text, taken)
    if given.is_file():
        return given.parent, given, ()
    if given.is_dir():
        if _has_files(given):
            return *_in_folder(given.resolve() if given.name in ("", ".", "..") else given), ()
        raise ConfigurationError(
            f"{given}: no manifest.yaml in this folder; `skilltrace-mlflow init` writes one"
        )
    if not plain:
        raise InputError(f"{given}: there is no such file or directory")
    for folder in folders:
        if folder.is_dir():
            raise ConfigurationError(
                f"skill {text!r}: no manifest.yaml in {folder}; "
                f"`skilltrace-mlflow init {text}` writes one"
            )
    places = [named] if named is not None else list(_upward())
    if not places:
        raise ConfigurationError(f"skill {text!r}: {_NOWHERE}")
    hint = did_you_mean(text, [p.name for place in places for p in find_skills(place)])
    raise ConfigurationError(
        f"skill {text!r}: there is none in {', '.join(map(str, places))}; {hint}"
    )


def _named(skills_dir: str | os.PathLike[str] | None) -> Path | None:
    named = skills_dir or os.environ.get(SKILLS_DIR_VARIABLE)
    if not named:
        return None
    root = Path(named).expanduser()
    if not root.is_dir():
        label = "--skills-dir" if skills_dir else SKILLS_DIR_VARIABLE
        raise InputError(f"{label}: there is no directory {root}")
    return root


def _upward() -> Iterator[Path]:
    here = Path.cwd()
    users = _configuration() / "skills"
    for folder in (here, *here.parents):
        for place in PLACES:
            root = folder / place
            if root.is_dir() and root != users:
                yield root


def _candidates(skill: str) -> Iterator[tuple[Path, str, str]]:
    """Where a skill may be: a directory of skills, the folder's name, the plugin's name if any."""
    for root in _upward():
        yield root, skill, ""
    yield _configuration() / "skills", skill, ""
    wanted, _, name = skill.rpartition(":")
    for plugin, folder in _plugins():
        if not wanted or plugin.partition("@")[0] == wanted:
            yield folder / "skills", name, plugin


def _plugins() -> Iterator[tuple[str, Path]]:
    """Installed plugins, as `name@marketplace`, and their folders."""
    path = _configuration() / "plugins" / "installed_plugins.json"
    try:
        plugins: Any = json.loads(path.read_text(encoding="utf-8"))["plugins"]
        for name, installed in sorted(plugins.items()):
            for entry in installed if isinstance(installed, list) else [installed]:
                yield name, Path(entry["installPath"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.warning("%s: cannot be read, plugins' skills are not found: %r", path, error)


def _configuration() -> Path:
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or "~/.claude").expanduser()


def _owner(place: Path) -> Path:
    """The directory that a place belongs to."""
    return place.parent if place.parent.name not in (".claude", ".test") else place.parent.parent


def _choice(skill: str, taken: list[Path]) -> tuple[str, ...]:
    _log.info("skill %r: taken from %s", skill, taken[0])
    others = [str(path) for path in taken[1:] if path.resolve() != taken[0].resolve()]
    if not others:
        return ()
    return (f"skill {skill!r}: taken from {taken[0]}; it is also in {', '.join(others)}",)


def _has_files(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _FILES) or (
        (folder / "eval" / "manifest.yaml").is_file()
    )


def _in_folder(folder: Path) -> tuple[Path, Path | None]:
    for name in ("manifest.yaml", "manifest.yml", "eval/manifest.yaml"):
        if (folder / name).is_file():
            return folder, folder / name
    return folder, None
