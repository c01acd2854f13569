"""`TraceMetrics.to_dict()`, whole or in part, to `Session`.

Such a dictionary holds figures, not events. Calls, steps and messages are made up so that the
figures come out right again, and `Session.missing` names everything the dictionary cannot tell:
counts by name have no order, no inputs and no outcomes, so a check that needs those says `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, cast, get_args

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import (
    MAIN_AGENT,
    Ending,
    EndingKind,
    Evidence,
    FileOperation,
    Message,
    Session,
    SkillUse,
    SubAgent,
    ToolCall,
)
from skilltrace_mlflow.sources._builder import with_damages
from skilltrace_mlflow.sources._metrics_records import calls_of, steps_of
from skilltrace_mlflow.sources._metrics_values import (
    as_flag,
    as_mapping,
    as_mappings,
    as_number,
    as_records,
    as_sequence,
    as_text,
    as_texts,
    as_time,
)
from skilltrace_mlflow.tools import starts_agent

__all__ = ["is_metrics_dict", "session_from_metrics_dict"]

_KEYS = frozenset(
    (
        *("conversation", "cost_usd", "duration_seconds", "end_time", "files", "model"),
        *("session_id", "skills", "start_time", "subagents", "tokens", "tokens_main"),
        *("cost_source", "ending", "incomplete", "steps", "tools", "usage_complete"),
    )
)
_ENDINGS: tuple[str, ...] = get_args(EndingKind)
_COST_SOURCES = ("recorded", "price table")
_FILE_KINDS = {"created": "create", "modified": "edit", "read": "read"}
_WARM_UP = "warm-up"  # the status of agents that Claude Code started by itself
_SKILL_STATES = ("attempted", "failed", "loaded", "read")


def is_metrics_dict(value: Mapping[str, Any]) -> bool:
    """Whether any key is one of `TraceMetrics.to_dict()`."""
    return not _KEYS.isdisjoint(value)


def session_from_metrics_dict(metrics: Mapping[str, Any]) -> Session:
    """A session with these figures; whatever the dictionary lacks is in `missing`.

    Raises InputError for a value of the wrong kind, naming its key.
    """
    missing: dict[Evidence, str] = {
        "tool_results": "figures hold no tool results",
        "permission_rules": "figures hold no permission rules",
    }
    calls = calls_of(as_mapping(metrics, "tools"), missing)
    incomplete = as_texts(metrics, "incomplete")
    complete = as_flag(metrics, "usage_complete", default=True, empty=False)
    cost = as_number(metrics.get("cost_usd"), "cost_usd")
    if cost is None:
        missing["cost"] = "the figures have no cost_usd"
    recorded = _is_recorded(metrics, whole=complete and not incomplete)
    steps = steps_of(metrics, missing, computed_cost=None if recorded else cost)
    start, end, seconds = _times(metrics, missing)
    notes = as_texts(metrics, "usage_notes")
    if not complete and not notes:
        notes = ("the figures say usage_complete: false",)
    session = Session(
        session_id=metrics.get("session_id"),
        steps=steps,
        tool_calls=calls,
        messages=_messages(as_mapping(metrics, "conversation"), missing),
        files=_files(as_mapping(metrics, "files"), missing),
        subagents=_subagents(metrics.get("subagents"), calls, missing),
        skills=_skills(metrics.get("skills"), missing),
        api_errors=as_texts(metrics, "api_errors"),
        start_time=start,
        end_time=end,
        stated_seconds=seconds,
        cwd=as_text(metrics.get("cwd"), "cwd"),
        version=as_text(metrics.get("version"), "version"),
        permission_mode=as_text(metrics.get("permission_mode"), "permission_mode"),
        ending=_ending(as_mapping(metrics, "ending")),
        usage_complete=complete,
        usage_notes=notes,
        cost_usd=cost if recorded else None,
        missing=missing,
        incomplete=incomplete,
        source="metrics dictionary",
    )
    _note_owners(metrics, session, missing)
    given = as_mapping(metrics, "missing") or {}
    missing.update({cast("Evidence", kind): str(reason) for kind, reason in given.items()})
    # Calls that are made up from counts by category have names that no tool has.
    listed = (as_mapping(metrics, "tools") or {}).get("calls") is not None
    return with_damages(session) if listed else session


def _is_recorded(metrics: Mapping[str, Any], *, whole: bool) -> bool:
    """Whether the source stated the cost. Where nobody says so, a cost beside usage that is known
    to be a lower bound was computed from it.
    """
    source = metrics.get("cost_source")
    if source not in (None, *_COST_SOURCES):
        raise InputError(f"cost_source: {source!r} is none of {', '.join(_COST_SOURCES)}")
    return whole if source is None else source == _COST_SOURCES[0]


def _note_owners(
    metrics: Mapping[str, Any], session: Session, missing: dict[Evidence, str]
) -> None:
    """Names without an agent beside sub-agents could be any agent's."""
    files = as_mapping(metrics, "files") or {}
    skills = metrics.get("skills") or ()
    unowned = (session.files and files.get("operations") is None) or any(
        isinstance(entry, Mapping) and "agent" not in entry for entry in skills
    )
    if unowned and session.subagents:
        missing.setdefault("agents", "the figures do not say which agent a file or a skill is of")


