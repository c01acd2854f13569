"""A newcomer's first walk: from the wheel to a verdict, read where a person reads it.

The wheel is built and installed without its dependencies into an environment of its own, which
finds those of this one behind it: installing them takes minutes, and `tests/wheel_smoke.py` does.
"""

from __future__ import annotations

import json
import os
import re
import site
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from skilltrace_mlflow.sources.locate import project_slug
from tests.cli.test_terminal import Terminal
from tests.driver.stores import Server, free_port
from tests.report.browser import open_browser, read, table_cells

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
TRACES = ROOT / "examples" / "skills" / "bronze-ingestion" / "traces"
SECRET = "sk-ant-" + "a1B2c3D4e5" * 4
NOT_WHAT_A_TERMINAL_SHOWS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(kw_only=True)
class Person:
    """Somebody with a home, a project and the wheel, at a terminal of 100 columns."""

    home: Path
    binaries: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.home / "project"

    def types(self, *command: str, code: int = 0) -> str:
        """What the terminal shows once the command has ended with this exit code."""
        terminal = Terminal(100)
        process = subprocess.Popen(
            [str(self.binaries / command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=terminal.slave,
            stderr=terminal.slave,
            cwd=self.project,
            env=self.environment,
        )
        process.wait(timeout=120)
        shown = NOT_WHAT_A_TERMINAL_SHOWS.sub("", terminal.text())
        assert process.returncode == code, shown
        assert "Traceback" not in shown
        return shown

    def worked_with_claude(self, recording: str, number: int) -> Path:
        """Leave a session of Claude Code's in the project, of that day of a month."""
        folder = self.home / ".claude" / "projects" / project_slug(self.project)
        folder.mkdir(parents=True, exist_ok=True)
        rows = map(json.loads, (TRACES / recording).read_text(encoding="utf-8").splitlines())
        cwd = str(self.project)
        file = folder / f"{str(number) * 8}-1111-4111-8111-111111111111.jsonl"
        lines = []
        for row in rows:
            changed = {**row, "sessionId": file.stem} if "sessionId" in row else dict(row)
            if "cwd" in changed:
                changed["cwd"] = cwd
            if "timestamp" in changed:
                changed["timestamp"] = f"2026-11-{number:02}{changed['timestamp'][10:]}"
            content = changed.get("message", {}).get("content")
            if isinstance(content, str):
                changed["message"]["content"] = f"{content} My key is {SECRET}."
            lines.append(json.dumps(changed) + "\n")
        file.write_text("".join(lines), encoding="utf-8")
        os.utime(file, (1_800_000_000 + number, 1_800_000_000 + number))
        return file


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An MLflow server that comes up while the person takes the first steps."""
    (folder := tmp_path / "server").mkdir()
    server = Server(folder, free_port())
    server.start(wait=False)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """The wheel in an environment of its own; a skill where Claude Code keeps it."""
    subprocess.run(
        [*(sys.executable, "-m", "build", "--wheel", "--no-isolation"), "-o", str(tmp_path), ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    place = tmp_path / "environment"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "behind.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    home = tmp_path / "home"
    skill = home / "project" / ".claude" / "skills" / "bronze-ingestion"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: bronze-ingestion\n---\nRead first.\n", "utf-8")
    kept = {k: os.environ[k] for k in ("PATH", "LANG", "LC_ALL", "TZ") if k in os.environ}
    environment = {**kept, "HOME": str(home), "TERM": "xterm-256color"}
    found = Person(home=home, binaries=place / "bin", environment=environment)
    where = "import skilltrace_mlflow as it; print(it.__file__)"
    said = subprocess.run(
        [python, "-c", where], capture_output=True, text=True, check=True, cwd=home
    )
    assert Path(said.stdout.strip()).is_relative_to(place), "the wheel, not this checkout"
    return found


def test_from_the_wheel_to_a_verdict(person: Person, server: Server, tmp_path: Path) -> None:
    skill = person.project / ".claude" / "skills" / "bronze-ingestion"

    shown = person.types("skilltrace-mlflow", "init", "bronze-ingestion")
    assert ".claude/skills/bronze-ingestion/manifest.yaml" in shown
    assert "next: edit them, then skilltrace-mlflow validate" in shown
    assert not (person.project / "skills").exists(), "no second folder of the skill"

    person.worked_with_claude("demo-good.jsonl", 1)
    listed = person.types("skilltrace-mlflow", "list-traces", "--local")
    assert "11111111" in listed

    shown = person.types(
        *("skilltrace-mlflow", "expect", "bronze-ingestion", "--append", "--latest", "--redact"),
        *("--test-id", "orders_good"),
    )
    assert "orders_good: in the place of bronze_ingestion_001 in .claude/skills/" in shown
    assert re.search("secrets? replaced: Anthropic API Key", shown)
    assert "required_tools" in shown
    truth = (skill / "ground_truth.yaml").read_text(encoding="utf-8")
    assert "# One entry per test case." in truth
    assert "Describe here" not in truth
    (trace,) = (skill / "traces").iterdir()
    assert SECRET not in truth + trace.read_text(encoding="utf-8")

    assert "bronze-ingestion: valid: 1 test case," in person.types(
        "skilltrace-mlflow", "validate", "bronze-ingestion"
    )
    evaluate = ("skilltrace-mlflow", "trace-eval", "bronze-ingestion", "--test-id", "orders_good")
    shown = person.types(*evaluate, "--trace", str(trace.relative_to(person.project)))
    assert "PASSED  bronze-ingestion · 1 test: 1 passed" in shown

    # The next day it goes wrong.
    person.worked_with_claude("demo-failing.jsonl", 2)
    shown = person.types(*evaluate, "--local", code=1)
    assert "FAILED  bronze-ingestion · 1 test: 1 failed" in shown
    assert "rm -rf" in shown
    assert re.search(r"call \d+ \(line \d+", shown), "which call it was"
    shown = person.types(
        *("skilltrace-mlflow", "expect", "bronze-ingestion", "--append", "--local", "--redact"),
        *("--test-id", "orders_gone_wrong"),
    )
    assert "with what the manifest expects, banned_tools: fail:" in shown

    server.wait()
    person.environment["MLFLOW_TRACKING_URI"] = server.url
    shown = person.types(
        *("mlflow-eval", "bronze-ingestion", "--include-traces", "--experiment", "walk"),
        *("--report", "report.html", "--output", "results.jsonl"),
        code=1,
    )
    assert "FAILED  bronze-ingestion · 2 tests: 1 failed, 1 passed" in shown
    assert "orders_gone_wrong" in shown
    assert "banned_tools" in shown
    assert "report.html" in shown
    (run_id,) = set(re.findall(r"\b[0-9a-f]{32}\b", shown))
    lines = (person.project / "results.jsonl").read_text(encoding="utf-8").splitlines()
    results = {line["test_id"]: line for line in map(json.loads, lines)}
    assert {name: line["verdict"] for name, line in results.items()} == {
        "orders_good": "pass",
        "orders_gone_wrong": "fail",
    }

    browser = open_browser(tmp_path / "profile", width=2400)
    try:
        browser.get((person.project / "report.html").as_uri())
        assert browser.get_log("browser") == []
        body = browser.find_element(By.TAG_NAME, "body").text
        assert "FAILED" in body
        problems = browser.find_element(By.ID, "problem-table").text
        assert "banned_tools" in problems
        assert "orders_gone_wrong" in problems
        head, *rows = table_cells(browser.find_element(By.ID, "verdicts"))
        column = next(n for n, name in enumerate(head) if name.startswith("banned_tools"))
        assert {row[0]: row[column] for row in rows} == {
            "orders_good": "pass",
            "orders_gone_wrong": "fail",
        }
        experiment = _experiment(server, run_id)
        runs = f"{server.url}/#/experiments/{experiment}"
        page = read(browser, f"{runs}/runs/{run_id}", "banned_tools/pass_rate", "failed")
        values = page.splitlines()
        assert values[values.index("banned_tools/pass_rate") + 1] == "0.5"
        wrong = results["orders_gone_wrong"]["trace_id"]
        page = read(browser, f"{runs}/traces?selectedEvaluationId={wrong}", "tool_Bash")
        assert SECRET not in page
        assert "[REDACTED: Anthropic API Key]" in page
    finally:
        browser.quit()


def _experiment(server: Server, run_id: str) -> str:
    from mlflow import MlflowClient

    found: str = MlflowClient(server.url).get_run(run_id).info.experiment_id
    return found
