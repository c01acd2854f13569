"""What the README shows is true: its Python runs, its YAML loads, its commands and links exist."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

from skilltrace_mlflow.checks import all_checks
from skilltrace_mlflow.cli._app import app
from tests.docs.generate_reference import BUILT

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks/README.md"]
BUILT_PAGES = {ROOT / "docs" / "reference" / name for name in BUILT}  # with the site
README = PAGES[0].read_text(encoding="utf-8")


def test_the_first_screen_is_read_aloud_in_a_minute() -> None:
    first = README.partition("## Use it")[0]
    spoken = re.sub(r"!\[.*?\]\(.*?\)|<!--.*?-->|[`#|]", " ", first)
    assert len(spoken.split()) < 150, "about 150 words are read aloud in a minute"


def test_the_readme_names_every_check_of_a_trace() -> None:
    missing = [spec.key for spec in all_checks().values() if f"`{spec.key}`" not in README]
    assert missing == []


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


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=lambda page: page.name
)
def test_make_targets_of_the_pages_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w[\w-]*):", makefile, re.MULTILINE))
    named = re.findall(r"(?:^|`|\$ )make ([a-z][\w-]*)", page.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= targets
    assert named or page.parent != ROOT or page.name == "SECURITY.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve()
        if "://" not in target and path not in BUILT_PAGES:
            assert path.exists(), target


def test_modules_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = Path(importlib.import_module("skilltrace_mlflow").__file__ or "").parent
    rooms = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    named = {name for row in rooms for name in re.findall(r"`([\w./]+)`", row)}
    there = {path.name + ("/" if path.is_dir() else "") for path in package.iterdir()}
    assert {name for name in named if name not in there} == set()
    hidden = {"__init__.py", "__main__.py", "__pycache__/", "py.typed"}
    assert there - named - hidden == set()


@pytest.mark.parametrize("name", all_checks())
def test_each_check_says_what_is_seen_what_is_unknown_and_what_is_out_of_sight(name: str) -> None:
    paragraphs = all_checks()[name].summary.split("\n\n")
    for head in ("Seen:", "Unknown:", "Out of sight:"):
        assert [text for text in paragraphs if text.strip().startswith(head)], head
