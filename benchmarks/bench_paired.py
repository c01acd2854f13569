"""This checkout beside another one, figure by figure: has anything become slower?

    git worktree add /tmp/before dc47a45
    python benchmarks/bench_paired.py /tmp/before [--data DIR] [--rounds 7] [--only reading,scoring]

Every figure is taken in processes of their own, both checkouts in turn, so that whatever else the
machine does concerns both; reported is the least of the rounds in user processor time, and the
ratio. `start-up` is `--help` and `import`, `trace-eval` judges one small transcript by two checks,
`reading` parses the transcripts of `--data` (generated ones without it), the least for each file,
`scoring` runs the twenty checks of `bench_checks`, `summarize` prints the metrics of a folder,
`driver` evaluates traces in a SQLite store. `ccusage session` is shown beside `summarize` where it
is installed. Both checkouts need the packages of this environment.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.generate import parse_size, write

_HERE = Path(__file__).parents[1]
_READER = """
import sys, time
try:
    from skilltrace_mlflow.sources.transcript.reader import parse_transcript
except ImportError:  # before it had a room of its own
    from skilltrace_mlflow.sources.transcript import parse_transcript
"""
_READING = f"""{_READER}
best = dict.fromkeys(sys.argv[1:], 9e9)
for _ in range(8):
    for path in sys.argv[1:]:
        start = time.process_time()
        parse_transcript(path)
        best[path] = min(best[path], time.process_time() - start)
print(sum(best.values()))
"""
_SCORING = f"""{_READER}
import functools, gc
from benchmarks.bench_checks import CHECKS
from skilltrace_mlflow.checks import get_check, run_check
prepared = [(get_check(name), get_check(name).parse(value)) for name, value in CHECKS.items()]
best = 9e9
for number in range(8):
    session = parse_transcript(sys.argv[1])
    for cached in gc.get_objects():
        # what is kept by line, path or text; a pattern or a table may stay as it is
        if isinstance(cached, functools._lru_cache_wrapper) and (
            cached.__module__.startswith("skilltrace_mlflow")
        ) and (cached.cache_parameters()["maxsize"] or 0) >= 1024:
            cached.cache_clear()
    start = time.process_time()
    for check, parameters in prepared:
        run_check(check, session, parameters)
    best = min(best, time.process_time() - start) if number else best
print(best)
"""
_DRIVER = """
import resource, sys, tempfile
from pathlib import Path
from benchmarks.bench_driver import CALLS, EXPECTATIONS, driver
from skilltrace_mlflow.evaluate._surroundings import quiet_mlflow
from tests.driver.stores import use_store, write_skill
from tests.driver.traces import log_turn
with tempfile.TemporaryDirectory() as scratch:
    folder = Path(scratch)
    with use_store(f"sqlite:///{folder / 'store.db'}", "bench", folder / "artifacts"):
        ids = [log_turn(f"do {n}", CALLS) for n in range(30)]
        cases = [{"id": f"case-{n}", "metadata": {"trace_id": t}} for n, t in enumerate(ids)]
        manifest = {"trace_expectations": EXPECTATIONS}
        skill = write_skill(folder / "skill", manifest=manifest, cases=cases)
        with quiet_mlflow(progress=False):
            start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            driver(skill)
            took = resource.getrusage(resource.RUSAGE_SELF).ru_utime - start
        print(took)  # out here: inside, standard output is nobody's
"""
_EXPECTATIONS = (
    "skill: {name: bench}\nscorers: {enabled: []}\n"
    "trace_expectations: {required_tools: [Read], tool_limits: {Bash: 1000}}\n"
)


def _run(checkout: Path, argv: Sequence[str]) -> tuple[float, str]:
    """User seconds of a process that works on a checkout, and what it printed."""
    env = {**os.environ, "PYTHONPATH": str(checkout), "MLFLOW_DISABLE_TELEMETRY": "true"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling is not what is measured
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(argv, cwd=checkout, env=env, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"{' '.join(argv)[:200]}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, done.stdout


def whole(*argv: str) -> Callable[[Path], float]:
    """The user time of a whole process."""
    return lambda checkout: _run(checkout, (sys.executable, *argv))[0]


def stated(code: str, *arguments: str) -> Callable[[Path], float]:
    """What a script prints as its last line: the seconds of the part that counts."""

    def measure(checkout: Path) -> float:
        printed = _run(checkout, (sys.executable, "-c", code, *arguments))[1]
        return float(printed.split()[-1])

    return measure


def figures(scratch: Path, data: Path | None) -> dict[str, Callable[[Path], float]]:
    """What is measured, by name."""
    from benchmarks.bench_checks import lines

    small, calls, manifest = scratch / "small.jsonl", scratch / "calls.jsonl", scratch / "m.yaml"
    write(small, parse_size("30KB"), seed=3)
    with calls.open("wb") as out:
        out.writelines(lines(1000))
    manifest.write_text(_EXPECTATIONS, encoding="utf-8")
    if data is None:
        files = [str(scratch / f"{seed}.jsonl") for seed in range(12)]
        for seed, path in enumerate(files):
            write(Path(path), parse_size("1MB"), seed=seed)
    else:
        files = [str(path) for path in sorted(data.rglob("*.jsonl"))]
    cli = ("-m", "skilltrace_mlflow")
    return {
        "start-up: import": whole("-c", "import skilltrace_mlflow"),
        "start-up: --help": whole(*cli, "--help"),
        "trace-eval": whole(*cli, "trace-eval", "--trace", str(small), "--manifest", str(manifest)),
        "reading": stated(_READING, *files),
        "scoring": stated(_SCORING, str(calls)),
        "summarize": whole(*cli, "summarize", *files, "--format", "json"),
        "driver": stated(_DRIVER),
    }


def main() -> None:
    """Print a table: the other checkout, this one, the ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("other", type=Path)
    parser.add_argument("--data", type=Path, help="a folder of transcripts of your own")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="names (or their beginnings), with commas")
    options = parser.parse_args()
    chosen = tuple(name for name in options.only.split(",") if name)
    print("| user seconds | before | now | now / before |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in figures(Path(folder), options.data).items():
            if chosen and not name.startswith(chosen):
                continue
            rounds = 3 if name == "driver" else options.rounds
            least = [9e9, 9e9]
            for number in range(rounds + 1):
                for at, checkout in enumerate((options.other.resolve(), _HERE)):
                    took = measure(checkout)
                    least[at] = min(least[at], took) if number else 9e9  # the first one compiles
            print(f"| {name} | {least[0]:.4f} | {least[1]:.4f} | {least[1] / least[0]:.2f} |")
            sys.stdout.flush()
        if (shutil.which("ccusage")) and (not chosen or "summarize".startswith(chosen)):
            argv = ("ccusage", "session", "--json", "--offline")
            took = min(_run(_HERE, argv)[0] for _ in range(options.rounds))
            print(f"| `ccusage session` on its own folder | | {took:.4f} | |")


if __name__ == "__main__":
    main()
