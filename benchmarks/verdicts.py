"""All that the checks say of a folder of transcripts, as JSON: the same before and after?

    python benchmarks/verdicts.py DIR > after
    PYTHONPATH=/tmp/before python benchmarks/verdicts.py DIR > before
    cmp before after

Every transcript in DIR, and a generated session of 1,000 calls, is judged by the twenty checks of
`bench_checks` and by further values of those that read command lines, the bans of `bench_bans`
among them. One line for each session, check and value with everything that the outcome holds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

# behind PYTHONPATH, so that another checkout's package comes first
sys.path.append(str(Path(__file__).parents[1]))
if sys.path[0] == str(Path(__file__).parent):
    del sys.path[0]

from benchmarks.bench_bans import BANS
from benchmarks.bench_checks import CHECKS, lines
from skilltrace_mlflow.checks import get_check, run_check
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

MORE: tuple[tuple[str, Any], ...] = (
    ("banned_tools", list(BANS)),
    (
        "banned_tools",
        [
            "Read(./**/*.env)",
            "Edit(.github/**)",
            "Read(~/.ssh/**)",
            "Bash(npm:*)",
            "Bash(* --force)",
        ],
    ),
    (
        "banned_tools",
        ["Edit(src/**)", "Read(*.json)", "Read(//etc/**)", "CREATE TABLE", "CROSS JOIN"],
    ),
    ("banned_tools", ["ls", "cat", "python", "cargo build", "git commit", "cd", "grep -r", "node"]),
    (
        "permissions",
        {"allow": ["Read", "Edit", "Bash(git:*)", "Bash(ls:*)"], "ask": ["Bash(cargo:*)"]},
    ),
    (
        "permissions",
        {
            "deny": ["Read(./src/**)", "Edit(./tests/**)", "Read(*.toml)", "Bash(rm:*)"],
            "defaultMode": "acceptEdits",
            "allow": ["Bash(npm run *)", "Edit(docs/**)", "mcp__*"],
        },
    ),
    ("permissions", {"deny": ["Read(//tmp/**)", "Edit(//tmp/**)", "Read(~/**)"]}),
    ("permissions", {"defaultMode": "default"}),
    ("permissions", {"ask": ["Edit(./**)"], "defaultMode": "bypassPermissions"}),
    ("file_scope", {"allowed": ["**"], "forbidden": ["*.md", "package.json", "/tmp/**"]}),
    ("file_scope", {"allowed": ["docs/**"]}),
    ("file_existence", ["*.rs", "README.md", "src/**", "*.{ts,js}", "nowhere.txt"]),
    (
        "tool_count",
        {"Bash(git:*)": 3, "Bash(cargo *)": {"min": 1}, "Read(*.md)": 2, "Edit(src/**)": 1},
    ),
    ("required_tools", ["Bash(npm test)", "Bash(ls:*)", "Read(README.md)", "Write", "Task"]),
    ("required_commands", ["git status", "npm test", "cargo test", "ls -la", "cat *", "SELECT"]),
    ("repeated_calls", {"max_identical": 1, "max_total": 2}),
    ("tool_errors", {"max": 0, "max_consecutive": 1}),
    ("tool_sequence", ["Bash(ls:*)", "Read", "Edit", "Bash(git commit:*)"]),
    (
        "tool_trajectory",
        {
            "mode": "any_order",
            "expected": [
                {"tool": "Bash(git:*)"},
                {
                    "tool": "Read",
                    "input": {"file_path": {"$glob": "*.md"}},
                    "input_match": "superset",
                },
                {"tool": "Bash", "output": {"$contains": "ok"}},
                "Edit",
            ],
        },
    ),
    ("tool_trajectory", {"mode": "strict", "expected": ["Read", "Bash", "Edit"]}),
    ("category_limits", {"bash": 1, "file_ops": {"min": 1000}}),
)


def said(session: Session) -> Iterator[str]:
    """What every check says of a session, a line each."""
    for name, value in (*CHECKS.items(), *MORE):
        spec = get_check(name)
        outcome = run_check(spec, session, spec.parse(value))
        yield json.dumps({"value": value, **asdict(outcome)}, sort_keys=True, default=str)


def main() -> None:
    """Print all outcomes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        generated = Path(made) / "generated.jsonl"
        with generated.open("wb") as out:
            out.writelines(lines(1000))
        for path in (*sorted(options.folder.rglob("*.jsonl")), generated):
            session = parse_transcript(path)
            for line in said(session):
                print(path.name, line.replace(os.fspath(path), path.name))


if __name__ == "__main__":
    main()
