"""A turn as spans: the shape of the newest plugin, so that every reader of its traces can read it.

Root `claude_code_conversation`; one `llm` span per API message with usage, cost and the message's
blocks; `tool_<Name>` spans with exception event and ERROR status where a call failed; sub-agents
nested below the call that started them. Times are the transcript's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from skilltrace_mlflow.importing.turns import Turn
from skilltrace_mlflow.session import MAIN_AGENT, Message, ModelStep, Session, SubAgent, ToolCall
from skilltrace_mlflow.sources.mlflow.names import NO_RESULT, TURN_ATTRIBUTE, USAGE

__all__ = ["ROOT_NAME", "TurnTrace", "build_trace", "usage_values"]

ROOT_NAME = "claude_code_conversation"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = 1_000_000_000
# A result stands whole on its tool span; in the next message's inputs its beginning is enough.
_MAX_QUOTED = 1000
_OK, _ERROR = "STATUS_CODE_OK", "STATUS_CODE_ERROR"

_Record = Message | ModelStep | ToolCall


class TurnTrace:
    """The spans of a turn (in MLflow's schema 3) and the facts of its trace."""

    def __init__(self, turn: Turn, trace_id: str, costs: Mapping[str, Mapping[str, float]]) -> None:
        self.turn = turn
        self.trace_id = trace_id
        self.costs = costs
        self.spans: list[dict[str, Any]] = []
        self._otel_id = base64.b64encode(bytes.fromhex(trace_id.removeprefix("tr-"))).decode()
        session = turn.session
        self.start_ns = _ns(session.start_time) or _ns(_first_time(session)) or _SECOND
        self.end_ns = max(_ns(session.end_time) or 0, self.start_ns)
        self.prompt = next((m.text for m in _of_agent(session.messages, "user")), "")
        self.response = next(
            (m.text for m in reversed(_of_agent(session.messages, "assistant"))), None
        )

    def add(
        self,
        key: str,
        *,
        name: str,
        kind: str,
        parent: str | None,
        start: int,
        end: int,
        inputs: Any,
        outputs: Any,
        attributes: Mapping[str, Any],
        error: tuple[str, str] | None = None,
    ) -> str:
        """Append a span and return its id. `error` is (kind, message) of a failed one."""
        span_id = base64.b64encode(_hash(self.trace_id, key)[:8]).decode()
        values = {
            "mlflow.traceRequestId": self.trace_id,
            "mlflow.spanType": kind,
            "mlflow.spanInputs": inputs,
            "mlflow.spanOutputs": outputs,
            **attributes,
        }
        self.spans.append(
            {
                "trace_id": self._otel_id,
                "span_id": span_id,
                "parent_span_id": parent,
                "name": name,
                "start_time_unix_nano": start,
                "end_time_unix_nano": max(start, end),
                "events": [_exception(error, max(start, end))] if error else [],
                "status": {
                    "code": _ERROR if error else _OK,
                    "message": error[1][:1000] if error else "",
                },
                "attributes": {
                    k: json.dumps(v, ensure_ascii=False) for k, v in values.items() if v is not None
                },
                "links": [],
            }
        )
        return span_id


def build_trace(
    turn: Turn, trace_id: str, costs: Mapping[str, Mapping[str, float]] | None = None
) -> TurnTrace:
    """All spans of a turn. `costs` maps a step's id to its cost in US dollars, by kind."""
    trace = TurnTrace(turn, trace_id, costs or {})
    root = trace.add(
        "root",
        name=ROOT_NAME,
        kind="AGENT",
        parent=None,
        start=trace.start_ns,
        end=trace.end_ns,
        inputs={"prompt": trace.prompt},
        outputs={"status": "completed"} | ({"response": trace.response} if trace.response else {}),
        attributes={TURN_ATTRIBUTE: turn.document()},
    )
    _Tree(trace).add_agent(MAIN_AGENT, root, trace.start_ns)
    return trace


class _Tree:
    """Hangs the records of a turn below the spans of their agents."""

    def __init__(self, trace: TurnTrace) -> None:
        self.trace = trace
        session = trace.turn.session
        self.session = session
        self.agents: dict[str, SubAgent] = {agent.id: agent for agent in session.subagents}
        self.by_call: dict[str, list[SubAgent]] = {}
        calls = {call.id for call in session.tool_calls}
        owners = {s.agent for s in session.steps} | {c.agent for c in session.tool_calls}
        for owner in sorted(owners - {MAIN_AGENT, *self.agents}):
            self.agents[owner] = SubAgent(id=owner)  # an agent that nothing introduces
        for agent in self.agents.values():
            known = agent.parent_call_id if agent.parent_call_id in calls else ""
            self.by_call.setdefault(known or "", []).append(agent)
        self.done: set[str] = set()

    def add_agent(self, agent_id: str, parent: str, start: int) -> None:
        """The spans of one agent's records, in order, below `parent`."""
        self.done.add(agent_id)
        records = self._records_of(agent_id)
        given: list[dict[str, Any]] = []
        texts = _texts_by_step(records)
        calls = _calls_by_step(records)
        at = start
        for index, record in enumerate(records):
            at = _ns(record.timestamp) or at
            if isinstance(record, Message):
                if record.role == "user":
                    given.append({"role": "user", "content": record.text})
            elif isinstance(record, ModelStep):
                following = next((t for r in records[index + 1 :] if (t := _ns(r.timestamp))), at)
                own = texts.get(record.id, []), calls.get(record.id, [])
                self._add_step(record, parent, at, min(following, at + _SECOND), given, *own)
                given = []
            else:
                self._add_call(record, parent, at)
                given.append(_quoted_result(record, self.trace.turn.results.get(record.id)))
        if agent_id == MAIN_AGENT:
            for agent in self.by_call.get("", []):
                self._add_subagent(agent, parent, start, None)

    def _records_of(self, agent_id: str) -> list[_Record]:
        """What an agent said, was told and did, in order."""
        session = self.session
        records: list[_Record] = [*session.messages, *session.steps, *session.tool_calls]
        own = [record for record in records if record.agent == agent_id]
        return sorted(own, key=lambda record: record.position)

    def _add_step(
        self,
        step: ModelStep,
        parent: str,
        start: int,
        end: int,
        messages: list[dict[str, Any]],
        texts: Iterable[Message],
        calls: Iterable[ToolCall],
    ) -> None:
        content: list[dict[str, Any]] = [{"type": "text", "text": m.text} for m in texts]
        content += [
            {"type": "tool_use", "id": c.id, "name": c.name, "input": c.input or {}} for c in calls
        ]
        self.trace.add(
            f"llm {step.id}",
            name="llm",
            kind="LLM",
            parent=parent,
            start=start,
            end=end,
            inputs={"model": step.model or "unknown", "messages": messages},
            outputs={
                "id": step.id,
                "type": "message",
                "role": "assistant",
                "content": content,
                "stop_reason": step.stop_reason,
            },
            attributes={
                "model": step.model or "unknown",
                "mlflow.llm.model": step.model,
                "mlflow.llm.provider": "anthropic",
                "mlflow.message.format": "anthropic",
                USAGE: usage_values(step),
                "mlflow.llm.cost": self.trace.costs.get(step.id),
            },
        )

    def _add_call(self, call: ToolCall, parent: str, start: int) -> None:
        result = self.trace.turn.results.get(call.id)
        agents = self.by_call.get(call.id, [])
        waiting = next((agent for agent in agents if agent.background), None)
        error = None
        if call.outcome in ("failed", "denied", "interrupted"):
            error = call.outcome, result or call.outcome_reason or "Tool execution failed"
        span_id = self.trace.add(
            f"tool {call.id}",
            name=f"tool_{call.name}",
            kind="TOOL",
            parent=parent,
            start=start,
            end=_ns(call.end_timestamp) or start,
            inputs=call.input if call.input is not None else {},
            outputs={"result": NO_RESULT if result is None else result},
            attributes={
                "tool_name": call.name,
                "tool_id": call.id,
                "background": True if waiting else None,
                "agent_id": agents[0].id if agents else None,
            },
            error=error,
        )
        for agent in agents:
            self._add_subagent(agent, span_id, start, call)

    def _add_subagent(
        self, agent: SubAgent, parent: str, start: int, call: ToolCall | None
    ) -> None:
        if agent.id in self.done:
            return
        moments = [
            t
            for r in self._records_of(agent.id)
            for t in (_ns(r.timestamp), _ns(getattr(r, "end_timestamp", None)))
            if t
        ]
        begin = min(moments, default=start)
        description = (call.input or {}).get("description") if call is not None else None
        span_id = self.trace.add(
            f"agent {agent.id}",
            name=f"subagent_{agent.type}" if agent.type else "subagent",
            kind="AGENT",
            parent=parent,
            start=begin,
            end=max(moments, default=start),
            inputs={"prompt": agent.prompt or "", "description": description or ""},
            outputs=_answer(self.session.messages, agent.id),
            attributes={"subagent_type": agent.type or "", "agent_id": agent.id},
        )
        self.add_agent(agent.id, span_id, begin)


def usage_values(step: ModelStep) -> dict[str, int]:
    """Token counts under MLflow's names; the cache is counted apart, as the API does."""
    usage = step.usage
    values = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
    }
    if usage.cache_creation_1h_input_tokens:
        values["cache_creation_input_tokens_above_1hr"] = usage.cache_creation_1h_input_tokens
    return values


