"""Scoring against reading: 20 checks on a session of 1,000 calls, as a ratio in one run.

    python benchmarks/bench_checks.py [--calls 1000] [--rounds 7] [--profile]

The session is written as a transcript, with lines as long as real ones are on average, and read
anew for each round, so that nothing a check derived from the calls is left over: what is measured
is warm code on a session that has not been scored yet. The ratio is of the medians.
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

from skilltrace_mlflow.checks import get_check, run_check
from skilltrace_mlflow.sources.transcript import parse_transcript

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


def entries(calls: int) -> Iterator[dict[str, Any]]:
    """The lines of a transcript with that many calls; the same on every machine."""
    rng = random.Random(7)
    filler = "The quick brown fox jumps over the lazy dog. " * 200
    base = {
        "isSidechain": False, "userType": "external", "cwd": "/repo", "sessionId": "bench",
        "version": "2.1.100", "gitBranch": "main",
    }  # fmt: skip
    yield {
        **base, "type": "user", "uuid": "u0", "parentUuid": None,
        "timestamp": "2026-01-13T18:00:00.000Z",
        "message": {"role": "user", "content": "Build the pipeline"},
    }  # fmt: skip
    for number in range(calls):
        name, given, detail = _call(rng, number)
        stamp = f"2026-01-13T{18 + number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"
        yield {
            **base, "type": "assistant", "uuid": f"a{number}", "parentUuid": f"u{number}",
            "timestamp": f"{stamp}.100Z", "requestId": f"req_{number}",
            "message": {
                "id": f"msg_{number}", "type": "message", "role": "assistant",
                "model": "claude-sonnet-4-5-20250929", "stop_reason": "tool_use",
                "content": [
                    {"type": "text", "text": filler[: rng.randrange(20, 400)]},
                    {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given},
                ],
                "usage": {
                    "input_tokens": 12, "output_tokens": rng.randrange(50, 900),
                    "cache_creation_input_tokens": rng.randrange(100, 5000),
                    "cache_read_input_tokens": rng.randrange(10_000, 90_000),
                },
            },
        }  # fmt: skip
        text = filler[: rng.randrange(100, 3500)]
        failed = rng.random() < 0.04
        yield {
            **base, "type": "user", "uuid": f"u{number + 1}", "parentUuid": f"a{number}",
            "timestamp": f"{stamp}.800Z",
            "message": {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result", "tool_use_id": f"toolu_{number}", "content": text,
                        **({"is_error": True} if failed else {}),
                    }
                ],
            },
            "toolUseResult": "Error: it failed" if failed else {**detail, "stdout": text},
        }  # fmt: skip


def _call(rng: random.Random, number: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    path = f"/repo/src/module_{rng.randrange(200)}.py"
    kind = rng.random()
    if kind < 0.35:
        command = rng.choice(COMMANDS).format(n=number, m=rng.randrange(5, 50))
        return (
            "Bash",
            {"command": command, "description": "Run it"},
            {"stderr": "", "interrupted": False},
        )
    if kind < 0.6:
        return "Read", {"file_path": path}, {"type": "text", "file": {"filePath": path}}
    if kind < 0.78:
        given = {"file_path": path, "old_string": "a" * 200, "new_string": "b" * 260}
        return "Edit", given, {"filePath": path, "structuredPatch": []}
    if kind < 0.86:
        return "Grep", {"pattern": f"name_{number}", "path": "/repo/src"}, {"numFiles": 3}
    if kind < 0.91:
        path = f"/repo/src/sql_{number}.sql"
        return (
            "Write",
            {"file_path": path, "content": "x" * 900},
            {"type": "create", "filePath": path},
        )
    if kind < 0.97:
        query = f"SELECT * FROM main.orders_{number} WHERE day > '2026-01-01' LIMIT {number}"
        return "mcp__databricks__execute_sql", {"query": query}, {}
    return "TodoWrite", {"todos": [{"content": "next", "status": "pending"}]}, {}


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
        with file.open("w", encoding="utf-8") as out:
            for entry in entries(options.calls):
                out.write(json.dumps(entry, separators=(",", ":")) + "\n")
        reading: list[float] = []
        scoring: list[float] = []
        by_check: dict[str, list[float]] = {}
        profile = cProfile.Profile()
        for number in range(options.rounds + 1):
            _forget()
            start = time.perf_counter()
            session = parse_transcript(file)
            read = time.perf_counter() - start
            assert len(session.tool_calls) == options.calls
            if options.profile and number:
                profile.enable()
            start = time.perf_counter()
            for spec, parameters in prepared:
                began = time.perf_counter()
                outcome = run_check(spec, session, parameters)
                by_check.setdefault(spec.name, []).append(time.perf_counter() - began)
                assert outcome.verdict != "error", outcome.rationale
            score = time.perf_counter() - start
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
    from skilltrace_mlflow.checks import _lookahead, _paths, _shell, _sql

    for cached in (
        _lookahead._unquoted,
        _lookahead.may_compose,
        _paths.clean_path,
        _paths.place_of,
        _shell.read_script,
        _sql._of_line,
        _sql._tokens,
    ):
        cached.cache_clear()


if __name__ == "__main__":
    sys.exit(main())
