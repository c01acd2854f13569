"""The documented command: the whole loop on the scripted model, from nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from skilltrace_mlflow.cli._app import run as cli
from tests.agent import loop


def test_the_whole_loop(
    claude: str,
    temporary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # In this process: six more that import MLflow take half a minute and show nothing else.
    def command(step: list[str], folder: Path) -> int:
        monkeypatch.chdir(folder)
        return cli(step)

    output = tmp_path / "loop"
    assert loop.main([str(output)], command) == 0, capfd.readouterr().err[-2000:]
    cases = yaml.safe_load((output / "skills" / "naming" / "ground_truth.yaml").read_text())
    (promoted,) = (c for c in cases["test_cases"] if c["id"] == "raw_invoices")
    assert promoted["metadata"]["reviewer"] == "loop"
    assert promoted["metadata"]["trace_id"].startswith("tr-")
    lines = [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]
    assert [line["arm"] for line in lines] == ["with"] * 3 + ["without"] * 3
    assert "The skill: helps" in capfd.readouterr().out
    assert list(temporary.iterdir()) == []