def _messages(
    conversation: Mapping[str, Any] | None, missing: dict[Evidence, str]
) -> tuple[Message, ...]:
    number = as_records((conversation or {}).get("user_messages"), "conversation.user_messages")
    if number is None:
        missing["messages"] = "the figures have no conversation.user_messages"
    return tuple(Message(role="user", text="", position=-1) for _ in range(number or 0))


def _files(
    files: Mapping[str, Any] | None, missing: dict[Evidence, str]
) -> tuple[FileOperation, ...]:
    if files is None or "created" not in files or "modified" not in files:
        missing["files"] = "the figures lack files.created or files.modified"
    named = {
        kind: _paths(files or {}, key)
        for key, kind in _FILE_KINDS.items()
        if key in (files or {}) or (files or {}).get("operations") is None
    }
    if files is None or files.get("operations") is None:
        return tuple(
            FileOperation(type=cast("Any", kind), file_path=path)
            for kind, paths in named.items()
            for path in paths
        )
    found = []
    for index, entry in enumerate(as_mappings(files["operations"], "files.operations")):
        where = f"files.operations[{index}]"
        path = as_text(entry.get("path"), f"{where}.path")
        if path is None or entry.get("type") not in _FILE_KINDS.values():
            raise InputError(f"{where}: expected a type and a path, got {entry!r:.80}")
        found.append(
            FileOperation(
                type=entry["type"],
                file_path=path,
                agent=as_text(entry.get("agent"), f"{where}.agent") or MAIN_AGENT,
                call_id=as_text(entry.get("call_id"), f"{where}.call_id"),
            )
        )
    for kind, paths in named.items():
        if set(paths) != {item.file_path for item in found if item.type == kind}:
            missing["files"] = "files.operations is not what the lists of files name"
    return tuple(found)


def _paths(files: Mapping[str, Any], key: str) -> Sequence[str]:
    paths = as_sequence(files.get(key) or (), f"files.{key}")
    for path in paths:
        if not isinstance(path, str):
            raise InputError(f"files.{key}: expected paths, got {path!r:.80}")
    return paths


def _subagents(
    listed: Any, calls: Sequence[ToolCall], missing: dict[Evidence, str]
) -> tuple[SubAgent, ...]:
    """The sub-agents. Figures that do not say which call started one leave it to their order: a
    call and the agent that it started are one sub-agent, not two.
    """
    if listed is None:
        missing["subagents"] = "the figures have no subagents"
        return ()
    entries = as_mappings(listed, "subagents")
    unsaid = not any("parent_call_id" in entry for entry in entries)
    launches = iter(
        [c.id for c in calls if unsaid and starts_agent(c.name) and c.outcome != "denied"]
    )
    agents = []
    for index, entry in enumerate(entries):
        where = f"subagents[{index}]"
        status = as_text(entry.get("status"), f"{where}.status")
        parent = as_text(entry.get("parent_call_id"), f"{where}.parent_call_id")
        if unsaid and status != _WARM_UP:
            parent = next(launches, None)
        agents.append(
            SubAgent(
                id=str(entry.get("id") or f"agent_{index}"),
                type=as_text(entry.get("type"), f"{where}.type"),
                parent_call_id=parent,
                status=status,
            )
        )
    return tuple(agents)


def _skills(listed: Any, missing: dict[Evidence, str]) -> tuple[SkillUse, ...]:
    if listed is None:
        missing["skills"] = "the figures have no skills"
        return ()
    uses = []
    for index, entry in enumerate(as_mappings(listed, "skills")):
        status = entry.get("status", "attempted")
        if not isinstance(entry.get("name"), str) or status not in _SKILL_STATES:
            raise InputError(f"skills[{index}]: expected a name and a status, got {entry!r:.80}")
        uses.append(
            SkillUse(
                name=entry["name"],
                status=status,
                agent=as_text(entry.get("agent"), f"skills[{index}].agent") or MAIN_AGENT,
                call_id=as_text(entry.get("call_id"), f"skills[{index}].call_id"),
            )
        )
    return tuple(uses)


def _ending(given: Mapping[str, Any] | None) -> Ending:
    """How the session ended; `unknown` where the figures do not say."""
    kind, text = (given or {}).get("kind", "unknown"), (given or {}).get("text", "")
    if kind not in _ENDINGS:
        raise InputError(f"ending.kind: {kind!r} is none of {', '.join(_ENDINGS)}")
    return Ending(kind=cast("EndingKind", kind), text=str(text))


def _times(
    metrics: Mapping[str, Any], missing: dict[Evidence, str]
) -> tuple[datetime | None, datetime | None, float | None]:
    """First and last entry, and the duration where it is more than lies between them."""
    start = as_time(metrics.get("start_time"), "start_time")
    end = as_time(metrics.get("end_time"), "end_time")
    duration = as_number(metrics.get("duration_seconds"), "duration_seconds")
    if (start is None or end is None) and duration is not None:
        # Only the difference is evidence; the day it happened on is not.
        start = start or datetime(1970, 1, 1, tzinfo=timezone.utc)
        try:
            end = start + timedelta(seconds=duration)
        except OverflowError:
            raise InputError(f"duration_seconds: {duration:g} leads beyond all time") from None
    if start is None or end is None:
        missing["times"] = "the figures have no start_time and end_time"
        return start, end, None
    longer = duration is not None and duration > (end - start).total_seconds()
    return start, end, duration if longer else None
