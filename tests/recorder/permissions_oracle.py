"""Plays permission pairs on the real CLI and says where it decides otherwise than the product.

`python -m tests.recorder.permissions_oracle [FILE]`; FILE holds pairs as JSON lines (`{rules, mode,
tool, input}`), by default those of `permission_pairs.jsonl`. The CLI is found as `CLAUDE_BIN` or on
PATH. Ends with 1 if the product passes a call that the CLI refuses.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skilltrace_mlflow.expectations._files import resolve_files
from tests.builders import make_call, make_session
from tests.checks.judging import judge
from tests.recorder.permission_pairs import CWD, SETTINGS, Pair, load_pairs, play

__all__ = ["main", "verdict_on"]


def _progress(played: int, total: int) -> None:
    sys.stderr.write(f"{played} of {total} pairs played\n")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


PAIRS = Path(__file__).resolve().parent / "permission_pairs.jsonl"


def verdict_on(pair: Pair) -> str:
    """What the check says of the call under the rules: pass, fail or unknown."""
    rules: dict[str, Any] = {key: list(texts) for key, texts in pair.rules.items()}
    if pair.files:
        rules = _merged(pair.files)
    if pair.add_dirs:
        folders = [*rules.get("additionalDirectories", ()), *pair.add_dirs]
        rules["additionalDirectories"] = folders
    if pair.mode and (rules.get("allow") or pair.files or pair.mode != "bypassPermissions"):
        rules["defaultMode"] = {"manual": "default"}.get(pair.mode, pair.mode)
    session = make_session([make_call(pair.tool, dict(pair.input))], cwd=CWD)
    return str(judge("permissions", rules, session).verdict)


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    """For as long as it lasts the home directory is `folder`."""
    before = os.environ.get("HOME")
    os.environ["HOME"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = before


def _merged(files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The rules of several settings files, as a YAML file that names them has them read."""
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="settings-") as folder:
        named = []
        for place, name in SETTINGS.items():
            if place in files:
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"permissions": files[place]}), encoding="utf-8")
                named.append(name)
        with _home(Path(folder) / "home"):
            layer = {"permissions": {"settings": named}}
            found = resolve_files(layer, Path(folder), lambda *said: problems.append(str(said)))
    if problems:
        raise ValueError("; ".join(problems))
    return dict(found["permissions"])


def main(argv: list[str]) -> int:
    """Play the pairs; print a line for each that differs, and the counts."""
    claude = os.environ.get("CLAUDE_BIN") or shutil.which("claude")
    if claude is None:
        _say("no claude on PATH; set CLAUDE_BIN")
        return 2
    version = subprocess.run([claude, "--version"], capture_output=True, text=True, check=True)
    _say(f"Claude Code {version.stdout.strip()}")
    pairs = load_pairs(Path(argv[0]) if argv else PAIRS)
    counts = {"same": 0, "passes what the CLI refuses": 0, "says more than the CLI": 0, "open": 0}
    for pair, decision in zip(pairs, play(pairs, claude, _progress), strict=True):
        said = verdict_on(pair)
        if decision not in ("blocked", "ran"):
            word = "open"
        elif (decision == "blocked") == (said != "pass"):
            word = "same"
        else:
            word = "passes what the CLI refuses" if said == "pass" else "says more than the CLI"
        counts[word] += 1
        if word != "same":
            rules = f"{dict(pair.rules)} {pair.mode}"
            _say(f"{word}: {decision}, {said}: {rules} {pair.tool} {dict(pair.input)}")
    _say(", ".join(f"{word}: {number}" for word, number in counts.items()))
    return 1 if counts["passes what the CLI refuses"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
