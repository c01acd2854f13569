"""Starts the real CLI against the stand-in and talks to it while it runs.

One invocation gives one result object. With `prompts` the CLI is driven over its streaming
input: prompts arrive while it works, it can be interrupted, and its questions for permission
are answered as the scenario says.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.recorder.scenario import Run, Scenario
from tests.recorder.standin import StandIn

__all__ = ["Cli", "InvocationError"]

_TIMEOUT = 180.0


class InvocationError(RuntimeError):
    """A run of the CLI that got stuck or ended with another exit code than expected."""


@dataclass(frozen=True, kw_only=True)
class Cli:
    """The CLI with its isolated surroundings: binary, HOME and working directory."""

    binary: str
    home: Path
    project: Path

    def invoke(
        self, run: Run, scenario: Scenario, standin: StandIn, earlier: list[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Run once and return the result object; `earlier` are the results before it."""
        command = self._command(run, scenario, earlier)
        process = subprocess.Popen(
            [standin.fill(word) for word in command],
            cwd=self.project,
            env=self._environment(run, standin),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            encoding="utf-8",
        )
        watchdog = threading.Timer(_TIMEOUT, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            if run.kill_after is not None:
                return self._kill(run, process, command, standin)
            if run.prompts:
                lines = _Conversation(run=run, process=process, standin=standin).hold()
                errors = process.stderr.read() if process.stderr else ""
                code = process.wait()
            else:
                output, errors = process.communicate(run.prompt)
                lines, code = [output], process.returncode
        finally:
            watchdog.cancel()
        if code != run.exit_code:
            problems = "; ".join(standin.problems + standin.unplayed())
            said = (errors or "".join(lines))[-600:]
            raise InvocationError(f"claude ended with {code} ({problems}): {said}")
        results: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [result for result in results if result.get("type") == "result"][-1]

    def _kill(
        self, run: Run, process: subprocess.Popen[str], command: list[str], standin: StandIn
    ) -> dict[str, Any]:
        """Let it work for a while and kill it; what is left says only whose session it was."""
        assert process.stdin is not None
        process.stdin.write(run.prompt or "")
        process.stdin.close()
        while standin.played() < (run.kill_after or 0) and process.poll() is None:
            time.sleep(0.05)
        time.sleep(1.0)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        flag = "--resume" if run.resume else "--session-id"
        return {"type": "killed", "session_id": command[command.index(flag) + 1]}

    def _command(self, run: Run, scenario: Scenario, earlier: list[Mapping[str, Any]]) -> list[str]:
        command = [self.binary, "-p", "--model", scenario.model]
        if run.prompts:
            command += ["--verbose", "--input-format", "stream-json"]
            command += ["--output-format", "stream-json"]
        else:
            command += ["--output-format", "json"]
        if run.resume:
            command += ["--resume", str(earlier[-1]["session_id"])]
        if run.fork:
            command += ["--fork-session"]
        if run.fork or not run.resume:
            # A fixed id: recording anew replaces files instead of adding others.
            name = f"{scenario.name}/{len(earlier)}"
            command += ["--session-id", str(uuid.uuid5(uuid.NAMESPACE_URL, name))]
        return command + list(run.args)

    def _environment(self, run: Run, standin: StandIn) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.home / "tmp"),
            "CLAUDE_CODE_TMPDIR": str(self.home / "tmp"),
            "ANTHROPIC_BASE_URL": standin.url,
            "ANTHROPIC_API_KEY": "dummy-key-of-the-recorder",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "IS_SANDBOX": "1",
            "NODE_EXTRA_CA_CERTS": str(self.home / "tmp" / "certificate.pem"),
            **run.env,
        }


@dataclass(kw_only=True)
class _Conversation:
    """Streaming input of one run: a reader thread collects lines and answers questions."""

    run: Run
    process: subprocess.Popen[str]
    standin: StandIn
    lines: list[str] = field(default_factory=list)
    _sending: threading.Lock = field(default_factory=threading.Lock)

    def hold(self) -> list[str]:
        reader = threading.Thread(target=self._read)
        reader.start()
        for number, prompt in enumerate(self.run.prompts):
            while self.standin.played() < prompt.get("after", 0) and reader.is_alive():
                time.sleep(0.05)
            time.sleep(prompt.get("delay", 0))
            if prompt.get("interrupt"):
                request = {"request_id": f"r{number}", "request": {"subtype": "interrupt"}}
                self._send({"type": "control_request", **request})
            else:
                message = {"role": "user", "content": prompt["text"]}
                self._send({"type": "user", "message": message})
        wanted = sum(1 for prompt in self.run.prompts if prompt.get("interrupt"))
        # Closing the input ends the session; questions for permission need it open.
        while reader.is_alive() and not self._finished(wanted):
            time.sleep(0.05)
        if self.process.stdin:
            self.process.stdin.close()
        reader.join()
        return self.lines

    def _finished(self, interrupts: int) -> bool:
        results = sum(1 for line in self.lines if json.loads(line).get("type") == "result")
        return results > interrupts and not self.standin.unplayed()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            self.lines.append(line)
            request = event.get("request") or {}
            if event.get("type") == "control_request" and request["subtype"] == "can_use_tool":
                self._send(_permission(event["request_id"], request, self.run.answers))

    def _send(self, value: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        with self._sending:
            self.process.stdin.write(json.dumps(value) + "\n")
            self.process.stdin.flush()


def _permission(
    request_id: str, request: Mapping[str, Any], answers: Mapping[str, Any]
) -> dict[str, Any]:
    """The answer to one question for permission: what the scenario says, else yes."""
    refusal = answers.get(request["tool_name"])
    if refusal is None:
        decision = {"behavior": "allow", "updatedInput": request["input"]}
    else:
        decision = {"behavior": "deny", **refusal}
    response = {"subtype": "success", "request_id": request_id, "response": decision}
    return {"type": "control_response", "response": response}
