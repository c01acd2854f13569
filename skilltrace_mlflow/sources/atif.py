"""Harbor's ATIF trajectories (Agent Trajectory Interchange Format, v1.0 to v1.8) as sessions.

Read off the published specification and off what Harbor 0.26 makes of Claude Code's transcripts.
`prompt_tokens` include the cache; what was written to it stands under `metrics.extra`. Results
carry no mark of failure, so that outcomes are known only where `extra` says so or holds Claude
Code's own result. A sub-agent's steps stand among the others, marked under `extra`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import (
    MAIN_AGENT,
    CallOutcome,
    Ending,
    Evidence,
    Message,
    ModelStep,
    Session,
    SkillUse,
    SubAgent,
    TokenUsage,
    ToolCall,
)

__all__ = ["is_atif", "session_from_atif"]

_PREFIX = "ATIF-v1."
_LARGEST = 1e15  # of tokens or dollars: sums and prices of them stay finite
_FAILED = ("is_error", "tool_result_is_error")
# What Claude Code tells the model of a skill that was loaded; no prompt of a person.
_SKILL_TEXT = "Base directory for this skill:"


def is_atif(document: Any) -> bool:
    """Whether a JSON document is a trajectory of this format."""
    version = document.get("schema_version") if isinstance(document, Mapping) else None
    return isinstance(version, str) and version.startswith("ATIF-")


def session_from_atif(document: Mapping[str, Any], *, source: str = "") -> Session:
    """The session of a trajectory. Raises InputError for a version that is not known, and for one
    without steps.
    """
    version = str(document.get("schema_version"))
    if not version.startswith(_PREFIX):
        raise InputError(f"{source}: {version} is not known; ATIF-v1.x is")
    steps = document.get("steps")
    if not isinstance(steps, list) or not steps or not all(isinstance(s, dict) for s in steps):
        raise InputError(f"{source}: expected a list of objects under 'steps'")
    agent = _mapping(document.get("agent"))
    reader = _Reader(str(agent.get("model_name") or "") or None)
    for step in steps:
        reader.add(step)
    usage_known = all(step.usage_complete for step in reader.steps)
    missing: dict[Evidence, str] = {
        "files": "an ATIF trajectory does not say which files a call wrote",
        "permission_rules": "an ATIF trajectory holds no permission rules",
    }
    if any(call.outcome == "unknown" for call in reader.calls):
        missing["tool_outcomes"] = "an ATIF trajectory does not mark which calls failed"
    if not usage_known:
        missing["usage"] = "steps of the ATIF trajectory have no metrics"
    if reader.refers or document.get("subagent_trajectories"):
        missing["subagents"] = "sub-agents' trajectories are referred to and not read"
    total = _number(_mapping(document.get("final_metrics")).get("total_cost_usd"))
    times = [step.timestamp for step in reader.steps if step.timestamp is not None]
    return Session(
        session_id=str(document.get("session_id") or "") or None,
        steps=tuple(reader.steps),
        tool_calls=tuple(reader.calls),
        messages=tuple(reader.messages),
        skills=tuple(reader.skills),
        subagents=tuple(reader.subagents()),
        start_time=min(times, default=None),
        end_time=max(times, default=None),
        version=str(agent.get("version") or "") or None,
        ending=reader.ending,
        usage_complete=usage_known,
        cost_usd=total,
        missing=missing,
        source=source,
    )


class _Reader:
    """Collects the records of the steps, in order."""

    def __init__(self, model: str | None) -> None:
        self.model = model
        self.steps: list[ModelStep] = []
        self.calls: list[ToolCall] = []
        self.messages: list[Message] = []
        self.skills: list[SkillUse] = []
        self.refers = False

    @property
    def ending(self) -> Ending:
        """The format does not state it: a last response without a call is the agent's own end."""
        own = [step for step in self.steps if step.agent == MAIN_AGENT]
        if own and own[-1].stop_reason == "end_turn":
            return Ending(kind="finished")
        return Ending(kind="unknown", text="the trajectory ends behind a tool call")

    def subagents(self) -> Iterator[SubAgent]:
        """The sub-agents in order of their first step; the call whose prompt one began with
        started it.
        """
        names = dict.fromkeys(step.agent for step in self.steps if step.agent != MAIN_AGENT)
        for name in names:
            mine = (m.text for m in self.messages if m.agent == name and m.role == "user")
            prompt = next(mine, None)
            started = (c for c in self.calls if prompt and (c.input or {}).get("prompt") == prompt)
            call = next(started, None)
            kind = None if call is None else (call.input or {}).get("subagent_type")
            yield SubAgent(
                id=name,
                type=kind if isinstance(kind, str) else None,
                prompt=prompt,
                parent_call_id=None if call is None else call.id,
            )

    def add(self, step: Mapping[str, Any]) -> None:
        """One step: a prompt, or a response with its calls and their results."""
        source, when = step.get("source"), _time(step.get("timestamp"))
        text, agent = _text(step.get("message")), _agent(step)
        position = 1000 * (len(self.steps) + len(self.messages) + len(self.calls) + 1)
        if source == "user" and text is not None and not text.startswith(_SKILL_TEXT):
            self.messages.append(
                Message(role="user", text=text, timestamp=when, agent=agent, position=position)
            )
        if source != "agent":
            return
        identifier = f"step-{step.get('step_id', len(self.steps) + 1)}"
        usage = _usage(step.get("metrics"))
        self.steps.append(
            ModelStep(
                id=identifier,
                model=str(step.get("model_name") or "") or self.model,
                timestamp=when,
                agent=agent,
                usage=usage or TokenUsage(),
                usage_complete=usage is not None,
                stop_reason="tool_use" if step.get("tool_calls") else "end_turn",
                position=position,
            )
        )
        if text:
            self.messages.append(
                Message(
                    role="assistant",
                    text=text,
                    timestamp=when,
                    agent=agent,
                    position=position + 1,
                )
            )
        results = {str(r.get("source_call_id")): r for r in self._results(step)}
        failed = _failed(step.get("extra"))
        for number, call in enumerate(_objects(step.get("tool_calls"))):
            self._call(call, results, failed, when, agent, identifier, position + 2 + number)

    def _call(
        self,
        call: Mapping[str, Any],
        results: Mapping[str, Mapping[str, Any]],
        failed: bool | None,
        when: datetime | None,
        agent: str,
        message: str,
        position: int,
    ) -> None:
        name, arguments = str(call.get("function_name") or ""), call.get("arguments")
        identifier = str(call.get("tool_call_id") or f"{message}-{position}")
        result = results.get(identifier)
        own = _failed(call.get("extra")) if result is None else _failed(result.get("extra"))
        error = own if own is not None else failed
        outcome: CallOutcome = "unknown"
        if error is not None and result is not None:
            outcome = "failed" if error else "succeeded"
        content = None if result is None else _text(result.get("content"))
        self.calls.append(
            ToolCall(
                id=identifier,
                name=name,
                input=arguments if isinstance(arguments, Mapping) else None,
                timestamp=when,
                outcome=outcome,
                agent=agent,
                message_id=message,
                load_result=content,
                position=position,
            )
        )
        skill = arguments.get("skill") if isinstance(arguments, Mapping) else None
        if name == "Skill" and isinstance(skill, str):
            launched = content is not None and content.startswith("Launching skill:")
            status: Any = "failed" if error else "loaded" if launched else "attempted"
            self.skills.append(SkillUse(name=skill, status=status, call_id=identifier))

    def _results(self, step: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        for result in _objects(_mapping(step.get("observation")).get("results")):
            self.refers = self.refers or bool(result.get("subagent_trajectory_ref"))
            yield result


def _usage(metrics: Any) -> TokenUsage | None:
    values = _mapping(metrics)
    prompt, completion = (
        _count(values.get("prompt_tokens")),
        _count(values.get("completion_tokens")),
    )
    if prompt is None or completion is None:
        return None
    read = _count(values.get("cached_tokens")) or 0
    written = _count(_mapping(values.get("extra")).get("cache_creation_input_tokens")) or 0
    return TokenUsage(
        input_tokens=max(0, prompt - read - written),
        output_tokens=completion,
        cache_creation_input_tokens=written,
        cache_read_input_tokens=read,
    )


def _failed(extra: Any) -> bool | None:
    values = _mapping(extra)
    said = next((bool(values[key]) for key in _FAILED if values.get(key) is not None), None)
    if said is not None:
        return said
    # Claude Code's own result: there, no mark means that it went well.
    own = _mapping(values.get("tool_result_metadata")).get("raw_tool_result")
    return bool(own.get("is_error")) if isinstance(own, Mapping) else None


def _agent(step: Mapping[str, Any]) -> str:
    extra = _mapping(step.get("extra"))
    return str(extra.get("agent_id") or "sidechain") if extra.get("is_sidechain") else MAIN_AGENT


def _text(content: Any) -> str | None:
    """A message or result: text, or (since v1.6) parts of which some are text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    return "\n".join(str(part.get("text") or "") for part in _objects(content)).strip()


def _number(value: Any) -> float | None:
    """A finite number that is not negative; nothing else can be summed."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= _LARGEST else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
