"""`--output` is one option: repeatable, its ending names the format, added to what is printed; and
`-v` shows what the package logs.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from skilltrace_mlflow.cli._app import _COMMANDS, run
from tests.cli.calling import Call
from tests.report.evaluations import recordings

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
(GOOD,) = (recordings() / "demo-good").glob("*.jsonl")
RESULTS = {".txt", ".json", ".jsonl", ".xml", ".md", ".html"}


CASES: dict[str, tuple[list[object], set[str]]] = {
    "trace-eval": (["trace-eval", SKILL, "--trace", GOOD], RESULTS),
    "summarize": (["summarize", GOOD], {".txt", ".json", ".jsonl"}),
    "show": (["show", GOOD], {".txt", ".json", ".html"}),
    "expect": (["expect", "--trace", GOOD], {".yaml", ".yml"}),
    "compare": (["compare", "a.jsonl", "a.jsonl"], {".txt", ".json", ".md"}),
    "list-traces": (["list-traces", "--local"], {".txt", ".json", ".jsonl"}),
    "triggers": (["triggers", GOOD], {".txt", ".json", ".md"}),
    "schema": (["schema", "manifest"], {".json"}),
}


def timeless(text: str) -> str:
    """The text without the moment at which it was made, which JUnit's format holds."""
    return re.sub(r'timestamp="[^"]*"', "", text).rstrip("\n")


def command_of(name: str) -> click.Command:
    module, _ = _COMMANDS[name]
    found: click.Command = importlib.import_module(f"skilltrace_mlflow.cli.{module}").command
    return found


def options(command: click.Command) -> dict[str, click.Option]:
    found = (item for item in command.params if isinstance(item, click.Option))
    return {flag: item for item in found for flag in item.opts}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "claude" / "projects" / "-work"
    project.mkdir(parents=True)
    (project / GOOD.name).write_bytes(GOOD.read_bytes())
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    monkeypatch.chdir(tmp_path)
    assert run(["trace-eval", str(SKILL), "--trace", str(GOOD), "--output", "a.jsonl", "-q"]) == 0


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_every_output_is_the_same_option(name: str) -> None:
    given = options(command_of(name))
    if "--format" in given or name in CASES:
        assert given["--output"].multiple
        assert given["--output"].name == "outputs"
        assert {"-q", "-v"} <= given.keys()


@pytest.mark.parametrize("name", CASES)
def test_files_are_written_beside_what_is_printed(name: str, tmp_path: Path, call: Call) -> None:
    arguments, endings = CASES[name]
    plain = call(*arguments)
    files = [tmp_path / "out" / f"result{ending}" for ending in sorted(endings)]
    code, out, err = call(*arguments, *(part for file in files for part in ("--output", file)))
    assert code == plain[0] == 0
    assert out == plain[1] != ""
    for file in files:
        assert f"written to {file}" in err
        text = file.read_text(encoding="utf-8")
        assert text.strip()
        if file.suffix == ".json":
            assert json.loads(text)
    # The file holds what is printed in that format.
    if name != "expect":
        for file in files:
            fmt = {".json": "json", ".md": "markdown", ".xml": "junit"}.get(file.suffix)
            if fmt is not None and "--format" in options(command_of(name)):
                printed = call(*arguments, "--format", fmt)[1]
                assert timeless(file.read_text(encoding="utf-8")) == timeless(printed)


@pytest.mark.parametrize("name", CASES)
def test_an_ending_of_another_format_is_refused_before_anything_is_done(
    name: str, tmp_path: Path, call: Call
) -> None:
    arguments, endings = CASES[name]
    good, bad = tmp_path / f"good{min(endings)}", tmp_path / "bad.foo"
    code, out, err = call(*arguments, "--output", good, "--output", bad)
    assert (code, out) == (2, "")
    assert "the ending '.foo' names no format of this command" in err
    assert min(endings) in err
    assert not good.exists()


def test_quiet_says_nothing_of_files(tmp_path: Path, call: Call) -> None:
    assert call("summarize", GOOD, "-q", "--output", tmp_path / "x.json")[2] == ""


def test_verbose_shows_the_log_and_takes_it_away_again(call: Call) -> None:
    logger = logging.getLogger("skilltrace_mlflow")
    before = list(logger.handlers), logger.level
    _, out, err = call("trace-eval", SKILL, "--trace", GOOD, "-v")
    assert f"skilltrace_mlflow.sources.load: reading {GOOD}" in err
    assert "skilltrace_mlflow.evaluation: bronze-ingestion: 1 results" in err
    assert "skilltrace_mlflow.evaluation" not in out
    assert (list(logger.handlers), logger.level) == before
    assert "reading" not in call("trace-eval", SKILL, "--trace", GOOD)[2]


def test_a_job_turns_the_log_on_and_nothing_is_said_otherwise() -> None:
    program = (
        "import logging, sys\n"
        "import skilltrace_mlflow\n"
        "if sys.argv[1] == 'on':\n"
        "    logging.basicConfig(level=logging.WARNING)\n"
        "    logging.getLogger('skilltrace_mlflow').setLevel(logging.INFO)\n"
        f"skilltrace_mlflow.trace_eval({str(SKILL)!r}, {str(GOOD)!r})\n"
        "logging.getLogger('skilltrace_mlflow.evaluation').warning('careful')\n"
    )

    def said(word: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", program, word], capture_output=True, text=True, check=True
        ).stderr

    assert said("off") == ""
    assert "INFO:skilltrace_mlflow.evaluation:bronze-ingestion: 1 results, " in said("on")
