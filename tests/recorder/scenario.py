"""Scenario files: what the scripted model answers, and how the CLI is started.

A scenario is one YAML file. `runs` lists the invocations of `claude` (more than one for a
resume or a fork), `workspace` the files that lie in the working directory beforehand,
`agents` what the model says: an ordered list of steps for the main agent and for each
sub-agent. A sub-agent is recognised by `match`, a text that occurs in its first message.
With `versions` it is played once with each of these versions of the CLI, as `<name>-<version>`;
`lossy` names those of them that do not write the true output tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Agent", "Run", "Scenario", "ScenarioError", "Step", "Usage", "load_scenario"]

T = TypeVar("T")

MAIN = "main"


class ScenarioError(ValueError):
    """A scenario file that cannot be played, with the file and the key at fault."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Token figures of one API message, as the scenario states them."""

    input: int = 12
    output: int = 60
    cache_read: int = 0
    cache_5m: int = 0
    cache_1h: int = 0

    def to_api(self) -> dict[str, Any]:
        """The `usage` object as the API sends it."""
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.cache_5m + self.cache_1h,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_5m,
                "ephemeral_1h_input_tokens": self.cache_1h,
            },
            "output_tokens": self.output,
            "service_tier": "standard",
        }


@dataclass(frozen=True, kw_only=True)
class Step:
    """One answer of the model: content blocks, or an API error (`error`, an HTTP status)."""

    content: tuple[Mapping[str, Any], ...] = ()
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    stop_reason: str | None = None
    error: int | None = None
    delay: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Agent:
    """The steps of one agent; `captures` are patterns read off the requests it sends."""

    name: str
    steps: tuple[Step, ...]
    match: str | None = None
    model: str | None = None
    captures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One invocation of the CLI. With `prompts` they are fed one by one while it runs.

    A prompt has `text` or `interrupt: true`, and `after` (sent when the main agent has asked
    for so many answers). `answers` refuses tools when the CLI asks for permission. With
    `kill_after` the CLI is killed (SIGKILL) once the main agent has asked for so many answers,
    and leaves no result.
    """

    prompt: str | None = None
    prompts: tuple[Mapping[str, Any], ...] = ()
    args: tuple[str, ...] = ()
    resume: bool = False
    fork: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = 0
    kill_after: int | None = None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A whole recording: its workspace, its invocations and the model's side of the talk."""

    name: str
    file: str
    about: str
    model: str
    project: str
    runs: tuple[Run, ...]
    agents: Mapping[str, Agent]
    workspace: Mapping[str, Any]
    side_answer: str
    side_usage: Usage = field(default_factory=lambda: Usage(input=0, output=0))
    versions: tuple[str, ...] = ()
    lossy: tuple[str, ...] = ()

    @property
    def is_lossy(self) -> bool:
        """Whether this version of the CLI is known to write too small output figures."""
        return bool(set(self.versions) & set(self.lossy))

    def editions(self) -> tuple[Scenario, ...]:
        """One scenario for each recording to make: itself, or one for each version."""
        if not self.versions:
            return (self,)
        return tuple(
            replace(self, name=f"{self.name}-{version}", versions=(version,))
            for version in self.versions
        )


_BLOCKS = {"text": set[str](), "thinking": set[str](), "tool": {"input"}}


def load_scenario(path: Path) -> Scenario:
    """Read and check one scenario file; raises `ScenarioError` naming file and key."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}: {error}") from None
    top = _mapping(path, "scenario", raw)
    known = {"about", "model", "project", "runs", "agents", "workspace", "side_answer"}
    known |= {"versions", "lossy", "side_usage"}
    _known(path, "scenario", top, known)
    agents = {
        name: _agent(path, name, _mapping(path, f"agents.{name}", body))
        for name, body in _mapping(path, "agents", top.get("agents")).items()
    }
    if MAIN not in agents:
        raise ScenarioError(f"{path}: agents: no '{MAIN}' agent")
    for agent in agents.values():
        if (agent.match is None) != (agent.name == MAIN):
            raise ScenarioError(f"{path}: agents.{agent.name}: sub-agents alone need 'match'")
    runs = tuple(
        _build(path, f"runs[{i}]", Run, _mapping(path, f"runs[{i}]", run))
        for i, run in enumerate(_list(path, "runs", top.get("runs")))
    )
    for i, run in enumerate(runs):
        if (run.prompt is None) == (not run.prompts):
            raise ScenarioError(f"{path}: runs[{i}]: give either 'prompt' or 'prompts'")
    return Scenario(
        name=path.stem,
        file=path.stem,
        about=" ".join(str(top.get("about", "")).split()),
        model=str(top.get("model", "claude-sonnet-4-5-20250929")),
        project=str(top.get("project", "shop")),
        runs=runs,
        agents=agents,
        workspace=_mapping(path, "workspace", top.get("workspace", {})),
        side_answer=str(top.get("side_answer", "Done.")),
        side_usage=_build(
            path,
            "side_usage",
            Usage,
            {"input": 0, "output": 0, **_mapping(path, "side_usage", top.get("side_usage", {}))},
        ),
        versions=tuple(str(v) for v in _list(path, "versions", top.get("versions", []))),
        lossy=tuple(str(v) for v in _list(path, "lossy", top.get("lossy", []))),
    )


def _agent(path: Path, name: str, body: Mapping[str, Any]) -> Agent:
    where = f"agents.{name}"
    _known(path, where, body, {"match", "model", "captures", "steps"})
    steps = tuple(
        _step(path, f"{where}.steps[{i}]", step)
        for i, step in enumerate(_list(path, f"{where}.steps", body.get("steps")))
    )
    return Agent(
        name=name,
        steps=steps,
        match=body.get("match"),
        model=body.get("model"),
        captures=_mapping(path, f"{where}.captures", body.get("captures", {})),
    )


def _step(path: Path, where: str, raw: Any) -> Step:
    body = dict(_mapping(path, where, raw))
    usage = _build(path, f"{where}.usage", Usage, _mapping(path, where, body.pop("usage", {})))
    content = tuple(_list(path, f"{where}.content", body.pop("content", [])))
    for i, block in enumerate(content):
        at = f"{where}.content[{i}]"
        kinds = [kind for kind in _BLOCKS if kind in _mapping(path, at, block)]
        if len(kinds) != 1:
            raise ScenarioError(f"{path}: {at}: one of {', '.join(_BLOCKS)} expected")
        _known(path, at, block, {kinds[0], *_BLOCKS[kinds[0]]})
    step = _build(path, where, Step, {**body, "usage": usage, "content": content})
    if bool(step.content) == (step.error is not None):
        raise ScenarioError(f"{path}: {where}: give either 'content' or 'error'")
    return step


def _build(path: Path, where: str, kind: type[T], values: Mapping[str, Any]) -> T:
    _known(path, where, values, {f.name for f in fields(kind)})  # type: ignore[arg-type]
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _known(path: Path, where: str, values: Mapping[str, Any], known: set[str]) -> None:
    for key in values:
        if key not in known:
            raise ScenarioError(f"{path}: {where}: unknown key '{key}' (known: {sorted(known)})")


def _mapping(path: Path, where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ScenarioError(f"{path}: {where}: a mapping expected, not {type(value).__name__}")
    return value


def _list(path: Path, where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ScenarioError(f"{path}: {where}: a list expected, not {type(value).__name__}")
    return value
