"""The tool calls of a metrics dictionary: listed one by one, or made up from their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import MAIN_AGENT, CallOutcome, Evidence, ToolCall
from skilltrace_mlflow.sources._metrics_values import (
    as_count,
    as_counts,
    as_flag,
    as_mapping,
    as_number,
    as_records,
    as_sequence,
    as_text,
)
from skilltrace_mlflow.sources.transcript._outcome import MAYBE_REFUSED
from skilltrace_mlflow.tools import tool_category

__all__ = ["calls_of"]

_OUTCOMES: tuple[str, ...] = get_args(CallOutcome)
# A name whose category is the key; MCP categories are built from their server's name.
_STAND_INS = {
    "agent": "Agent",
    "bash": "Bash",
    "file_ops": "Read",
    "planning": "TodoWrite",
    "skill": "Skill",
    "web": "WebFetch",
}


def calls_of(tools: Mapping[str, Any] | None, missing: dict[Evidence, str]) -> tuple[ToolCall, ...]:
    """The calls that `tools` holds; adds to `missing` what it cannot tell of them."""
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
    as_records(number, "tools")
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
        arguments = as_mapping(entry, "input", where)
        if "input" not in entry:  # null says that this call's were not recorded
            missing["tool_inputs"] = (
                "the figures have no inputs (TraceMetrics.to_dict(inputs=True))"
            )
        if "outcome" not in entry:
            missing["tool_outcomes"] = f"{where} has no outcome"
        if "agent" not in entry:
            missing["agents"] = f"{where} has no agent"
        marks = {MAYBE_REFUSED: True} if entry.get(MAYBE_REFUSED) is True else {}
        calls.append(
            ToolCall(
                id=str(entry.get("id") or f"call_{index}"),
                name=entry["name"],
                input=arguments,
                requested_input=as_mapping(entry, "requested_input", where),
                input_truncated=as_flag(entry, "input_truncated", where, default=False),
                outcome=outcome,
                outcome_reason=str(entry.get("reason") or ""),
                agent=as_text(entry.get("agent", MAIN_AGENT), f"{where}.agent") or MAIN_AGENT,
                duration_ms=as_number(entry.get("duration_ms"), f"{where}.duration_ms"),
                details={**(as_mapping(entry, "details", where) or {}), **marks},
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
