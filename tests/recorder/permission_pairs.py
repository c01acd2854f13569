"""Plays (rules, call) pairs on the real Claude Code CLI and says which calls it refused.

The rules of a pair stand in the project's settings, or in `files`, which says what stands under
`permissions` of which settings (`user`, `project`, `local`, or `flag` for `--settings`). A pair
without a mode is played in the one that its settings name. `add_dirs` are given as `--add-dir`.

Pairs are played in a folder of their own, laid out by `lay_out`; `/home/dev` in rules and inputs
stands for it, so that pairs can be written down. Calls really run, those of shells too, in that
folder and with a HOME in it: play nothing that reaches further.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.recorder.scenario import MAIN, Agent, Scenario, Step
from tests.recorder.standin import StandIn

__all__ = ["CWD", "SETTINGS", "Pair", "load_pairs", "play"]

_PLACE = "/home/dev"
CWD = f"{_PLACE}/shop"
_AT_ONCE = 40  # calls of one session
_TIMEOUT = 120.0
_NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "code", "id": "c1", "metadata": {}, "source": ["1"], "outputs": []},
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
)
_FILES = {
    ".env": "K=1\n",
    "a b.txt": "x\n",
    "public.txt": "public\n",
    "prod.env": "K=2\n",
    "package.json": '{"scripts": {"test": "true"}}\n',
    "secrets/token.txt": "token\n",
    "secrets/deep/x.txt": "x\n",
    "secrets/list": "public.txt\n",
    "src/a.py": "x = 1\n",
    "src/deep/b.py": "y = 1\n",
    "sub/s.sh": "true\n",
    "sub/.env": "K=3\n",
    "sub/secrets/t2.txt": "t\n",
    "docs/x.md": "# x\n",
    "nb.ipynb": _NOTEBOOK,
    "src/nb.ipynb": _NOTEBOOK,
}
# Where the settings files of a pair lie, the weakest first.
SETTINGS = {
    "user": "home/.claude/settings.json",
    "project": "shop/.claude/settings.json",
    "local": "shop/.claude/settings.local.json",
    "flag": "flag.json",
}
_REFUSED = re.compile(r"has been denied by permission rule|denied by your permission settings")
_SKILL = "---\nname: {name}\ndescription: Makes a release.\n---\nSay ok.\n"
_AGENT = "---\nname: helper\ndescription: Helps.\n---\nSay ok.\n"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Rules, the mode they are played in, and one call; `blocked` if that is known."""

    rules: Mapping[str, Sequence[str]]
    mode: str
    tool: str
    input: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    add_dirs: Sequence[str] = ()
    blocked: bool | None = None

    @property
    def setting(self) -> str:
        """What pairs share that can be played in one session."""
        return json.dumps([self.rules, self.mode, self.files, list(self.add_dirs)], sort_keys=True)


def load_pairs(path: Path) -> list[Pair]:
    """Pairs from a file of JSON lines, `{rules, mode, tool, input, blocked?}`."""
    pairs = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.strip():
            row = json.loads(line)
            keys = ("rules", "mode", "tool", "input", "files", "add_dirs", "blocked")
            pairs.append(Pair(**{key: row[key] for key in keys if key in row}))
    return pairs


def play(
    pairs: Sequence[Pair], claude: str, progress: Callable[[int, int], None] | None = None
) -> list[str]:
    """What the CLI did with each call: `blocked`, `ran`, or why that cannot be said. `progress` is
    told the number of pairs that were played, and of all.
    """
    settings: dict[str, list[int]] = {}
    for index, pair in enumerate(pairs):
        settings.setdefault(pair.setting, []).append(index)
    found = ["not played"] * len(pairs)
    played = 0
    for indexes in settings.values():
        for start in range(0, len(indexes), _AT_ONCE):
            some = indexes[start : start + _AT_ONCE]
            with tempfile.TemporaryDirectory(prefix="pairs-") as folder:
                decisions = _session([pairs[i] for i in some], Path(folder).resolve(), claude)
            for index, decision in zip(some, decisions, strict=True):
                found[index] = decision
            played += len(some)
            if progress is not None:
                progress(played, len(pairs))
    return found


def lay_out(root: Path) -> Path:
    """The folders and files that pairs are about; returns the working directory."""
    shop = root / "shop"
    for name, text in _FILES.items():
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text(text, encoding="utf-8")
    for name, text in (("outside/o.txt", "o\n"), ("outside/secrets/o.txt", "o\n")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "home" / "notes").mkdir(parents=True)
    (root / "home" / "tmp").mkdir()
    (root / "home" / "notes" / "n.txt").write_text("n\n", encoding="utf-8")
    (shop / "link.txt").symlink_to("secrets/token.txt")
    (shop / "linkdir").symlink_to("secrets")
    for name in ("release", "release-notes", "deploy", "other"):
        skill = shop / ".claude" / "skills" / name / "SKILL.md"
        skill.parent.mkdir(parents=True)
        skill.write_text(_SKILL.format(name=name), encoding="utf-8")
    (shop / ".claude" / "agents").mkdir()
    (shop / ".claude" / "agents" / "helper.md").write_text(_AGENT, encoding="utf-8")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=shop, check=True, capture_output=True)
    server = Path(__file__).resolve().parent / "mcp_databricks.py"
    shutil.copyfile(server, root / "databricks.py")
    return shop


