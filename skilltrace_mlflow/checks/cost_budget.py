"""`cost_budget`: how much a session may cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from skilltrace_mlflow.checks._findings import Finding, Outcome, Verdict, conclude, missing, unknown
from skilltrace_mlflow.checks._parameters import About, Bound, declare
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.pricing import TOKEN_KINDS, session_cost, session_cost_most, step_cost
from skilltrace_mlflow.session import Session

__all__ = ["CostBudget", "cost_budget"]


@dataclass(frozen=True, kw_only=True)
class CostBudget:
    """The most in US dollars; `allow_incomplete` takes a lower bound for the cost."""

    max_usd: Annotated[float, Bound(minimum=0), About("The most, in US dollars.")]
    allow_incomplete: Annotated[
        bool, About("Whether a lower bound may pass for the cost; default false.")
    ] = False


_DECLARED = declare(CostBudget)


@check(
    name="cost_budget",
    declared=_DECLARED,
    examples=(
        Example(
            value={"max_usd": 0.5},
            session={"cost_usd": 0.42},
            verdict=Verdict.PASS,
            why="the source recorded 0.42 dollars",
        ),
        Example(
            value={"max_usd": 0.1},
            session={"cost_usd": 0.42},
            verdict=Verdict.FAIL,
            why="0.42 dollars are more than 0.10",
        ),
    ),
)
def cost_budget(session: Session, parameters: CostBudget) -> Outcome:
    """The cost stays within the limit.

    It is the cost that the source recorded, else computed from the usage and a dated price table. A
    model that the table does not know is `unknown`; so is a computed cost under the limit where the
    source is known to have lost usage, unless `allow_incomplete: true`. Where its usage can be read
    in two ways, both have to agree.

    Seen: the recorded cost, else tokens of each response, its cache, its speed and web searches
    times the price table.

    Unknown: a model without a price; a computed cost under the limit where usage is lost.

    Out of sight: discounts, batch prices, other currencies, what tools cost elsewhere.
    """
    cost = session_cost(session)
    if cost is None:
        return missing(session, "cost", *TOKEN_KINDS) or unknown(
            f"no cost is recorded and no price is known for {_models(session)}"
        )
    if not math.isfinite(cost):
        return unknown(f"the cost that is recorded is no number: {cost}")
    recorded = session.cost_usd is not None
    over = cost > parameters.max_usd
    partial = not recorded and not session.usage_complete and not parameters.allow_incomplete
    most = session_cost_most(session) if partial else None
    partial = partial and not (most is not None and most <= parameters.max_usd)
    text = f"cost: ${cost:.4f} {'>' if over else '≤'} ${parameters.max_usd:.4f}"
    if partial and not over:
        text = f"cost: at least ${cost:.4f} of ${parameters.max_usd:.4f}"
    finding = Finding(
        text=text,
        met=False if over else (None if partial else True),
        could_break=not recorded and not parameters.allow_incomplete,
    )
    return conclude(
        session,
        [finding],
        lost=None if recorded else session.lacks("usage"),
        details={"cost_usd": cost, "source": "recorded" if recorded else "price table"},
    )


def _models(session: Session) -> str:
    """What has no price, for people."""
    names = {
        step.model or "a step without model" for step in session.steps if step_cost(step) is None
    }
    return ", ".join(sorted(names)) or "a session without steps"
