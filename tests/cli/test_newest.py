"""`--latest` and `--local` mean the same session in `show` and `expect` as in `trace-eval`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.sources.locate import project_slug

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    folder = tmp_path / "claude" / "projects" / project_slug(work)
    folder.mkdir(parents=True)
    lines = (SKILL / "traces" / "demo-good.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    text = "".join(json.dumps({**r, "cwd": str(work)} if "cwd" in r else r) + "\n" for r in rows)
    file = folder / "11111111-1111-4111-8111-111111111111.jsonl"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(work)
    return file


@pytest.mark.parametrize("option", ["--latest", "--local"])
def test_newest(option: str, session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", option, "--format", "json"]) == 0
    newest = capsys.readouterr().out
    assert run(["show", str(session), "--format", "json"]) == 0
    assert newest == capsys.readouterr().out

    assert run(["expect", option]) == 0
    case = yaml.safe_load(capsys.readouterr().out)["test_cases"][0]
    assert Path(case["outputs"]["trace_ref"]).name == session.name


@pytest.mark.parametrize(
    "command",
    [["show", "--latest", "--local"], ["expect", "--latest", "--session-id", "x"]],
)
def test_one_at_a_time(
    command: list[str], session: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert session.exists()
    assert run(command) == 2
    assert "--latest" in capsys.readouterr().err
