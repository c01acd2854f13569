"""The driver against plain `mlflow.genai.evaluate`: same traces, same checks, same store.

Three ways to get the same seven verdicts per trace, each on traces of its own:

naive     `mlflow.genai.evaluate(mlflow.search_traces(), seven scorers)`, as anybody would write it
constant  the same call as the driver's (rows of trace and expectations, no rate limit), with seven
          scorers that return a constant: what MLflow itself costs
driver    `evaluate_skill(include_traces=True)`: finds, judges, logs, verifies

Run: python -m benchmarks.bench_driver [--traces 100] [--server] [--repeat 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"

import mlflow
from mlflow.entities import Feedback
from mlflow.genai.scorers import scorer

from skilltrace_mlflow.evaluate import evaluate_skill
from skilltrace_mlflow.evaluate._surroundings import lifted_rate_limit, quiet_mlflow
from skilltrace_mlflow.scorers import TRACE_SCORER_MAP
from tests.driver.stores import Server, free_port, use_store, write_skill
from tests.driver.traces import log_turn

EXPECTATIONS = {
    "tool_limits": {"Bash": 5},
    "token_budget": {"max_total": 100_000},
    "required_tools": ["Read"],
    "banned_tools": ["rm -rf", "WebFetch"],
    "expected_files": ["*.sql"],
    "tool_sequence": ["Read", "Bash"],
    "category_limits": {"bash": 10},
}
CHECKS = (
    "tool_count",
    "token_budget",
    "required_tools",
    "banned_tools",
    "file_existence",
    "tool_sequence",
    "category_limits",
)
CALLS = [("Read", {"file_path": "/repo/a.py"}), ("Bash", {"command": "ls -l"})] * 5


def naive(_: Path) -> None:
    frame = mlflow.search_traces()
    frame["expectations"] = [EXPECTATIONS] * len(frame)
    mlflow.genai.evaluate(data=frame, scorers=[TRACE_SCORER_MAP[name] for name in CHECKS])


def constant(_: Path) -> None:
    def make(name: str) -> Any:
        def give(trace: Any) -> Feedback:
            return Feedback(name=name, value="yes", rationale="constant")

        return scorer(give, name=name)

    traces = mlflow.search_traces(return_type="list")
    rows = [{"trace": trace, "expectations": EXPECTATIONS} for trace in traces]
    with lifted_rate_limit():
        mlflow.genai.evaluate(data=rows, scorers=[make(name) for name in CHECKS])


def driver(skill: Path) -> None:
    evaluation = evaluate_skill(skill, include_traces=True)
    assert not evaluation.incomplete
    assert all(len(result.judged) == len(CHECKS) for result in evaluation.results)


WAYS: dict[str, Callable[[Path], None]] = {"naive": naive, "constant": constant, "driver": driver}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--traces", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--server", action="store_true", help="through a local MLflow server")
    options = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        server = Server(folder, free_port()) if options.server else None
        uri = f"sqlite:///{folder / 'server.db'}"
        if server is not None:
            server.start()
            uri = server.url
        try:
            for number in range(options.repeat):
                # In turn, so that whatever else the machine does concerns all of them.
                for name, way in WAYS.items():
                    took = _once(way, uri, folder, f"{name}-{number}", options.traces)
                    times[name].append(took)
                    print(f"{name:9} {took:6.2f} s", flush=True)
        finally:
            if server is not None:
                server.kill()
    best = {name: statistics.median(values) for name, values in times.items()}
    where = "local server" if options.server else "local SQLite"
    print(f"{options.traces} traces, 7 checks, {where}, median of {options.repeat}:")
    for name, value in best.items():
        print(f"  {name:9} {value:6.2f} s")
    print(f"  driver / naive    = {best['driver'] / best['naive']:.2f}  (goal: at most 0.6)")
    print(f"  driver / constant = {best['driver'] / best['constant']:.2f}  (goal: at most 1.1)")


def _once(way: Callable[[Path], None], uri: str, folder: Path, name: str, count: int) -> float:
    """One way on traces of its own, in an experiment of its own."""
    with use_store(uri, name, folder / "artifacts" / name if uri.startswith("sqlite") else None):
        ids = [log_turn(f"do {n}", CALLS) for n in range(count)]
        cases = [{"id": f"case-{n}", "metadata": {"trace_id": t}} for n, t in enumerate(ids)]
        manifest = {"trace_expectations": EXPECTATIONS}
        skill = write_skill(folder / name, manifest=manifest, cases=cases)
        with quiet_mlflow(progress=False):
            start = time.perf_counter()
            way(skill)
            return time.perf_counter() - start


if __name__ == "__main__":
    main()
