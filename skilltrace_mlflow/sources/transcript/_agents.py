"""The sub-agents of a session: which entry belongs to whom, and which call started whom."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from skilltrace_mlflow.session import (
    MAIN_AGENT,
    WARM_UP,
    SubAgent,
    ToolCall,
    agent_gap,
    is_own_agent,
)
from skilltrace_mlflow.sources.transcript._background import LAUNCHED, Notification
from skilltrace_mlflow.sources.transcript._wire import Entry, ToolUseResult
from skilltrace_mlflow.tools import starts_agent

__all__ = ["NOT_RECORDED", "AgentDraft", "Agents"]

NOT_RECORDED = "not recorded"
"""Status of a workflow's agent of which the record holds nothing but that it ran."""

_MOST_AGENTS = 10_000
_WARM_UP_PROMPT = "Warmup"  # its own first line may also be missing from its file


class AgentDraft(msgspec.Struct, gc=False):
    """A sub-agent; `recorded` once an entry of its own was seen, `counted` where nothing but a
    workflow's count of its agents shows that it ran.
    """

    id: str
    type: str | None = None
    prompt: str | None = None
    parent_call_id: str | None = None
    recorded: bool = False
    warm_up: bool = False
    counted: bool = False


class Agents:
    """The sub-agents' drafts."""

    def __init__(self) -> None:
        self._drafts: dict[str, AgentDraft] = {}
        self._chains: dict[str, str] = {}

    def get(self, agent_id: str) -> AgentDraft:
        """The draft of that sub-agent, made on first use."""
        draft = self._drafts.get(agent_id)
        if draft is None:
            draft = self._drafts[agent_id] = AgentDraft(agent_id)
        return draft

    def of(self, entry: Entry) -> str:
        """Which agent an entry of a session's own file belongs to.

        Side chains inside the main file (versions 1.0) carry no id of their own: an entry belongs
        to its parent's agent, and one without a parent in a side chain begins a new agent.
        """
        speaks = entry.type == "assistant" or entry.type == "user"
        if not entry.isSidechain:
            if not entry.parent_tool_use_id:
                return MAIN_AGENT
            agent = entry.parent_tool_use_id  # the CLI's stream-json output names the call
            self.get(agent).parent_call_id = agent
        elif entry.agentId:
            agent = entry.agentId
        else:
            agent = self._chains.get(entry.parentUuid or "") or entry.uuid or "sidechain"
            if entry.uuid:
                agent = self._chains.setdefault(entry.uuid, agent)
        if speaks:
            self.get(agent).recorded = True
        return agent

    def finish(
        self,
        calls: Mapping[str, ToolCall],
        structured: Mapping[str, ToolUseResult],
        figures: Mapping[str, Notification] = MappingProxyType({}),
    ) -> tuple[tuple[SubAgent, ...], list[str]]:
        """All sub-agents, in the order of the calls that started them, and what is not at hand.

        `structured` are the calls' structured results, `figures` what the notifications of
        workflows say of their agents.
        """
        gaps_of_workflows: list[str] = []
        workflows = {
            call_id: figures.get(call_id)
            for call_id, result in structured.items()
            if result.taskType == "local_workflow" and call_id in calls
        }
        for call in calls.values():
            # Its structured result may be missing or damaged; that it ran is known all the same.
            if call.name == "Workflow" and call.outcome not in ("failed", "denied"):
                workflows.setdefault(call.id, figures.get(call.id))
        started = self._match(calls, structured)
        drafts = dict(self._drafts)
        for call in calls.values():
            # Refused before it began, or nothing tells that it ever did: no agent.
            if (
                starts_agent(call.name)
                and call.id not in started
                and call.outcome not in ("failed", "denied")
            ):
                drafts[call.id] = AgentDraft(call.id, parent_call_id=call.id)
        busy = {call.agent for call in calls.values()}
        for draft in drafts.values():
            if draft.parent_call_id is None and draft.recorded:
                silent = draft.prompt is None and draft.id not in busy
                draft.warm_up = silent or draft.prompt == _WARM_UP_PROMPT
        for call_id, news in workflows.items():
            gap = _unfound(call_id, news, drafts, structured)
            if gap is not None:
                gaps_of_workflows.append(gap)
        found = [
            _described(draft, calls.get(draft.parent_call_id or ""), structured)
            for draft in drafts.values()
            if not is_own_agent(draft.id)
        ]
        gaps = [
            agent_gap(draft.id)
            for draft in drafts.values()
            if not (draft.recorded or draft.counted or is_own_agent(draft.id))
        ]
        rank = {call_id: index for index, call_id in enumerate(calls)}
        last = len(rank)
        found.sort(key=lambda agent: (rank.get(agent.parent_call_id or "", last), agent.id))
        return tuple(found), [*gaps, *gaps_of_workflows]

    def _match(
        self, calls: Mapping[str, ToolCall], structured: Mapping[str, ToolUseResult]
    ) -> set[str]:
        """Tell the drafts which call started them; returns those calls.

        Evidence in this order: the call's result names the agent; the agent's own record names the
        call; the agent's first prompt is the call's (versions that name neither).
        """
        for call_id, result in structured.items():
            if result.agentId:
                draft = self.get(result.agentId)
                if draft.parent_call_id is None:
                    draft.parent_call_id = call_id
        started = {draft.parent_call_id for draft in self._drafts.values()}
        waiting: dict[str, list[AgentDraft]] = {}
        for draft in self._drafts.values():
            if draft.parent_call_id is None and draft.prompt:
                waiting.setdefault(draft.prompt.strip(), []).append(draft)
        for call in calls.values():
            if not waiting or not starts_agent(call.name) or call.id in started:
                continue
            prompt = (call.input or {}).get("prompt")
            candidates = waiting.get(prompt.strip()) if isinstance(prompt, str) else None
            if candidates:
                candidates.pop(0).parent_call_id = call.id
                started.add(call.id)
        return {call_id for call_id in started if call_id is not None}


