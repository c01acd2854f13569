"""The headline's word agrees with what stands beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.report import render
from skilltrace_mlflow.report.table import headline
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from tests.report.evaluations import outcome

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"


def evaluation(verdict: str) -> Evaluation:
    gate = GateResult(name="c", required=0.0, got=0.5, coverage=1.0, passed=True, checks=("c",))
    result = TestResult(test_id="t", skill="s", outcomes=(outcome("c", verdict),))
    return Evaluation(skill="s", results=(result,), gates=(gate,))


def test_what_a_gate_allows_is_said_beside_passed() -> None:
    allowed = evaluation("fail")
    assert allowed.exit_code == 0
    assert headline(allowed).startswith("PASSED (what failed is within gate c: 0.5 of 0)")
    for name in ("table", "markdown", "html", "github"):
        assert "what failed is within gate c" in render(allowed, name, width=200)


def test_nothing_was_allowed_where_nothing_failed() -> None:
    assert headline(evaluation("pass")).startswith("PASSED  s")


def test_quiet_prints_nothing_but_asked_for_data(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["trace-eval", str(SKILL), "--trace", str(SKILL / "traces" / "demo-failing.jsonl")]
    assert run([*command, "--quiet"]) == 1
    assert capsys.readouterr() == ("", "")
    assert run([*command, "--quiet", "--format", "jsonl"]) == 1
    assert capsys.readouterr().out.startswith("{")