def _session(pairs: Sequence[Pair], root: Path, claude: str) -> list[str]:
    shop = lay_out(root)
    files = pairs[0].files or {"project": pairs[0].rules}
    for place, rules in files.items():
        settings = json.dumps({"permissions": _placed(rules, str(root))})
        (root / SETTINGS[place]).parent.mkdir(exist_ok=True)
        (root / SETTINGS[place]).write_text(settings, encoding="utf-8")
    trust = {"projects": {str(shop): {"hasTrustDialogAccepted": True}}}
    (root / "home" / ".claude.json").write_text(json.dumps(trust), encoding="utf-8")
    servers = {"databricks": {"command": "python3", "args": [str(root / "databricks.py")]}}
    (root / "mcp.json").write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    steps = [
        Step(content=({"tool": pair.tool, "input": _placed(pair.input, str(root))},))
        for pair in pairs
    ]
    sub = Agent(
        name="sub", steps=tuple(Step(content=({"text": "ok"},)) for _ in pairs), match="SUBTASK"
    )
    main = Agent(name=MAIN, steps=(*steps, Step(content=({"text": "Done."},))))
    scenario = Scenario(
        name="pairs",
        file="",
        about="",
        model="claude-sonnet-4-5",
        project="shop",
        runs=(),
        agents={MAIN: main, "sub": sub},
        workspace={},
        side_answer="ok",
    )
    mode = {"manual": "default"}.get(pairs[0].mode, pairs[0].mode)
    options = ["--permission-mode", mode] if mode else []
    if "flag" in files:
        options += ["--settings", str(root / SETTINGS["flag"])]
    for folder in pairs[0].add_dirs:
        options += ["--add-dir", _placed(folder, str(root))]
    command = [
        claude,
        "-p",
        "--model",
        "claude-sonnet-4-5",
        "--output-format",
        "stream-json",
        "--verbose",
        *options,
        "--mcp-config",
        str(root / "mcp.json"),
        "--strict-mcp-config",
    ]
    with StandIn(scenario) as standin:
        process = subprocess.Popen(
            command,
            cwd=shop,
            env=_environment(root, standin),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            encoding="utf-8",
        )
        watchdog = threading.Timer(_TIMEOUT, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            output, errors = process.communicate("Play.")
        finally:
            watchdog.cancel()
        return _decisions(output, errors, len(pairs))


def _environment(root: Path, standin: StandIn) -> dict[str, str]:
    return {
        "HOME": str(root / "home"),
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        "TMPDIR": str(root / "home" / "tmp"),
        "CLAUDE_CODE_TMPDIR": str(root / "home" / "tmp"),
        "ANTHROPIC_BASE_URL": standin.url,
        "ANTHROPIC_API_KEY": "dummy-key-of-the-recorder",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }


def _decisions(output: str, errors: str, number: int) -> list[str]:
    order: list[str] = []
    said: dict[str, str] = {}
    denied: set[str] = set()
    for line in output.split("\n"):
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        if entry.get("type") == "result":
            denied |= {denial["tool_use_id"] for denial in entry.get("permission_denials", ())}
        message = entry.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        if entry.get("parent_tool_use_id") or not isinstance(content, list):
            continue
        for block in content:
            if block.get("type") == "tool_use":
                order.append(block["id"])
            elif block.get("type") == "tool_result":
                said[block["tool_use_id"]] = json.dumps(block.get("content"))[:300]
    found = [_decision(one, denied, said) for one in order]
    reason = f"the session ended early: {errors[-200:]}"
    return [*found, *([reason] * (number - len(found)))][:number]


def _decision(call: str, denied: set[str], said: Mapping[str, str]) -> str:
    if call in denied:
        return "blocked"
    text = said.get(call)
    if text is None:
        return "no result"
    # a rule for a whole tool takes the tool away
    if "No such tool available" in text:
        return "no such tool"
    # an agent's type is refused by the tool itself, which no list of denials holds
    return "blocked" if _REFUSED.search(text) else "ran"


def _placed(value: Any, root: str) -> Any:
    if isinstance(value, str):
        return value.replace(_PLACE, root)
    if isinstance(value, Mapping):
        return {key: _placed(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_placed(item, root) for item in value]
    return value
