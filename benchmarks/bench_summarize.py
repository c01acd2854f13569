"""`summarize` over a folder of transcripts beside `ccusage session`, on the clock.

    python benchmarks/bench_summarize.py DIR [--megabytes 100] [--rounds 7] [--ccusage PATH]

DIR holds transcripts of your own (`*.jsonl`). They are copied until there are that many megabytes,
each copy with message, request and tool call ids of its own, since both programs count an id once.
Both run in turn as processes of their own, `ccusage` with `--json --offline` (npm package `ccusage`
with its native binary); where it is not installed, `summarize` is measured alone. Reported are the
best and the median of the rounds, the least processor time, and the tokens that each counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

_IDS = (b'"msg_', b'"req_', b'"toolu_')
_KINDS = ("input", "output", "cache_creation", "cache_read")
_THEIR_KINDS = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens")


def copies(sources: Sequence[Path], target: Path, size: int) -> int:
    """Copy files into `target` until they are `size` bytes together; returns how many bytes."""
    written = number = 0
    while written < size:
        number += 1
        for path in sources:
            data = path.read_bytes()
            for start in _IDS:
                data = data.replace(start, start + b"%dx" % number)
            (target / f"{path.stem}-{number}.jsonl").write_bytes(data)
            written += len(data)
            if written >= size:
                break
    return written


def clock(argv: Sequence[str], env: Mapping[str, str]) -> tuple[float, float, bytes]:
    """Seconds on the clock and of processors that a process takes, and what it prints."""
    before = os.times()
    start = time.perf_counter()
    done = subprocess.run(argv, env=env, capture_output=True, check=True)
    seconds, after = time.perf_counter() - start, os.times()
    user = after.children_user - before.children_user
    return seconds, user + after.children_system - before.children_system, done.stdout


def own_tokens(printed: bytes) -> int:
    """All tokens in the JSON of `summarize --by model`."""
    tokens: dict[str, Any] = json.loads(printed)["totals"]["tokens"]
    return sum(int(tokens[kind]) for kind in _KINDS)


def their_tokens(printed: bytes) -> int:
    """All tokens in the JSON of `ccusage session`."""
    totals = json.loads(printed)["totals"]
    return sum(int(totals[kind]) for kind in _THEIR_KINDS)


def main() -> None:
    """Copy, run in turn, report."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ccusage", default=shutil.which("ccusage"), metavar="PATH")
    given = parser.parse_args()
    sources = sorted(given.folder.glob("*.jsonl"))
    if not sources:
        parser.error(f"{given.folder}: no .jsonl file in it")
    with tempfile.TemporaryDirectory() as made:
        project = Path(made, "projects", "bench")
        project.mkdir(parents=True)
        size = copies(sources, project, given.megabytes * 1_000_000)
        env = {**os.environ, "CLAUDE_CONFIG_DIR": made}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled
        own = [sys.executable, "-m", "skilltrace_mlflow", "summarize", "-q", "--by", "model"]
        tasks = {"summarize": [*own, "--format", "json", str(project)]}
        if given.ccusage:
            tasks["ccusage"] = [given.ccusage, "session", "--json", "--offline"]
        else:
            print("ccusage is not installed (npm install ccusage): summarize is measured alone")
        times: dict[str, list[float]] = {name: [] for name in tasks}
        busy: dict[str, list[float]] = {name: [] for name in tasks}
        printed: dict[str, bytes] = {}
        for _ in range(given.rounds):
            for name, argv in tasks.items():
                seconds, processors, printed[name] = clock(argv, env)
                times[name].append(seconds)
                busy[name].append(processors)
    print(f"{size / 1e6:.0f} MB, {os.cpu_count()} cores, {given.rounds} rounds in turn")
    for name, taken in times.items():
        tokens = (own_tokens if name == "summarize" else their_tokens)(printed[name])
        print(
            f"{name:10} best {min(taken):.2f} s, median {statistics.median(taken):.2f} s,"
            f" processors {min(busy[name]):.2f} s, {tokens:,} tokens"
        )


if __name__ == "__main__":
    main()