def _texts_by_step(records: Iterable[Any]) -> dict[str, list[Message]]:
    """Answers by the message that gave them: by id where it is known, else by order."""
    found: dict[str, list[Message]] = {}
    last = ""
    steps = {record.id for record in records if isinstance(record, ModelStep)}
    for record in records:
        if isinstance(record, ModelStep):
            last = record.id
        elif isinstance(record, Message) and record.role == "assistant":
            key = record.id if record.id in steps and record.id else last
            found.setdefault(key, []).append(record)
    return found


def _calls_by_step(records: Iterable[Any]) -> dict[str, list[ToolCall]]:
    found: dict[str, list[ToolCall]] = {}
    last = ""
    for record in records:
        if isinstance(record, ModelStep):
            last = record.id
        elif isinstance(record, ToolCall):
            found.setdefault(record.message_id or last, []).append(record)
    return found


def _quoted_result(call: ToolCall, result: str | None) -> dict[str, Any]:
    text = result or ""
    if len(text) > _MAX_QUOTED:
        text = text[:_MAX_QUOTED] + f"… ({len(text)} characters, whole on its tool span)"
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call.id, "content": text}
    if call.outcome in ("failed", "denied", "interrupted"):
        block["is_error"] = True
    return {"role": "user", "content": [block]}


def _answer(messages: Iterable[Message], agent: str) -> dict[str, str] | None:
    texts = [m.text for m in messages if m.agent == agent and m.role == "assistant"]
    return {"response": texts[-1]} if texts else None


def _of_agent(messages: Iterable[Message], role: str) -> list[Message]:
    return [m for m in messages if m.role == role and m.agent == MAIN_AGENT]


def _first_time(session: Session) -> datetime | None:
    records: list[_Record] = [*session.messages, *session.steps, *session.tool_calls]
    return min((r.timestamp for r in records if r.timestamp is not None), default=None)


def _exception(error: tuple[str, str], nanoseconds: int) -> dict[str, Any]:
    kind, message = error
    return {
        "name": "exception",
        "time_unix_nano": nanoseconds,
        "attributes": {
            "exception.type": f"ToolCall{kind.capitalize()}",
            "exception.message": message,
            "exception.stacktrace": "",
        },
    }


def _ns(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    delta = moment - _EPOCH
    total = (delta.days * 86_400 + delta.seconds) * _SECOND + delta.microseconds * 1000
    return total if 0 < total < 2**63 else None


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).digest()
