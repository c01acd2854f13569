"""What an agent is asked, what it leaves behind, and how it ended.

An agent takes a `Task` (a prompt and a prepared workspace) and returns a `Run`: the response, the
session as Claude Code recorded it, and its end. Ends are told apart because only some of them say
anything about the agent; see `JUDGED`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from skilltrace_mlflow.agent.options import AgentOptions
from skilltrace_mlflow.session import Session

__all__ = ["JUDGED", "SETTLED", "Agent", "End", "Place", "Run", "Task"]

End = Literal[
    "finished",
    "turn_limit",
    "budget_limit",
    "timed_out",
    "model_error",
    "not_logged_in",
    "missing_binary",
    "killed",
    "setup_failed",
    "interrupted",
    "not_started",
]
"""`killed`: the process died or broke off without a result line. `setup_failed`: the workspace
could not be prepared. `interrupted`: we were told to stop. `not_started`: the budget of the whole
run did not allow it.
"""

JUDGED: frozenset[End] = frozenset(("finished", "turn_limit"))
"""Ends after which the session shows what the agent does. After any other the attempt is an error,
never a failed test: the infrastructure, or a bound on time or money, ended it.
"""

SETTLED: frozenset[End] = frozenset((*JUDGED, "timed_out", "budget_limit"))
"""Ends that trying again would only pay for twice; the others are run again by `--resume`."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The folders of one attempt, all below `base`: nothing is read or written elsewhere.

    `workspace` is the agent's working directory, `config` its CLAUDE_CONFIG_DIR.
    """

    base: Path

    @property
    def workspace(self) -> Path:
        return self.base / "workspace"

    @property
    def config(self) -> Path:
        return self.base / "config"

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def temporary(self) -> Path:
        return self.base / "tmp"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One prompt in one prepared place. What is worth keeping is written to `record`.

    `label` names the attempt for agents that look things up (`replay`), `arm` is `with` or
    `without`. `max_usd` bounds this attempt. `stop` is set when everything is to end.
    """

    prompt: str
    session_id: str
    place: Place
    record: Path
    options: AgentOptions = field(default_factory=AgentOptions)
    test_id: str = ""
    attempt: int = 1
    arm: str = "with"
    max_usd: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What became of a task.

    `result` and `init` are the CLI's own lines. `cost_usd` is what the CLI says it cost, else the
    priced session, None where neither is known. `differing` names captured totals that are not the
    CLI's. `denials` are the names of the tools that were refused.
    """

    end: End
    reason: str = ""
    response: str | None = None
    session: Session | None = None
    transcript: Path | None = None
    result: Mapping[str, Any] | None = None
    init: Mapping[str, Any] | None = None
    exit_code: int | None = None
    cost_usd: float | None = None
    duration_seconds: float | None = None
    denials: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Agent(Protocol):
    """Works on a task. Never raises for what happens to the agent: that is its `end`."""

    name: str

    def run(self, task: Task) -> Run:
        """Work on one task until it has ended, one way or another."""
        ...
