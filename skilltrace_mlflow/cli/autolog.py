"""`autolog setup|status|disable`: MLflow's recording of Claude Code, for one directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skilltrace_mlflow.cli._common import format_option, note, write_result
from skilltrace_mlflow.cli._options import ExpandedPath
from skilltrace_mlflow.text import plain

if TYPE_CHECKING:
    from skilltrace_mlflow.autolog import SettingsChange

__all__ = ["command"]

_directory = click.option(
    "-d",
    "--directory",
    default=".",
    type=ExpandedPath(file_okay=False),
    show_default=True,
    help="The project whose sessions are traced.",
)


@click.group(epilog="Example: skilltrace-mlflow autolog setup -n my-experiment -u http://host:5000")
def command() -> None:
    """Set up, show or disable MLflow's tracing of Claude Code sessions."""


@command.command(epilog="Example: skilltrace-mlflow autolog setup -n my-experiment")
@_directory
@click.option("-u", "--tracking-uri", metavar="URI", help="MLflow tracking server or store.")
@click.option("-n", "--experiment-name", metavar="NAME", help="Experiment, by name.")
@click.option("-e", "--experiment-id", metavar="ID", help="Experiment, by id.")
@click.option("--local", is_flag=True, help="Write settings.local.json, not settings.json.")
def setup(
    directory: Path,
    tracking_uri: str | None,
    experiment_name: str | None,
    experiment_id: str | None,
    local: bool,
) -> None:
    """Trace this project's sessions from now on (runs mlflow autolog claude)."""
    from skilltrace_mlflow.autolog import setup_autolog

    _show(
        setup_autolog(
            directory,
            experiment_name,
            tracking_uri=tracking_uri,
            experiment_id=experiment_id,
            local=local,
        )
    )


@command.command(epilog="Example: skilltrace-mlflow autolog status --format json")
@_directory
@format_option("table", "json")
def status(directory: Path, output_format: str) -> None:
    """Show whether this project's sessions are traced, and where to."""
    from skilltrace_mlflow.autolog import autolog_status
    from skilltrace_mlflow.text import without_password

    found = autolog_status(directory)
    fields = {
        "directory": str(found.directory),
        "enabled": found.enabled,
        "tracking_uri": found.tracking_uri and without_password(found.tracking_uri),
        "experiment_id": found.experiment_id,
        "experiment_name": found.experiment_name,
        "settings": [str(path) for path in found.files],
    }
    if output_format == "json":
        write_result(json.dumps(fields, indent=2), "json")
        return
    state = "enabled" if found.enabled else "not enabled"
    lines = [f"tracing of {found.directory}: {state}"]
    lines += [f"  {name}: {fields[name]}" for name in fields if name.startswith(("track", "exp"))]
    lines.append(f"  read from: {', '.join(map(str, found.files)) or 'no settings file'}")
    write_result(plain("\n".join(lines)))


@command.command(epilog="Example: skilltrace-mlflow autolog disable -d ~/my-project")
@_directory
def disable(directory: Path) -> None:
    """Stop tracing this project's sessions."""
    from skilltrace_mlflow.autolog import disable_autolog

    _show(disable_autolog(directory))


def _show(changes: tuple[SettingsChange, ...]) -> None:
    if not changes:
        note("nothing changed")
    for change in changes:
        write_result(plain(change.diff))
