"""`mlflow-eval` as a command: what goes where, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from skilltrace_mlflow.cli._app import run
from tests.driver.stores import write_skill
from tests.driver.traces import log_turn

MANIFEST = {"trace_expectations": {"tool_limits": {"Bash": 1}}}


@pytest.fixture
def skill(store: str, tmp_path: Path) -> Path:
    good, bad = log_turn("do good", ["Bash"]), log_turn("do bad", ["Bash"] * 2)
    return write_skill(
        tmp_path / "demo",
        manifest=MANIFEST,
        cases=[
            {"id": "good", "metadata": {"trace_id": good, "category": "a"}},
            {"id": "bad", "metadata": {"trace_id": bad, "category": "b", "tags": ["t"]}},
            {"id": "lost", "metadata": {"trace_id": "tr-" + "0" * 32, "category": "c"}},
        ],
    )


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--filter-category", "a"], 0, ""),
        (["--test-id", "good", "--test-id", "bad"], 1, ""),
        (["--tag", "t"], 1, ""),
        (["--test-id", "lost"], 3, "No trace available"),
        ([], 1, ""),
        (["--test-id", "goood"], 2, "did you mean 'good'"),
        (["--filter-category", "z"], 2, "'z'"),
        (["--fail-under", "tool_count=0.5", "--test-id", "good", "--test-id", "bad"], 0, ""),
        (["--fail-under", "tool_count=2"], 2, "--fail-under"),
        (["--attempts", "0"], 2, "attempts"),
        (["--timeout", "0"], 2, "timeout"),
        (["--resume", "0" * 32], 3, "--resume"),
        (["--experiment", "nowhere"], 1, ""),  # the cases name their traces
        (["--tracking-uri", "http://127.0.0.1:9"], 3, "does not answer"),
    ],
)
def test_exit_codes(
    skill: Path,
    options: list[str],
    code: int,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["mlflow-eval", str(skill), "--include-traces", *options]) == code
    caught = capsys.readouterr()
    assert told in caught.out + caught.err
    assert "Traceback" not in caught.err


def test_machine_formats_have_standard_output_to_themselves(
    skill: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, output = tmp_path / "r.html", tmp_path / "r.jsonl"
    files = ["--report", str(report), "--output", str(output)]
    run(["mlflow-eval", str(skill), "--include-traces", "--format", "jsonl", *files])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["test_id"], line["verdict"]) for line in lines] == [
        ("good", "pass"),
        ("bad", "fail"),
        ("lost", "unknown"),
    ]
    assert [json.loads(line) for line in output.read_text().splitlines()] == lines
    assert "<html" in report.read_text()


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--output", "r.foo"], 2, "'.foo' names no format"),
        (["--baseline", "0" * 32], 3, "not found"),
    ],
)
def test_what_the_result_is_for_is_looked_at_before_anything_is_evaluated(
    skill: Path,
    store: str,
    options: list[str],
    code: int,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = len(MlflowClient().search_runs(["1"]))
    assert run(["mlflow-eval", str(skill), "--include-traces", *options]) == code
    assert told in capsys.readouterr().err
    assert len(MlflowClient().search_runs(["1"])) == before


def test_a_baseline_is_looked_for_in_the_store_that_was_named(
    skill: Path, store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["mlflow-eval", str(skill), "--include-traces", "--format", "jsonl"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    asked = ["--trace-id", lines[0]["trace_id"], "--test-id", "good", "--tracking-uri", store]
    assert run(["trace-eval", str(skill), *asked, "--baseline", lines[0]["run_id"]]) == 0
    assert "compared with" in capsys.readouterr().err


def test_nothing_to_judge_is_no_success(skill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --include-traces these cases have nothing that could be judged."""
    assert run(["mlflow-eval", str(skill)]) == 3
