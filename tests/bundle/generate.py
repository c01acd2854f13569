"""Writes this repository's bundle from the template: `python -m tests.bundle.generate`."""

from __future__ import annotations

from pathlib import Path

from skilltrace_mlflow.databricks.bundle import repository_bundle

PLACE = Path(__file__).resolve().parents[2] / "bundle.yml"

if __name__ == "__main__":
    PLACE.write_text(repository_bundle(), encoding="utf-8")
