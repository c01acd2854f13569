"""`convert`: what was written once is rendered again as it was, without evaluating."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.report import render
from skilltrace_mlflow.report.reread import read_evaluation
from skilltrace_mlflow.results import Evaluation
from tests.report.evaluations import NASTY, demo, large, unfriendly

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
    if ending == "json":
        assert again.exit_code == evaluation.exit_code
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
