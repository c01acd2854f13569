"""Skills are found where people and Claude Code keep them, and nowhere twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import load_manifest

PROJECT = ("skills", ".claude/skills", ".test/skills")
ORDER = ("repo/work/.claude/skills", "repo/skills", "repo/.claude/skills", "repo/.test/skills")
USER, PLUGIN = "home/.claude/skills", "home/.claude/plugins/cache/mk/p/1.0.0/skills"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`repo/work` as current directory, an own home, and the plugin `p` installed in it."""
    here = tmp_path / "repo" / "work"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.delenv("SKILLTRACE_SKILLS_DIR", raising=False)
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # As `claude plugin install` 2.1.332 writes it.
    installed = {"scope": "user", "installPath": str((tmp_path / PLUGIN).parent)}
    path = tmp_path / "home/.claude/plugins/installed_plugins.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": 2, "plugins": {"p@mk": [installed]}}))
    return here


def skill(folder: Path, *, files: bool = True) -> Path:
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(f"---\nname: {folder.name}\ndescription: x\n---\n")
    if files:
        (folder / "manifest.yaml").write_text("scorers:\n  trace_expectations: {}\n")
    return folder


@pytest.mark.parametrize("place", [*ORDER, USER, PLUGIN])
def test_each_place_is_found(tmp_path: Path, place: str) -> None:
    folder = skill(tmp_path / place / "x")
    assert load_manifest("x").path == folder / "manifest.yaml"


def test_they_come_in_order(tmp_path: Path) -> None:
    places = [*ORDER, USER, PLUGIN]
    for place in reversed(places):
        folder = skill(tmp_path / place / "x")
        assert load_manifest("x").path == folder / "manifest.yaml"


def test_a_place_without_expectations_hides_none(tmp_path: Path) -> None:
    """The skill lies in `.claude/skills`, what is expected of it in `.test/skills`."""
    skill(tmp_path / "repo/.claude/skills/x", files=False)
    folder = skill(tmp_path / "repo/.test/skills/x")
    assert load_manifest("x").path == folder / "manifest.yaml"


def test_a_plugins_skill_by_its_whole_name(tmp_path: Path) -> None:
    folder = skill(tmp_path / PLUGIN / "x")
    skill(tmp_path / "repo/skills/x")
    assert load_manifest("p:x").path == folder / "manifest.yaml"
    with pytest.raises(ConfigurationError, match="there is none in"):
        load_manifest("q:x")


def test_which_was_taken_is_said(tmp_path: Path) -> None:
    near = skill(tmp_path / "repo/.claude/skills/x")
    far = skill(tmp_path / USER / "x")
    command = [sys.executable, "-m", "skilltrace_mlflow", "validate", "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"'x': taken from {near}; it is also in {far}" in done.stderr
    (far / "manifest.yaml").unlink()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "taken from" not in done.stderr


def test_a_damaged_list_of_plugins_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "home/.claude/plugins/installed_plugins.json"
    path.write_text('{"plugins": []}')
    with pytest.raises(ConfigurationError, match="skill 'x': found no skills/"):
        load_manifest("x")
    assert f"{path}: cannot be read" in caplog.text


@pytest.mark.parametrize("place", [*ORDER, USER])
@pytest.mark.parametrize("other", [None, "repo/work/skills"])
def test_init_writes_into_the_folder_that_is_there(
    tmp_path: Path, place: str, other: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = skill(tmp_path / place / "x", files=False)
    if other is not None:
        (tmp_path / other).mkdir(parents=True)
    assert run(["init", "x"]) == 0
    assert len(list(tmp_path.rglob("manifest.yaml"))) == 1
    assert (folder / "manifest.yaml").exists()
    capsys.readouterr()
    assert run(["validate", "x"]) == 0
    assert run(["init", "x"]) == 2
    assert str(folder) in capsys.readouterr().err


def test_init_leaves_an_installed_plugin_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = skill(tmp_path / PLUGIN / "x", files=False)
    assert run(["init", "p:x"]) == 2
    assert "belongs to the installed plugin p@mk" in capsys.readouterr().err
    assert sorted(p.name for p in folder.iterdir()) == ["SKILL.md"]


@pytest.mark.parametrize("place", PROJECT)
def test_a_new_skill_goes_where_skills_are(here: Path, place: str) -> None:
    (here.parent / place).mkdir(parents=True)
    assert run(["init", "x"]) == 0
    assert (here.parent / place / "x" / "manifest.yaml").exists()
    assert (here.parent / ".skilltrace" / "schemas" / "manifest.schema.json").exists()


def test_validate_takes_all_of_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, place in zip("abcd", (*ORDER[1:], USER), strict=True):
        skill(tmp_path / place / name)
    (tmp_path / ORDER[0]).mkdir(parents=True)  # without any
    assert run(["validate"]) == 0
    names = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["a", "b", "c"]
