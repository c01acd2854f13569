"""Throw mutated bytes at the parsers, guided by coverage: `python -m tests.fuzz.run [TARGET…]`.

    python -m tests.fuzz.run --inputs 60000              # each target, one after the other
    python -m tests.fuzz.run shell --inputs 1000000

Needs atheris (`pip install atheris`, Python 3.11 to 3.13 on Linux). What it finds lies in
`.fuzz/TARGET/` as `crash-…` (an exception that no user is told of) or `timeout-…` (ten seconds and
more); a found input goes into `tests/fuzz/corpus/TARGET/`, where `make test` keeps trying it. The
last line says how many inputs were run.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".fuzz"
CORPUS = Path(__file__).parent / "corpus"
SECONDS_FOR_ONE = 10
_ONE = """
import sys, atheris
with atheris.instrument_imports(include=["skilltrace_mlflow"]):
    from tests.fuzz import targets
name = sys.argv.pop(1)
targets.run(name, b"")
atheris.Setup(sys.argv, lambda data: targets.run(name, data))
atheris.Fuzz()
"""


def fuzz(name: str, inputs: int) -> tuple[int, str]:
    """Run one target; how many inputs it took, and what was found ("" for nothing)."""
    from tests.fuzz.targets import SEEDS

    work = WORK / name
    seeds = work / "seeds"
    grown = work / "grown"
    seeds.mkdir(parents=True, exist_ok=True)
    grown.mkdir(exist_ok=True)
    for number, seed in enumerate(SEEDS.get(name, (bytes(range(32)),))):
        (seeds / f"seed-{number}").write_bytes(seed)
    kept = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
    log = work / "log.txt"
    with log.open("wb") as said:
        done = subprocess.run(
            [
                *(sys.executable, "-c", _ONE, name, str(grown), str(seeds), *kept),
                *(f"-runs={inputs}", f"-timeout={SECONDS_FOR_ONE}", f"-artifact_prefix={work}/"),
                *("-max_len=4096", "-print_final_stats=1", "-rss_limit_mb=4096"),
            ],
            cwd=ROOT,
            stdout=said,
            stderr=subprocess.STDOUT,
            check=False,
        )
    text = log.read_text(encoding="utf-8", errors="replace")
    counts = re.findall(r"^(?:#|Done )(\d+)", text, re.MULTILINE)
    run = max(map(int, counts), default=0)
    if done.returncode == 0:
        return run, ""
    raised = re.findall(r"^ *(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*", text, re.MULTILINE)
    return run, (raised or text.strip().splitlines() or ["ended without a word"])[-1].strip()


def main() -> int:
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--inputs", type=int, default=10_000, help="for each target")
    given = parser.parse_args()
    total, found = 0, 0
    for name in given.targets or TARGETS:
        count, problem = fuzz(name, given.inputs)
        total += count
        found += bool(problem)
        sys.stdout.write(f"{name:20} {count:>9,} inputs  {problem or 'nothing found'}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{total:,} inputs, {found} targets with a finding\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
