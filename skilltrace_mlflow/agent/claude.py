"""Claude Code as an agent: one subprocess of the binary per task, no SDK."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skilltrace_mlflow.agent._place import environment
from skilltrace_mlflow.agent._processes import Guard, end_attempt
from skilltrace_mlflow.agent._result import captured, ended_as
from skilltrace_mlflow.agent.options import AgentOptions
from skilltrace_mlflow.agent.protocol import End, Run, Task

__all__ = ["ClaudeAgent"]

# Flags that a version may lack without the run meaning something else; the run's own bounds hold
# in any case. The CLI refuses an unknown one before it sends anything.
_OPTIONAL = ("--max-budget-usd", "--max-turns", "--strict-mcp-config")
_UNKNOWN = re.compile(r"unknown option '(--[a-z-]+)'")
# What the CLI says of an MCP server that it could not reach.
_NO_SERVER = ("failed", "needs-auth")
# The CLI tries a refused key ten times, for minutes. It will not get better.
_REFUSALS = 3
_POLL = 0.1
# A session prints some megabytes; what prints without end would fill the disk until its time is up.
_MOST_PRINTED = 1_000_000_000
_LONGEST_LINE = 64_000_000
_LAST_SAID = 100_000


class ClaudeAgent:
    """Runs `claude -p` in the task's workspace, with a configuration folder of its own."""

    name = "claude"

    def __init__(self, binary: str | None = None, *, guard: Guard | None = None) -> None:
        self.binary = binary or "claude"
        self.guard = guard or Guard()
        self._lacking: set[str] = set()

    def run(self, task: Task) -> Run:
        """One attempt, from start to the last process that it left behind."""
        binary = shutil.which(os.path.expanduser(self.binary))  # noqa: PTH111 (may be a bare name)
        if binary is None:
            return Run(
                end="missing_binary",
                reason=f"there is no {self.binary!r} on PATH; install Claude Code or give "
                "--claude-bin PATH",
            )
        while True:
            call = _Call(self, task, binary)
            run = call.run()
            lacking = call.lacking()
            if lacking is None or lacking in self._lacking:
                return run
            self._lacking.add(lacking)

    def command(self, task: Task, binary: str) -> list[str]:
        """The command line of a task; the prompt goes in by standard input."""
        options = task.options
        command = [binary, "-p", "--output-format", "stream-json", "--verbose"]
        command += ["--session-id", task.session_id]
        command += ["--permission-mode", options.permission_mode]
        if options.model is not None:
            command += ["--model", options.model]
        if options.max_turns is not None and "--max-turns" not in self._lacking:
            command += ["--max-turns", str(options.max_turns)]
        if task.max_usd is not None and "--max-budget-usd" not in self._lacking:
            command += ["--max-budget-usd", f"{task.max_usd:.6f}"]
        if options.settings is not None:
            command += ["--settings", str(task.place.base / "settings.json")]
        if options.mcp_config is not None:
            command += ["--mcp-config", str(task.place.base / "mcp.json")]
            if "--strict-mcp-config" not in self._lacking:
                command.append("--strict-mcp-config")
        if options.allowed_tools:
            command += ["--allowedTools", *options.allowed_tools]
        if options.disallowed_tools:
            command += ["--disallowedTools", *options.disallowed_tools]
        return command

    @property
    def lacking(self) -> tuple[str, ...]:
        """Flags that this version turned out not to have."""
        return tuple(sorted(self._lacking))


