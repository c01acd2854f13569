"""Gates in `trace-eval`: those on what nobody expects fail, those on other tests' checks wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from skilltrace_mlflow.cli._app import run

TRACE = (
    Path(__file__).resolve().parents[2] / "examples/skills/bronze-ingestion/traces/demo-good.jsonl"
)
MANIFEST = """\
skill: {name: s}
trace_expectations: {required_tools: [Read]}
quality_gates: {%s: 1.0}
"""
GROUND_TRUTH = """\
test_cases:
  - id: other
    inputs: {prompt: p}
    expectations: {tool_sequence: [Read, Write]}
    session_expectations: {duration: {max_seconds: 9}}
"""


@pytest.mark.parametrize(
    ("gate", "code"),
    [
        pytest.param("required_tools", 0, id="judged here"),
        pytest.param("tool_count", 1, id="expected nowhere"),
        pytest.param("session.tool_count", 1, id="expected nowhere of a session"),
        pytest.param("session.duration", 0, id="expected of another test case's session"),
        pytest.param("tool_sequence", 0, id="expected of another test case"),
        pytest.param("pattern_adherence", 0, id="about the response"),
        pytest.param("tool_cuont", 2, id="unknown"),
    ],
)
def test_gates_of_a_manifest(
    gate: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.yaml").write_text(MANIFEST % gate, encoding="utf-8")
    (tmp_path / "ground_truth.yaml").write_text(GROUND_TRUTH, encoding="utf-8")
    assert run(["trace-eval", str(tmp_path), "--trace", str(TRACE)]) == code
    captured = capsys.readouterr()
    assert (gate in captured.out + captured.err) or code == 0


def test_a_gate_asked_for_by_hand_is_never_left_out(tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").write_text(MANIFEST % "required_tools", encoding="utf-8")
    arguments = ["trace-eval", str(tmp_path), "--trace", str(TRACE), "--fail-under"]
    assert run([*arguments, "pattern_adherence=0.5"]) == 1
    assert run([*arguments, "required_tools=1"]) == 0
