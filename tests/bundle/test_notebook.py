"""The notebook runs as it stands, against a local store, with a small stand-in for `dbutils`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import yaml

from skilltrace_mlflow.autolog import autolog_status
from skilltrace_mlflow.errors import EvaluationFailedError

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


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

    def run(self) -> None:
        scope = {
            "dbutils": self,
            "display": self.shown.append,
            "displayHTML": self.shown.append,
            "__name__": "__main__",
        }
        code = compile(self.source, str(self.path), "exec")
        exec(code, scope)  # noqa: S102 - a notebook is code to run


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_start_with_the_line_that_makes_them_notebooks(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# Databricks notebook source"


@pytest.mark.parametrize("fail_job", ["true", "false"])
def test_notebook_evaluates_the_example_skill_and_shows_the_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_job: str
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    notebook = Notebook(
        ROOT / "notebooks" / "02_evaluate_traces.py",
        {
            "skills_dir": str(ROOT / "examples" / "skills"),
            "experiment": "notebook",
            "tracking_uri": uri,
            "fail_job": fail_job,
        },
    )
    if fail_job == "true":  # one recorded session fails on purpose, and so does the run
        with pytest.raises(EvaluationFailedError, match="orders_create_gone_wrong") as caught:
            notebook.run()
        assert caught.value.exit_code == 1
    else:
        notebook.run()
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


def test_notebook_shows_whether_a_project_is_traced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".claude").mkdir()
    settings = {"env": {"MLFLOW_CLAUDE_TRACING_ENABLED": "true", "MLFLOW_TRACKING_URI": "x"}}
    (tmp_path / ".claude" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    notebook = Notebook(ROOT / "notebooks" / "01_setup_autolog.py", {"project": str(tmp_path)})
    notebook.run()
    status = autolog_status(tmp_path)
    assert status.enabled
    assert capsys.readouterr().out == f"{status}\n"


def test_notebook_proposes_expectations_that_hold_on_the_session(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trace = ROOT / "examples/skills/bronze-ingestion/traces/demo-good.jsonl"
    notebook = Notebook(ROOT / "notebooks" / "03_author_expectations.py", {"trace": str(trace)})
    notebook.run()
    (page,) = notebook.shown
    assert "<html" in page
    (case,) = yaml.safe_load(capsys.readouterr().out)["test_cases"]
    assert case["id"] == "recorded_001"
    assert case["expectations"]
