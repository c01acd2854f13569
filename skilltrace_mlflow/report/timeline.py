"""The order of events of a session as a tree: sub-agents hang below the call that started them.

Both `show` and the HTML report draw this tree; neither looks into a session for itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from skilltrace_mlflow.checks import Outcome, refer
from skilltrace_mlflow.checks.completion import describe_ending
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.figures import shown_figure, shown_seconds
from skilltrace_mlflow.metrics import TraceMetrics, compute_metrics
from skilltrace_mlflow.pricing import session_cost
from skilltrace_mlflow.session import MAIN_AGENT, ModelStep, Session, SubAgent, ToolCall
from skilltrace_mlflow.text import clipped, dumps, one_line, plain
from skilltrace_mlflow.tools import starts_agent

__all__ = [
    "WHO",
    "Limits",
    "Node",
    "NodeKind",
    "build_timeline",
    "call_node",
    "call_numbered",
    "call_summary",
    "seconds",
    "totals",
]

NodeKind = Literal["prompt", "answer", "step", "call", "agent"]

WHO = {"prompt": "prompt", "answer": "says", "agent": "sub-agent"}
"""What stands before a node that is neither a call nor a model step."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many characters of a text are shown: of an input, a result, a message."""

    input: int = 4_000
    result: int = 4_000
    message: int = 4_000


@dataclass(frozen=True, kw_only=True)
class Node:
    """One event, ready to be shown: every text is plain and cut to size.

    `title` is a tool's name, a model or an agent's type; `text` what was said or the call in one
    line; `outcome` of a call; `input` and `result` its texts, None where the source lost them.
    `number` is a call's among all of the session, `place` its line, time and agent in words,
    `marks` the verdicts and names of the checks that speak of it.
    """

    kind: NodeKind
    title: str = ""
    text: str = ""
    outcome: str = ""
    reason: str = ""
    duration: str = ""
    tokens: str = ""
    input: str | None = None
    result: str | None = None
    files: tuple[str, ...] = ()
    children: tuple[Node, ...] = ()
    number: int | None = None
    place: str = ""
    marks: tuple[tuple[str, str], ...] = ()


def build_timeline(
    session: Session, limits: Limits | None = None, outcomes: Iterable[Outcome] = ()
) -> tuple[Node, ...]:
    """The events of the main agent in order, those of sub-agents below the calls that made them.

    A sub-agent whose call is not known stands at the end. `outcomes` mark the calls that they speak
    of.
    """
    return _Builder(session, limits or Limits(), outcomes).build()


def call_numbered(session: Session, number: int) -> ToolCall:
    """One call of the session by its number; ConfigurationError where there is no such call."""
    count = len(session.tool_calls)
    if not 1 <= number <= count:
        held = f"its calls are numbered 1 to {count:,}" if count else "it made none"
        raise ConfigurationError(f"the session has no call {number}: {held}")
    return session.tool_calls[number - 1]


def call_node(session: Session, number: int, limits: Limits | None = None) -> Node:
    """One call of the session by its number, without what its sub-agents did.

    Raises ConfigurationError where there is no such call.
    """
    call = call_numbered(session, number)
    return replace(_Builder(session, limits or Limits()).call(call), children=())


def call_summary(call: ToolCall, cwd: str | None = None, limit: int = 160) -> str:
    """What a call asked for, on one line: the command, the path, the query, else its JSON."""
    if call.input is None:
        return "(input not recorded)"
    text = _essence(call.name, call.input)
    if cwd and text.startswith(cwd.rstrip("/") + "/"):
        text = text[len(cwd.rstrip("/")) + 1 :]
    return one_line(text, limit)


def seconds(value: float | None) -> str:
    """A duration for people."""
    return "" if value is None else shown_seconds(value)


def _duration(session: Session) -> str:
    value = session.duration_seconds
    if value is None:
        return "unknown"
    return shown_figure("duration_seconds", value, bool(session.incomplete))


