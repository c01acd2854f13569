"""A session put together from parts of several traces: order, duplicates, what is missing.

The readers of the single generations add steps, calls and messages; this module orders them, drops
what a second trace repeats (a Stop hook that ran twice, a session traced by two writers), and turns
gaps into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from skilltrace_mlflow.session import (
    MAIN_AGENT,
    Diagnostic,
    Evidence,
    Message,
    ModelStep,
    Session,
    SubAgent,
    TokenUsage,
    ToolCall,
)
from skilltrace_mlflow.sources._builder import side_request_gaps
from skilltrace_mlflow.sources.mlflow._text import file_operation, implied_subagent, skill_use
from skilltrace_mlflow.sources.mlflow._wire import TraceView, as_count, as_mapping

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
    diagnostics: list[Diagnostic] = field(default_factory=list)
    starts: list[datetime] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)
    costs: list[float | None] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
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

    def session(self) -> Session:
        """The finished record."""
        steps = self._ordered(self.steps)
        calls = self._ordered(self.calls)
        self._imply_subagents(calls)
        for reason in side_request_gaps(calls):
            self.usage_gap(reason)
        known: set[str] = set()
        files = (file_operation(call, known) for call in calls)
        skills = (skill_use(call) for call in calls)
        if any(not step.usage_complete for step in steps) and not self.usage_notes:
            self.usage_gap("the trace holds only a lower bound of some messages' tokens")
        if (steps or calls) and not any(s.usage != TokenUsage() for s in steps):
            self.lacks("usage", "the trace carries no token usage")
            self.usage_gap("the trace carries no token usage")
        costs = [cost for cost in self.costs if cost is not None]
        return Session(
            session_id=self.session_id,
            steps=steps,
            tool_calls=calls,
            messages=self._ordered(self.messages),
            files=tuple(f for f in files if f is not None),
            skills=tuple(s for s in skills if s is not None),
            subagents=tuple(self.subagents.values()),
            api_errors=tuple(self.api_errors),
            start_time=min(self.starts, default=None),
            end_time=max(self.ends, default=None),
            cwd=self.facts.get("cwd"),
            version=self.facts.get("version"),
            permission_mode=self.facts.get("permission_mode"),
            stop_reason=self._stop_reason(steps),
            usage_complete=not self.usage_notes and not self.incomplete,
            usage_notes=tuple(self.usage_notes or self.incomplete),
            cost_usd=sum(costs) if self._is_whole(costs) else None,
            missing=self.missing,
            incomplete=tuple(self.incomplete),
            source=self.source,
            diagnostics=tuple(self.diagnostics),
        )

    def _is_whole(self, costs: list[float]) -> bool:
        """Whether these costs are all: a sum over some messages is no cost of the session."""
        lost = self.usage_notes or self.incomplete
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

    def _ordered(self, items: list[Any]) -> tuple[Any, ...]:
        """In time order, with positions that order the three kinds among each other."""
        return tuple(
            replace(item, position=self._ranks[place]) for place, item in sorted(items, key=_place)
        )

    @property
    def _ranks(self) -> Mapping[_Order, int]:
        if not hasattr(self, "_rank_cache"):
            places = sorted(p for p, _ in [*self.steps, *self.calls, *self.messages])
            self._rank_cache = {place: rank for rank, place in enumerate(places)}
        return self._rank_cache

    def _stop_reason(self, steps: tuple[ModelStep, ...]) -> str | None:
        own = [step.stop_reason for step in steps if step.agent == MAIN_AGENT]
        return own[-1] if own else None


def _place(item: tuple[_Order, Any]) -> _Order:
    return item[0]


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
