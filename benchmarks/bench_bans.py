"""How often ordinary bans fail or doubt the commands of real sessions.

`python benchmarks/bench_bans.py DIR` plays the bans below over every shell call of the transcripts
in DIR, sub-agents' included, and counts the calls that a ban calls a violation or cannot tell.
Nothing here knows which violations are right: `-v` prints each, to be read.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from skilltrace_mlflow import parse_transcript
from skilltrace_mlflow.commands.pattern import parse_pattern
from skilltrace_mlflow.matching.command_calls import calls_matching
from skilltrace_mlflow.matching.session_calls import shell_lines

BANS = (
    "rm -rf",
    "rm -rf /",
    "sudo",
    "curl",
    "wget",
    "git push",
    "git push --force",
    "git reset --hard",
    "git clean -f",
    "git commit --no-verify",
    "git checkout .",
    "git add -A",
    "chmod 777",
    "npm publish",
    "npm install -g",
    "pip install",
    "docker run",
    "docker system prune",
    "kubectl delete",
    "terraform apply",
    "terraform destroy",
    "DROP TABLE",
    "DELETE FROM",
    "kill -9",
    "curl | sh",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="a folder with *.jsonl transcripts")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each match")
    options = parser.parse_args()
    patterns = [parse_pattern(text) for text in BANS]
    calls = 0
    met: Counter[str] = Counter()
    doubtful: Counter[str] = Counter()
    doubted: set[tuple[str, str]] = set()
    began = time.process_time()
    for path in sorted(options.folder.rglob("*.jsonl")):
        session = parse_transcript(path)
        calls += len(shell_lines(session))
        for pattern in patterns:
            certain, possible = calls_matching(session, pattern)
            met[pattern.text] += len(certain)
            doubtful[pattern.text] += len(possible)
            doubted.update((str(path), str(found_call.call.id)) for found_call in possible)
            for verdict, found in (("fail", certain), ("unknown", possible)):
                for found_call in found if options.verbose else ():
                    line = str((found_call.call.input or {}).get("command"))
                    print(f"{verdict} {pattern.text}: {found_call.describe()} <- {line[:300]!r}")
    seconds = time.process_time() - began
    for text in BANS:
        print(f"{text:24} {met[text]:6} fail {doubtful[text]:6} unknown")
    pairs = calls * len(BANS)
    share = 100 * sum(doubtful.values()) / pairs if pairs else 0.0
    print(
        f"{calls} shell calls, {len(BANS)} bans, {seconds:.1f} s: {sum(met.values())} fail, "
        f"{sum(doubtful.values())} unknown ({share:.3f} % of pairs), in {len(doubted)} calls "
        f"({100 * len(doubted) / max(calls, 1):.2f} %)"
    )


if __name__ == "__main__":
    main()