class _Call:
    """One process and what it says."""

    def __init__(self, agent: ClaudeAgent, task: Task, binary: str) -> None:
        self.agent = agent
        self.task = task
        self.command = agent.command(task, binary)
        # Not .jsonl: whoever searches the folder for sessions would count this one twice.
        self.stream = task.record / "stream.ndjson"
        self.errors = task.record / "stderr.txt"
        self.init: Mapping[str, Any] | None = None
        self.result: Mapping[str, Any] | None = None
        self.last_word = False  # nothing came after the result: it is no longer at work
        self.refused = 0
        self.printed = 0
        self.unkept: OSError | None = None
        self.not_ready: str | None = None

    def run(self) -> Run:
        task = self.task
        env = environment(task.place, task.options, os.environ)
        started = time.monotonic()
        try:
            with self.errors.open("wb") as errors:
                process = subprocess.Popen(
                    self.command,
                    cwd=task.place.workspace,
                    env=env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                )
        except OSError as error:
            return Run(end="missing_binary", reason=f"{self.command[0]}: {error.strerror}")
        base = task.place.base
        self.agent.guard.watch(base, process.pid)
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        writer = threading.Thread(target=_write, args=(process, task.prompt), daemon=True)
        reader.start()
        writer.start()
        try:
            early = self._wait(process, started)
            if self.not_ready is not None:  # also where it was quicker than we look
                early = ("setup_failed", self.not_ready)
        finally:
            # Also after a good end: a command left in the background is somebody's, too.
            end_attempt(process.pid, str(base), grace=3.0)
            process.wait()
            reader.join(timeout=10)
            self.agent.guard.watch(base)
        if self.unkept is not None:
            raise self.unkept
        if self.last_word and self.not_ready is None:
            early = None
        end, reason = ended_as(early, self.result, process.returncode, self._said().strip())
        return captured(
            task,
            end=end,
            reason=reason,
            init=self.init,
            result=self.result,
            exit_code=process.returncode,
            seconds=time.monotonic() - started,
            lacking=self.agent.lacking,
        )

    def lacking(self) -> str | None:
        """The optional flag that this version refused, None if it was none of them."""
        if self.init is not None or self.result is not None or not self.errors.is_file():
            return None
        found = _UNKNOWN.search(self._said())
        return found[1] if found is not None and found[1] in _OPTIONAL else None

    def _said(self) -> str:
        """The last of what it wrote to standard error."""
        with self.errors.open("rb") as errors:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - _LAST_SAID))
            return errors.read().decode("utf-8", "replace")

    def _wait(self, process: subprocess.Popen[bytes], started: float) -> tuple[End, str] | None:
        """Wait for the end; returns why it did not come by itself, None if it did."""
        timeout = self.task.options.timeout
        while True:
            try:
                process.wait(timeout=_POLL)
                return None
            except subprocess.TimeoutExpired:
                pass
            if self.printed + self.errors.stat().st_size > _MOST_PRINTED:
                return "killed", f"it printed over {_MOST_PRINTED:,} bytes"
            if self.unkept is not None:
                return "killed", "what it prints cannot be kept"
            if self.not_ready is not None:
                return "setup_failed", self.not_ready
            if self.task.stop.is_set():
                return "interrupted", "the run was interrupted"
            if self.refused >= _REFUSALS:
                return "not_logged_in", "the service refused the key (401); see docs/running.md"
            if self.last_word and time.monotonic() - self._result_at > 10:
                return None  # it has said its last word, and something keeps it from leaving
            if time.monotonic() - started > timeout:
                return "timed_out", f"it took over {timeout:g} s"

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        try:
            with self.stream.open("wb", buffering=0) as kept:
                while line := process.stdout.readline(_LONGEST_LINE):
                    self.printed += len(line)
                    kept.write(line)
                    # Some lines are none of JSON's, or nested more deeply than it reads.
                    with contextlib.suppress(ValueError, RecursionError):
                        self._note(json.loads(line))
        except OSError as error:  # a full disk: the process is ended, and the attempt is told so
            self.unkept = error

    def _note(self, line: Any) -> None:
        if not isinstance(line, dict):
            return
        kind = (line.get("type"), line.get("subtype"))
        if kind == ("system", "init") and self.init is None:
            self.init = line
            self.not_ready = _dead_servers(line, self.task.options)
        elif kind == ("system", "api_retry"):
            self.refused += line.get("error_status") in (401, 403)
        elif kind[0] == "result":
            self._result_at = time.monotonic()
            self.result = line
            self.last_word = True
        elif kind[0] in ("assistant", "user"):  # what ran in the background called it back to work
            self.last_word = False

    _result_at = 0.0


def _dead_servers(init: Mapping[str, Any], options: AgentOptions) -> str | None:
    """Which of the MCP servers that the attempt was to have did not start, in words. Without them
    it would say nothing about the agent.
    """
    named = (options.mcp_config or {}).get("mcpServers") or {}
    servers = init.get("mcp_servers")
    for server in servers if isinstance(servers, list) else ():
        if isinstance(server, dict) and server.get("status") in _NO_SERVER:
            name = server.get("name")
            if isinstance(name, str) and name in named:
                return f"agent.mcp_config: the server {name!r} is not there: {server['status']}"
    return None


def _write(process: subprocess.Popen[bytes], prompt: str) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):  # it died before it read: its end says so
            process.stdin.write(prompt.encode("utf-8", "replace"))
            process.stdin.close()


def binary_version(binary: str | None = None) -> str | None:
    """What `claude --version` says, None if there is no such binary."""
    path = shutil.which(str(Path(binary).expanduser()) if binary else "claude")
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