def totals(session: Session) -> list[tuple[str, str]]:
    """Name and value of what a session comes to; what is not known says so."""
    metrics = compute_metrics(session)
    usage = metrics.usage
    no_usage = session.lacks("usage")
    atleast = "" if session.usage_complete else "at least "
    tokens = (
        f"{atleast}{usage.input_tokens:,} in, {usage.output_tokens:,} out; cache "
        f"{usage.cache_creation_input_tokens:,} written, {usage.cache_read_input_tokens:,} read"
    )
    cost = session_cost(session)
    rows = [
        ("model", metrics.model or "unknown"),
        ("turns", session.lacks("turns") or f"{metrics.num_turns:,}"),
        ("tool calls", _calls(metrics)),
        ("tokens", f"unknown: {no_usage}" if no_usage else tokens),
        ("cost", "unknown" if cost is None else f"{atleast}${cost:,.4f}"),
        ("duration", session.lacks("times") or _duration(session)),
        ("ended", describe_ending(session.ending)),
    ]
    for name, paths in (
        ("files created", metrics.files_created),
        ("files edited", metrics.files_modified),
    ):
        if paths:
            rows.append((name, ", ".join(_relative(path, session.cwd) for path in paths)))
    if session.skills:
        rows.append(("skills", ", ".join(f"{s.name} ({s.status})" for s in session.skills)))
    if session.subagents:
        rows.append(
            ("sub-agents", ", ".join(agent.type or agent.id for agent in session.subagents))
        )
    if session.compactions:
        said = (
            f"{found.trigger or 'unknown'}"
            + (f" at {found.pre_tokens:,} tokens" if found.pre_tokens is not None else "")
            for found in session.compactions
        )
        rows.append(("compactions", ", ".join(said)))
    rows += [("API error", text) for text in session.api_errors]
    return [(name, one_line(value, 1_000)) for name, value in rows]


def _calls(metrics: TraceMetrics) -> str:
    if not metrics.tool_calls:
        return "none"
    bad = [
        f"{count} {outcome}"
        for outcome, count in sorted(metrics.tool_outcome_counts.items())
        if outcome != "succeeded"
    ]
    names = ", ".join(
        name if count == 1 else f"{name} ×{count}" for name, count in metrics.tool_counts.items()
    )
    return f"{len(metrics.tool_calls)}: {names}" + (f" ({', '.join(bad)})" if bad else "")


