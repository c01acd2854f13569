"""What counts as a whole session, and what an inline trace that is none is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from skilltrace_mlflow import evaluate_skill
from skilltrace_mlflow.results import Evaluation

ROOT = Path(__file__).resolve().parents[2]
ONE_TURN = ROOT / "tests/data/traces/process_transcript/read-edit.json"
WHOLE = ROOT / "examples/skills/bronze-ingestion/traces/demo-good.jsonl"
BUDGET = {"session_expectations": {"turn_limit": {"max_user_messages": 5}}}


def evaluate(folder: Path, monkeypatch: pytest.MonkeyPatch, **case: Any) -> Evaluation:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.yaml").write_text("skill: {name: s}\n", encoding="utf-8")
    test = {"id": "t", "inputs": {"prompt": "p"}, **case}
    (folder / "ground_truth.yaml").write_text(yaml.safe_dump({"test_cases": [test]}), "utf-8")
    monkeypatch.chdir(folder)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return evaluate_skill(folder, include_traces=True, experiment="e", tracking_uri=uri)


def test_one_turns_trace_is_no_whole_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ONE_TURN, tmp_path / "turn.json")
    outputs = {"trace_ref": "turn.json"}
    evaluation = evaluate(tmp_path, monkeypatch, outputs=outputs, expectations=BUDGET)
    (outcome,) = evaluation.results[0].judged
    assert (outcome.check, str(outcome.verdict)) == ("session.turn_limit", "unknown")
    assert evaluation.exit_code == 3


def test_a_transcript_is_a_whole_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(WHOLE, tmp_path / "session.jsonl")
    outputs = {"trace_ref": "session.jsonl"}
    evaluation = evaluate(tmp_path, monkeypatch, outputs=outputs, expectations=BUDGET)
    (outcome,) = evaluation.results[0].judged
    assert (outcome.check, str(outcome.verdict)) == ("session.turn_limit", "pass")
    assert evaluation.exit_code == 0


@pytest.mark.parametrize(
    "inline",
    [
        pytest.param([], id="no lines"),
        pytest.param({"anything": 1}, id="foreign object"),
        pytest.param(["not json"], id="no transcript"),
    ],
)
def test_an_inline_trace_that_is_none_names_its_test(
    inline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = evaluate(
        tmp_path,
        monkeypatch,
        outputs={"trace": inline},
        expectations={"required_tools": ["Read"]},
    )
    (result,) = evaluation.results
    said = json.dumps([result.error, result.notes, [o.rationale for o in result.judged]])
    assert "ground_truth.yaml" in said
    assert "t: trace" in said
    assert evaluation.exit_code in (2, 3)
