"""`--latest` through both doors: the newest of the experiment where a store is named, else the
newest session that was started in this directory.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from skilltrace_mlflow import trace_eval
from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.errors import TraceNotFoundError
from skilltrace_mlflow.importing import import_transcripts
from skilltrace_mlflow.sources.locate import project_slug

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
STORE = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID")


def record(name: str, cwd: Path, *, age: int, folder: str | None = None) -> Path:
    """A session of one prompt and one answer, as if started in `cwd` `age` seconds ago."""
    place = Path(os.environ["CLAUDE_CONFIG_DIR"]) / "projects" / (folder or project_slug(cwd))
    place.mkdir(parents=True, exist_ok=True)
    shared = {"sessionId": name, "cwd": str(cwd), "timestamp": "2026-01-01T00:00:00.000Z"}
    answer = {"id": f"msg_{name}", "role": "assistant", "model": "claude-sonnet-4-5"}
    answer["content"] = [{"type": "text", "text": "done"}]  # type: ignore[assignment]
    answer["stop_reason"] = "end_turn"
    answer["usage"] = {"input_tokens": 1, "output_tokens": 1}  # type: ignore[assignment]
    entries = [
        {**shared, "type": "user", "uuid": "1", "message": {"role": "user", "content": name}},
        {**shared, "type": "assistant", "uuid": "2", "parentUuid": "1", "message": answer},
    ]
    path = place / f"{name}.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    moment = path.stat().st_mtime - age
    os.utime(path, (moment, moment))
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in STORE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    place = tmp_path / "a.b"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def test_without_a_store_it_is_this_directorys_newest(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record("older", here, age=20)
    newest = record("newer", here, age=10)
    # Another directory with the same folder name, and another project: both newer.
    record("same-folder", here.parent / "a-b", age=0, folder=project_slug(here))
    record("elsewhere", here.parent / "other", age=0)
    (result,) = trace_eval(SKILL, latest=True).results
    assert result.source == str(newest)
    capsys.readouterr()
    run(["trace-eval", str(SKILL), "--latest", "--format", "json"])
    (printed,) = json.loads(capsys.readouterr().out)["results"]
    assert printed["source"] == str(newest)


def test_without_a_store_and_a_session_it_says_so(here: Path) -> None:
    record("elsewhere", here.parent / "other", age=0)
    with pytest.raises(TraceNotFoundError, match="no Claude Code session of"):
        trace_eval(SKILL, latest=True)


@pytest.mark.parametrize("named", ["option", "environment"])
def test_in_a_store_it_is_the_experiments_newest(
    here: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    record("local", here, age=0)
    uri = f"sqlite:///{here / 'mlflow.db'}"
    logged = record("logged", here.parent / "other", age=5)
    (trace_id,) = import_transcripts([logged], experiment="e", tracking_uri=uri).trace_ids
    options = {"tracking_uri": uri, "experiment": "e"}
    if named == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "e")
        options = {}
    (result,) = trace_eval(SKILL, latest=True, **options).results  # type: ignore[arg-type]
    assert result.trace_id == trace_id