def _unfound(
    call_id: str,
    news: Notification | None,
    drafts: dict[str, AgentDraft],
    structured: Mapping[str, ToolUseResult],
) -> str | None:
    """What is missing of a workflow's agents; those that are only counted become drafts."""
    result = structured.get(call_id)
    run = (result.runId if result is not None else None) or call_id
    seen = sum(1 for draft in drafts.values() if draft.parent_call_id == call_id)
    if news is None or news.agents is None:
        return None if seen else f"the agents of workflow {run} are not at hand"
    lost = max(news.agents - seen, 0)
    for number in range(min(lost, _MOST_AGENTS)):
        name = f"{run}#{seen + number + 1}"
        drafts[name] = AgentDraft(name, parent_call_id=call_id, counted=True)
    if not lost:
        return None
    said = [
        f"{count:,} {what}"
        for count, what in ((news.tokens, "tokens"), (news.tool_uses, "tool uses"))
        if count is not None
    ]
    in_all = f" (in all: {', '.join(said)})" if said else ""
    return f"{lost} of {news.agents} agents of workflow {run} are not at hand{in_all}"


def _described(
    draft: AgentDraft, parent: ToolCall | None, structured: Mapping[str, ToolUseResult]
) -> SubAgent:
    result = structured.get(draft.parent_call_id or "")
    arguments = (parent.input if parent is not None else None) or {}
    kind = draft.type or (result.agentType if result is not None else None)
    status = result.status if result is not None else (WARM_UP if draft.warm_up else None)
    if draft.counted:
        status = NOT_RECORDED
    return SubAgent(
        id=draft.id,
        type=kind or _text(arguments.get("subagent_type")),
        prompt=_text(arguments.get("prompt")) or draft.prompt,
        parent_call_id=draft.parent_call_id,
        background=status in LAUNCHED,
        status=status,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
