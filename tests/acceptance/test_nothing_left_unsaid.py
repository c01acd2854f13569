"""What was not judged, or judged on a damaged record, is said in the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.importing import import_transcripts
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from tests.driver.stores import use_store

ROOT = Path(__file__).resolve().parents[2]
RESUMED = next((ROOT / "tests/data/recordings/resume").glob("*.jsonl"))
GOOD = ROOT / "examples/skills/bronze-ingestion/traces/demo-good.jsonl"
TURN = ROOT / "tests/data/traces/process_transcript/plain.json"

MANIFEST = """
skill: {name: s}
scorers:
  trace_expectations: {tool_limits: {Bash: 5}}
  session_expectations: {turn_limit: {max_user_messages: 1}}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.yaml"
    path.write_text(MANIFEST, encoding="utf-8")
    return path


def verdicts(text: str) -> dict[str, Any]:
    return {check["name"]: check["verdict"] for check in json.loads(text)["checks"]}


def test_one_turn_of_a_session_is_judged_with_the_whole_session_behind_it(
    tmp_path: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    import_transcripts([RESUMED], experiment="ex", tracking_uri=uri)
    last = mlflow_store.search_experiment_traces("ex", tracking_uri=uri)[0].info.trace_id
    capsys.readouterr()
    place = ["--trace-id", last, "--tracking-uri", uri]
    code = run(["trace-eval", "--manifest", str(manifest), "--format", "jsonl", *place])
    assert verdicts(capsys.readouterr().out) == {"session.turn_limit": "fail", "tool_count": "pass"}
    assert code == 1


def test_one_turn_in_a_file_leaves_the_session_unjudged(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        ["trace-eval", "--manifest", str(manifest), "--format", "jsonl", "--trace", str(TURN)]
    )
    assert verdicts(capsys.readouterr().out) == {
        "session.turn_limit": "unknown",
        "tool_count": "pass",
    }
    assert code == 3


@pytest.mark.parametrize(("form", "said"), [("table", "note: cut: line"), ("jsonl", '"notes"')])
def test_a_cut_last_line_is_said(
    form: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text("skill: {name: s}\ntrace_expectations: {required_tools: [Read]}\n")
    cut = tmp_path / "cut.jsonl"
    lines = GOOD.read_text(encoding="utf-8")
    cut.write_text(lines + lines.splitlines()[3][:150], encoding="utf-8")
    code = run(
        ["trace-eval", "--manifest", str(path), "--trace", str(cut), "--format", form],
    )
    out = capsys.readouterr().out
    assert code == 0
    assert said in out
    assert "the last line is cut" in out


def test_a_folder_without_sessions_is_named(
    tmp_path: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    code = run(["trace-eval", "--manifest", str(manifest), "--trace-dir", str(empty)])
    captured = capsys.readouterr()
    assert code == 3
    assert f"{empty}: no Claude Code session" in " ".join(captured.out.split())


def test_a_run_stands_for_its_claude_code_traces_only(
    tmp_path: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # As the run of an evaluation does where a row had no trace and MLflow made one.
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    import_transcripts([RESUMED], experiment="ex", tracking_uri=uri)
    traces = mlflow_store.search_experiment_traces("ex", tracking_uri=uri)
    with use_store(uri, "ex"):
        with mlflow.start_run() as started:
            with mlflow.start_span("row"):
                pass
            client = mlflow.MlflowClient()
            client.link_traces_to_run([t.info.trace_id for t in traces], started.info.run_id)
        with mlflow.start_run() as bare, mlflow.start_span("row"):
            pass
        mlflow.flush_trace_async_logging()
    capsys.readouterr()

    def codes(run_id: str) -> tuple[int, list[str]]:
        place = ["--run-id", run_id, "--tracking-uri", uri]
        code = run(["trace-eval", "--manifest", str(manifest), "--format", "jsonl", *place])
        lines = capsys.readouterr().out.splitlines()
        return code, [json.loads(line)["verdict"] for line in lines]

    assert codes(started.info.run_id) == (1, ["fail", "fail"])
    assert codes(bare.info.run_id) == (3, [])
