"""Traces per second: `skilltrace-mlflow import` against a loop of MLflow's `process_transcript`.

    python -m benchmarks.bench_import [--copies N]

Both log the same sessions (recordings of one user turn, copied under new session ids) to fresh
SQLite stores, in one process, one after the other, each after one warm-up session. MLflow's tracer
logs a session's last turn without its sub-agents; the import logs everything, so that it writes
more spans for the same sessions. Needs MLflow before 3.18 for the comparison.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import tempfile
import time
import uuid
from pathlib import Path

import mlflow

from skilltrace_mlflow.importing import import_transcripts
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

RECORDINGS = Path(__file__).parent.parent / "tests" / "data" / "recordings"


def copy_sessions(folder: Path, copies: int) -> tuple[list[Path], int]:
    """Copies of all one-turn recordings under new ids; returns the files and their bytes."""
    made, size = [], 0
    for path in find_sessions(RECORDINGS):
        session = parse_transcript(path)
        if len(session.prompts) != 1 or session.session_id is None:
            continue
        for _ in range(copies):
            new = str(uuid.uuid4())
            sources = [path, *path.with_suffix("").glob("subagents/*")]
            for source in sources:
                name = str(source.relative_to(path.parent)).replace(path.stem, new)
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                text = source.read_text(encoding="utf-8").replace(session.session_id, new)
                target.write_text(text, encoding="utf-8")
                size += len(text)
            made.append(folder / f"{new}.jsonl")
    return made, size


def count(uri: str, experiment: str) -> tuple[int, int]:
    """Traces and spans in an experiment."""
    mlflow.set_tracking_uri(uri)
    found = mlflow.get_experiment_by_name(experiment)
    assert found is not None
    traces = mlflow.search_traces(
        locations=[found.experiment_id], return_type="list", max_results=100_000
    )
    return len(traces), sum(len(trace.data.spans) for trace in traces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=4)
    copies = parser.parse_args().copies
    logging.getLogger("alembic").setLevel(logging.ERROR)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sessions, size = copy_sessions(folder / "sessions", copies)
        results = {}

        uri = f"sqlite:///{folder / 'import.db'}"
        import_transcripts([find_sessions(RECORDINGS)[0]], tracking_uri=uri, experiment="warm-up")
        start = time.perf_counter()
        import_transcripts([folder / "sessions"], tracking_uri=uri, experiment="bench")
        results["import"] = (time.perf_counter() - start, *count(uri, "bench"))
        start = time.perf_counter()
        import_transcripts([folder / "sessions"], tracking_uri=uri, experiment="bench")
        again = time.perf_counter() - start

        from mlflow.claude_code.tracing import process_transcript

        uri = f"sqlite:///{folder / 'process.db'}"
        mlflow.set_tracking_uri(uri)
        os.chdir(folder)  # its log file lands in the working directory
        with contextlib.redirect_stdout(io.StringIO()):
            mlflow.set_experiment("warm-up")
            process_transcript(str(find_sessions(RECORDINGS)[0]), "warm-up")
            mlflow.set_experiment("bench")
            start = time.perf_counter()
            for path in sessions:
                process_transcript(str(path), path.stem)
            mlflow.flush_trace_async_logging()
            elapsed = time.perf_counter() - start
        results["process_transcript"] = (elapsed, *count(uri, "bench"))
        os.chdir(home)

    print(f"{len(sessions)} sessions, {size / 1e6:.1f} MB, MLflow {mlflow.__version__}, SQLite")
    for label, (seconds, traces, spans) in results.items():
        print(
            f"{label:20} {traces:5} traces {spans:6} spans {seconds:7.2f} s "
            f"{traces / seconds:7.1f} traces/s {spans / seconds:8.1f} spans/s"
        )
    print(f"{'import again':20} {again:27.2f} s (nothing to do)")
    print(json.dumps({"import": results["import"], "process": results["process_transcript"]}))


if __name__ == "__main__":
    main()
