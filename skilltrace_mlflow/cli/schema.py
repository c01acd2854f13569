"""`schema`: the JSON Schema of a manifest or a ground truth, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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

    It is composed from the registered checks, so it knows every key that this version reads.
    """
    text = json.dumps(_schema(kind), indent=2, ensure_ascii=False)
    write_files(outputs, lambda _: text, quiet=quiet)
    write_result(text, "json")
    return 0


def _schema(kind: str) -> dict[str, Any]:
    from skilltrace_mlflow.expectations import ground_truth_schema, manifest_schema

    return manifest_schema() if kind == "manifest" else ground_truth_schema()
