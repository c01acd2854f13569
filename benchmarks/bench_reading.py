"""Speed and memory of reading transcripts, in one run.

    python benchmarks/bench_reading.py [--data DIR] [--size 20MB] [--rounds 7] [--memory 500MB]

Reports MB/s of `parse_transcript` beside `orjson.loads` (lines read from the file, and lines in
memory) and `json.loads` over the same lines, values dropped at once; in brackets how many times as
fast the session is. Each is the best of interleaved rounds, in processor time, so that other work
on the machine disturbs least. Then peak memory on a transcript of large results, start-up time, and
sessions per second of `trace-eval` over a directory on one core and on all. `--data` adds a folder
of your own transcripts to the generated ones.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.generate import parse_size, write
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

_PYTHON = sys.executable
_PEAK = """
import resource, sys
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
session = parse_transcript(sys.argv[1])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(session.tool_calls), peak // 1024)
"""
_EXPECTATIONS = """
skill: {name: bench}
scorers: {enabled: []}
trace_expectations:
  tool_limits: {Bash: 1000}
  required_tools: [Read]
  banned_tools: ["rm -rf", "Bash(git push:*)"]
  token_budget: {max_output: 100000000, allow_incomplete: true}
"""


def best(tasks: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Processor seconds of each task, the least of interleaved rounds."""
    times = [float("inf")] * len(tasks)
    for _ in range(rounds):
        for index, task in enumerate(tasks):
            start = time.process_time()
            task()
            times[index] = min(times[index], time.process_time() - start)
    return times


def reading(name: str, paths: Sequence[Path], rounds: int) -> None:
    """Print a line of the speed table for these files."""
    lines = [line for path in paths for line in path.read_bytes().split(b"\n") if line]
    good = []
    for line in lines:
        try:
            orjson.loads(line)
        except ValueError:
            continue
        good.append(line)

    def floor() -> None:
        for line in good:
            orjson.loads(line)

    def floor_from_file() -> None:
        for path in paths:
            with path.open("rb") as file, contextlib.suppress(ValueError):
                for line in file:
                    orjson.loads(line)

    def standard() -> None:
        for line in good:
            json.loads(line)

    def ours() -> None:
        for path in paths:
            parse_transcript(path, subagents=False)

    size = sum(map(len, good)) / 1e6
    mine, from_file, fast, slow = best((ours, floor_from_file, floor, standard), rounds)
    print(
        f"| {name} | {size:.1f} | {size * 1e6 / len(good):,.0f} | {size / mine:.0f}"
        f" | {size / from_file:.0f} ({from_file / mine:.2f}×)"
        f" | {size / fast:.0f} ({fast / mine:.2f}×) | {size / slow:.0f} ({slow / mine:.2f}×) |"
    )


def memory(folder: Path, size: int) -> None:
    """Print the peak memory of reading one transcript of large results."""
    path = write(folder / "large.jsonl", size, results=40)
    done = subprocess.run(
        [_PYTHON, "-c", _PEAK, str(path)], check=True, capture_output=True, text=True
    )
    calls, peak = done.stdout.split()
    megabytes = path.stat().st_size // 10**6
    print(f"Peak memory on {megabytes} MB with {calls} calls: {peak} MiB")
    path.unlink()


def wall(command: Sequence[str], rounds: int, cores: int | None = None) -> float:
    """Least wall seconds of a command, on that many cores."""
    available = sorted(os.sched_getaffinity(0))
    use = set(available[:cores] if cores else available)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(
            command,
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, use),
        )
        times.append(time.perf_counter() - start)
    return min(times)


def start_up(rounds: int) -> None:
    """Print how long `--help` takes beside an empty Python."""
    empty = wall([_PYTHON, "-c", "pass"], rounds)
    help_page = wall([_PYTHON, "-m", "skilltrace_mlflow", "--help"], rounds)
    print(
        f"Start-up: --help {help_page * 1000:.0f} ms, python -c pass {empty * 1000:.0f} ms"
        f" (goal: {3 * empty * 1000 + 100:.0f} ms)"
    )


def directory(folder: Path, sessions: int, size: int, rounds: int) -> None:
    """Print sessions per second of scoring a directory, on one core and on all."""
    target = folder / "sessions"
    target.mkdir()
    for seed in range(sessions):
        write(target / f"{seed:04d}.jsonl", size, seed=seed)
    manifest = folder / "manifest.yaml"
    manifest.write_text(_EXPECTATIONS, encoding="utf-8")
    command = [_PYTHON, "-m", "skilltrace_mlflow", "trace-eval", "--manifest", str(manifest)]
    command += ["--trace-dir", str(target), "--format", "jsonl", "--output", os.devnull]
    rate = [sessions / wall(command, rounds, cores) for cores in (1, None)]
    cores = len(os.sched_getaffinity(0))
    print(
        f"Directory of {sessions} sessions of {size / 1e6:.1f} MB: {rate[0]:.0f} sessions/s on one"
        f" core, {rate[1]:.0f} on {cores} ({rate[1] / rate[0]:.2f}×)"
    )


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure the reading of transcripts.")
    parser.add_argument("--data", type=Path, help="a folder of transcripts to measure as well")
    parser.add_argument("--size", type=parse_size, default=parse_size("20MB"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", type=parse_size, default=parse_size("500MB"))
    parser.add_argument("--sessions", type=int, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| transcripts | MB | bytes/line | ours | orjson from file | orjson | json |")
        print("|---|---|---|---|---|---|---|")
        if given.data:
            reading("own", sorted(given.data.glob("*.jsonl")), given.rounds)
        for size in (10_000, 1_000_000, given.size):
            path = write(folder / "one.jsonl", size)
            reading(f"generated, {size / 1e6:g} MB", [path], given.rounds)
        for scale in (3, 10):
            path = write(folder / "one.jsonl", given.size, results=scale)
            reading(f"generated, results × {scale}", [path], given.rounds)
        print()
        start_up(given.rounds)
        directory(folder, given.sessions, 1_000_000, 3)
        if given.memory:
            memory(folder, given.memory)


if __name__ == "__main__":
    _main()
