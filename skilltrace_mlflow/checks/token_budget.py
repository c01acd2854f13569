"""`token_budget`: how many tokens a session may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude
from skilltrace_mlflow.checks._parameters import About, Count, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.session import Evidence, Session, TokenUsage

__all__ = ["TokenBudget", "token_budget"]

# Attribute of TokenUsage, and what the figure is called where it alone is missing.
_FIGURES: Mapping[str, tuple[str, Evidence]] = {
    "max_input": ("input_tokens", "input_tokens"),
    "max_output": ("output_tokens", "output_tokens"),
    "max_total": ("total_tokens", "total_tokens"),
    "max_cache_creation": ("cache_creation_input_tokens", "cache_creation_tokens"),
    "max_cache_read": ("cache_read_input_tokens", "cache_read_tokens"),
}


@dataclass(frozen=True, kw_only=True)
class TokenBudget:
    """The limits, None asks nothing; `allow_incomplete` takes a lower bound for the figure."""

    max_input: Annotated[Count | None, About("Input, without the cache.", examples=[50000])] = None
    max_output: Annotated[Count | None, About("Output, thinking included.", examples=[10000])] = (
        None
    )
    max_total: Annotated[Count | None, About("Input and output together.", examples=[60000])] = None
    max_cache_creation: Annotated[
        Count | None, About("What was written to the cache.", examples=[200000])
    ] = None
    max_cache_read: Annotated[
        Count | None, About("What was read from the cache.", examples=[2000000])
    ] = None
    allow_incomplete: Annotated[
        bool, About("Whether a lower bound may pass for the sum; default false.")
    ] = False


_DECLARED = declare(TokenBudget)


_USED = {"usage": TokenUsage(input_tokens=40_000, output_tokens=2_000)}


@check(
    name="token_budget",
    declared=_DECLARED,
    examples=(
        Example(
            value={"max_input": 50_000, "max_output": 10_000},
            session=_USED,
            verdict=Verdict.PASS,
            why="40,000 and 2,000 tokens stay under the limits",
        ),
        Example(
            value={"max_total": 40_000},
            session=_USED,
            verdict=Verdict.FAIL,
            why="the total is input plus output, 42,000",
        ),
        Example(
            value={"max_input": 50_000},
            session={**_USED, "usage_complete": False},
            verdict=Verdict.UNKNOWN,
            why="the source is known to have lost usage, so 40,000 is a lower bound",
        ),
    ),
)
def token_budget(session: Session, parameters: TokenBudget) -> Outcome:
    """Every sum of tokens stays at or under its limit.

    The total is input plus output; the cache is counted apart, as Claude Code and MLflow count.
    Where the source is known to have lost usage, a limit that is not exceeded yet is `unknown`
    unless `allow_incomplete: true`. Where it can be read in two ways, both have to agree.

    Seen: the usage of every response, sub-agents' and Claude Code's own requests as far as the
    record holds them.

    Unknown: a limit that is not exceeded yet where usage is lost, and a figure that the source
    does not keep.

    Out of sight: what WebFetch and WebSearch ask a model; thinking is counted as output and not
    apart.
    """
    lost = session.lacks("usage")
    partial = not session.usage_complete and not parameters.allow_incomplete
    most = session.usage_most
    findings = []
    figures = {}
    for key, (attribute, kind) in _FIGURES.items():
        limit = getattr(parameters, key)
        if limit is None:
            continue
        name = key.removeprefix("max_")
        used = getattr(session.usage, attribute)
        absent = session.lacks(kind)
        # A total of which a part is missing is a lower bound, as far as its parts are figures and
        # no stand-ins; any other figure is then a stand-in itself.
        if absent is not None and not (kind == "total_tokens" and _certain(session) > limit):
            findings.append(Finding(text=f"{name}: {absent}", met=None))
            continue
        figures[name] = used
        over = used > limit
        open_ = partial and not (most is not None and getattr(most, attribute) <= limit)
        mark = ">" if over else "≤"
        text = f"{name}: {used:,} {mark} {limit:,}"
        if open_ and not over:
            text = f"{name}: at least {used:,} of {limit:,}"
        findings.append(
            Finding(
                text=text,
                met=False if over else (None if open_ else True),
                could_break=lost is not None or not parameters.allow_incomplete,
            )
        )
    note = "; ".join(session.usage_notes) if not session.usage_complete else ""
    return conclude(session, findings, lost=lost, note=note, details={"tokens": figures})


def _certain(session: Session) -> int:
    """The tokens of the total that its source really counted as such."""
    usage = session.usage
    given = 0 if session.lacks("input_tokens") else usage.input_tokens
    return given + (0 if session.lacks("output_tokens") else usage.output_tokens)
