"""A test that is judged on another test's session: said always, and no pass where that is asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from skilltrace_mlflow import parse_transcript, trace_eval
from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.evaluate import evaluate_skill

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
GOOD = SKILL / "traces" / "demo-good.jsonl"
SAID = "the session was given another prompt than the test: "


def skill(folder: Path, prompt: str | None) -> Path:
    """A skill of one test, whose linked trace is the good demo."""
    folder = folder / "demo"
    folder.mkdir()
    shutil.copy(GOOD, folder)
    (folder / "manifest.yaml").write_text(
        "scorers:\n  trace_expectations:\n    tool_limits: {Bash: 100}\n", encoding="utf-8"
    )
    case = {"id": "one", "outputs": {"trace_ref": GOOD.name}}
    if prompt is not None:
        case["inputs"] = {"prompt": prompt}  # type: ignore[assignment]
    text = yaml.safe_dump({"test_cases": [case]})
    (folder / "ground_truth.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def prompt() -> str:
    return parse_transcript(GOOD).prompts[0]


@pytest.mark.parametrize("strict", [False, True])
def test_another_prompt(tmp_path: Path, strict: bool) -> None:
    folder = skill(tmp_path, "Drop every table.")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    doors = [
        trace_eval(folder, [GOOD], test_id="one", strict_prompts=strict),
        evaluate_skill(folder, include_traces=True, tracking_uri=uri, strict_prompts=strict),
    ]
    for evaluation in doors:
        (result,) = evaluation.results
        assert [note.startswith(SAID) for note in result.notes].count(True) == 1
        assert str(result.verdict) == ("unknown" if strict else "pass")
        assert evaluation.exit_code == (3 if strict else 0)
    names = [[o.check for o in d.results[0].judged] for d in doors]
    assert names[0] == names[1] == (["prompt", "tool_count"] if strict else ["tool_count"])


@pytest.mark.parametrize("spaces", [" ", "\n  "])
def test_the_same_prompt_but_for_white_space(tmp_path: Path, prompt: str, spaces: str) -> None:
    folder = skill(tmp_path, spaces.join(prompt.split()) + "\n")
    (result,) = trace_eval(folder, [GOOD], test_id="one", strict_prompts=True).results
    assert (str(result.verdict), result.notes) == ("pass", ())


def test_without_a_prompt_there_is_nothing_to_compare(tmp_path: Path) -> None:
    folder = skill(tmp_path, None)
    (result,) = trace_eval(folder, [GOOD], test_id="one", strict_prompts=True).results
    assert (str(result.verdict), result.notes) == ("pass", ())
    (result,) = trace_eval(folder, [GOOD], strict_prompts=True).results
    assert (str(result.verdict), result.notes) == ("pass", ())


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = skill(tmp_path, "Drop every table.")
    command = ["trace-eval", str(folder), "--trace", str(GOOD), "--test-id", "one"]
    assert run(command) == 0
    assert "another prompt than the test" in " ".join(capsys.readouterr().out.split())
    assert run([*command, "--strict-prompts"]) == 3
