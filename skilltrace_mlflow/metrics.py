"""Figures of a session: `TraceMetrics` (tokens, tools, files, conversation) and `TraceSummary`.

Standard library only. The names of tools are as recorded; their categories come from `tools`.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from skilltrace_mlflow.pricing import session_cost
from skilltrace_mlflow.session import (
    MAIN_AGENT,
    WARM_UP,
    ModelStep,
    Session,
    TokenUsage,
    ToolCall,
    TraceEvent,
)
from skilltrace_mlflow.text import counted
from skilltrace_mlflow.tools import tool_category

__all__ = [
    "TraceMetrics",
    "TraceSummary",
    "compute_metrics",
    "compute_trace_summary",
]


@dataclass(frozen=True, kw_only=True)
class TraceMetrics:
    """Figures of one session. Times are aware datetimes, durations seconds, cost US dollars.

    `files_modified` includes files that the session itself created earlier. File lists are sorted
    and name each file once. `session` is the evidence they were computed from.
    """

    session_id: str | None
    start_time: datetime | None
    end_time: datetime | None
    model: str | None
    usage: TokenUsage
    usage_main: TokenUsage
    usage_complete: bool
    tool_counts: Mapping[str, int]
    tool_category_counts: Mapping[str, int]
    tool_outcome_counts: Mapping[str, int]
    tool_calls: tuple[ToolCall, ...]
    files_created: tuple[str, ...]
    files_modified: tuple[str, ...]
    files_read: tuple[str, ...]
    num_turns: int
    num_user_messages: int
    subagents: tuple[Mapping[str, Any], ...]
    skills: tuple[Mapping[str, Any], ...]
    cost_usd: float | None
    session: Session = field(compare=False, repr=False)

    def __repr__(self) -> str:
        return (
            f"TraceMetrics({self.session_id!r}, {counted(len(self.tool_calls), 'tool call')}, "
            f"{counted(self.num_turns, 'turn')}, {counted(self.usage.total_tokens, 'token')})"
        )

    def _repr_html_(self) -> str:
        """The figures as a table, for notebooks."""
        # Looked up when a notebook asks: this module travels without the reports.
        shown = importlib.import_module("skilltrace_mlflow.report.notebook")
        text: str = shown.metrics_html(self)
        return text

    @property
    def total_input_tokens(self) -> int:
        """Input tokens without the cache, sub-agents included."""
        return self.usage.input_tokens

    @property
    def total_output_tokens(self) -> int:
        """Output tokens, sub-agents included."""
        return self.usage.output_tokens

    @property
    def total_cache_creation_tokens(self) -> int:
        """Tokens written to the prompt cache."""
        return self.usage.cache_creation_input_tokens

    @property
    def total_cache_read_tokens(self) -> int:
        """Tokens read from the prompt cache."""
        return self.usage.cache_read_input_tokens

    @property
    def total_tokens(self) -> int:
        """Input plus output; the cache apart."""
        return self.usage.total_tokens

    @property
    def total_tool_calls(self) -> int:
        """Number of tool calls, whatever their outcome."""
        return len(self.tool_calls)

    @property
    def cost_source(self) -> Literal["recorded", "price table"] | None:
        """Where the cost is from: a computed one is a lower bound where usage is incomplete."""
        if self.cost_usd is None:
            return None
        return "price table" if self.session.cost_usd is None else "recorded"

    @property
    def duration_seconds(self) -> float | None:
        """Time on the clock, from the first to the last entry or as the source states it."""
        return self.session.duration_seconds

    def to_dict(self, *, inputs: bool = False) -> dict[str, Any]:
        """As plain JSON values; `inputs` adds each tool call's arguments (they can be large).

        Beside the figures it says what the evidence lacks (`incomplete`, `usage_notes`, `missing`)
        and lists what they were added up from, so that checks judge it as they judge the session.
        """
        session = self.session
        outcomes = self.tool_outcome_counts
        return {
            "session_id": self.session_id,
            "start_time": self.start_time.isoformat() if self.start_time else None,
            "end_time": self.end_time.isoformat() if self.end_time else None,
            "duration_seconds": self.duration_seconds,
            "model": self.model,
            "tokens": _token_dict(self.usage),
            "tokens_main": _token_dict(self.usage_main),
            "usage_complete": self.usage_complete,
            "tools": {
                "total_calls": self.total_tool_calls,
                "by_name": dict(self.tool_counts),
                "by_category": dict(self.tool_category_counts),
                "succeeded": outcomes.get("succeeded", 0),
                "failed": outcomes.get("failed", 0),
                "denied": outcomes.get("denied", 0),
                "interrupted": outcomes.get("interrupted", 0),
                "unknown": outcomes.get("unknown", 0),
                "calls": [_call_dict(call, inputs=inputs) for call in self.tool_calls],
            },
            "files": {
                "created": list(self.files_created),
                "modified": list(self.files_modified),
                "read": list(self.files_read),
                "operations": [
                    {
                        "type": item.type,
                        "path": item.file_path,
                        "agent": item.agent,
                        "call_id": item.call_id,
                    }
                    for item in session.files
                ],
            },
            "conversation": {
                "turns": self.num_turns,
                "user_messages": self.num_user_messages,
            },
            "subagents": [dict(agent) for agent in self.subagents],
            "skills": [dict(skill) for skill in self.skills],
            "cost_usd": self.cost_usd,
            "compactions": len(self.session.compactions),
            "cost_source": self.cost_source,
            "ending": {"kind": session.ending.kind, "text": session.ending.text},
            "steps": [_step_dict(step) for step in session.steps],
            "incomplete": list(session.incomplete),
            "usage_notes": list(session.usage_notes),
            "missing": dict(session.missing),
            "api_errors": list(session.api_errors),
            "cwd": session.cwd,
            "permission_mode": session.permission_mode,
            "version": session.version,
        }


@dataclass(frozen=True, kw_only=True)
class TraceSummary:
    """The four figures that every result line carries. `tool_names` is sorted."""

    event_count: int
    tool_names: tuple[str, ...]
    tool_calls_by_name: Mapping[str, int]
    error_count: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "event_count": self.event_count,
            "tool_names": list(self.tool_names),
            "tool_calls_by_name": dict(self.tool_calls_by_name),
            "error_count": self.error_count,
        }


def compute_metrics(session: Session) -> TraceMetrics:
    """All figures of `session`."""
    names = Counter(call.name for call in session.tool_calls)
    steps_of: dict[str, list[TokenUsage]] = {}
    for step in session.steps:
        steps_of.setdefault(step.agent, []).append(step.usage)
    per_agent = {agent: TokenUsage.total(usages) for agent, usages in steps_of.items()}
    calls_per_agent = Counter(call.agent for call in session.tool_calls)
    details = {call.id: call.details for call in session.tool_calls}
    return TraceMetrics(
        session_id=session.session_id,
        start_time=session.start_time,
        end_time=session.end_time,
        model=session.model,
        usage=session.usage,
        usage_main=per_agent.get(MAIN_AGENT, TokenUsage()),
        usage_complete=session.usage_complete,
        tool_counts=dict(sorted(names.items())),
        tool_category_counts=_by_category(names),
        tool_outcome_counts=Counter(call.outcome for call in session.tool_calls),
        tool_calls=session.tool_calls,
        files_created=_paths(session, "create"),
        files_modified=_paths(session, "edit"),
        files_read=_paths(session, "read"),
        num_turns=session.turns,
        num_user_messages=len(session.prompts),
        subagents=tuple(
            {
                "id": agent.id,
                "type": agent.type,
                "tokens": _token_dict(per_agent.get(agent.id, TokenUsage())),
                "tool_calls": calls_per_agent[agent.id],
                "recorded": agent.id in per_agent or calls_per_agent[agent.id] > 0,
                **_stated(details.get(agent.parent_call_id or "", {})),
                "parent_call_id": agent.parent_call_id,
                # Nobody asked for these: whoever counts sub-agents has to know.
                **({"status": agent.status} if agent.status == WARM_UP else {}),
            }
            for agent in session.subagents
        ),
        skills=tuple(
            {"name": use.name, "status": use.status, "agent": use.agent, "call_id": use.call_id}
            for use in session.skills
        ),
        cost_usd=session_cost(session),
        session=session,
    )


def _by_category(names: Mapping[str, int]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name, count in names.items():
        counts[tool_category(name)] += count
    return dict(sorted(counts.items()))


def compute_trace_summary(trace: Session | Iterable[TraceEvent]) -> TraceSummary:
    """Summary of a session or of a list of events; an empty list gives zeros.

    An error is an `error` event, or a tool result whose `outcome` is failed or denied.
    """
    events = trace.events if isinstance(trace, Session) else tuple(trace)
    names = Counter(event.name or "" for event in events if event.type == "tool_call")
    return TraceSummary(
        event_count=len(events),
        tool_names=tuple(sorted(names)),
        tool_calls_by_name=dict(sorted(names.items())),
        error_count=sum(
            1
            for event in events
            if event.type == "error"
            or (
                event.type == "tool_result"
                and event.metadata.get("outcome") in ("failed", "denied")
            )
        ),
    )


def _call_dict(call: ToolCall, *, inputs: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": call.id,
        "name": call.name,
        "outcome": call.outcome,
        "agent": call.agent,
    }
    if call.outcome_reason:
        entry["reason"] = call.outcome_reason
    if call.maybe_refused:
        entry["maybe_refused"] = True  # or the failure would prove that nobody refused
    if call.details:
        entry["details"] = dict(call.details)
    if call.input_truncated:
        entry["input_truncated"] = True
    if call.duration_ms is not None:
        entry["duration_ms"] = call.duration_ms
    if inputs:
        entry["input"] = None if call.input is None else dict(call.input)
        if call.requested_input is not None:
            entry["requested_input"] = dict(call.requested_input)
    return entry


def _step_dict(step: ModelStep) -> dict[str, Any]:
    """One API response; what is as usual is left out."""
    entry: dict[str, Any] = {
        "agent": step.agent,
        "model": step.model,
        "timestamp": step.timestamp.isoformat() if step.timestamp else None,
        "tokens": _token_dict(step.usage),
    }
    hour = step.usage.cache_creation_1h_input_tokens
    unusual = {
        "cache_creation_1h": hour or None,
        "usage_complete": None if step.usage_complete else False,
        "tokens_most": None if step.usage_most is None else _token_dict(step.usage_most),
        "stop_reason": step.stop_reason,
        "speed": step.speed,
        "web_search_requests": step.web_search_requests or None,
        "cost_usd": step.cost_usd,
    }
    return entry | {key: value for key, value in unusual.items() if value is not None}


def _stated(details: Mapping[str, Any]) -> dict[str, Any]:
    """What the call that started a sub-agent says of it, where its own record may be missing."""
    keys = {"tool uses": "agent_tool_uses", "tokens of its last call": "agent_last_tokens"}
    found = {said: details[key] for said, key in keys.items() if key in details}
    return {"stated": found} if found else {}


def _paths(session: Session, kind: str) -> tuple[str, ...]:
    return tuple(sorted({op.file_path for op in session.files if op.type == kind}))


def _token_dict(usage: TokenUsage) -> dict[str, int]:
    return {
        "total": usage.total_tokens,
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cache_creation": usage.cache_creation_input_tokens,
        "cache_read": usage.cache_read_input_tokens,
    }
