"""Annotations for GitHub Actions, and the summary page of a job."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.cli._common import note, write_result
from skilltrace_mlflow.report import render
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from tests.report.evaluations import NASTY, demo, outcome, unfriendly

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
# What the runner of GitHub Actions takes for a command (actions/runner, ActionCommand.cs).
COMMAND = re.compile(r"::(error|warning|notice) ((?:[a-z]+=[^,:]*)(?:,[a-z]+=[^,:]*)*)::(.*)")


@pytest.mark.parametrize("text", [None, *NASTY.values()], ids=["demo", *NASTY])
def test_every_line_is_one_command(text: str | None) -> None:
    evaluation = demo() if text is None else unfriendly(text)
    lines = render(evaluation, "github").split("\n")
    assert lines.pop() == ""
    assert lines
    for line in lines:
        assert COMMAND.fullmatch(line), line


def test_what_failed_is_an_error_and_what_is_unknown_a_warning() -> None:
    result = TestResult(
        test_id="a,b: 100%",
        skill="s",
        outcomes=(outcome("one", "fail", rationale="50% of\nit"), outcome("two", "unknown")),
    )
    gate = GateResult(name="g", required=0.9, got=0.5, coverage=1.0, passed=False)
    text = render(Evaluation(skill="s", results=(result,), gates=(gate,)), "github")
    gate_line, failed, unknown, last = text.splitlines()
    assert gate_line.startswith("::error title=gate g::required 0.9, got 0.5")
    assert failed == "::error title=one · a%2Cb%3A 100%25::50%25 of⏎it" or (
        failed.startswith("::error title=one · a%2Cb%3A 100%25::50%25 of")
    )
    assert unknown.startswith("::warning title=two")
    assert last.startswith("::notice title=skilltrace::FAILED")


def test_more_than_a_page_shows_are_counted() -> None:
    results = tuple(
        TestResult(test_id=f"t{n}", skill="s", outcomes=(outcome("one", "fail", rationale="x"),))
        for n in range(25)
    )
    lines = render(Evaluation(skill="s", results=results), "github").splitlines()
    assert len(lines) == 11
    assert lines[9] == "::error title=skilltrace::and 16 more; see the summary"


def test_a_job_of_github_shows_annotations_and_a_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n", encoding="utf-8")
    monkeypatch.chdir(SKILL)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    command = ["trace-eval", ".", "--trace", "traces/demo-failing.jsonl"]
    assert run(command) == 1
    lines = capsys.readouterr().out.splitlines()
    said = [line for line in lines if line.startswith("::error file=traces/demo-failing.jsonl")]
    assert any("line=18,title=banned_tools" in line for line in said)
    assert lines[0].startswith("FAIL  demo-failing")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n## ")
    assert "FAILED" in text
    # Standard output is data in every other format.
    assert run([*command, "--format", "json"]) == 1
    assert "::error" not in capsys.readouterr().out
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "x.md"))
    assert run(command) == 1
    assert "GITHUB_STEP_SUMMARY" in capsys.readouterr().err


COMMANDS = ["::set-output name=x::y", "   ::add-mask::pass", "a ##[error]b", "::error::x"]


def taken(text: str) -> list[str]:
    """The lines that the runner would act on (ActionCommand.cs), stop-commands among them."""
    stopped, found = None, []
    for line in re.split("[\r\n]+", text):
        if stopped is not None:
            stopped = None if line.strip() == f"::{stopped}::" else stopped
        elif line.strip().startswith("::stop-commands::"):
            stopped = line.strip().removeprefix("::stop-commands::")
        elif line.strip().startswith("::") or "##[" in line:
            found.append(line)
    assert stopped is None, "what was stopped goes on again"
    return found


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("write", [write_result, note])
def test_what_a_transcript_says_is_no_command(
    write: Callable[[str], None],
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for text in (command, f"one\n{command}\n", f"one\n{command}\n::{'0' * 32}::\n{command}"):
        write(text)
        write("between")
        captured = capsys.readouterr()
        shown = captured.out + captured.err
        assert taken(shown) == []
        assert command in shown
    write("a::b")
    assert "stop-commands" not in "".join(capsys.readouterr())
    monkeypatch.delenv("GITHUB_ACTIONS")
    write(command)
    assert "stop-commands" not in "".join(capsys.readouterr())


def test_a_table_gives_no_command_and_annotations_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = SKILL / "traces" / "demo-failing.jsonl"
    session = tmp_path / "::set-output name=x::y.jsonl"
    session.write_bytes(source.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for more in ([], ["--format", "json"], ["--format", "markdown"]):
        assert run(["trace-eval", str(SKILL), "--trace", session.name, *more]) == 1
        said = taken(capsys.readouterr().out)
        assert not [line for line in said if not COMMAND.fullmatch(line)]
        assert bool(said) == (more == [])
    assert run(["show", session.name]) == 0
    assert taken(capsys.readouterr().out) == []


def test_elsewhere_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    command = ["trace-eval", str(SKILL), "--trace", str(SKILL / "traces" / "demo-failing.jsonl")]
    run(command)
    assert "::error" not in capsys.readouterr().out
    run([*command, "--format", "github"])
    assert all(line.startswith("::") for line in capsys.readouterr().out.splitlines())
