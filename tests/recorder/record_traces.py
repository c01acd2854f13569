"""Keeps what MLflow's retired Stop hook made of the recordings: `Trace.to_json()` files.

`python -m tests.recorder.record_traces [NAME…]`. `process_transcript` is gone from MLflow
3.18 on, so this needs an earlier MLflow (3.17.2 wrote the committed files) and nothing else
in the project may import it. It logs the last user turn of a transcript only, and no
sub-agents. It stamps its own working directory and user on the trace, therefore it runs in
the recording's directories as user `dev`, against a store that lies there too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.recorder.record import RECORDINGS, REPOSITORY, claim_home
from tests.recorder.sanitise import leaks

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TRACES", "main"]

TRACES = REPOSITORY / "tests" / "data" / "traces" / "process_transcript"

_PROVENANCE = """\
# Where these traces come from

`Trace.to_json()` (indented) of the traces that `mlflow.claude_code.tracing.process_transcript`
of MLflow {version} logged to a SQLite store from the recordings of the same name in
`tests/data/recordings/`; of a recording with several transcripts (`fork`) the last run's. Made
by `python -m tests.recorder.record_traces`. That function no longer exists in MLflow 3.18 and
later: the traces it wrote live on, and the tests read these files.

What to know about them: only the last user turn of a session is logged, where an interruption,
the expansion of a slash command and a task notification count as a user turn; sub-agents are
missing; `mlflow.trace.tokenUsage` lacks messages without text; `is_error` is lost; tool
durations are made up.

| trace | shows the turn that began with |
|---|---|
"""


def main(arguments: Iterable[str] | None = None) -> int:
    """Log the named recordings, or all, and write one JSON file each; returns exit code."""
    parser = argparse.ArgumentParser(prog="tests.recorder.record_traces", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="recordings (default: all)")
    parser.add_argument("--home", type=Path, default=Path("/home/dev"))
    options = parser.parse_args(None if arguments is None else list(arguments))
    names = options.names or sorted(path.name for path in RECORDINGS.iterdir() if path.is_dir())
    claim_home(options.home)
    os.environ.update(HOME=str(options.home), USER="dev", LOGNAME="dev", LNAME="dev")
    # MLflow names the running program as the source of the trace.
    sys.argv[0] = "record_traces.py"
    os.chdir(options.home)
    failed = 0
    for name in names:
        problems = _record(name, options.home)
        failed += bool(problems)
        sys.stderr.write(f"{name}: {'; '.join(problems) or 'recorded'}\n")
    _write_provenance()
    shutil.rmtree(options.home / "store", ignore_errors=True)
    return 1 if failed else 0


def _record(name: str, home: Path) -> list[str]:
    import mlflow
    from mlflow.claude_code.tracing import process_transcript

    store = home / "store"
    store.mkdir(exist_ok=True)
    mlflow.set_tracking_uri(f"sqlite:///{store / 'mlflow.db'}")
    if mlflow.get_experiment_by_name("recordings") is None:
        mlflow.create_experiment("recordings", artifact_location=str(store / "artifacts"))
    mlflow.set_experiment("recordings")
    transcript = _last_transcript(RECORDINGS / name)
    project = Path(_first_cwd(transcript))
    project.mkdir(exist_ok=True)
    os.chdir(project)
    trace = process_transcript(str(transcript), session_id=transcript.stem)
    if trace is None:
        return ["nothing was logged"]
    text = json.dumps(json.loads(trace.to_json()), indent=1, ensure_ascii=False)
    found = leaks(text)
    if not found:
        TRACES.mkdir(parents=True, exist_ok=True)
        (TRACES / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return [f"left in the trace: {leak}" for leak in found]


def _last_transcript(recording: Path) -> Path:
    results = sorted(recording.glob("result*.json"))
    session = json.loads(results[-1].read_text(encoding="utf-8"))["session_id"]
    return recording / f"{session}.jsonl"


def _first_cwd(transcript: Path) -> str:
    for line in transcript.read_text(encoding="utf-8").split("\n"):
        cwd = json.loads(line).get("cwd") if line else None
        if cwd:
            return str(cwd)
    raise ValueError(f"{transcript}: no line names a working directory")


def _write_provenance() -> None:
    import mlflow

    rows = []
    for path in sorted(TRACES.glob("*.json")):
        trace: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        prompt = " ".join(str(trace["info"].get("request_preview")).split()).replace("|", "\\|")
        rows.append(f"| `{path.stem}` | {prompt[:90]} |\n")
    text = _PROVENANCE.format(version=mlflow.__version__) + "".join(rows)
    (TRACES / "PROVENANCE.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
