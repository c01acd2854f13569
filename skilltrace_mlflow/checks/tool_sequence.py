"""`tool_sequence`: tools that must be called in an order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from skilltrace_mlflow.checks._findings import Outcome, Verdict, conclude_score, missing, refer
from skilltrace_mlflow.checks._parameters import About, Items, declare, each
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.matching.assignment import align
from skilltrace_mlflow.matching.selectors import Selector, select, selector_at
from skilltrace_mlflow.session import Session

__all__ = ["ToolSequence", "tool_sequence"]


@dataclass(frozen=True, kw_only=True)
class ToolSequence:
    """The selectors in the order in which they must occur; one may stand there twice."""

    tools: Annotated[
        tuple[Selector, ...],
        Items(read=each(selector_at, once=False)),
        About("Tools in their order.", each="A tool, a glob or a permission rule.", offer="tools"),
    ]
    threshold: float = 1.0


_DECLARED = declare(ToolSequence)


@check(
    name="tool_sequence",
    declared=_DECLARED,
    examples=(
        Example(
            value=["Read", "Edit"],
            calls=({"name": "Read"}, {"name": "Bash"}, {"name": "Edit"}),
            verdict=Verdict.PASS,
            why="other calls may come between",
        ),
        Example(
            value=["Read", "Edit"],
            calls=({"name": "Edit"}, {"name": "Read"}),
            verdict=Verdict.FAIL,
            why="both were called, but not in this order; the score is 1/2",
        ),
    ),
)
def tool_sequence(session: Session, parameters: ToolSequence) -> Outcome:
    """The selectors occur in this order; other calls may come between.

    The score is the length of the longest part that was called in order, over the whole length.

    Seen: the calls in the order in which the model asked for them; calls made at once keep the
    order in which they were written.

    Unknown: a sequence that is not met where the record has gaps; any, where the source does
    not keep the order.

    Out of sight: when a background call or a sub-agent really worked beside others.
    """
    lost = missing(session, "tool_names", "tool_order")
    if lost is not None:
        return lost
    calls = session.tool_calls
    tools = parameters.tools

    places = {id(call): index for index, call in enumerate(calls)}
    sure: list[list[int]] = []
    maybe: list[list[int]] = []
    found: dict[str, tuple[list[int], list[int]]] = {}  # a tool may stand there many times
    for selector in tools:
        if selector.text not in found:
            certain, possible = select(session, selector)
            found[selector.text] = (
                sorted(places[id(call)] for call in certain),
                sorted(places[id(call)] for call in (*certain, *possible)),
            )
        sure.append(found[selector.text][0])
        maybe.append(found[selector.text][1])
    pairs = align(sure)
    most = len(pairs) if sure == maybe else len(align(maybe))
    outcome = conclude_score(
        session,
        len(pairs) / len(tools),
        most / len(tools),
        threshold=parameters.threshold,
        could_meet=True,
    )
    in_order = {expected for expected, _ in pairs}
    hits = tuple(tool.text for i, tool in enumerate(tools) if i in in_order)
    misses = tuple(
        f"{tool.text}: not in order" for i, tool in enumerate(tools) if i not in in_order
    )
    made = [call.name for call in calls]
    shown = " → ".join(made[:12]) + (" → …" if len(made) > 12 else "")
    rationale = f"{len(pairs)} of {len(tools)} in order ({' → '.join(s.text for s in tools)})"
    if misses:
        rationale += f"; called: {shown or 'nothing'}"
    if outcome.verdict is Verdict.UNKNOWN:
        reasons = session.incomplete or ("arguments of some calls are not recorded",)
        rationale = f"cannot tell: {rationale} ({reasons[0]})"
    near = [
        ref
        for i, tool in enumerate(tools)
        if i not in in_order
        for ref in refer(session, f"{tool.text}: not in order", (calls[at] for at in sure[i][:1]))
    ]
    return replace(
        outcome,
        hits=hits,
        misses=misses,
        rationale=rationale,
        details={"called": made},
        calls=() if outcome.verdict is Verdict.PASS else tuple(near),
    )
