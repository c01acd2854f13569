"""A crash is not "an expectation failed": one line, exit code 3; the traceback is for --debug."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skilltrace_mlflow import evaluation
from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.errors import EvaluationError
from skilltrace_mlflow.sources.mlflow._place import await_store

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
GOOD = str(SKILL / "traces" / "demo-good.jsonl")
TRACE_EVAL = ["trace-eval", str(SKILL), "--trace", GOOD]
BROKEN = "sqlite:///new.db: no store can be made there"
CREATE = "import mlflow; mlflow.MlflowClient('sqlite:///new.db').search_experiments()"


@pytest.mark.parametrize(
    "error", [KeyError("x"), RuntimeError("two\nlines"), AssertionError(), OSError(36, "too long")]
)
def test_an_unexpected_error(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(evaluation, "trace_eval", breaks)
    assert run(TRACE_EVAL) == 3
    caught = capsys.readouterr()
    (line,) = caught.err.splitlines()
    assert line.startswith(f"error: {type(error).__name__}")
    assert "--debug" in line
    assert caught.out == ""
    assert run([*TRACE_EVAL, "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_debug_keeps_the_exit_code_of_an_error_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace-eval", str(SKILL), "--trace", "nowhere.jsonl", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["trace-eval", str(SKILL), "--local"], ["list-traces"]])
def test_a_very_long_working_directory(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = tmp_path / ("d" * 200) / ("e" * 200) / ("f" * 200)
    deep.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(deep)
    try:
        assert run(command) == 3
    finally:
        os.chdir(before)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


@pytest.mark.parametrize("another", [False, True], ids=["ours", "and MLflow's own"])
def test_several_jobs_on_a_store_that_is_not_there_yet(tmp_path: Path, another: bool) -> None:
    """Ours wait for each other. One of MLflow's own, at once with them, may leave tables behind
    that MLflow itself cannot go on from: then that is said, in one line.
    """
    ours = [sys.executable, "-m", "skilltrace_mlflow", "import", GOOD]
    ours += ["--tracking-uri", "sqlite:///new.db", "--experiment", "0"]
    commands = [ours, ours, ours, *([[sys.executable, "-c", CREATE]] if another else [])]
    jobs = [
        subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    ended = [(*job.communicate(timeout=180), job.returncode) for job in jobs]
    for out, err, code in ended[:3]:
        assert code == 0 or (another and code == 3 and BROKEN in err), (out, err)
    assert not list(tmp_path.glob("*.lock"))


def test_what_is_no_store_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 100, encoding="utf-8")
    with pytest.raises(EvaluationError, match="no store can be made"):
        await_store(f"sqlite:///{tmp_path / 'text.db'}", longest=60)
    with pytest.raises(EvaluationError, match="no store can be made"):
        await_store(f"sqlite:///{tmp_path / 'text.db' / 'x.db'}", longest=60)
