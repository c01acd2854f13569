"""Keeps what Claude Code itself exports over OpenTelemetry: `Trace.to_json()` files.

`python -m tests.recorder.record_otel`. Plays some scenarios of the recorder with telemetry on
(`CLAUDE_CODE_ENHANCED_TELEMETRY_BETA`), the exporter pointed at a real `mlflow server` on
loopback, once as the CLI does by default (prompts and arguments redacted) and once with everything
that a user can opt into. Needs the real CLI, as `tests.recorder.record` does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.driver.stores import Server, free_port
from tests.recorder.record import REPOSITORY, SCENARIOS, record
from tests.recorder.sanitise import leaks
from tests.recorder.scenario import load_scenario

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["OTEL_TRACES", "main"]

OTEL_TRACES = REPOSITORY / "tests" / "data" / "traces" / "claude_code_otel"

# Of `claude -p` some exports miss the root, since the CLI ends before it is sent: kept as is.
_DEFAULT = ("failing-bash", "permission-denied", "subagent")
_DETAILED = ("failing-bash", "subagent")
_OPT_IN = {
    "OTEL_LOG_USER_PROMPTS": "1",
    "OTEL_LOG_TOOL_DETAILS": "1",
    "OTEL_LOG_TOOL_CONTENT": "1",
}
_ATTEMPTS = 4
# What says something about the recording machine and nothing about the session.
_MACHINE_TAGS = ("host.arch", "os.type", "os.version", "mlflow.artifactLocation")

_PROVENANCE = """\
# Where these traces come from

`Trace.to_json()` (indented) of traces that Claude Code {version} exported over OpenTelemetry into
an `mlflow server` of MLflow {mlflow}, while it played scenarios of `tests/recorder/scenarios`. Made
by `python -m tests.recorder.record_otel`. Taken out: the machine's tags, and the machine's part of
`user.id`.

`default-*` is what the CLI exports unless told otherwise: prompts read `<REDACTED>`, calls have no
arguments and no results. `detailed-*` had `OTEL_LOG_USER_PROMPTS`, `OTEL_LOG_TOOL_DETAILS` and
`OTEL_LOG_TOOL_CONTENT` set: of the arguments path and command are there, the rest is not.
A trace whose state is `IN_PROGRESS` never got its root: `claude -p` ended before it was sent.
"""


def main(arguments: Iterable[str] | None = None) -> int:
    """Record all traces anew; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tests.recorder.record_otel", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("/home/dev"))
    options = parser.parse_args(None if arguments is None else list(arguments))
    claude = os.environ.get("CLAUDE_BIN") or shutil.which("claude")
    if claude is None:
        parser.error("no 'claude' on PATH: npm install @anthropic-ai/claude-code, or CLAUDE_BIN")
    OTEL_TRACES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), free_port())
        server.start(wait=False)
        server.wait(300)
        try:
            for kind, names, extra in (("default", _DEFAULT, {}), ("detailed", _DETAILED, _OPT_IN)):
                for name in names:
                    _record(kind, name, extra, server, options.home, str(Path(claude).resolve()))
        finally:
            server.kill()
    shutil.rmtree(options.home, ignore_errors=True)
    return 0


def _record(
    kind: str, name: str, extra: Mapping[str, str], server: Server, home: Path, claude: str
) -> None:
    import mlflow

    mlflow.set_tracking_uri(server.url)
    experiment_id = mlflow.create_experiment(f"{kind}-{name}")
    telemetry = {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_TRACES_EXPORT_INTERVAL": "200",
        "CLAUDE_CODE_OTEL_FLUSH_TIMEOUT_MS": "20000",
        "CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS": "20000",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{server.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-mlflow-experiment-id={experiment_id}",
        **extra,
    }
    scenario = load_scenario(SCENARIOS / f"{name}.yaml")
    runs = tuple(replace(run, env={**run.env, **telemetry}) for run in scenario.runs)
    for attempt in range(_ATTEMPTS):
        with tempfile.TemporaryDirectory() as folder:
            record(replace(scenario, runs=runs), home, claude, Path(folder) / name)
        found = mlflow.search_traces(locations=[experiment_id], return_type="list", max_results=1)
        # Which of its last batches the CLI still sends before it ends is a matter of luck.
        if found and (found[0].data.spans[0].parent_id is None or attempt == _ATTEMPTS - 1):
            break
    document = json.loads(found[0].to_json())
    version = document["info"]["tags"].get("service.version", "?")
    _clean(document)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    problems = leaks(text)
    if problems:
        raise RuntimeError(f"{kind}-{name}: left in the trace: {problems}")
    (OTEL_TRACES / f"{kind}-{name}.json").write_text(text, encoding="utf-8")
    provenance = _PROVENANCE.format(version=version, mlflow=mlflow.__version__)
    (OTEL_TRACES / "PROVENANCE.md").write_text(provenance, encoding="utf-8")
    sys.stderr.write(f"{kind}-{name}: recorded\n")


def _clean(document: dict[str, Any]) -> None:
    info = document["info"]
    info["tags"] = {k: v for k, v in info["tags"].items() if k not in _MACHINE_TAGS}
    info["trace_metadata"].pop("mlflow.trace.user", None)
    for span in document["data"]["spans"]:
        if "user.id" in span["attributes"]:
            span["attributes"]["user.id"] = '"anonymous"'


if __name__ == "__main__":
    raise SystemExit(main())
