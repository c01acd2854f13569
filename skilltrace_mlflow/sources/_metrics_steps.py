"""The API responses of a metrics dictionary: listed, or made up so that the sums come out right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from skilltrace_mlflow.session import MAIN_AGENT, Evidence, ModelStep, TokenUsage
from skilltrace_mlflow.sources._metrics_values import (
    as_count,
    as_flag,
    as_mapping,
    as_mappings,
    as_number,
    as_records,
    as_text,
    as_time,
)

__all__ = ["steps_of"]

_FIGURES: Mapping[str, Evidence] = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_creation": "cache_creation_tokens",
    "cache_read": "cache_read_tokens",
    "total": "total_tokens",
}
_UNNAMED = "subagents"  # agent of the tokens that no sub-agent is named for


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
        _compare(steps, usage, absent, turns, missing)
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


def _compare(
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
