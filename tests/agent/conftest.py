"""What the tests of the agent share: the real CLI, the scripted server, a skill, no leftovers."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

from tests.agent.model_server import ModelServer, Script

SKILL = """---
name: naming
description: How tables are named here.
---

Tables are snake_case and carry their layer as a prefix.
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store with all its tables, which take seconds to make."""
    logging.getLogger("alembic").setLevel(logging.ERROR)
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path, template: Path) -> Path:
    """A working directory with an empty store `mlflow.db`."""
    folder = tmp_path / "here"
    folder.mkdir()
    shutil.copy(template, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def claude() -> str:
    """The real CLI; without it the test is skipped here and fails where everything must run."""
    binary = os.environ.get("CLAUDE_BIN") or shutil.which("claude")
    if binary is None:
        message = "no 'claude' on PATH: npm install --global @anthropic-ai/claude-code"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return binary


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where attempts have their folders, so that a test can look for what was left behind."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Iterable[Script]], ModelServer]]:
    """Starts the scripted model and leads Claude Code to it."""
    running: list[ModelServer] = []

    def start(scripts: Iterable[Script]) -> ModelServer:
        model = ModelServer(scripts)
        model.__enter__()
        running.append(model)
        for name, value in model.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("IS_SANDBOX", "1")
        return model

    yield start
    for model in running:
        model.__exit__(None, None, None)


@pytest.fixture
def skills(tmp_path: Path) -> Callable[..., Path]:
    """Writes a skill with its tests and returns the folder of all skills."""

    def write(cases: list[dict[str, object]], **manifest: object) -> Path:
        folder = tmp_path / "skills" / "naming"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "SKILL.md").write_text(SKILL, encoding="utf-8")
        whole = {"skill": {"name": "naming"}, **manifest}
        (folder / "manifest.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
        (folder / "ground_truth.yaml").write_text(
            yaml.safe_dump({"test_cases": cases}), encoding="utf-8"
        )
        return tmp_path / "skills"

    return write


@pytest.fixture(autouse=True)
def _no_outside_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "CLAUDE_CODE_")):
            monkeypatch.delenv(name)
