"""The notebooks run as they stand, on local stores, with a small stand-in for `dbutils`."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml

from skilltrace_mlflow.autolog import autolog_status
from skilltrace_mlflow.databricks.delta import open_table
from skilltrace_mlflow.databricks.job import RUNS
from skilltrace_mlflow.databricks.outcomes import outcome_rows
from skilltrace_mlflow.errors import EvaluationFailedError, InputError
from skilltrace_mlflow.evaluation import trace_eval
from tests.bundle.notebooks import NOTEBOOKS, ROOT, Notebook, as_jupyter


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


SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"


def outcome_table(folder: Path, *, exit_code: int) -> str:
    """What three runs of a job leave: two of a session that passed, one of two that did not all."""
    table = str(folder / "outcomes")
    start = datetime(2026, 11, 20, 5, tzinfo=timezone.utc)
    for number, names in enumerate((["demo-good"], ["demo-good"], ["demo-good", "demo-failing"])):
        traces = [SKILL / "traces" / f"{name}.jsonl" for name in names]
        rows = outcome_rows(
            trace_eval(SKILL, traces=traces), scored_at=start + timedelta(days=number)
        )
        for row in rows:
            row["run_id"] = f"{number}" * 32
            row["trace_id"] += f"-{number}"
        open_table(table).merge(rows)
    row = {
        **{c.name: 0 for c in RUNS.columns if c.type in ("INT", "BIGINT")},
        **{c.name: start for c in RUNS.columns if c.type == "TIMESTAMP"},
        **{c.name: "[]" for c in RUNS.columns if c.type == "STRING"},
        "scope": json.dumps(["e", ["bronze-ingestion"]]),
        "exit_code": exit_code,
        "failed": 1,
    }
    open_table(f"{table}_runs", RUNS).merge([row])
    return table


@pytest.mark.parametrize(("exit_code", "fail_job"), [(0, "true"), (1, "false"), (1, "true")])
def test_notebook_shows_how_runs_did_and_fails_where_the_newest_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exit_code: int, fail_job: str
) -> None:
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS", "true")
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    mlflow.MlflowClient(tracking_uri=uri).create_experiment("watched")
    notebook = Notebook(
        ROOT / "notebooks" / "04_monitoring.py",
        {
            "table": outcome_table(tmp_path, exit_code=exit_code),
            "skill": "bronze-ingestion",
            "experiment": "watched",
            "tracking_uri": uri,
            "fail_job": fail_job,
        },
    )
    if exit_code and fail_job == "true":
        with pytest.raises(EvaluationFailedError, match="exit code 1: 1 failed") as caught:
            notebook.run()
        assert caught.value.exit_code == 1
    else:
        notebook.run()
    rate, tokens, counts = notebook.shown
    assert "<svg" in rate
    assert "<svg" in tokens
    first = counts[counts["run"] == counts["run"].min()]
    last = counts[counts["run"] == counts["run"].max()]
    assert counts["run"].nunique() == 3
    assert first["fail"].sum() == 0
    assert last["fail"].sum() > 0


def test_an_empty_table_is_told_with_the_way_out(tmp_path: Path) -> None:
    notebook = Notebook(
        ROOT / "notebooks" / "04_monitoring.py", {"table": str(tmp_path / "none"), "experiment": ""}
    )
    with pytest.raises(InputError, match="run the job first"):
        notebook.run()


def test_notebooks_run_in_jupyter_and_an_error_reads_like_the_command_lines(tmp_path: Path) -> None:
    """Real kernels; only Spark's notebook, whose environment is another, is left to its tests."""
    import nbclient

    given = {
        "01_setup_autolog": {"project": str(tmp_path)},
        "02_evaluate_traces": {
            "skills_dir": str(ROOT / "examples" / "skills"),
            "tracking_uri": f"sqlite:///{tmp_path / 'store.db'}",
            "experiment": "jupyter",
        },
        "03_author_expectations": {"trace": str(SKILL / "traces" / "demo-good.jsonl")},
        "04_monitoring": {"table": outcome_table(tmp_path, exit_code=0), "experiment": ""},
    }
    assert {path.stem for path in NOTEBOOKS} == {*given, "05_scale_with_spark"}
    notebooks = {
        name: as_jupyter(ROOT / "notebooks" / f"{name}.py", widgets)
        for name, widgets in given.items()
    }
    # One kernel after the other would load MLflow four times.
    together = copy.copy(notebooks["01_setup_autolog"])
    together.cells = [cell for notebook in notebooks.values() for cell in notebook.cells]
    client = nbclient.NotebookClient(together, timeout=240, allow_errors=True)
    client.execute(cwd=str(tmp_path))
    for name, notebook in notebooks.items():
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        errors = [output for output in outputs if output["output_type"] == "error"]
        if name == "02_evaluate_traces":  # one recorded session fails on purpose
            (error,) = errors
            assert len(error["traceback"]) == 1
            assert error["traceback"][0].startswith("error: bronze-ingestion: exit code 1")
        else:
            assert errors == []
        assert outputs
