"""A registered scorer in an environment like the one that runs it: MLflow's skinny package alone.

Databricks runs scorers on Python 3.11 with mlflow-skinny; neither this package nor a parser of
shell or SQL is there. The environment is made with pip, which needs a package index.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.databricks.test_monitoring import EXPECTED, elsewhere, here, skill, traces_of_writers

# What no parser is needed for: verdicts have to be equal, without exception.
PLAIN = {
    **EXPECTED,
    "banned_tools": ["WebFetch", "NotebookEdit"],
    "tool_sequence": ["Read", "Edit"],
    "tool_errors": {"max": 0},
    "completion": "required",
}
PLAIN.pop("file_scope")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python 3.11 (this one, where there is none) with MLflow's skinny package of our version."""
    asked = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    folder = tmp_path_factory.mktemp("scorer") / "venv"
    subprocess.run([asked or sys.executable, "-m", "venv", folder], check=True, timeout=300)
    made = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    version = importlib.metadata.version("mlflow")
    install = [made, "-m", "pip", "install", "-q", "--no-compile", f"mlflow-skinny=={version}"]
    done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        told = (
            f"NOT TESTED: registered scorers without this package; pip says: {done.stderr[-300:]}"
        )
        if os.environ.get("CI"):
            pytest.fail(told)
        warnings.warn(told, stacklevel=1)
        pytest.skip(told)
    return made


def test_nothing_of_ours_is_installed_there(python: Path) -> None:
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {item["name"].lower().replace("_", "-") for item in json.loads(listed.stdout)}
    assert "mlflow-skinny" in names
    absent = {"skilltrace-mlflow", "mlflow", "pandas", "sqlglot", "tree-sitter", "msgspec"}
    assert not names & absent


def test_verdicts_that_need_no_parser_are_equal(python: Path, tmp_path: Path) -> None:
    manifest, traces = skill(PLAIN), traces_of_writers()
    found = elsewhere(manifest, traces, tmp_path, without="", python=python)
    verdicts = set()
    for trace, given in zip(traces, found, strict=True):
        expected = here(manifest, trace)
        assert [(g[0], g[1]) for g in given] == [(o.check, str(o.verdict)) for o in expected]
        assert [g[3] for g in given] == [o.explanation or None for o in expected]
        verdicts |= {g[1] for g in given}
    assert {"pass", "fail"} <= verdicts


def test_what_a_parser_would_tell_is_unknown_and_no_other_verdict(
    python: Path, tmp_path: Path
) -> None:
    manifest, traces = skill(EXPECTED), traces_of_writers()
    found = elsewhere(manifest, traces, tmp_path, without="", python=python)
    other = []
    for trace, given in zip(traces, found, strict=True):
        for mine, (name, verdict, value, _) in zip(here(manifest, trace), given, strict=True):
            assert name == mine.check
            if verdict != str(mine.verdict):
                assert (verdict, value) == ("unknown", None)
                other.append(name)
    assert set(other) <= {"banned_tools", "file_scope"}
