"""Databricks bundles: this repository's own, and the same for a team's repository of skills.

Both are made from one template, in which lines between `@if repository`, `@else` and `@end` are
only in the one or the other, and names between two `@` are filled in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import yaml

import skilltrace_mlflow
from skilltrace_mlflow.errors import ConfigurationError

__all__ = ["BUNDLE_NAMES", "bundle_files", "repository_bundle"]

BUNDLE_NAMES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
"""What a bundle's file may be called; there must be one in a folder."""

_DASHBOARD = "skilltrace.lvdash.json"


def bundle_files(
    root: Path, skills: Path, skill: str, *, replacing: bool = False
) -> dict[Path, str]:
    """The files of a bundle for the repository in `root`, whose skills lie in `skills`, by path.

    It installs this version of the package; `skill` is the one that jobs of a single skill take
    where none is named. Raises ConfigurationError if there is a bundle already (unless it is to be
    replaced) and for skills outside the repository, which are not deployed.
    """
    taken = [root / name for name in BUNDLE_NAMES if (root / name).exists()]
    if taken and not (replacing and taken == [root / "bundle.yml"]):
        raise ConfigurationError(
            f"{taken[0]} exists already; add the jobs to it by hand (docs/databricks.md shows them)"
            + ("" if replacing else ", or overwrite a bundle.yml with --force")
        )
    try:
        folder = skills.resolve().relative_to(root.resolve())
    except ValueError:
        raise ConfigurationError(
            f"{skills}: is not in {root}, so that a bundle there would not deploy it"
        ) from None
    made = _filled(
        repository=False,
        name=re.sub(r"[^a-z0-9]+", "_", root.resolve().name.lower()).strip("_") or "skills",
        skills=folder.as_posix(),
        skill=skill,
        package=f"skilltrace-mlflow=={skilltrace_mlflow.__version__}",
        dashboard=f"dashboards/{_DASHBOARD}",
    )
    return {
        root / "bundle.yml": made,
        root / "dashboards" / _DASHBOARD: _template(_DASHBOARD),
    }


def repository_bundle() -> str:
    """The text of this repository's own bundle, which builds the wheel that it installs."""
    return _filled(
        repository=True,
        name="skilltrace_mlflow",
        skills="examples/skills",
        skill="bronze-ingestion",
        package="./dist/*.whl",
        dashboard=f"skilltrace_mlflow/databricks/templates/{_DASHBOARD}",
    )


def _filled(*, repository: bool, skills: str, **values: str) -> str:
    text = "".join(_lines_for(_template("bundle.yml"), repository=repository))
    for name, value in {**values, "skills": f"${{workspace.file_path}}/{skills}"}.items():
        text = text.replace(f"@{name.upper()}@", _scalar(value))
    return text


def _scalar(text: str) -> str:
    """A text as YAML, in quotation marks where it would be read as something else without them."""
    try:
        if yaml.safe_load(f"key: {text}") == {"key": text}:
            return text
    except yaml.YAMLError:
        pass
    return json.dumps(text, ensure_ascii=False)


def _lines_for(template: str, *, repository: bool) -> Iterator[str]:
    wanted = True
    for line in template.splitlines(keepends=True):
        mark = line.strip()
        if mark == "@if repository":
            wanted = repository
        elif mark == "@else":
            wanted = not wanted
        elif mark == "@end":
            wanted = True
        elif wanted:
            yield line


def _template(name: str) -> str:
    place = resources.files("skilltrace_mlflow.databricks") / "templates" / name
    return place.read_text(encoding="utf-8")
