"""`convert`: what was written once is rendered again as it was, without evaluating."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.report import render
from skilltrace_mlflow.report.reread import read_evaluation
from skilltrace_mlflow.report.table import headline
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from tests.report.evaluations import NASTY, demo, large, outcome, unfriendly

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
TRACES = [str(SKILL / "traces" / f"demo-{name}.jsonl") for name in ("good", "failing")]
MADE = {"demo": demo, "large": large} | {
    name: partial(unfriendly, text) for name, text in NASTY.items()
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_read_back_and_written_again_nothing_differs(
    name: str, ending: str, tmp_path: Path
) -> None:
    evaluation: Evaluation = MADE[name]()
    path = tmp_path / f"results.{ending}"
    path.write_text(render(evaluation, ending), encoding="utf-8")
    again = read_evaluation(path)
    assert render(again, ending) == render(evaluation, ending)
    assert again.exit_code == evaluation.exit_code
    assert headline(again) == headline(evaluation)
    if ending == "json":
        assert render(again, "table", width=100) == render(evaluation, "table", width=100)
        assert render(again, "markdown") == render(evaluation, "markdown")


def test_the_command_writes_several_and_prints_without_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # As a shell expands *.jsonl behind --trace, before and behind the skill.
    assert run(["trace-eval", "--trace", *TRACES, str(SKILL), "--output", "r.json"]) == 1
    assert run(["trace-eval", str(SKILL), "--output", "r.jsonl", "--trace", *TRACES]) == 1
    table = capsys.readouterr().out
    assert run(["convert", "r.json"]) == 0
    assert capsys.readouterr().out in table
    outputs = ["a.xml", "b.md", "c.html", "d.jsonl", "e.txt"]
    assert run(["convert", "r.jsonl", *(f"--output={name}" for name in outputs)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (tmp_path / "d.jsonl").read_text() == (tmp_path / "r.jsonl").read_text()
    assert "demo-failing" in (tmp_path / "c.html").read_text()
    assert 'failures="5"' in (tmp_path / "a.xml").read_text()


def judged(verdict: str, *gates: GateResult, test_id: str = "t", **more: Any) -> Evaluation:
    bad = verdict == "unreadable"
    result = TestResult(
        test_id=test_id,
        skill="s",
        outcomes=() if bad else (outcome("one", verdict),),
        error="cannot be read" if bad else None,
        bad_input=bad,
    )
    return Evaluation(skill="s", results=(result,), gates=gates, **more)


PASSED = GateResult(name="one", required=0.5, got=0.75, coverage=1.0, passed=True, checks=("one",))
FAILED = replace(PASSED, name="two", required=0.9, passed=False, reason="0.75 < 0.9")
ALONE = {
    "a gate allows a failure": judged("fail", PASSED),
    "a gate fails": judged("pass", replace(FAILED, checks=())),
    "no gate": judged("fail"),
    "all passes": judged("pass", PASSED),
    "unknown, allowed": judged("unknown", PASSED),
    "not all was logged": judged("pass", incomplete=("a run",)),
    "unreadable": judged("unreadable", PASSED),
}


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("to", ["md", "txt", "xml"])
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_what_is_converted_says_what_the_evaluation_said(
    name: str, ending: str, to: str, tmp_path: Path
) -> None:
    evaluation = ALONE[name]
    path, made = tmp_path / f"r.{ending}", tmp_path / f"x.{to}"
    path.write_text(render(evaluation, ending), encoding="utf-8")
    assert run(["convert", str(path), "--output", str(made)]) == 0
    formats = {"md": "markdown", "txt": "table", "xml": "junit"}
    assert made.read_text(encoding="utf-8") == render(evaluation, formats[to])


@pytest.mark.parametrize(
    ("verdict", "gates"), [("fail", ()), ("pass", (FAILED,)), ("fail", (FAILED,))]
)
def test_lines_of_several_evaluations_excuse_nothing(
    verdict: str, gates: tuple[GateResult, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    lines = render(judged("fail", PASSED), "jsonl") + render(
        judged(verdict, *gates, test_id="u"), "jsonl"
    )
    path.write_text(lines, encoding="utf-8")
    again = read_evaluation(path)
    assert again.exit_code == 1
    assert all(not gate.passed for gate in again.gates)
    assert run(["convert", str(path), "--output", str(tmp_path / "x.md")]) == 0
    assert "several evaluations" in capsys.readouterr().err


def test_lines_of_an_earlier_version_hold_no_gates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = json.loads(render(judged("fail", PASSED), "jsonl"))
    del line["gates"]
    (path := tmp_path / "r.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert read_evaluation(path).exit_code == 1
    assert run(["convert", str(path)]) == 0
    assert "earlier version" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"checks": [{"name": "x", "verdict": "good"}]}, "1: checks[0]: verdict 'good'"),
        ({"checks": {}}, "1: checks should be a list"),
        ({"trace_summary": 3}, "is not as this package writes results"),
        ({"metrics": [1]}, "is not as this package writes results"),
    ],
)
def test_a_file_of_another_kind(change: dict[str, object], said: str, tmp_path: Path) -> None:
    line = json.loads(render(demo(), "jsonl").splitlines()[0])
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({**line, **change}) + "\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_evaluation(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_several_skills_and_no_traces(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace-eval", "one", "two", "--trace", TRACES[0]]) == 2
    assert "Got several skills: 'one', 'two'" in capsys.readouterr().err