class _Builder:
    def __init__(self, session: Session, limits: Limits, outcomes: Iterable[Outcome] = ()) -> None:
        self.session = session
        self.limits = limits
        self.marks: dict[int, dict[tuple[str, str], None]] = {}
        for outcome in outcomes:
            for ref in outcome.calls:
                mark = (str(outcome.verdict), one_line(outcome.check, 100))
                self.marks.setdefault(ref.number, {})[mark] = None
        self.agents: dict[str, list[SubAgent]] = {}
        self.entries: dict[str, list[tuple[int, int, Any]]] = {}
        self.files: dict[str, list[str]] = {}
        self.shown: set[str] = set()
        for agent in session.subagents:
            self.agents.setdefault(agent.parent_call_id or "", []).append(agent)
        groups: tuple[Sequence[Any], ...] = (session.steps, session.messages, session.tool_calls)
        for kind, items in enumerate(groups):
            for item in items:
                self.entries.setdefault(item.agent, []).append((item.position, kind, item))
        for operation in session.files:
            if operation.call_id and operation.type != "read":
                verb = "created" if operation.type == "create" else "edited"
                text = f"{verb} {_relative(operation.file_path, session.cwd)}"
                self.files.setdefault(operation.call_id, []).append(one_line(text))

    def build(self) -> tuple[Node, ...]:
        nodes = list(self._of(MAIN_AGENT))
        known = {agent.id: agent for agent in self.session.subagents}
        calls = {call.id for call in self.session.tool_calls}
        # Agents without a known call come first: the others may hang below one of their calls.
        orphans = sorted(
            (agent for agent in known.values() if agent.id not in self.shown),
            key=lambda agent: agent.parent_call_id in calls,
        )
        unnamed = (SubAgent(id=name) for name in self.entries if name != MAIN_AGENT)
        # One after the other, since building an agent may show those below it.
        nodes.extend(self._agent(a) for a in (*orphans, *unnamed) if a.id not in self.shown)
        return tuple(nodes)

    def _of(self, agent: str) -> Iterator[Node]:
        for _, kind, item in sorted(self.entries.get(agent, []), key=lambda entry: entry[:2]):
            if kind == 0:
                yield self._step(item)
            elif kind == 2:
                yield self.call(item)
            elif item.text.strip():
                yield Node(
                    kind="prompt" if item.role == "user" else "answer",
                    text=clipped(item.text.strip(), self.limits.message),
                )

    def _step(self, step: ModelStep) -> Node:
        usage = step.usage
        tokens = f"{usage.input_tokens:,} in, {usage.output_tokens:,} out"
        cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
        if cached:
            tokens += f", {cached:,} cache"
        if self.session.lacks("usage"):
            tokens = ""
        elif not step.usage_complete:
            tokens = f"at least {tokens}"
        return Node(kind="step", title=one_line(step.model or "model"), tokens=tokens)

    def call(self, call: ToolCall) -> Node:
        """A call, with what the sub-agents that it started did."""
        duration = call.duration_ms
        number = self.session.number_of(call)
        ref = next(iter(refer(self.session, "", (call,))), None)
        return Node(
            kind="call",
            title=one_line(call.name, 100),
            text=call_summary(call, self.session.cwd),
            outcome=call.outcome,
            reason=one_line(call.outcome_reason),
            duration=seconds(None if duration is None else duration / 1000),
            input=self._input(call),
            result=self._result(call),
            files=tuple(self.files.get(call.id, ())),
            number=number,
            place=one_line(ref.place, 100) if ref is not None else "",
            marks=tuple(self.marks.get(number or 0, ())),
            children=tuple(
                self._agent(agent)
                for agent in self.agents.get(call.id, ())
                if agent.id not in self.shown
            ),
        )

    def _agent(self, agent: SubAgent) -> Node:
        self.shown.add(agent.id)
        steps = [s for s in self.session.steps if s.agent == agent.id]
        total = sum(s.usage.total_tokens for s in steps)
        return Node(
            kind="agent",
            title=one_line(agent.type or "sub-agent"),
            text=one_line(agent.prompt or ""),
            outcome=one_line(agent.status or ""),
            tokens=f"{total:,} tokens" if steps and not self.session.lacks("usage") else "",
            children=tuple(self._of(agent.id)),
        )

    def _input(self, call: ToolCall) -> str | None:
        if call.input is None:
            return None
        text = clipped(_pretty(call.input, self.limits.input), self.limits.input)
        return text + "\n(cut short by the source)" if call.input_truncated else text

    def _result(self, call: ToolCall) -> str | None:
        text = call.result
        return None if text is None else clipped(text, self.limits.result)


# The argument that says what a call is about, by tool; tried in this order for any other tool.
_TELLING = (
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "url",
    "query",
    "sql",
    "statement",
    "skill",
    "description",
    "path",
)


def _essence(name: str, values: Mapping[str, Any]) -> str:
    if starts_agent(name):
        parts = [str(values[key]) for key in ("subagent_type", "description") if values.get(key)]
        return ": ".join(parts)
    for key in _TELLING:
        if isinstance(values.get(key), str):
            return str(values[key])
    return dumps(_short(values)) if values else ""


def _pretty(values: Mapping[str, Any], limit: int) -> str:
    """Arguments as `key: value` lines; text keeps its line breaks, the rest is JSON."""
    lines = []
    for key, value in values.items():
        if isinstance(value, str):
            shown = value[: limit + 1] if len(value) > limit + 1 else value
            cut = f"… ({len(value) - len(shown):,} more characters)" if shown != value else ""
            body = plain(shown) + cut
            lines.append(f"{key}: {body}" if "\n" not in body else f"{key}:\n{_indented(body)}")
        else:
            lines.append(f"{key}: {_json(value)}")
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


def _json(value: Any) -> str:
    text = dumps(value)
    return text if len(text) < 120 else dumps(json.loads(text), indent=2)


def _short(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: v[:200] if isinstance(v, str) else v for key, v in list(values.items())[:20]}


def _relative(path: str, cwd: str | None) -> str:
    root = (cwd or "").rstrip("/") + "/"
    return path[len(root) :] if cwd and path.startswith(root) else path
