"""The site builds without a warning, its generated pages are current, its schema is true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click import Context
from jsonschema import Draft202012Validator

import skilltrace_mlflow
from skilltrace_mlflow import trace_eval
from skilltrace_mlflow.cli._app import app
from skilltrace_mlflow.report import render
from skilltrace_mlflow.sources.mlflow import _generation
from skilltrace_mlflow.sources.mlflow._generation import Generation
from tests.docs.generate_reference import FOLDER, PAGES, result_schema

ROOT = Path(__file__).resolve().parents[2]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"


@pytest.mark.parametrize("name", [name for name in PAGES if not name.endswith(".svg")])
def test_generated_pages_are_current(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run make docs"


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "site" / "reference" / "cli.html").read_text(encoding="utf-8")
    assert all(
        f'id="skilltrace-mlflow-{name}"' in commands for name in app.list_commands(Context(app))
    )
    python = (tmp_path / "site" / "reference" / "python.html").read_text(encoding="utf-8")
    assert all(f"skilltrace_mlflow.{name}" in python for name in skilltrace_mlflow.__all__)
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?://[^"]+)"', page)
    assert loaded == [], "the site loads nothing from elsewhere"


@pytest.mark.parametrize("include_trace", [False, True])
def test_result_lines_are_as_their_schema_says(include_trace: bool) -> None:
    Draft202012Validator.check_schema(result_schema())
    evaluation = trace_eval(SKILL, trace_dir=SKILL / "traces")
    validator = Draft202012Validator(result_schema())
    lines = render(evaluation, "jsonl", include_trace=include_trace).splitlines()
    assert len(lines) == 4
    for line in map(json.loads, lines):
        assert [error.message for error in validator.iter_errors(line)] == []
        assert set(line) <= set(result_schema()["properties"])


@pytest.mark.parametrize(
    ("key", "value"), [("verdict", "passed"), ("attempt", 0), ("checks", [{"name": "x"}])]
)
def test_the_schema_refuses_what_is_no_result(key: str, value: object) -> None:
    evaluation = trace_eval(SKILL, SKILL / "traces" / "demo-good.jsonl")
    line = json.loads(render(evaluation, "jsonl"))
    assert not Draft202012Validator(result_schema()).is_valid({**line, key: value})


def test_the_table_of_writers_is_what_the_reader_takes_them_for() -> None:
    text = (ROOT / "docs" / "explanations" / "tracers.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines()]
    written = {row[0]: row[1:] for row in rows if len(row) == 5}
    known = [value for value in vars(_generation).values() if isinstance(value, Generation)]
    for writer in known:
        if writer.name not in (_generation.UNSURE.name, _generation.IMPORTED.name):
            cache = "by version" if writer.cache_unsure else _said(writer.cache_apart)
            flags = (writer.flags, writer.per_message, writer.subagents)
            assert written[writer.name] == [*map(_said, flags), cache]


def _said(value: bool) -> str:
    return "yes" if value else "no"
