"""What is released: built reproducibly, with the tag's version and the changelog's words."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def dist() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dist", ROOT / ".ci" / "dist.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_builds_are_equal_byte_for_byte(dist: ModuleType, tmp_path: Path) -> None:
    first = dist.build(tmp_path / "first", "9.8.7")
    before = os.umask(0o077)
    try:
        time.sleep(1.1)  # an archive's times are whole seconds
        second = dist.build(tmp_path / "second", "9.8.7")
    finally:
        os.umask(before)
    assert [path.name for path in first] == [
        "skilltrace_mlflow-9.8.7-py3-none-any.whl",
        "skilltrace_mlflow-9.8.7.tar.gz",
    ]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    with tarfile.open(first[1]) as archive:
        tops = {name.split("/")[1] for name in archive.getnames()}
    generated = {".gitignore", "PKG-INFO"}
    assert tops - generated == {
        *("skilltrace_mlflow", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"),
    }
    dist.check(first[0], "9.8.7")
    with pytest.raises(AssertionError):
        dist.check(first[0], "9.8.6")


def metadata_of(made: list[Path]) -> list[Message]:
    """The metadata that a package index shows: the wheel's and the sdist's."""
    wheel, sdist = made
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        first = archive.read(name)
    with tarfile.open(sdist) as packed:
        (name,) = [n for n in packed.getnames() if n.endswith("/PKG-INFO")]
        file = packed.extractfile(name)
        assert file is not None
        second = file.read()
    return [BytesParser().parsebytes(data) for data in (first, second)]


def addresses(markdown: str) -> dict[str, list[str]]:
    """Where the links (`a`) and pictures (`img`) of a page lead, as an index renders them."""
    html = MarkdownIt("gfm-like", {"linkify": False}).render(markdown)
    links = re.findall(r'<a href="([^"]*)"', html)
    return {"a": links, "img": re.findall(r'<img src="([^"]*)"', html)}


def test_a_release_leads_to_the_repository_that_made_it(dist: ModuleType, tmp_path: Path) -> None:
    home = "https://github.com/someone/skilltrace"
    made = dist.build(tmp_path, "9.8.7", home)
    here = addresses((ROOT / "README.md").read_text(encoding="utf-8"))
    for metadata in metadata_of(made):
        urls = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))
        assert urls["Homepage"] == home
        assert urls["Changelog"] == f"{home}/blob/v9.8.7/CHANGELOG.md"
        shown = addresses(str(metadata.get_payload()))
        assert [*map(len, shown.values())] == [*map(len, here.values())]
        assert [a for a in (*shown["a"], *shown["img"]) if not a.startswith("https://")] == []
        assert f"{home}/blob/v9.8.7/docs/checks.md#tool_limits" in shown["a"]
        assert f"{home}/raw/v9.8.7/docs/images/verdicts.svg?sanitize=true" in shown["img"]
        for address in shown["a"] + shown["img"]:
            path = re.match(rf"{home}/(?:blob|raw)/v9\.8\.7/([^#?]+)", address)
            assert path is None or (ROOT / path[1]).exists(), address


def test_a_build_for_nobody_claims_no_home(dist: ModuleType, tmp_path: Path) -> None:
    for metadata in metadata_of(dist.build(tmp_path)):
        assert metadata.get_all("Project-URL") is None


@pytest.mark.parametrize("home", ["github.com/a/b", "https://github.com", 'https://x/a"/b', ""])
def test_a_repository_that_is_no_address_is_refused(
    home: str, dist: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="expected https://HOST/OWNER/NAME"):
        dist.at_home(tmp_path, home, "v1")


def test_only_links_into_the_repository_are_changed(dist: ModuleType) -> None:
    others = "[here](#d) <https://e.f> [e](https://e.f) [m](mailto:x@y.z)"
    text = f"[a](docs/a.md#b) [![p](i.png)](c.md) {others}"
    assert dist.with_addresses(text, "https://h/o/n", "r") == (
        "[a](https://h/o/n/blob/r/docs/a.md#b) "
        f"[![p](https://h/o/n/raw/r/i.png)](https://h/o/n/blob/r/c.md) {others}"
    )


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v01.2.3", "vnext", "v1.2.3-rc1"])
def test_a_tag_that_is_no_version_is_refused(tag: str, dist: ModuleType) -> None:
    if tag == "v1.2":
        assert dist.version_of(tag) == "1.2"
        return
    with pytest.raises(SystemExit):
        dist.version_of(tag)


def test_a_release_needs_its_part_of_the_changelog(dist: ModuleType) -> None:
    text = "# C\n## [Unreleased]\n\n## [1.1.0] - 2026-01-01\n- New.\n\n## [1.0.0]\n\n- Old.\n"
    assert dist.notes_of(text, "1.1.0") == "- New.\n"
    with pytest.raises(SystemExit, match=r"no part \[1.2.0\]"):
        dist.notes_of(text, "1.2.0")
    with pytest.raises(SystemExit):
        dist.notes_of(text, "Unreleased")


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", ())]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_name_what_exists(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    for step in steps(workflow):
        for file in re.findall(r"(?<![\w/])\.ci/[\w.]+", step.get("run", "")):
            assert (ROOT / file).is_file(), file
        assert "github.event" not in step.get("run", ""), "strangers' text in a script"
    for job in workflow["jobs"].values():
        for target in job.get("strategy", {}).get("matrix", {}).get("target", ()):
            assert target in targets
    assert workflow["permissions"] == {"contents": "read"}


def test_the_tests_run_on_every_python_that_is_promised() -> None:
    workflow = yaml.safe_load(WORKFLOWS[0].read_text(encoding="utf-8"))
    tried = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert tried == re.findall(r"Python :: (3\.\d+)", project)
    named = (ROOT / ".ci" / "interpreters").read_text(encoding="utf-8")
    assert all(version in named for version in tried)


def test_issue_templates_are_forms() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name != "config.yml":
            assert {"name", "description", "body"} <= set(form)
            assert all({"type", "attributes"} <= set(item) for item in form["body"])


def test_the_dist_script_says_how_it_is_called() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "dist.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--tag" in done.stdout
