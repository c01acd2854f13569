"""A small Databricks bundle for a team's own repository of skills."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import skilltrace_mlflow
from skilltrace_mlflow.errors import ConfigurationError

__all__ = ["BUNDLE_NAMES", "bundle_files"]

BUNDLE_NAMES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
"""What a bundle's file may be called; there must be one in a folder."""

_DASHBOARD = "skilltrace.lvdash.json"


def bundle_files(root: Path, skills: Path, *, replacing: bool = False) -> dict[Path, str]:
    """The files of a bundle for the repository in `root`, whose skills lie in `skills`, by path.

    It installs this version of the package. Raises ConfigurationError if there is a bundle already
    (unless it is to be replaced) and for skills outside the repository, which are not deployed.
    """
    taken = [root / name for name in BUNDLE_NAMES if (root / name).exists()]
    if taken and not (replacing and taken == [root / "bundle.yml"]):
        raise ConfigurationError(
            f"{taken[0]} exists already; add the job to it by hand (docs/databricks.md shows it)"
            + ("" if replacing else ", or overwrite a bundle.yml with --force")
        )
    try:
        folder = skills.resolve().relative_to(root.resolve())
    except ValueError:
        raise ConfigurationError(
            f"{skills}: is not in {root}, so that a bundle there would not deploy it"
        ) from None
    templates = resources.files("skilltrace_mlflow.databricks") / "templates"
    text = (templates / "bundle.yml").read_text(encoding="utf-8")
    values = {
        "NAME": re.sub(r"[^a-z0-9]+", "_", root.resolve().name.lower()).strip("_") or "skills",
        "SKILLS": folder.as_posix(),
        "VERSION": skilltrace_mlflow.__version__,
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return {
        root / "bundle.yml": text,
        root / "dashboards" / _DASHBOARD: (templates / _DASHBOARD).read_text(encoding="utf-8"),
    }
