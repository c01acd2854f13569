"""From a collector's drafts to a `Session`: order, outcomes, files, skills, sub-agents, gaps.

Order. Each agent's own order is kept; the agents are merged by time, where the time of an entry is
the latest seen so far in its agent (clocks step back, timestamps are missing). On ties the main
agent comes first, then sub-agents by id. A reader of another source has to do the same to arrive
at an equal session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

from skilltrace_mlflow.session import (
    MAIN_AGENT,
    Message,
    ModelStep,
    Session,
    SkillUse,
    SubAgent,
    ToolCall,
)
from skilltrace_mlflow.sources._collect import AgentDraft, Collector, Record
from skilltrace_mlflow.sources._results import LAUNCHED

__all__ = ["assemble", "merge_order"]

_BEFORE = datetime.min.replace(tzinfo=timezone.utc)
_AGENT_TOOLS = frozenset(("Task", "Agent"))


def merge_order(items: Mapping[str, list[Record]], unsorted: Iterable[str] = ()) -> list[Record]:
    """All agents' records in one order (see the module's text)."""
    filled = {agent: records for agent, records in items.items() if records}
    if len(filled) == 1:
        return next(iter(filled.values()))
    keyed = []
    for agent, records in filled.items():
        is_sub = agent != MAIN_AGENT
        latest = _BEFORE
        for item in sorted(records, key=_time) if agent in unsorted else records:
            if item.timestamp is not None and item.timestamp > latest:
                latest = item.timestamp
            keyed.append((latest, is_sub, agent, item))
    keyed.sort(key=lambda entry: entry[:3])
    return [entry[3] for entry in keyed]


def assemble(collector: Collector, *, source: str, session_id: str | None) -> Session:
    """The session that the collected records tell."""
    orphans = collector.results.finish()
    parents = _parents(collector)
    subagents, gaps = _subagents(collector, parents)
    incomplete = (*collector.incomplete, *orphans, *gaps)

    steps: list[ModelStep] = []
    calls: list[ToolCall] = []
    messages: list[Message] = []
    for position, item in enumerate(merge_order(collector.items, collector.unsorted)):
        item.__dict__["position"] = position
        if isinstance(item, ToolCall):
            calls.append(item)
        elif isinstance(item, ModelStep):
            steps.append(item)
        else:
            messages.append(item)
    skills = [*collector.results.skills(calls)]
    skills.extend(SkillUse(name=name, status="loaded") for name in collector.slash_skills)

    notes = _usage_notes(steps, [*incomplete, *collector.usage_gaps])
    last = next((step for step in reversed(steps) if step.agent == MAIN_AGENT), None)
    return Session(
        session_id=session_id,
        steps=tuple(steps),
        tool_calls=tuple(calls),
        messages=tuple(messages),
        files=tuple(collector.results.files(calls)),
        subagents=subagents,
        skills=tuple(skills),
        api_errors=tuple(collector.api_errors),
        start_time=collector.start,
        end_time=collector.end,
        cwd=collector.cwd,
        git_branch=collector.git_branch,
        version=collector.version,
        permission_mode=collector.permission_mode,
        stop_reason=last.stop_reason if last is not None else None,
        usage_complete=not notes,
        usage_notes=notes,
        cost_usd=_recorded_cost(collector, steps),
        incomplete=incomplete,
        source=source,
        diagnostics=collector.all_diagnostics(),
    )


def _time(item: Record) -> datetime:
    return item.timestamp or _BEFORE


def _parents(collector: Collector) -> dict[str, AgentDraft]:
    """The sub-agent that each call started, by call id; drafts learn their parent on the way.

    Evidence in this order: the call's result names the agent; the agent's own record names the
    call; the agent's first prompt is the call's (versions that name neither).
    """
    parents: dict[str, AgentDraft] = {}
    for call_id, structured in collector.results.structured.items():
        if structured.agentId:
            agent = collector.agent(structured.agentId)
            if agent.parent_call_id is None:
                agent.parent_call_id = call_id
    for agent in collector.agents.values():
        if agent.parent_call_id is not None:
            parents.setdefault(agent.parent_call_id, agent)
    waiting: dict[str, list[AgentDraft]] = {}
    for agent in collector.agents.values():
        if agent.parent_call_id is None and agent.prompt:
            waiting.setdefault(agent.prompt.strip(), []).append(agent)
    for call in collector.calls.values():
        if call.name not in _AGENT_TOOLS or call.id in parents:
            continue
        prompt = (call.input or {}).get("prompt")
        candidates = waiting.get(prompt.strip()) if isinstance(prompt, str) else None
        if candidates:
            agent = candidates.pop(0)
            agent.parent_call_id = call.id
            parents[call.id] = agent
    return parents


def _subagents(
    collector: Collector, parents: dict[str, AgentDraft]
) -> tuple[tuple[SubAgent, ...], list[str]]:
    """All sub-agents, in the order of the calls that started them, and those without a record."""
    gaps: list[str] = []
    agents = dict(collector.agents)
    for call in collector.calls.values():
        if call.name not in _AGENT_TOOLS or call.id in parents:
            continue
        if call.outcome in ("failed", "denied"):
            continue  # refused before it began, or nothing tells that it ever did
        agent = AgentDraft(call.id, parent_call_id=call.id)
        parents[call.id] = agents[agent.id] = agent
    found = []
    for agent in agents.values():
        parent = collector.calls.get(agent.parent_call_id or "")
        structured = collector.results.structured.get(agent.parent_call_id or "")
        arguments = (parent.input if parent is not None else None) or {}
        kind = agent.type or (structured.agentType if structured is not None else None)
        status = structured.status if structured is not None else None
        prompt = arguments.get("prompt") or agent.prompt
        if not agent.recorded:
            gaps.append(f"the transcript of sub-agent {agent.id} is not at hand")
        found.append(
            SubAgent(
                id=agent.id,
                type=kind or _text(arguments.get("subagent_type")),
                prompt=_text(prompt),
                parent_call_id=agent.parent_call_id,
                background=status in LAUNCHED,
                status=status,
            )
        )
    rank = {call_id: index for index, call_id in enumerate(collector.calls)}
    last = len(rank)
    found.sort(key=lambda agent: (rank.get(agent.parent_call_id or "", last), agent.id))
    return tuple(found), gaps


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _usage_notes(steps: list[ModelStep], gaps: list[str]) -> tuple[str, ...]:
    notes = list(gaps)
    bounds = sum(1 for step in steps if not step.usage_complete)
    if bounds:
        notes.append(
            f"{bounds} of {len(steps)} API responses record only a lower bound of their tokens"
        )
    return tuple(notes)


def _recorded_cost(collector: Collector, steps: list[ModelStep]) -> float | None:
    """The cost that the source states for the whole session: in one figure, or for every step."""
    if collector.total_cost is not None:
        return collector.total_cost
    costs = [step.cost_usd for step in steps if step.cost_usd is not None]
    return sum(costs) if costs and len(costs) == len(steps) else None
