"""The notebook runs as it stands, against a local store, with a small stand-in for `dbutils`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


class NotebookExitError(Exception):
    """What `dbutils.notebook.exit` raises here; a workspace ends the notebook's run."""


class Widgets:
    def __init__(self, given: dict[str, str]) -> None:
        self.given = given
        self.declared: dict[str, str] = {}

    def text(self, name: str, default: str, label: str = "") -> None:
        self.declared[name] = self.given.get(name, default)

    def get(self, name: str) -> str:
        return self.declared[name]


class Notebook:
    """Runs a notebook's Python cells; `%` and markdown cells stand behind `# MAGIC`."""

    def __init__(self, path: Path, widgets: dict[str, str]) -> None:
        self.source = path.read_text(encoding="utf-8")
        self.path = path
        self.widgets = Widgets(widgets)
        self.shown: list[Any] = []
        self.notebook = self
        self.exit_value: str | None = None

    def exit(self, value: str) -> None:
        self.exit_value = value
        raise NotebookExitError

    def run(self) -> None:
        scope = {
            "dbutils": self,
            "display": self.shown.append,
            "displayHTML": self.shown.append,
            "__name__": "__main__",
        }
        code = compile(self.source, str(self.path), "exec")
        with pytest.raises(NotebookExitError):
            exec(code, scope)  # noqa: S102 - a notebook is code to run


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_start_with_the_line_that_makes_them_notebooks(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# Databricks notebook source"


def test_notebook_evaluates_the_example_skill_and_shows_the_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    notebook = Notebook(
        ROOT / "notebooks" / "evaluate_skill.py",
        {
            "skills_dir": str(ROOT / "examples" / "skills"),
            "experiment": "notebook",
            "tracking_uri": uri,
        },
    )
    notebook.run()

    assert notebook.exit_value == "1"  # one recorded session fails on purpose
    matrix, frame = notebook.shown
    assert "<table" in matrix
    assert "orders_create_gone_wrong" in matrix
    assert isinstance(frame, pd.DataFrame)
    verdicts = frame.set_index(["test_id", "check"])["verdict"]
    assert verdicts["orders_create", "tool_count"] == "pass"
    assert verdicts["orders_create_gone_wrong", "tool_count"] == "fail"
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("notebook")
    assert experiment is not None
    traces = client.search_traces(locations=[experiment.experiment_id])
    names = {a.name for trace in traces for a in trace.info.assessments}
    assert {"tool_count", "banned_tools", "tool_trajectory"} <= names
