"""Scoring against reading: 20 checks on a session of 1,000 calls, as a ratio in one run.

    python benchmarks/bench_checks.py [--calls 1000] [--rounds 7] [--profile]

The session is written as a transcript and read anew for each round, and what is kept between
sessions is emptied, so that nothing a check derived from the calls is left over: what is measured
is warm code on a session that has not been scored yet. Times are processor time; the ratio is of
the medians.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.generate import transcript
from skilltrace_mlflow.checks import get_check, run_check
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

CHECKS: dict[str, Any] = {
    "tool_count": {"Bash": 2000, "Bash(git push:*)": 0, "mcp__databricks__*": 2000},
    "token_budget": {"max_total": 10**9},
    "required_tools": ["Read", "Edit", "Bash(git status:*)"],
    "banned_tools": [
        "rm -rf",
        "DROP DATABASE",
        "git push --force",
        "curl",
        "mcp__databricks__delete_*",
    ],
    "file_existence": ["*.sql", "src/**/module_*.py"],
    "tool_sequence": ["Read", "Edit", "Bash", "Write"],
    "category_limits": {"bash": 2000, "file_ops": 2000, "mcp_databricks": 2000},
    "tool_trajectory": {
        "mode": "in_order",
        "expected": [
            {"tool": "Read"},
            {"tool": "Edit", "outcome": "succeeded"},
            {
                "tool": "Bash",
                "input": {"command": {"$regex": "pytest"}},
                "input_match": ["command"],
            },
            {"one_of": ["Grep", "Glob"], "optional": True},
            {"tool": "Write"},
        ],
    },
    "expected_messages": [
        {"role": "assistant", "tool_calls": [{"tool": "Read"}, {"tool": "Edit"}]}
    ],
    "tool_errors": {"max": 2000, "max_consecutive": 50, "max_unrecovered": 500},
    "repeated_calls": {"max_identical": 3},
    "permission_denials": {"max": 0},
    "permissions": {"deny": ["Bash(git push:*)", "Read(./secrets/**)"]},
    "file_scope": {"allowed": ["src/**", "*.sql", "/tmp/**"], "forbidden": [".env", ".git"]},
    "required_skills": ["bronze-ingestion"],
    "banned_skills": ["deploy-*"],
    "subagents": {"max": 5, "banned": ["Plan"]},
    "turn_limit": {"max_turns": 5000, "max_user_messages": 5},
    "duration": {"max_seconds": 10**6},
    "required_commands": ["pytest", "git commit"],
}
COMMANDS = (
    "cd /repo && uv run pytest -q tests/test_{n}.py",
    "git status -s && git diff --stat HEAD~{m}",
    "ls -la src/module_{n} | head -{m}",
    "git add -A && git commit -m 'Change module {n}'",
    'grep -rn "name_{n}" src | sort | uniq -c',
    "python -c \"import json; print(json.load(open('f_{n}.json')))\"",
    "cat src/module_{n}.py | sed -n '1,{m}p'",
    'for f in src/*.py; do wc -l "$f"; done # {n}',
    "find . -name 'module_{n}*' -not -path './.git/*'",
    "ruff check src/module_{n}.py && mypy src/module_{n}.py 2>&1 | tail -{m}",
)


def lines(calls: int) -> Iterator[bytes]:
    """A transcript with that many calls, the same on every machine.

    Entries and sizes are the generator's, which follow real transcripts; its shell commands, which
    are words at random, are replaced by ones that people know, and some searches by SQL.
    """
    rng = random.Random(7)
    made = 0
    for line in transcript(1 << 62, seed=7):
        entry = json.loads(line)
        blocks = entry.get("message", {}).get("content", ())
        for block in blocks if isinstance(blocks, list) else ():
            if block["type"] == "tool_use":
                made += 1
                _make_real(block, rng, made)
        yield json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if made >= calls and entry["type"] == "user":
            return


def _make_real(block: dict[str, Any], rng: random.Random, number: int) -> None:
    if block["name"] == "Bash":
        command = rng.choice(COMMANDS).format(n=number, m=rng.randrange(5, 50))
        block["input"] = {"command": command, "description": "Run it"}
    elif block["name"] == "Grep" and rng.random() < 0.6:
        block["name"] = "mcp__databricks__execute_sql"
        block["input"] = {"query": f"SELECT * FROM main.orders_{number} LIMIT {number}"}  # noqa: S608


def main() -> int:
    """Print both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    prepared = [(get_check(name), get_check(name).parse(value)) for name, value in CHECKS.items()]
    assert len(prepared) == 20
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.jsonl"
        with file.open("wb") as out:
            out.writelines(lines(options.calls))
        reading: list[float] = []
        scoring: list[float] = []
        by_check: dict[str, list[float]] = {}
        profile = cProfile.Profile()
        for number in range(options.rounds + 1):
            _forget()
            start = time.process_time()
            session = parse_transcript(file)
            read = time.process_time() - start
            assert len(session.tool_calls) >= options.calls
            if options.profile and number:
                profile.enable()
            start = time.process_time()
            for spec, parameters in prepared:
                began = time.process_time()
                outcome = run_check(spec, session, parameters)
                by_check.setdefault(spec.name, []).append(time.process_time() - began)
                assert outcome.verdict != "error", outcome.rationale
            score = time.process_time() - start
            profile.disable()
            if number:  # the first round loads modules and parsers
                reading.append(read)
                scoring.append(score)
        size = file.stat().st_size / 1e6
    read, score = statistics.median(reading), statistics.median(scoring)
    print(f"{options.calls} calls, {size:.1f} MB, {options.rounds} rounds")
    print(f"reading  {read * 1000:7.1f} ms ({size / read:.0f} MB/s)")
    print(f"scoring  {score * 1000:7.1f} ms (20 checks)")
    print(f"ratio    {score / read:7.2f}")
    slowest = sorted(by_check.items(), key=lambda item: -statistics.median(item[1]))[:6]
    for name, times in slowest:
        print(f"  {name:20} {statistics.median(times) * 1000:6.2f} ms")
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(18)
    return 0 if score < read else 1


def _forget() -> None:
    """Empty what is kept between sessions, so that every round parses its commands."""
    from skilltrace_mlflow.commands import file_use as _file_use
    from skilltrace_mlflow.commands import prefilter as _lookahead
    from skilltrace_mlflow.commands import shell as _shell
    from skilltrace_mlflow.commands.sql import _tokens as _sql_tokens
    from skilltrace_mlflow.commands.sql import sources as _sql_sources
    from skilltrace_mlflow.patterns import paths as _paths

    for cached in (
        _file_use.file_uses,
        _lookahead.may_compose,
        _paths.clean_path,
        _paths.place_of,
        _shell.read_script,
        _sql_sources._of_line,
        _sql_tokens.tokens,
    ):
        cached.cache_clear()


if __name__ == "__main__":
    sys.exit(main())
