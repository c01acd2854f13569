"""A session put together from parts of several traces: order, duplicates, what is missing.

The readers of the single generations add steps, calls and messages; this module orders them, drops
what a second trace repeats (a Stop hook that ran twice, a session traced by two writers), and turns
gaps into words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from skilltrace_mlflow.session import (
    MAIN_AGENT,
    Diagnostic,
    Ending,
    Evidence,
    Message,
    ModelStep,
    Session,
    SubAgent,
    TokenUsage,
    ToolCall,
)
from skilltrace_mlflow.sources._builder import CallFacts, SessionBuilder, side_request_gaps
from skilltrace_mlflow.sources.mlflow._outcome import implied_subagent
from skilltrace_mlflow.sources.mlflow._wire import TraceView, as_count, as_mapping
from skilltrace_mlflow.tools import current_name

__all__ = ["Parts", "is_whole_usage", "read_usage"]

# A prompt comes before the answer, the answer before the calls that it makes.
PROMPT, STEP, ANSWER, CALL = range(4)

_Order = tuple[int, int, int]


@dataclass
class Parts:
    """The growing record. Everything is added with its place in time (nanoseconds)."""

    session_id: str | None = None
    source: str = ""
    steps: list[tuple[_Order, ModelStep]] = field(default_factory=list)
    calls: list[tuple[_Order, ToolCall]] = field(default_factory=list)
    messages: list[tuple[_Order, Message]] = field(default_factory=list)
    subagents: dict[str, SubAgent] = field(default_factory=dict)
    background: dict[str, str | None] = field(default_factory=dict)
    api_errors: list[str] = field(default_factory=list)
    missing: dict[Evidence, str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    usage_notes: list[str] = field(default_factory=list)
    step_gaps: list[str] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    starts: list[datetime] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)
    costs: list[float | None] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    endings: list[tuple[int, Ending]] = field(default_factory=list)
    _seen: set[Any] = field(default_factory=set)
    _count: int = 0

    def first(self, *key: Any) -> bool:
        """Whether this is the first sight of something."""
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def place(self, nanoseconds: int, rank: int) -> _Order:
        """A place in the order of things; equal times keep the order in which they were added."""
        self._count += 1
        return nanoseconds, rank, self._count

    def fact(self, name: str, value: str | None) -> None:
        """A property of the session (`cwd`, `version`, …); the latest trace that says it wins."""
        if value:
            self.facts[name] = value

    def gap(self, reason: str) -> None:
        """Calls or steps that may be missing from the record."""
        if reason not in self.incomplete:
            self.incomplete.append(reason)

    def usage_gap(self, reason: str) -> None:
        """Token figures are a lower bound."""
        if reason not in self.usage_notes:
            self.usage_notes.append(reason)

    def lacks(self, kind: Evidence, reason: str) -> None:
        """A kind of evidence that the source does not carry."""
        self.missing.setdefault(kind, reason)

    def note_state(self, trace: TraceView) -> None:
        """What the trace says about its own completeness."""
        if trace.state == "IN_PROGRESS":
            self.gap(f"trace {trace.id} is still in progress")
        stats = as_mapping(trace.metadata.get("mlflow.trace.sizeStats")) or {}
        promised = as_count(stats.get("num_spans"))
        if promised is not None and promised > len(trace.spans):
            self.gap(f"trace {trace.id} has {len(trace.spans)} of its {promised} spans")
        if trace.orphans:
            self.gap(f"trace {trace.id}: the parent of {len(trace.orphans)} spans is missing")
        if trace.root is None:
            self.gap(f"trace {trace.id} has no root span")
        if trace.strays:
            self.gap(f"trace {trace.id}: {len(trace.strays)} spans beside the root have no parent")
        for span in trace.spans:
            if span.damaged:
                parts = ", ".join(span.damaged)
                self.gap(f"trace {trace.id}: span {span.name or span.id} is damaged ({parts})")

    def ended(self, nanoseconds: int, ending: Ending) -> None:
        """How a turn ended that began at that time; the last turn's ending is the session's."""
        self.endings.append((nanoseconds, ending))

    def session(self) -> Session:
        """The finished record."""
        builder = SessionBuilder(
            incomplete=self.incomplete,
            usage_gaps=self.usage_notes,
            step_gaps=self.step_gaps,
            missing=self.missing,
            diagnostics=self.diagnostics,
        )
        placed: list[tuple[_Order, ModelStep | ToolCall | Message]] = [
            *self.steps,
            *self.calls,
            *self.messages,
        ]
        for _, record in sorted(placed, key=lambda item: item[0]):
            builder.add(replace(record))
            if isinstance(record, ToolCall) and current_name(record.name) == "Skill":
                builder.facts[record.id] = CallFacts(text=record.result)
        self._imply_subagents(builder.calls)
        for reason in side_request_gaps(builder.calls):
            self.usage_gap(reason)
        steps = builder.steps
        if (steps or builder.calls) and not any(s.usage != TokenUsage() for s in steps):
            self.lacks("usage", "the trace carries no token usage")
            self.usage_gap("the trace carries no token usage")
        costs = [cost for cost in self.costs if cost is not None]
        return builder.session(
            session_id=self.session_id,
            subagents=tuple(self.subagents.values()),
            api_errors=tuple(self.api_errors),
            start_time=min(self.starts, default=None),
            end_time=max(self.ends, default=None),
            cwd=self.facts.get("cwd"),
            version=self.facts.get("version"),
            permission_mode=self.facts.get("permission_mode"),
            stop_reason=self._stop_reason(steps),
            ending=max(self.endings, key=lambda item: item[0])[1] if self.endings else Ending(),
            cost_usd=math.fsum(costs) if self._is_whole(costs) else None,
            source=self.source,
        )

    def _is_whole(self, costs: list[float]) -> bool:
        """Whether these costs are all: a sum over some messages is no cost of the session."""
        lost = self.usage_notes or self.step_gaps or self.incomplete
        return bool(costs) and len(costs) == len(self.costs) and not lost

    def _imply_subagents(self, calls: Iterable[ToolCall]) -> None:
        """A sub-agent without spans is known by its call, and its calls are known to be missing."""
        parents = {agent.parent_call_id for agent in self.subagents.values()}
        for call in calls:
            agent = implied_subagent(call)
            if agent is None or call.id in parents:
                continue
            waiting = call.id in self.background
            agent = replace(agent, background=waiting, id=self.background.get(call.id) or agent.id)
            if agent.id in self.subagents:  # resumed: the earlier launch is on record
                continue
            self.subagents[agent.id] = agent
            what = "background sub-agent" if waiting else "sub-agent"
            self.gap(f"the {what} of call {call.id} left no spans in this trace")
            self.usage_gap(f"tokens of the {what} of call {call.id} are not in this trace")

    def _stop_reason(self, steps: Iterable[ModelStep]) -> str | None:
        own = [step.stop_reason for step in steps if step.agent == MAIN_AGENT]
        return own[-1] if own else None


_INPUT = ("input_tokens", "prompt_tokens")
_OUTPUT = ("output_tokens", "completion_tokens")
_CACHE = ("cache_creation_input_tokens", "cache_read_input_tokens")


def is_whole_usage(values: Mapping[str, Any]) -> bool:
    """Whether these token counts are all: input and output are there, and nothing that should be a
    count is none. The cache may be absent, as from writers that counted none.
    """
    there = all(any(values.get(key) is not None for key in keys) for keys in (_INPUT, _OUTPUT))
    given = (values.get(key) for key in (*_INPUT, *_OUTPUT, *_CACHE))
    return there and all(as_count(value) is not None for value in given if value is not None)


def read_usage(values: Mapping[str, Any]) -> TokenUsage:
    """Token counts under the names that MLflow and the API give them; what is missing is 0."""

    def count(*keys: str) -> int:
        return next((c for c in (as_count(values.get(k)) for k in keys) if c is not None), 0)

    lifetimes = as_mapping(values.get("cache_creation")) or {}
    created = count("cache_creation_input_tokens")
    hour = count("cache_creation_input_tokens_above_1hr") or (
        as_count(lifetimes.get("ephemeral_1h_input_tokens")) or 0
    )
    return TokenUsage(
        input_tokens=count(*_INPUT),
        output_tokens=count(*_OUTPUT),
        cache_creation_input_tokens=created,
        cache_read_input_tokens=count("cache_read_input_tokens"),
        cache_creation_1h_input_tokens=min(hour, created),
    )
