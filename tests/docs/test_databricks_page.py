"""Every command that the documents and the notebooks show exists, with its options, run or not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from skilltrace_mlflow.cli._app import app
from skilltrace_mlflow.cli.job import command as job
from skilltrace_mlflow.cli.scale import command as scale

ROOT = Path(__file__).resolve().parents[2]
SHOWN = [
    ROOT / "README.md",
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "bundle.yml",
    *(ROOT / "notebooks").glob("*.py"),
]
COMMANDS: dict[str, click.Command] = {
    "skilltrace-mlflow": app,
    "skilltrace-job": job,
    "skilltrace-scale": scale,
}


def shown() -> list[str]:
    """Lines of `bash` blocks, and of indented text of a notebook, that call one of ours: with the
    values of their variables, and without what is done where they fail.
    """
    found = []
    for path in SHOWN:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        values = dict(re.findall(r'^(\w+)="([^"]*)"$', text, re.MULTILINE))
        for line in text.splitlines():
            words = re.sub(r"^\s*#( MAGIC)?\s*", "", line).strip()
            words = re.split(r" (?:\|\|?|>) ", words)[0]
            if words.partition(" ")[0] in COMMANDS and "`" not in words:
                for name, value in values.items():
                    words = words.replace(f"${name}", value)
                found.append(words)
    return sorted(set(found))


def test_there_are_commands_to_look_at() -> None:
    assert len(shown()) > 5


@pytest.mark.parametrize("line", shown())
def test_commands_options_and_arguments_are_taken(line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    command = COMMANDS[program]
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"no command {name!r}"
        command = found
    parser = command.make_parser(click.Context(command))
    # Values are placeholders: what counts is that the command has the options and arguments.
    _, left, order = parser.parse_args(args=words)
    assert not left, f"{left} are no arguments of {command.name}"
    given = {parameter.name for parameter in order}
    needed = {parameter.name for parameter in command.params if parameter.required}
    assert needed <= given
