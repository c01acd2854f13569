"""`schema`: the JSON Schema of a manifest or a ground truth, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from skilltrace_mlflow.cli._common import (
    output_option,
    verbosity_options,
    write_files,
    write_result,
)

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow schema manifest > manifest.schema.json, and as the first "
    "line of manifest.yaml: # yaml-language-server: $schema=manifest.schema.json",
)
@click.argument("kind", type=click.Choice(["manifest", "ground-truth"]))
@output_option("json")
@verbosity_options
def command(kind: str, outputs: tuple[Path, ...], quiet: bool, verbose: bool) -> int:
    """Print the JSON Schema of a manifest or a ground truth.

    It is composed from the registered checks, so it knows every key that this version reads. Each
    has a description and an example, and the names of checks, scorers, gates and tools are offered.
    """
    from skilltrace_mlflow.expectations.editor_schema import editor_schema

    text = json.dumps(editor_schema(kind), indent=2, ensure_ascii=False)
    write_files(outputs, lambda _: text, quiet=quiet)
    write_result(text, "json")
    return 0
