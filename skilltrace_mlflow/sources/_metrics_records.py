"""API responses and tool calls of a metrics dictionary: listed, or made up from sums and counts.

Responses are made up so that the sums come out right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast, get_args

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import (
    MAIN_AGENT,
    CallOutcome,
    Evidence,
    ModelStep,
    TokenUsage,
    ToolCall,
)
from skilltrace_mlflow.sources._metrics_values import (
    as_count,
    as_counts,
    as_flag,
    as_mapping,
    as_mappings,
    as_number,
    as_records,
    as_sequence,
    as_text,
    as_time,
)
from skilltrace_mlflow.sources.transcript._outcome import MAYBE_REFUSED
from skilltrace_mlflow.tools import tool_category

__all__ = ["calls_of", "steps_of"]

_FIGURES: Mapping[str, Evidence] = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_creation": "cache_creation_tokens",
    "cache_read": "cache_read_tokens",
    "total": "total_tokens",
}
_UNNAMED = "subagents"  # agent of the tokens that no sub-agent is named for
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


def steps_of(
    metrics: Mapping[str, Any], missing: dict[Evidence, str], *, computed_cost: float | None
) -> tuple[ModelStep, ...]:
    """The steps; adds to `missing` what the dictionary cannot tell of them.

    `computed_cost` is a cost that nobody recorded: the steps carry it, so that it is as much a
    lower bound as their usage is.
    """
    conversation = as_mapping(metrics, "conversation") or {}
    turns = as_records(conversation.get("turns"), "conversation.turns")
    usage, absent = _usage(as_mapping(metrics, "tokens"), "tokens")
    if turns is None:
        missing["turns"] = "the figures have no conversation.turns"
    if usage is None:
        missing["usage"] = "the figures have no tokens"
    missing.update(absent)
    if metrics.get("steps") is not None:
        steps = tuple(_listed(metrics["steps"]))
        _compare_steps(steps, usage, absent, turns, missing)
        return steps
    main, main_absent = _usage(as_mapping(metrics, "tokens_main"), "tokens_main")
    if usage is not None and (main is None or main_absent) and not _no_subagents(metrics):
        missing["agents"] = "the figures have no tokens_main"
    own = usage if usage is not None and (main is None or main_absent) else main
    # Tokens need a step to stand on, but none at all in no turn are nobody's.
    carrier = 1 if own is not None and (turns != 0 or own != TokenUsage()) else 0
    steps = tuple(
        ModelStep(
            id=f"step_{index}",
            model=as_text(metrics.get("model"), "model"),
            usage=own or TokenUsage() if index == 0 else TokenUsage(),
            position=index,
        )
        for index in range(max(turns or 0, carrier))
    )
    if turns == 0 and steps:
        missing["turns"] = "conversation.turns is 0, but there are tokens"
    if usage is not None and own is not None and own != usage:
        steps += tuple(_of_subagents(metrics, _less(usage, own), len(steps)))
    if computed_cost is not None and steps and all(s.agent == MAIN_AGENT for s in steps):
        steps = tuple(
            replace(step, cost_usd=0.0 if step.position else computed_cost) for step in steps
        )
    return steps


def _listed(listed: Any) -> Iterator[ModelStep]:
    for index, entry in enumerate(as_mappings(listed, "steps")):
        where = f"steps[{index}]"
        usage, _ = _usage(as_mapping(entry, "tokens", where), f"{where}.tokens")
        most, _ = _usage(as_mapping(entry, "tokens_most", where), f"{where}.tokens_most")
        hour = as_count(entry.get("cache_creation_1h"), f"{where}.cache_creation_1h") or 0
        searches = as_count(entry.get("web_search_requests"), f"{where}.web_search_requests")
        yield ModelStep(
            id=f"step_{index}",
            model=as_text(entry.get("model"), f"{where}.model"),
            timestamp=as_time(entry.get("timestamp"), f"{where}.timestamp"),
            agent=as_text(entry.get("agent"), f"{where}.agent") or MAIN_AGENT,
            usage=replace(usage or TokenUsage(), cache_creation_1h_input_tokens=hour),
            usage_complete=as_flag(entry, "usage_complete", where, default=usage is not None),
            usage_most=most,
            stop_reason=as_text(entry.get("stop_reason"), f"{where}.stop_reason"),
            speed=as_text(entry.get("speed"), f"{where}.speed"),
            web_search_requests=searches or 0,
            cost_usd=as_number(entry.get("cost_usd"), f"{where}.cost_usd"),
            position=index,
        )


def _compare_steps(
    steps: tuple[ModelStep, ...],
    usage: TokenUsage | None,
    absent: Mapping[Evidence, str],
    turns: int | None,
    missing: dict[Evidence, str],
) -> None:
    """Where the sums beside the list say otherwise, neither is evidence."""
    added = replace(
        sum((step.usage for step in steps), TokenUsage()), cache_creation_1h_input_tokens=0
    )
    if usage is None:
        missing.pop("usage", None)
    elif not absent and added != usage:
        missing["usage"] = "tokens is not what steps add up to"
    own = sum(1 for step in steps if step.agent == MAIN_AGENT)
    if turns is None:
        missing.pop("turns", None)
    elif turns != own:
        missing["turns"] = f"conversation.turns is {turns}, but steps lists {own} of the main agent"


def _of_subagents(
    metrics: Mapping[str, Any], rest: TokenUsage, position: int
) -> Iterator[ModelStep]:
    """What the sub-agents used, each by its own figures; what is left over is nobody's by name."""
    for index, entry in enumerate(as_mappings(metrics.get("subagents") or (), "subagents")):
        usage, _ = _usage(as_mapping(entry, "tokens"), f"subagents[{index}].tokens")
        if usage is not None and usage != TokenUsage():
            rest = _less(rest, usage)
            name = str(entry.get("id") or f"agent_{index}")
            yield ModelStep(id=f"step_{name}", agent=name, usage=usage, position=position + index)
    if rest != TokenUsage():
        yield ModelStep(id="step_subagents", agent=_UNNAMED, usage=rest, position=position + 10**6)


def _less(whole: TokenUsage, part: TokenUsage) -> TokenUsage:
    return TokenUsage(
        **{
            name: getattr(whole, name) - getattr(part, name)
            for name in TokenUsage.__dataclass_fields__
        }
    )


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


def calls_of(tools: Mapping[str, Any] | None, missing: dict[Evidence, str]) -> tuple[ToolCall, ...]:
    """The calls that `tools` holds; adds to `missing` what it cannot tell of them."""
    counts_only: tuple[Evidence, ...] = ("tool_order", "tool_inputs", "tool_outcomes", "agents")
    listed = None if tools is None else tools.get("calls")
    if tools is not None and listed is not None:
        calls = _listed_calls(listed, missing)
        _compare_calls(calls, tools, missing)
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


def _compare_calls(
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
