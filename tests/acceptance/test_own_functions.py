"""A manifest's own functions in `trace-eval`: refused, judged, or said to be missing; never passed
over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.cli._app import run

GOOD = (
    Path(__file__).resolve().parents[2] / "examples/skills/bronze-ingestion/traces/demo-good.jsonl"
)
MODULE = """
import time

from mlflow.genai.scorers import scorer

def no_bash(trace_summary):
    return "Bash" not in trace_summary.tool_calls_by_name

def has_read(session):
    return any(call.name == "Read" for call in session.tool_calls)

def silent(session):
    return None

def hangs(session):
    time.sleep(600)

@scorer
def ready_made(trace):
    return True
"""


def evaluate(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, *options: str, gate: bool = False
) -> tuple[int, dict[str, Any]]:
    (folder / "skilltrace_own_checks.py").write_text(MODULE, encoding="utf-8")
    gates = f'quality_gates: {{"skilltrace_own_checks:{name}": 1.0}}\n' if gate else ""
    (folder / "manifest.yaml").write_text(
        f'skill: {{name: s}}\nscorers:\n  enabled: ["skilltrace_own_checks:{name}"]\n'
        f"  trace_expectations: {{required_tools: [Read]}}\n{gates}",
        encoding="utf-8",
    )
    code = run(["trace-eval", str(folder), "--trace", str(GOOD), "--format", "jsonl", *options])
    out = capsys.readouterr().out
    checks = json.loads(out.splitlines()[0])["checks"] if out else []
    return code, {check["name"]: check["verdict"] for check in checks}


def test_a_function_of_a_module_without_package_needs_permission_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path, capsys, "no_bash") == (2, {})


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize(
    ("name", "code", "verdict"), [("no_bash", 1, "fail"), ("has_read", 0, "pass")]
)
def test_it_is_judged_where_allowed_and_gated_by_the_name_it_is_listed_under(
    name: str,
    code: int,
    verdict: str,
    gate: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    got = evaluate(tmp_path, capsys, name, "--allow-custom", gate=gate)
    assert got == (code, {name: verdict, "required_tools": "pass"})


def test_a_gate_on_a_function_that_says_nothing_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, verdicts = evaluate(tmp_path, capsys, "silent", "--allow-custom", gate=True)
    assert (code, verdicts) == (1, {"required_tools": "pass"})


def test_a_ready_made_scorer_is_unknown_without_mlflow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, verdicts = evaluate(tmp_path, capsys, "ready_made", "--allow-custom")
    assert (code, verdicts) == (3, {"ready_made": "unknown", "required_tools": "pass"})


def test_one_that_hangs_is_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skilltrace_mlflow.custom.LONGEST_CALL", 0.3)
    code, checks = evaluate(tmp_path, capsys, "hangs", "--allow-custom")
    assert (code, checks["hangs"]) == (3, "error")
