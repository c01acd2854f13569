"""The response must contain some texts and must not contain others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.checks import Outcome
from skilltrace_mlflow.responses._base import Response, ResponseSpec

__all__ = ["SPECS"]

Facts = tuple[tuple[str, ...], tuple[str, ...]]


def _parse(expectations: Mapping[str, Any]) -> Facts | None:
    wanted = tuple(expectations.get("expected_facts") or ())
    unwanted = tuple(expectations.get("unexpected_facts") or ())
    return (wanted, unwanted) if wanted or unwanted else None


def _judge(response: Response, parameters: Facts) -> Outcome:
    """Every text of `expected_facts` occurs in the response, none of `unexpected_facts` does.

    Case and the kind of white space do not matter; the words must be there as written.
    """
    text = _fold(response.text or "")
    wanted, unwanted = parameters
    hits = [fact for fact in wanted if _fold(fact) in text]
    misses = [f"missing: {fact}" for fact in wanted if _fold(fact) not in text]
    misses += [f"must not occur: {fact}" for fact in unwanted if _fold(fact) in text]
    hits += [f"absent: {fact}" for fact in unwanted if _fold(fact) not in text]
    return Outcome.of(
        not misses,
        hits=tuple(hits),
        misses=tuple(misses),
        rationale="; ".join(misses) or f"{len(hits)} fact(s) as expected",
    )


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


SPECS = (ResponseSpec(name="expected_facts_present", parse=_parse, judge=_judge),)
