"""From a collector's drafts to a `Session`: order, outcomes, files, skills, sub-agents, gaps.

Order. Each agent's own order is kept; the agents are merged by time, where the time of an entry is
the latest seen so far in its agent (clocks step back, timestamps are missing). On ties the main
agent comes first, then sub-agents by id. A reader of another source has to do the same to arrive
at an equal session.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from skilltrace_mlflow.session import (
    MAIN_AGENT,
    CallOutcome,
    FileOperation,
    Message,
    ModelStep,
    Session,
    SkillUse,
    SubAgent,
    TokenUsage,
    ToolCall,
)
from skilltrace_mlflow.sources._collect import (
    AgentDraft,
    CallDraft,
    Collector,
    Draft,
    ResultDraft,
    StepDraft,
    TextDraft,
)
from skilltrace_mlflow.sources._outcome import classify_error
from skilltrace_mlflow.sources._wire import Usage, decode_raw

__all__ = ["assemble", "merge_order"]

_BEFORE = datetime.min.replace(tzinfo=timezone.utc)
_AGENT_TOOLS = frozenset(("Task", "Agent"))
_LAUNCHED = frozenset(("async_launched", "remote_launched", "teammate_spawned"))
_EDITORS = frozenset(("Edit", "MultiEdit"))


def merge_order(items: Mapping[str, list[Draft]], unsorted: Iterable[str] = ()) -> list[Draft]:
    """All agents' drafts in one order (see the module's text)."""
    if len(items) == 1:
        return next(iter(items.values()))
    keyed = []
    for agent, drafts in items.items():
        is_sub = agent != MAIN_AGENT
        latest = _BEFORE
        own = sorted(drafts, key=_time) if agent in unsorted else drafts
        for draft in own:
            if draft.timestamp is not None and draft.timestamp > latest:
                latest = draft.timestamp
            keyed.append((latest, is_sub, agent, draft))
    keyed.sort(key=lambda entry: entry[:3])
    return [entry[3] for entry in keyed]


def assemble(collector: Collector, *, source: str, session_id: str | None) -> Session:
    """The session that the collected drafts tell."""
    outcomes = {
        call_id: _outcome(collector, call_id, collector.results.get(call_id))
        for call_id in collector.calls
    }
    incomplete = list(collector.incomplete)
    incomplete.extend(_orphans(collector))
    parents = _parents(collector)
    subagents, gaps = _subagents(collector, parents, outcomes)
    incomplete.extend(gaps)

    steps: list[ModelStep] = []
    calls: list[ToolCall] = []
    messages: list[Message] = []
    files: list[FileOperation] = []
    skills: list[SkillUse] = []
    for position, draft in enumerate(merge_order(collector.items, collector.unsorted)):
        if isinstance(draft, StepDraft):
            steps.append(_step(draft, position))
        elif isinstance(draft, CallDraft):
            outcome, reason = outcomes[draft.id]
            result = collector.results.get(draft.id)
            calls.append(_call(draft, result, outcome, reason, position))
            if outcome == "succeeded":
                operation = _file(draft, result)
                if operation is not None:
                    files.append(operation)
            if draft.name == "Skill":
                skills.append(_skill(draft, result, outcome))
        else:
            messages.append(_message(draft, position))
    skills.extend(SkillUse(name=name, status="loaded") for name in collector.slash_skills)

    notes = _usage_notes(steps, [*incomplete, *collector.usage_gaps])
    main = [step for step in steps if step.agent == MAIN_AGENT]
    return Session(
        session_id=session_id,
        steps=tuple(steps),
        tool_calls=tuple(calls),
        messages=tuple(messages),
        files=tuple(files),
        subagents=subagents,
        skills=tuple(skills),
        api_errors=tuple(collector.api_errors),
        start_time=collector.start,
        end_time=collector.end,
        cwd=collector.cwd,
        git_branch=collector.git_branch,
        version=collector.version,
        permission_mode=collector.permission_mode,
        stop_reason=main[-1].stop_reason if main else None,
        usage_complete=not notes,
        usage_notes=notes,
        cost_usd=_recorded_cost(collector, steps),
        incomplete=tuple(incomplete),
        source=source,
        diagnostics=tuple(collector.finish_diagnostics()),
    )


def _time(draft: Draft) -> datetime:
    return draft.timestamp or _BEFORE


def _step(draft: StepDraft, position: int) -> ModelStep:
    usage = draft.usage
    return ModelStep(
        id=draft.id,
        model=draft.model,
        timestamp=draft.timestamp,
        agent=draft.agent,
        usage=_tokens(usage),
        usage_complete=draft.stop_reason is not None and _is_whole(usage),
        stop_reason=draft.stop_reason,
        speed=usage.speed if usage is not None else None,
        web_search_requests=_searches(usage),
        cost_usd=draft.cost if draft.cost is not None and math.isfinite(draft.cost) else None,
        position=position,
    )


def _tokens(usage: Usage | None) -> TokenUsage:
    if usage is None:
        return TokenUsage()
    long_lived = usage.cache_creation.ephemeral_1h_input_tokens if usage.cache_creation else 0
    return TokenUsage(
        input_tokens=max(usage.input_tokens or 0, 0),
        output_tokens=max(usage.output_tokens or 0, 0),
        cache_creation_input_tokens=max(usage.cache_creation_input_tokens or 0, 0),
        cache_read_input_tokens=max(usage.cache_read_input_tokens or 0, 0),
        cache_creation_1h_input_tokens=max(long_lived or 0, 0),
    )


def _is_whole(usage: Usage | None) -> bool:
    """Whether all of a response's tokens stand in its usage.

    After a refusal that another model answered, and after a compaction by the server, the figures
    at the top leave out all attempts but the last; `iterations` then holds more than they say.
    """
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return False
    if min(usage.input_tokens, usage.output_tokens) < 0:
        return False
    if usage.iterations is None or len(usage.iterations) < 2:
        return True
    attempts = [decode_raw(attempt) for attempt in usage.iterations]
    for name, total in (
        ("input_tokens", usage.input_tokens),
        ("output_tokens", usage.output_tokens),
        ("cache_creation_input_tokens", usage.cache_creation_input_tokens or 0),
        ("cache_read_input_tokens", usage.cache_read_input_tokens or 0),
    ):
        values = [attempt.get(name) for attempt in attempts if isinstance(attempt, dict)]
        if sum(value for value in values if isinstance(value, int)) > total:
            return False
    return True


def _searches(usage: Usage | None) -> int:
    if usage is None or usage.server_tool_use is None:
        return 0
    return max(usage.server_tool_use.web_search_requests or 0, 0)


def _outcome(
    collector: Collector, call_id: str, result: ResultDraft | None
) -> tuple[CallOutcome, str]:
    if result is None:
        return "unknown", "no result recorded"
    if result.is_error is True:
        structured = result.structured
        return classify_error(
            result.head,
            denial_kind=result.denial_kind,
            result=result.plain,
            hook_blocked=call_id in collector.hook_blocked,
            interrupted=structured is not None and bool(structured.interrupted),
        )
    if result.is_error is False or result.is_error is None:
        structured = result.structured
        if structured is not None and structured.status in _LAUNCHED:
            return "succeeded", "launched in the background"
        return "succeeded", ""
    return "unknown", "is_error is neither true nor false"


def _call(
    draft: CallDraft,
    result: ResultDraft | None,
    outcome: CallOutcome,
    reason: str,
    position: int,
) -> ToolCall:
    end = duration = load = None
    details: Mapping[str, Any] = {}
    if result is not None:
        end, load = result.timestamp, result.load
        if result.structured is not None:
            details, duration = _details(result)
        if duration is None and end is not None and draft.timestamp is not None:
            duration = max((end - draft.timestamp).total_seconds() * 1000, 0.0)
    return ToolCall(
        id=draft.id,
        name=draft.name,
        input=draft.input,
        timestamp=draft.timestamp,
        end_timestamp=end,
        outcome=outcome,
        outcome_reason=reason,
        agent=draft.agent,
        message_id=draft.message_id,
        duration_ms=duration,
        details=details,
        load_result=load,
        position=position,
    )


def _details(result: ResultDraft) -> tuple[dict[str, Any], float | None]:
    """What a structured result says beside success and failure, and the duration it reports."""
    structured = result.structured
    if structured is None:
        return {}, None
    details: dict[str, Any] = {}
    if structured.success is False:
        details["success"] = False
    if structured.code is not None:
        details["code"] = structured.code
    if structured.status is not None:
        details["status"] = structured.status
    if structured.agentId is not None:
        details["agent_id"] = structured.agentId
    if structured.backgroundTaskId is not None:
        details["background_task_id"] = structured.backgroundTaskId
    duration = structured.totalDurationMs
    return details, structured.durationMs if duration is None else duration


def _file(draft: CallDraft, result: ResultDraft | None) -> FileOperation | None:
    """The file that a successful call created, edited or read."""
    name = draft.name
    structured = result.structured if result is not None else None
    arguments = draft.input or {}
    if name == "Read":
        path = structured.file.filePath if structured is not None and structured.file else None
        return _operation("read", path or arguments.get("file_path"), draft)
    if name in _EDITORS:
        path = structured.filePath if structured is not None else None
        return _operation("edit", path or arguments.get("file_path"), draft)
    if name == "NotebookEdit":
        return _operation("edit", arguments.get("notebook_path"), draft)
    if name != "Write":
        return None
    path = (structured.filePath if structured is not None else None) or arguments.get("file_path")
    if structured is not None and structured.type is not None:
        kind = "edit" if structured.type == "update" else "create"
    else:  # the result's sentence: "File created successfully at: …", "The file … has been updated"
        head = result.head if result is not None else ""
        kind = "edit" if head.startswith("The file ") else "create"
    content = arguments.get("content")
    return _operation(kind, path, draft, content if isinstance(content, str) else None)


def _operation(
    kind: Any, path: object, draft: CallDraft, content: str | None = None
) -> FileOperation | None:
    if not isinstance(path, str) or not path:
        return None
    return FileOperation(
        type=kind, file_path=path, content=content, agent=draft.agent, call_id=draft.id
    )


def _skill(draft: CallDraft, result: ResultDraft | None, outcome: CallOutcome) -> SkillUse:
    structured = result.structured if result is not None else None
    arguments = draft.input or {}
    # `skill` since 2.0.3x, `command` before
    name = arguments.get("skill") or arguments.get("command")
    if not isinstance(name, str):
        name = (structured.commandName if structured is not None else None) or ""
    status: Any = "attempted"
    if outcome == "succeeded":
        status = "failed" if structured is not None and structured.success is False else "loaded"
    elif outcome in ("failed", "denied"):
        status = "failed"
    return SkillUse(name=name.lstrip("/"), status=status, call_id=draft.id, agent=draft.agent)


def _message(draft: TextDraft, position: int) -> Message:
    return Message(
        role="user" if draft.role == "user" else "assistant",
        text=draft.text,
        timestamp=draft.timestamp,
        agent=draft.agent,
        id=draft.id,
        position=position,
    )


def _orphans(collector: Collector) -> Iterator[str]:
    for call_id, result in collector.results.items():
        if call_id not in collector.calls:
            yield f"{result.where}: result of a call that is not recorded ({call_id})"


def _parents(collector: Collector) -> dict[str, AgentDraft]:
    """The sub-agent that each call started, by call id; drafts learn their parent on the way.

    Evidence in this order: the call's result names the agent; the agent's own record names the
    call; the agent's first prompt is the call's (versions that name neither).
    """
    parents: dict[str, AgentDraft] = {}
    for call_id, result in collector.results.items():
        if result.structured is not None and result.structured.agentId:
            agent = collector.agent(result.structured.agentId)
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
    collector: Collector,
    parents: dict[str, AgentDraft],
    outcomes: Mapping[str, tuple[CallOutcome, str]],
) -> tuple[tuple[SubAgent, ...], list[str]]:
    """All sub-agents, in the order of the calls that started them, and those without a record."""
    gaps: list[str] = []
    agents = dict(collector.agents)
    for call in collector.calls.values():
        if call.name not in _AGENT_TOOLS or call.id in parents:
            continue
        if outcomes[call.id][0] in ("failed", "denied"):
            continue  # refused before it began, or nothing tells that it ever did
        agent = AgentDraft(call.id, parent_call_id=call.id)
        parents[call.id] = agents[agent.id] = agent
    found = []
    for agent in agents.values():
        parent = collector.calls.get(agent.parent_call_id or "")
        result = collector.results.get(agent.parent_call_id or "")
        structured = result.structured if result is not None else None
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
                background=status in _LAUNCHED,
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
    total = collector.total_cost
    if total is not None and math.isfinite(total):
        return total
    costs = [step.cost_usd for step in steps]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else None
