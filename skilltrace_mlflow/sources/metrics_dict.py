"""`TraceMetrics.to_dict()`, whole or in part, to `Session`.

Such a dictionary holds figures, not events. Calls, steps and messages are made up so that the
figures come out right again, and `Session.missing` names everything the dictionary cannot tell:
counts by name have no order, no inputs and no outcomes, so a check that needs those says `unknown`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, cast, get_args

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import (
    MAIN_AGENT,
    CallOutcome,
    Ending,
    EndingKind,
    Evidence,
    FileOperation,
    Message,
    ModelStep,
    Session,
    SkillUse,
    SubAgent,
    TokenUsage,
    ToolCall,
)
from skilltrace_mlflow.sources._metrics_values import (
    as_count,
    as_counts,
    as_mapping,
    as_mappings,
    as_number,
    as_sequence,
    as_time,
)
from skilltrace_mlflow.sources.transcript._outcome import MAYBE_REFUSED
from skilltrace_mlflow.tools import tool_category

__all__ = ["is_metrics_dict", "session_from_metrics_dict"]

_KEYS = frozenset(
    (
        *("conversation", "cost_usd", "duration_seconds", "end_time", "files", "model"),
        *("session_id", "skills", "start_time", "subagents", "tokens", "tokens_main"),
        *("ending", "tools", "usage_complete"),
    )
)
_FIGURES: Mapping[str, Evidence] = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_creation": "cache_creation_tokens",
    "cache_read": "cache_read_tokens",
    "total": "total_tokens",
}
_OUTCOMES: tuple[str, ...] = get_args(CallOutcome)
_ENDINGS: tuple[str, ...] = get_args(EndingKind)
_MOST_CALLS = 1_000_000
# A name whose category is the key; MCP categories are built from their server's name.
_STAND_INS = {
    "agent": "Agent",
    "bash": "Bash",
    "file_ops": "Read",
    "planning": "TodoWrite",
    "skill": "Skill",
    "web": "WebFetch",
}


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
    calls = _calls(as_mapping(metrics, "tools"), missing)
    steps, complete, notes = _steps(metrics, missing)
    start, end = _times(metrics, missing)
    if "cost_usd" not in metrics or metrics["cost_usd"] is None:
        missing["cost"] = "the figures have no cost_usd"
    return Session(
        session_id=metrics.get("session_id"),
        steps=steps,
        tool_calls=calls,
        messages=_messages(as_mapping(metrics, "conversation"), missing),
        files=_files(as_mapping(metrics, "files"), missing),
        subagents=_subagents(metrics.get("subagents"), missing),
        skills=_skills(metrics.get("skills"), missing),
        start_time=start,
        end_time=end,
        ending=_ending(as_mapping(metrics, "ending")),
        usage_complete=complete,
        usage_notes=notes,
        cost_usd=as_number(metrics.get("cost_usd"), "cost_usd"),
        missing=missing,
        source="metrics dictionary",
    )


def _calls(tools: Mapping[str, Any] | None, missing: dict[Evidence, str]) -> tuple[ToolCall, ...]:
    counts_only: tuple[Evidence, ...] = ("tool_order", "tool_inputs", "tool_outcomes", "agents")
    listed = None if tools is None else tools.get("calls")
    if tools is not None and listed is not None:
        calls = _listed_calls(listed, missing)
        _compare(calls, tools, missing)
        return calls
    by_name = None if tools is None else as_counts(tools, "by_name")
    by_category = None if tools is None else as_counts(tools, "by_category")
    total = None if tools is None else as_count(tools.get("total_calls"), "tools.total_calls")
    if total == 0 and not by_name and not by_category:
        return ()
    if by_name is None and by_category is None:
        for kind in (*counts_only, "tool_names", "tool_categories"):
            missing[kind] = "the figures have neither tools.by_name nor tools.calls"
        return ()
    for kind in counts_only:
        missing[kind] = "the figures have counts of tool calls only"
    if by_name is None:
        missing["tool_names"] = "the figures have tools.by_category but not tools.by_name"
        names = {_stand_in(category): n for category, n in (by_category or {}).items()}
    else:
        names = dict(by_name)
        found = Counter[str]()
        for name, number in names.items():
            found[tool_category(name)] += number
        if by_category is not None and +found != +Counter(by_category):
            missing["tool_categories"] = (
                f"tools.by_category {dict(by_category)} is not what tools.by_name adds up to "
                f"{dict(found)}"
            )
    number = sum(names.values())
    if number > _MOST_CALLS:
        raise InputError(f"tools: {number} calls are more than {_MOST_CALLS}")
    if total is not None and total != number:
        for kind in ("tool_names", "tool_categories"):
            missing[kind] = f"the figures name {number} of {total} tool calls"
    outcome = _common_outcome(cast("Mapping[str, Any]", tools), number)
    if outcome != "unknown":
        del missing["tool_outcomes"]
    repeated = (name for name, count in sorted(names.items()) for _ in range(count))
    return tuple(
        ToolCall(id=f"call_{index}", name=name, input=None, outcome=outcome, position=index)
        for index, name in enumerate(repeated)
    )


def _listed_calls(listed: Any, missing: dict[Evidence, str]) -> tuple[ToolCall, ...]:
    calls = []
    for index, entry in enumerate(as_sequence(listed, "tools.calls")):
        where = f"tools.calls[{index}]"
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise InputError(f"{where}: expected a mapping with a name, got {entry!r:.80}")
        outcome = entry.get("outcome", "unknown")
        if outcome not in _OUTCOMES:
            raise InputError(f"{where}.outcome: {outcome!r} is none of {', '.join(_OUTCOMES)}")
        arguments = entry.get("input")
        if arguments is not None and not isinstance(arguments, Mapping):
            raise InputError(f"{where}.input: expected a mapping, got {arguments!r:.80}")
        if arguments is None:
            missing["tool_inputs"] = (
                "the figures have no inputs (TraceMetrics.to_dict(inputs=True))"
            )
        if "outcome" not in entry:
            missing["tool_outcomes"] = f"{where} has no outcome"
        if "agent" not in entry:
            missing["agents"] = f"{where} has no agent"
        calls.append(
            ToolCall(
                id=str(entry.get("id") or f"call_{index}"),
                name=entry["name"],
                input=arguments,
                outcome=outcome,
                agent=str(entry.get("agent", MAIN_AGENT)),
                details={MAYBE_REFUSED: True} if entry.get(MAYBE_REFUSED) is True else {},
                position=index,
            )
        )
    return tuple(calls)


def _compare(
    calls: Sequence[ToolCall], tools: Mapping[str, Any], missing: dict[Evidence, str]
) -> None:
    """Where the counts beside the list say otherwise, neither is evidence."""
    by_name = as_counts(tools, "by_name")
    total = as_count(tools.get("total_calls"), "tools.total_calls")
    listed = Counter(call.name for call in calls)
    if (by_name is not None and +Counter(by_name) != listed) or total not in (None, len(calls)):
        for kind in ("tool_names", "tool_categories"):
            missing[kind] = "tools.calls is not what tools.by_name and tools.total_calls count"
    outcomes = Counter[str](call.outcome for call in calls)
    for key in _OUTCOMES:
        if as_count(tools.get(key), f"tools.{key}") not in (None, outcomes[key]):
            missing["tool_outcomes"] = f"tools.calls is not what tools.{key} counts"


def _common_outcome(tools: Mapping[str, Any], number: int) -> CallOutcome:
    """The outcome that all calls share, where the counts by outcome leave only one possible."""
    given = {key: as_count(tools.get(key), f"tools.{key}") or 0 for key in _OUTCOMES}
    shared = [key for key, count in given.items() if count]
    if len(shared) == 1 and given[shared[0]] == number:
        return cast("CallOutcome", shared[0])
    return "unknown"


def _stand_in(category: str) -> str:
    if category.startswith("mcp_"):
        return f"mcp__{category[len('mcp_') :]}__tool"
    return _STAND_INS.get(category, f"({category})")


def _steps(
    metrics: Mapping[str, Any], missing: dict[Evidence, str]
) -> tuple[tuple[ModelStep, ...], bool, tuple[str, ...]]:
    """As many steps of the main agent as there were turns; the first carries the usage."""
    conversation = as_mapping(metrics, "conversation") or {}
    turns = as_count(conversation.get("turns"), "conversation.turns")
    usage, absent = _usage(as_mapping(metrics, "tokens"), "tokens")
    main, main_absent = _usage(as_mapping(metrics, "tokens_main"), "tokens_main")
    if usage is None:
        missing["usage"] = "the figures have no tokens"
    missing.update(absent)
    if turns is None:
        missing["turns"] = "the figures have no conversation.turns"
    if usage is not None and (main is None or main_absent) and not _no_subagents(metrics):
        missing["agents"] = "the figures have no tokens_main"
    own = usage if usage is not None and (main is None or main_absent) else main
    steps = [
        ModelStep(
            id=f"step_{index}",
            model=metrics.get("model"),
            usage=own or TokenUsage() if index == 0 else TokenUsage(),
            position=index,
        )
        for index in range(max(turns or 0, 1 if own else 0))
    ]
    if turns == 0 and steps:
        missing["turns"] = "conversation.turns is 0, but there are tokens"
    if usage is not None and own is not None and own != usage:
        rest = TokenUsage(
            input_tokens=usage.input_tokens - own.input_tokens,
            output_tokens=usage.output_tokens - own.output_tokens,
            cache_creation_input_tokens=usage.cache_creation_input_tokens
            - own.cache_creation_input_tokens,
            cache_read_input_tokens=usage.cache_read_input_tokens - own.cache_read_input_tokens,
        )
        steps.append(
            ModelStep(id="step_subagents", agent="subagents", usage=rest, position=len(steps))
        )
    complete = metrics.get("usage_complete", True) or False
    if not isinstance(complete, bool):
        raise InputError(f"usage_complete: expected true or false, got {complete!r:.80}")
    notes = () if complete else ("the figures say usage_complete: false",)
    return tuple(steps), complete, notes


def _usage(
    tokens: Mapping[str, Any] | None, where: str
) -> tuple[TokenUsage | None, dict[Evidence, str]]:
    """The usage, and why which figures of it are missing. Input and output follow from each other
    and the total; a total alone is kept as input that nobody may read as such.
    """
    if tokens is None:
        return None, {}
    known = {key: as_count(tokens.get(key), f"{where}.{key}") for key in _FIGURES}
    if all(value is None for value in known.values()):
        return None, {}
    total = known["total"]
    for key, other in (("input", "output"), ("output", "input")):
        left = known[other]
        if known[key] is None and total is not None and left is not None and total >= left:
            known[key] = total - left
    absent: dict[Evidence, str] = {
        kind: f"the figures have no {where}.{key}"
        for key, kind in _FIGURES.items()
        if known[key] is None
    }
    if known["input"] is not None and known["output"] is not None:
        absent.pop("total_tokens", None)
        if total is not None and total != known["input"] + known["output"]:
            absent["total_tokens"] = f"{where}.total {total:,} is not input + output"
    elif known["input"] is None and known["output"] is None:
        known["input"] = total
    elif total is not None:
        absent["total_tokens"] = f"{where}.total {total:,} is less than one of its parts"
    return (
        TokenUsage(
            input_tokens=known["input"] or 0,
            output_tokens=known["output"] or 0,
            cache_creation_input_tokens=known["cache_creation"] or 0,
            cache_read_input_tokens=known["cache_read"] or 0,
        ),
        absent,
    )


def _no_subagents(metrics: Mapping[str, Any]) -> bool:
    return "subagents" in metrics and not metrics["subagents"]


def _messages(
    conversation: Mapping[str, Any] | None, missing: dict[Evidence, str]
) -> tuple[Message, ...]:
    number = as_count((conversation or {}).get("user_messages"), "conversation.user_messages")
    if number is None:
        missing["messages"] = "the figures have no conversation.user_messages"
    return tuple(Message(role="user", text="", position=-1) for _ in range(number or 0))


def _files(
    files: Mapping[str, Any] | None, missing: dict[Evidence, str]
) -> tuple[FileOperation, ...]:
    if files is None or "created" not in files or "modified" not in files:
        missing["files"] = "the figures lack files.created or files.modified"
    kinds = (("created", "create"), ("modified", "edit"), ("read", "read"))
    found = []
    for key, kind in kinds:
        for path in as_sequence((files or {}).get(key) or (), f"files.{key}"):
            if not isinstance(path, str):
                raise InputError(f"files.{key}: expected paths, got {path!r:.80}")
            found.append(FileOperation(type=kind, file_path=path))  # type: ignore[arg-type]
    return tuple(found)


def _subagents(listed: Any, missing: dict[Evidence, str]) -> tuple[SubAgent, ...]:
    if listed is None:
        missing["subagents"] = "the figures have no subagents"
        return ()
    return tuple(
        SubAgent(
            id=str(entry.get("id") or f"agent_{index}"),
            type=entry.get("type"),
            status=status if isinstance(status := entry.get("status"), str) else None,
        )
        for index, entry in enumerate(as_mappings(listed, "subagents"))
    )


def _skills(listed: Any, missing: dict[Evidence, str]) -> tuple[SkillUse, ...]:
    if listed is None:
        missing["skills"] = "the figures have no skills"
        return ()
    uses = []
    for index, entry in enumerate(as_mappings(listed, "skills")):
        status = entry.get("status", "attempted")
        if not isinstance(entry.get("name"), str) or status not in (
            "attempted",
            "failed",
            "loaded",
            "read",
        ):
            raise InputError(f"skills[{index}]: expected a name and a status, got {entry!r:.80}")
        uses.append(SkillUse(name=entry["name"], status=status))
    return tuple(uses)


def _ending(given: Mapping[str, Any] | None) -> Ending:
    """How the session ended; `unknown` where the figures do not say."""
    kind, text = (given or {}).get("kind", "unknown"), (given or {}).get("text", "")
    if kind not in _ENDINGS:
        raise InputError(f"ending.kind: {kind!r} is none of {', '.join(_ENDINGS)}")
    return Ending(kind=cast("EndingKind", kind), text=str(text))


def _times(
    metrics: Mapping[str, Any], missing: dict[Evidence, str]
) -> tuple[datetime | None, datetime | None]:
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
    return start, end
