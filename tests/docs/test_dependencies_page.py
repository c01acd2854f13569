"""docs/dependencies.md names every dependency, with the licence and size of what is installed."""

from __future__ import annotations

import re
from importlib import metadata
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.blocks import ROOT
from tests.wheel_smoke import documented_sizes

PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
# What a classifier of the package index says without naming a variant.
_CLASSIFIED = {
    "MIT License": ("MIT",),
    "BSD License": ("BSD-2-Clause", "BSD-3-Clause"),
    "Apache Software License": ("Apache-2.0",),
}
_NAMED = {"BSD 2-Clause License": "BSD-2-Clause", "BSD 3-Clause License": "BSD-3-Clause"}


def rows() -> dict[str, tuple[str, float | None]]:
    """Package: its licence and, for those that users install, its megabytes."""
    found: dict[str, tuple[str, float | None]] = {}
    for line in PAGE.splitlines():
        if not line.startswith("| `"):
            continue
        first, licences, third, *more = (cell.strip() for cell in line.strip("| ").split("|"))
        names = re.findall(r"`([^`[]+)(?:\[\w+\])?`", first.partition(" (")[0])
        said = [licence.strip() for licence in licences.split(";")]
        assert len(said) == len(names), line
        for name, licence in zip(names, said, strict=True):
            assert name not in found, name
            found[name] = (licence, float(third) if more else None)
    return found


def declared() -> set[str]:
    requires = metadata.requires("skilltrace-mlflow") or []
    return {canonicalize_name(Requirement(text).name) for text in requires}


def licences_of(package: str) -> tuple[str, ...]:
    """What the installed package says its licence is: any of these."""
    read: Any = metadata.metadata(package)
    if expression := read.get("License-Expression"):
        return (expression,)
    classifiers = [text.rpartition(" :: ")[2] for text in read.get_all("Classifier") or ()]
    for classifier, names in _CLASSIFIED.items():
        if classifier in classifiers:
            return names
    written = (read.get("License") or "").partition("\n")[0]
    if not written:  # the licence's own text begins with its name
        (file,) = (path for path in metadata.files(package) or () if path.name == "LICENSE")
        written = next(filter(None, map(str.strip, file.read_text().splitlines())))
    return (_NAMED.get(written, written),)


def test_every_dependency_has_a_row_and_nothing_else_has() -> None:
    assert {canonicalize_name(name) for name in rows()} == declared()


@pytest.mark.parametrize("package", rows())
def test_licence_and_size_are_those_of_what_is_installed(package: str) -> None:
    licence, megabytes = rows()[package]
    try:
        files = metadata.files(package)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not in this environment")
    assert licence in licences_of(package)
    if megabytes is not None:
        installed = sum(file.size or 0 for file in files or ()) / 1e6
        # Wheels of other systems and Pythons differ.
        assert megabytes / 2 - 1 < installed < megabytes * 2 + 1


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md", "docs/guides/ci.md"])
def test_other_pages_say_the_same_sizes_of_the_installations(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    said = {int(number) for number in re.findall(r"\b(\d+) MB", text)}
    assert said
    assert said <= set(documented_sizes().values())
