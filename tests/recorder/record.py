"""Records Claude Code sessions: `python -m tests.recorder.record [NAME…]`.

Needs the real CLI (`npm install @anthropic-ai/claude-code`), found as `CLAUDE_BIN` or on
`PATH`. For each scenario it starts the stand-in API, lays out a working directory, runs
`claude -p`, and copies the transcripts and the CLI's result JSON to
`tests/data/recordings/<name>/`. The recording home (`--home`, default /home/dev) is wiped
each time; it must not exist beforehand or be one that an earlier run made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.recorder.oracle import compare
from tests.recorder.provenance import write_provenance
from tests.recorder.sanitise import check_tree
from tests.recorder.scenario import Run, Scenario, load_scenario
from tests.recorder.standin import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["RECORDINGS", "SCENARIOS", "main", "record"]

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
SCENARIOS = HERE / "scenarios"
RECORDINGS = REPOSITORY / "tests" / "data" / "recordings"
EXAMPLE_SKILL = REPOSITORY / "examples" / "skills" / "bronze-ingestion"
EXAMPLE_TRACES = EXAMPLE_SKILL / "traces"

_MARKER = ".made-by-the-recorder"
_TIMEOUT = 180.0


class RecordingError(RuntimeError):
    """A scenario that did not play as written, or a recording that must not be kept."""


def record(scenario: Scenario, home: Path, claude: str, destination: Path) -> None:
    """Play one scenario with the real CLI and keep what it wrote in `destination`.

    Raises `RecordingError` when the session left the script, when the token totals of
    transcript and CLI differ, or when a trace of this machine is left in a file.
    """
    project = home / scenario.project
    _prepare(scenario, home, project)
    results: list[dict[str, Any]] = []
    values = {"cwd": str(project), "home": str(home)}
    with StandIn(scenario, values) as standin:
        for run in scenario.runs:
            results.append(_invoke(run, scenario, standin, home, project, claude, results))
    problems = standin.problems + standin.unplayed()
    _keep(scenario, home, results, destination)
    problems += [f"token totals differ: {line}" for line in compare(destination)]
    problems += [f"left in {line}" for line in check_tree(destination)]
    if problems:
        raise RecordingError(f"{scenario.name}: " + "; ".join(problems))


def _prepare(scenario: Scenario, home: Path, project: Path) -> None:
    if home.exists():
        if not (home / _MARKER).exists():
            raise RecordingError(f"{home} exists and was not made by the recorder: give --home")
        shutil.rmtree(home)
    project.mkdir(parents=True)
    (home / _MARKER).touch()
    (home / "tmp").mkdir()
    values = {"cwd": str(project), "home": str(home)}
    for name, text in scenario.workspace.get("files", {}).items():
        target = project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_fill(text, values), encoding="utf-8")
    if "settings" in scenario.workspace:
        _write_json(project / ".claude" / "settings.json", scenario.workspace["settings"], values)
    if scenario.workspace.get("mcp_databricks"):
        server = home / "mcp" / "databricks.py"
        server.parent.mkdir()
        shutil.copyfile(HERE / "mcp_databricks.py", server)
        servers = {"databricks": {"command": "python3", "args": [str(server)]}}
        _write_json(project / ".mcp.json", {"mcpServers": servers}, values)
    if scenario.workspace.get("example_skill"):
        target = project / ".claude" / "skills" / EXAMPLE_SKILL.name
        target.mkdir(parents=True)
        shutil.copyfile(EXAMPLE_SKILL / "SKILL.md", target / "SKILL.md")


def _write_json(path: Path, value: Any, values: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_fill(json.dumps(value, indent=2), values), encoding="utf-8")


def _fill(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def _invoke(
    run: Run,
    scenario: Scenario,
    standin: StandIn,
    home: Path,
    project: Path,
    claude: str,
    earlier: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    command = [claude, "-p", "--model", scenario.model]
    if run.prompts:
        command += ["--verbose", "--input-format", "stream-json", "--output-format", "stream-json"]
    else:
        command += ["--output-format", "json"]
    if run.resume:
        command += ["--resume", str(earlier[-1]["session_id"])]
    if run.fork:
        command += ["--fork-session"]
    command += [standin._fill(arg) for arg in run.args]
    environment = {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        "TMPDIR": str(home / "tmp"),
        "CLAUDE_CODE_TMPDIR": str(home / "tmp"),
        "ANTHROPIC_BASE_URL": standin.url,
        "ANTHROPIC_API_KEY": "dummy-key-of-the-recorder",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
        **run.env,
    }
    process = subprocess.Popen(
        command,
        cwd=project,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        encoding="utf-8",
    )
    try:
        _talk(run, process, standin)
        output, errors = process.communicate(run.prompt, timeout=_TIMEOUT)
    except (subprocess.TimeoutExpired, BrokenPipeError):
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        problems = "; ".join(standin.problems + standin.unplayed())
        raise RecordingError(f"{scenario.name}: stuck ({problems}) {errors[-500:]}") from None
    return _result(run, scenario, process.returncode, output, errors)


def _talk(run: Run, process: subprocess.Popen[str], standin: StandIn) -> None:
    """Feed the prompts one by one, each when the main agent has asked for `after` answers."""
    assert process.stdin is not None
    for prompt in run.prompts:
        deadline = time.monotonic() + _TIMEOUT
        while standin.played() < prompt.get("after", 0) and time.monotonic() < deadline:
            time.sleep(0.05)
        message = {"role": "user", "content": prompt["text"]}
        process.stdin.write(json.dumps({"type": "user", "message": message}) + "\n")
        process.stdin.flush()


def _result(run: Run, scenario: Scenario, code: int, output: str, errors: str) -> dict[str, Any]:
    if code != run.exit_code:
        said = (errors or output)[-800:]
        raise RecordingError(f"{scenario.name}: claude ended with {code}: {said}")
    if run.prompts:
        lines = [json.loads(line) for line in output.split("\n") if line]
        found = [line for line in lines if line.get("type") == "result"]
        result: dict[str, Any] = found[-1]
    else:
        result = json.loads(output)
    return result


def _keep(
    scenario: Scenario, home: Path, results: Sequence[Mapping[str, Any]], destination: Path
) -> None:
    if destination.exists():
        shutil.rmtree(destination)
    destination.mkdir(parents=True)
    slug = "".join(c if c.isalnum() else "-" for c in str(home / scenario.project))
    source = home / ".claude" / "projects" / slug
    for path in sorted(source.rglob("*")):
        if path.is_file() and "memory" not in path.relative_to(source).parts:
            target = destination / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for number, result in enumerate(results, start=1):
        name = "result.json" if len(results) == 1 else f"result-{number}.json"
        text = json.dumps(result, indent=2, ensure_ascii=False)
        (destination / name).write_text(text + "\n", encoding="utf-8")


def _publish_demo(name: str, recording: Path) -> None:
    """Copy a demo session beside the example skill, under the recording's name."""
    EXAMPLE_TRACES.mkdir(parents=True, exist_ok=True)
    (transcript,) = recording.glob("*.jsonl")
    shutil.copyfile(transcript, EXAMPLE_TRACES / f"{name}.jsonl")
    subagents = recording / transcript.stem / "subagents"
    target = EXAMPLE_TRACES / name / "subagents"
    if target.exists():
        shutil.rmtree(target)
    if subagents.exists():
        shutil.copytree(subagents, target)


def main(arguments: Iterable[str] | None = None) -> int:
    """Record the named scenarios, or all of them; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="tests.recorder.record", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios (default: all)")
    parser.add_argument("--home", type=Path, default=Path("/home/dev"))
    options = parser.parse_args(None if arguments is None else list(arguments))
    claude = os.environ.get("CLAUDE_BIN") or shutil.which("claude")
    if claude is None:
        parser.error("no 'claude' on PATH: npm install @anthropic-ai/claude-code, or CLAUDE_BIN")
    names = options.names or sorted(path.stem for path in SCENARIOS.glob("*.yaml"))
    failed = 0
    for name in names:
        scenario = load_scenario(SCENARIOS / f"{name}.yaml")
        try:
            record(scenario, options.home, str(Path(claude).resolve()), RECORDINGS / name)
            if name.startswith("demo-"):
                _publish_demo(name, RECORDINGS / name)
            sys.stderr.write(f"{name}: recorded\n")
        except RecordingError as error:
            failed += 1
            sys.stderr.write(f"FAILED {error}\n")
    write_provenance(RECORDINGS, SCENARIOS)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
