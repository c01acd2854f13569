"""Records Claude Code sessions: `python -m tests.recorder.record [NAME…]`.

Needs the real CLI (`npm install @anthropic-ai/claude-code`), found as `CLAUDE_BIN` or on
`PATH`; where npm skipped the package's install script, the native binary is missing and
`node node_modules/@anthropic-ai/claude-code/install.cjs` fetches it. For each scenario it
starts the stand-in API, lays out a working directory, runs `claude -p`, and copies the
transcripts and the CLI's result JSON to `tests/data/recordings/<name>/`. The recording home
(`--home`, default /home/dev) is wiped each time; it must not exist beforehand or be one that
an earlier run made.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.recorder.invoke import Cli, InvocationError
from tests.recorder.oracle import compare
from tests.recorder.pages import make_certificate, web_site
from tests.recorder.provenance import write_provenance
from tests.recorder.sanitise import check_tree, rewrite, shorten
from tests.recorder.scenario import Scenario, ScenarioError, load_scenario
from tests.recorder.standin import StandIn
from tests.recorder.versions import of_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "LOSSY_RECORDINGS",
    "RECORDINGS",
    "REPOSITORY",
    "SCENARIOS",
    "claim_home",
    "folder_of",
    "main",
    "record",
]

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
SCENARIOS = HERE / "scenarios"
RECORDINGS = REPOSITORY / "tests" / "data" / "recordings"
LOSSY_RECORDINGS = REPOSITORY / "tests" / "data" / "recordings-lossy"
EXAMPLE_SKILL = REPOSITORY / "examples" / "skills" / "bronze-ingestion"
EXAMPLE_TRACES = EXAMPLE_SKILL / "traces"

_MARKER = ".made-by-the-recorder"


class RecordingError(RuntimeError):
    """A scenario that did not play as written, or a recording that must not be kept."""


def folder_of(scenario: Scenario) -> Path:
    """Where a scenario's recording is kept; those whose figures lie have a place of their own."""
    return (LOSSY_RECORDINGS if scenario.is_lossy else RECORDINGS) / scenario.name


def record(scenario: Scenario, home: Path, claude: str, destination: Path) -> None:
    """Play one scenario with the real CLI and keep what it wrote in `destination`.

    Raises `RecordingError` when the session left the script, when the token totals of
    transcript and CLI differ, or when a trace of this machine is left in a file.
    """
    project = home / scenario.project
    _prepare(scenario, home, project)
    results: list[Mapping[str, Any]] = []
    cli = Cli(binary=claude, home=home, project=project)
    values = {"cwd": str(project), "home": str(home)}
    with ExitStack() as stack:
        if scenario.workspace.get("web_site"):
            values["site"] = stack.enter_context(web_site(make_certificate(home / "tmp")))
        standin = stack.enter_context(StandIn(scenario, values))
        for run in scenario.runs:
            results.append(cli.invoke(run, scenario, standin, results))
    problems = standin.problems + standin.unplayed()
    kept = home / "kept"
    _keep(scenario, home, results, kept)
    differing = compare(kept)
    if scenario.is_lossy:
        differing = [line for line in differing if not line.startswith("output_tokens: ")]
    problems += [f"token totals differ: {line}" for line in differing]
    problems += [f"left in {line}" for line in check_tree(kept)]
    if problems:
        raise RecordingError("; ".join(problems))
    if destination.exists():
        shutil.rmtree(destination)
    shutil.copytree(kept, destination)


def claim_home(home: Path) -> None:
    """Make `home` an empty directory of the recorder; never touches one that is not its own."""
    if home.exists():
        if not (home / _MARKER).exists():
            raise RecordingError(f"{home} exists and was not made by the recorder: give --home")
        shutil.rmtree(home)
    (home / "tmp").mkdir(parents=True)
    (home / _MARKER).touch()


def _prepare(scenario: Scenario, home: Path, project: Path) -> None:
    claim_home(home)
    project.mkdir()
    values = {"cwd": str(project), "home": str(home)}
    for name, text in scenario.workspace.get("files", {}).items():
        target = project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_fill(text, values), encoding="utf-8")
    for name, encoded in scenario.workspace.get("binary", {}).items():
        (project / name).write_bytes(base64.b64decode(encoded))
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


def _keep(
    scenario: Scenario, home: Path, results: Sequence[Mapping[str, Any]], destination: Path
) -> None:
    destination.mkdir(parents=True)
    slug = "".join(c if c.isalnum() else "-" for c in str(home / scenario.project))
    source = home / ".claude" / "projects" / slug
    sessions = {str(result["session_id"]) for result in results}
    for path in sorted(source.rglob("*")):
        if path.is_file() and _belongs(path.relative_to(source), sessions):
            target = destination / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text(encoding="utf-8").split("\n")
            text = "\n".join(shorten(line) for line in lines)
            target.write_text(rewrite(text, {platform.release(): "6.1.0"}), encoding="utf-8")
    for number, result in enumerate(results, start=1):
        if result["type"] == "killed":
            continue
        name = "result.json" if len(results) == 1 else f"result-{number}.json"
        text = json.dumps(result, indent=2, ensure_ascii=False)
        (destination / name).write_text(text + "\n", encoding="utf-8")


def _belongs(path: Path, sessions: set[str]) -> bool:
    """Whether a file below the project's folder is part of the recorded sessions.

    Some versions leave more there: notes of the agent, an index, transcripts without a turn.
    """
    top = path.parts[0].partition(".")[0]
    return top in sessions or (top.startswith("agent-") and path.suffix == ".jsonl")


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


def _record_all(scenarios: Iterable[Scenario], home: Path, claude: str) -> int:
    """Record each scenario, report on standard error; returns how many failed."""
    failed = 0
    for scenario in scenarios:
        failed += not _record_one(scenario, home, claude)
    return failed


def _record_one(scenario: Scenario, home: Path, claude: str) -> bool:
    name = scenario.name
    try:
        binary = of_version(scenario.versions[0]) if scenario.versions else Path(claude)
        record(scenario, home, str(binary), folder_of(scenario))
    except (InvocationError, RecordingError, ScenarioError) as error:
        sys.stderr.write(f"FAILED {name}: {error}\n")
        return False
    if name.startswith("demo-"):
        _publish_demo(name, RECORDINGS / name)
    sys.stderr.write(f"{name}: recorded\n")
    return True


def main(arguments: Iterable[str] | None = None) -> int:
    """Record the named scenarios, or all of them; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="tests.recorder.record", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios (default: all)")
    parser.add_argument("--home", type=Path, default=Path("/home/dev"))
    options = parser.parse_args(None if arguments is None else list(arguments))
    claude = os.environ.get("CLAUDE_BIN") or shutil.which("claude")
    if claude is None:
        parser.error("no 'claude' on PATH: npm install @anthropic-ai/claude-code, or CLAUDE_BIN")
    scenarios = [
        edition
        for path in sorted(SCENARIOS.glob("*.yaml"))
        for edition in load_scenario(path).editions()
        if not options.names or {edition.name, path.stem} & set(options.names)
    ]
    known = {name for scenario in scenarios for name in (scenario.name, scenario.file)}
    if unknown := sorted(set(options.names) - known):
        parser.error(f"no such scenario: {', '.join(unknown)}")
    failed = _record_all(scenarios, options.home, str(Path(claude).resolve()))
    if failed < len(scenarios):
        write_provenance(RECORDINGS, SCENARIOS, folder_of)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
