"""What API usage costs, in US dollars, from a dated price table.

Standard library only. List prices of the Anthropic API; a model that other platforms serve under
their own name (Bedrock regions, Databricks) has prices of its own and is unknown here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache

from skilltrace_mlflow.session import Evidence, ModelStep, Session

__all__ = ["PRICES_AS_OF", "TOKEN_KINDS", "session_cost", "session_cost_most", "step_cost"]

# Sources: https://platform.claude.com/docs/en/about-claude/pricing (models, prompt caching, long
# context, web search) and https://platform.claude.com/docs/en/build-with-claude/fast-mode, both as
# of the date below; models that are delisted there carry their last published prices.
PRICES_AS_OF = "2026-11-12"

_MILLION = 1_000_000
_WEB_SEARCH = 0.01
_WRITE_5M = 1.25
_WRITE_1H = 2.0


@dataclass(frozen=True, kw_only=True)
class _LongContext:
    """Factors on a whole request whose prompt, cache included, is longer than `above` tokens."""

    above: int
    input: float
    output: float
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class _Price:
    """Dollars per million tokens; `read` is the factor of a cache hit on the input price.

    `fast` is the factor of fast mode, None where the model has none. `read_before` is an earlier
    factor of a cache hit and the time at which it ended.
    """

    input: float
    output: float
    read: float = 0.1
    read_before: tuple[float, datetime] | None = None
    fast: float | None = None
    long: _LongContext | None = None


def _day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=timezone.utc)


_BETA_1M = _LongContext(above=200_000, input=2.0, output=1.5)
# The long context of the 4.6 models went from beta to the standard price on that day.
_BETA_1M_46 = _LongContext(above=200_000, input=2.0, output=1.5, until=_day(2026, 3, 13))

_PRICES = {
    "claude-fable-5-2": _Price(input=8, output=40, read=0.025, fast=2),
    "claude-fable-5-1": _Price(input=10, output=50, read=0.025),
    "claude-mythos-5-1": _Price(input=10, output=50, read=0.025),
    "claude-fable-5": _Price(input=10, output=50),
    "claude-mythos-5": _Price(input=10, output=50),
    "claude-opus-5-5": _Price(input=4, output=20, read=0.05, fast=2),
    "claude-opus-5": _Price(input=5, output=25, fast=2),
    "claude-opus-4-8": _Price(input=5, output=25, fast=2),
    "claude-opus-4-7": _Price(input=5, output=25, fast=6),
    "claude-opus-4-6": _Price(input=5, output=25, fast=6, long=_BETA_1M_46),
    "claude-opus-4-5": _Price(input=5, output=25),
    "claude-opus-4-1": _Price(input=15, output=75),
    "claude-opus-4": _Price(input=15, output=75),
    "claude-sonnet-5-5": _Price(
        input=2, output=10, read=0.05, read_before=(0.1, _day(2026, 10, 7))
    ),
    "claude-sonnet-5": _Price(input=2, output=10),
    "claude-sonnet-4-6": _Price(input=3, output=15, long=_BETA_1M_46),
    "claude-sonnet-4-5": _Price(input=3, output=15, long=_BETA_1M),
    "claude-sonnet-4": _Price(input=3, output=15, long=_BETA_1M),
    "claude-haiku-5-5": _Price(
        input=0.1, output=0.5, long=_LongContext(above=100_000, input=5, output=5)
    ),
    "claude-haiku-4-5": _Price(input=1, output=5),
    "claude-3-7-sonnet": _Price(input=3, output=15),
    "claude-3-5-sonnet": _Price(input=3, output=15),
    "claude-3-5-haiku": _Price(input=0.8, output=4),
    "claude-3-opus": _Price(input=15, output=75),
}
# `[1m]` marks a mode of Claude Code, the date a snapshot; neither has a price of its own.
_MODEL = re.compile(r"(claude-[a-z0-9-]+?)(?:-0)?(?:-\d{8}|-latest)?(?:\[1m\])?")

# What a price is put on.
TOKEN_KINDS: tuple[Evidence, ...] = (
    "usage",
    "input_tokens",
    "output_tokens",
    "cache_creation_tokens",
    "cache_read_tokens",
)


def session_cost(session: Session) -> float | None:
    """What a session cost: as recorded, else the sum over its API responses at list prices.

    None if a response that used tokens has a model without a known price, or if the source has no
    usage. Where `usage_complete` is false the figure is a lower bound, as the tokens are.
    """
    if session.cost_usd is not None:
        return session.cost_usd
    if not session.steps or session.lacks(*TOKEN_KINDS) is not None:
        return None
    total = 0.0
    for step in session.steps:
        cost = step_cost(step)
        if cost is None:
            return None
        total += cost
    return total


def session_cost_most(session: Session) -> float | None:
    """The most that a session can have cost, None where there is no bound (`Session.usage_most`).

    The larger reading of a figure costs more only if what it moves is dearer: both are priced.
    """
    if session.usage_most is None:
        return None
    total = 0.0
    for step in session.steps:
        usages = [step.usage] if step.usage_most is None else [step.usage, step.usage_most]
        costs = [step_cost(replace(step, usage=usage)) for usage in usages]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs):
            return None
        total += max(known)
    return total


def step_cost(step: ModelStep) -> float | None:
    """What one API response cost: as recorded, else at list prices; None for an unknown model."""
    if step.cost_usd is not None:
        return step.cost_usd
    usage = step.usage
    prompt = usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens
    if not prompt and not usage.output_tokens and not step.web_search_requests:
        return 0.0
    price = _price_of(step.model)
    if price is None:
        return None
    input_price, output_price = price.input, price.output
    if step.speed == "fast":
        if price.fast is None:
            return None
        input_price *= price.fast
        output_price *= price.fast
    long = price.long
    if long is not None and prompt > long.above and _holds(step.timestamp, long.until):
        input_price *= long.input
        output_price *= long.output
    read = price.read
    if price.read_before is not None and step.timestamp is not None:
        earlier, end = price.read_before
        if step.timestamp < end:
            read = earlier
    written_1h = min(usage.cache_creation_1h_input_tokens, usage.cache_creation_input_tokens)
    written_5m = usage.cache_creation_input_tokens - written_1h
    weighted = (
        usage.input_tokens
        + written_5m * _WRITE_5M
        + written_1h * _WRITE_1H
        + usage.cache_read_input_tokens * read
    )
    tokens = (weighted * input_price + usage.output_tokens * output_price) / _MILLION
    return tokens + step.web_search_requests * _WEB_SEARCH


@lru_cache(maxsize=256)
def _price_of(model: str | None) -> _Price | None:
    found = _MODEL.fullmatch(model or "")
    return _PRICES.get(found.group(1)) if found else None


def _holds(time: datetime | None, until: datetime | None) -> bool:
    """Whether a rule that ended at `until` holds at `time`; without a time, today's rules hold."""
    return until is None or (time is not None and time < until)
