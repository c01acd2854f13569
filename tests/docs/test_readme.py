"""What the README shows is true: its Python runs, its YAML loads, its commands and links exist."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from skilltrace_mlflow.checks import all_checks
from skilltrace_mlflow.cli._app import app
from skilltrace_mlflow.expectations import load_manifest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks/README.md"]
README = PAGES[0].read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_python_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (block,) = blocks("python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert printed.getvalue().startswith("0 [('banned_tools', 'pass')")


def test_yaml_of_the_readme_is_a_valid_manifest(tmp_path: Path) -> None:
    (block,) = blocks("yaml")
    path = tmp_path / "manifest.yaml"
    path.write_text(block, encoding="utf-8")
    assert set(load_manifest(path).trace_expectations) == set(
        yaml.safe_load(block)["scorers"]["trace_expectations"]
    )


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`(skilltrace-mlflow [^`]+)`", README))))
def test_commands_and_options_of_the_readme_exist(line: str) -> None:
    _, name, *rest = shlex.split(line)
    context = click.Context(app)
    command = app.get_command(context, name)
    assert command is not None
    if isinstance(command, click.Group) and rest:
        command = command.get_command(context, rest.pop(0))
        assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("-")} <= known


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w[\w-]*):", makefile, re.MULTILINE))
    assert set(re.findall(r"make (\w+)", README)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_modules_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = Path(importlib.import_module("skilltrace_mlflow").__file__ or "").parent
    rooms = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    named = {name for row in rooms for name in re.findall(r"`([\w./]+)`", row)}
    there = {path.name + ("/" if path.is_dir() else "") for path in package.iterdir()}
    assert {name for name in named if name not in there} == set()
    hidden = {"__init__.py", "__main__.py", "__pycache__/", "_generalise.py", "py.typed"}
    assert there - named - hidden == set()


@pytest.mark.parametrize("name", all_checks())
def test_each_check_says_what_is_seen_what_is_unknown_and_what_is_out_of_sight(name: str) -> None:
    paragraphs = all_checks()[name].summary.split("\n\n")
    for head in ("Seen:", "Unknown:", "Out of sight:"):
        assert [text for text in paragraphs if text.strip().startswith(head)], head
