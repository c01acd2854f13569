"""`tool_trajectory`: the calls that were expected against the calls that were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from skilltrace_mlflow.checks._findings import (
    CallRef,
    Outcome,
    Verdict,
    conclude_score,
    missing,
    refer,
)
from skilltrace_mlflow.checks._parameters import SCOPE, THRESHOLD
from skilltrace_mlflow.checks._registry import Example, check
from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.selectors import Selector, count, parse_selectors, selector_at
from skilltrace_mlflow.matching.steps import INPUT_MATCH, STEP, Step, parse_step
from skilltrace_mlflow.matching.trajectory import (
    Comparison,
    Pairing,
    alignment,
    call_text,
    compare,
    nearest_calls,
)
from skilltrace_mlflow.session import Session, ToolCall

__all__ = ["ToolTrajectory", "tool_trajectory"]

_MODES = ("any_order", "in_order", "exact", "superset", "subset")
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "mode": {
            "enum": list(_MODES),
            "description": "Whether order counts, and what may be missing or come beside.",
        },
        "expected": {"type": "array", "items": STEP, "description": "The calls that are expected."},
        "minimums": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "integer",
                "minimum": 1,
                "description": "At least so many calls.",
                "examples": [2],
            },
            "description": "Least number of calls by tool; for mode any_order.",
            "examples": [{"Read": 2}],
            "offer": "tools",
        },
        "extras": {
            "anyOf": [
                {"enum": ["allow", "forbid"], "description": "All of them, or none."},
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "string",
                        "minLength": 1,
                        "description": "A tool, a glob or a permission rule.",
                        "offer": "tools",
                    },
                    "description": "These alone.",
                    "examples": [["Read", "Grep"]],
                },
            ],
            "description": "Whether other calls may come beside the expected ones.",
        },
        "input_match": INPUT_MATCH,
        "threshold": THRESHOLD,
        "scope": SCOPE,
    },
    "required": ["mode"],
    "additionalProperties": False,
}


@dataclass(frozen=True, kw_only=True)
class ToolTrajectory:
    """`extras` are the selectors of calls that may come beside the expected ones, None for all."""

    mode: str
    steps: tuple[Step, ...] | None
    minimums: tuple[tuple[Selector, int], ...] = ()
    extras: tuple[Selector, ...] | None = None
    threshold: float = 1.0

    @property
    def ordered(self) -> bool:
        """Whether the order of the calls counts."""
        return self.mode in ("in_order", "exact")

    def allows(self, call: ToolCall, cwd: str | None) -> bool | None:
        """Whether the call may be made although no step expects it; None: cannot tell."""
        if self.extras is None:
            return True
        verdicts = [selector.matches(call, cwd) for selector in self.extras]
        return True if True in verdicts else (None if None in verdicts else False)


def parse(value: Mapping[str, Any]) -> ToolTrajectory:
    """`{mode, expected, minimums, extras, …}`; ParameterError for what cannot be meant."""
    mode = value["mode"]
    expected = value.get("expected")
    minimums = value.get("minimums", {})
    if minimums and mode != "any_order":
        raise ParameterError(f"minimums belong to mode any_order, not {mode}", path=("minimums",))
    if expected is None and not minimums:
        more = " or minimums" if mode == "any_order" else ""
        raise ParameterError(f"expected{more} is missing: nothing to compare with")
    if expected == [] and mode not in ("exact", "subset"):
        raise ParameterError(
            f"expected: [] means no calls, which mode {mode} cannot ask for; use mode exact",
            path=("expected",),
        )
    steps = None
    if expected is not None:
        input_match = value.get("input_match", "exact")
        steps = tuple(
            parse_step(item, input_match, ("expected", index))
            for index, item in enumerate(expected)
        )
    extras = _extras(mode, value.get("extras"))
    if steps and extras is None and not minimums and all(step.optional for step in steps):
        raise ParameterError(
            "every step is optional and other calls are allowed: nothing is expected",
            path=("expected",),
        )
    return ToolTrajectory(
        mode=mode,
        steps=steps,
        minimums=tuple(
            (selector_at(name, ("minimums", name)), least) for name, least in minimums.items()
        ),
        extras=extras,
        threshold=value.get("threshold", 1.0),
    )


def _extras(mode: str, value: Any) -> tuple[Selector, ...] | None:
    if mode in ("exact", "subset") and value == "allow":
        other = "in_order" if mode == "exact" else "superset"
        raise ParameterError(
            f"mode {mode} means that there are no other calls; use mode {other}", path=("extras",)
        )
    if mode == "superset" and value not in (None, "allow"):
        raise ParameterError(
            "mode superset means that other calls are free; use mode any_order", path=("extras",)
        )
    if value is None:
        value = "forbid" if mode in ("exact", "subset") else "allow"
    if value == "allow":
        return None
    return () if value == "forbid" else parse_selectors(value, ("extras",))


@check(
    name="tool_trajectory",
    schema=_SCHEMA,
    parse=parse,
    graded=True,
    examples=(
        Example(
            value={
                "mode": "in_order",
                "expected": [
                    {"tool": "Read"},
                    {"one_of": ["Grep", "Glob"], "optional": True},
                    {
                        "tool": "Write",
                        "input": {"file_path": {"$glob": "*.sql"}},
                        "input_match": ["file_path"],
                        "outcome": "succeeded",
                    },
                ],
            },
            calls=(
                {"name": "Read"},
                {"name": "Bash"},
                {"name": "Write", "input": {"file_path": "/repo/a.sql", "content": "…"}},
            ),
            verdict=Verdict.PASS,
            why="the optional step counts on neither side, other calls may come between",
        ),
        Example(
            value={"mode": "exact", "expected": ["Read"]},
            calls=({"name": "Read"}, {"name": "Bash", "input": {"command": "rm -r x"}}),
            verdict=Verdict.FAIL,
            why="an extra call fails; the score is 1 of 2",
        ),
        Example(
            value={"mode": "any_order", "minimums": {"Read": 2, "Grep": 1}},
            calls=({"name": "Read"}, {"name": "Grep"}, {"name": "Read"}),
            verdict=Verdict.PASS,
            why="each tool was called at least so often",
        ),
    ),
)
def tool_trajectory(session: Session, parameters: ToolTrajectory) -> Outcome:
    """The expected calls were made, in the sense of the mode.

    `any_order`: each expected call is matched to a call of its own, and `minimums` are reached.
    `in_order`: the expected calls are found in this order, others may come between. `exact`: these
    calls in this order and no others; `expected: []` means no calls at all. `superset`: every
    expected call was made. `subset`: every call made was expected.

    A step is a selector, `{one_of: […]}` or `{tool, input, output, input_match, outcome,
    max_duration_ms, optional}`. `input_match` is `exact`, `superset` (the call has at least these
    arguments), `subset` (at most these), `ignore` or a list of dotted field names; values may be
    matchers. An optional step counts on neither side. `extras` (`allow`, `forbid`, or selectors)
    says which other calls may be made.

    The pairing matches as many expected calls as can be, and of such pairings leaves the fewest
    calls over. Score: matched / expected; where extra calls are forbidden, matched / the larger of
    expected and made; for `subset` matched / made. It passes at 1, or at `threshold` and above.

    Seen: calls with their arguments, results and outcomes, in the order in which the model
    asked for them.

    Unknown: a step whose arguments, result or outcome the record lacks, if it decides; where
    calls are missing, steps that were not found and extra calls that must not be.

    Out of sight: what stands inside a command line or a script, unless a matcher or a rule asks
    for it.
    """
    needed = ("tool_names", "tool_order") if parameters.ordered else ("tool_names",)
    lost = missing(session, *needed)
    if lost is not None:
        return lost
    met, possible, texts = _minimums(session, parameters)
    if parameters.steps is None:
        total = len(parameters.minimums)
        outcome = conclude_score(
            session,
            len(met) / total,
            possible / total,
            threshold=parameters.threshold,
            could_meet=True,
        )
        return _describe(session, outcome, tuple(met), tuple(t for t in texts if t not in met))
    compared = compare(
        session,
        parameters.steps,
        ordered=parameters.ordered,
        allowed=None
        if parameters.extras is None
        else lambda call: parameters.allows(call, session.cwd),
    )
    outcome = conclude_score(
        session,
        _score(parameters, compared.certain, len(met)),
        _score(parameters, compared.possible, possible),
        threshold=parameters.threshold,
        could_break=parameters.extras is not None,
        # a call that is certainly too many stays too many, whatever the record has lost
        could_meet=parameters.mode != "subset" and not compared.possible.extras,
    )
    hits, misses = _names(session, parameters, compared)
    outcome = _describe(
        session,
        outcome,
        (*hits, *met),
        (*misses, *(text for text in texts if text not in met)),
    )
    details = {**_details(session, parameters, compared), **outcome.details}
    calls: tuple[CallRef, ...] = ()
    if outcome.verdict is not Verdict.PASS:  # of a pass nobody asks what differed
        details["alignment"] = alignment(session, parameters.steps, compared)
        calls = _places(session, parameters, compared)
    return replace(outcome, details=details, calls=calls)


def _minimums(session: Session, parameters: ToolTrajectory) -> tuple[list[str], int, list[str]]:
    met, possible, texts = [], 0, []
    for selector, least in parameters.minimums:
        at_least, at_most = count(session, (selector,))
        text = f"{selector.text}: {at_least} {'≥' if at_least >= least else '<'} {least}"
        texts.append(text)
        possible += at_most >= least
        if at_least >= least:
            met.append(text)
    return met, possible, texts


def _score(parameters: ToolTrajectory, pairing: Pairing, minimums: int) -> float:
    if parameters.mode == "subset":
        made = len(pairing.pairs) + len(pairing.extras)
        return len(pairing.pairs) / made if made else 1.0
    expected = pairing.expected
    if parameters.extras is not None:
        expected = max(expected, pairing.counted)
    total = expected + len(parameters.minimums)
    return (pairing.matched + minimums) / total if total else 1.0


def _names(
    session: Session, parameters: ToolTrajectory, compared: Comparison
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pairing = compared.certain
    steps = parameters.steps or ()
    hits = tuple(step.label for index, step in enumerate(steps) if index in pairing.pairs)
    misses = list(_missed(session, parameters, compared).values())
    if parameters.extras is not None:
        misses.extend(_too_many(session.tool_calls[i]) for i in pairing.extras)
    return hits, tuple(misses)


def _missed(
    session: Session, parameters: ToolTrajectory, compared: Comparison
) -> Mapping[int, str]:
    """The steps that were not met, and what is said of each."""
    missed = {}
    for index, step in enumerate(parameters.steps or ()):
        if index in compared.certain.pairs or step.optional or parameters.mode == "subset":
            continue
        why = compared.reasons.get(index, "not called")
        if why == "not called" and _called(session, step):
            why = "not in this order" if parameters.ordered else "called too seldom"
        missed[index] = f"{step.label}: {why}"
    return missed


def _too_many(call: ToolCall) -> str:
    return f"{call.name}: not expected"


def _places(
    session: Session, parameters: ToolTrajectory, compared: Comparison
) -> tuple[CallRef, ...]:
    """The calls that came nearest to the steps that were not met, and those that are too many."""
    near = nearest_calls(session, parameters.steps or (), compared)
    told = [
        (text, near[index])
        for index, text in _missed(session, parameters, compared).items()
        if index in near
    ]
    if parameters.extras is not None:
        extras = (session.tool_calls[i] for i in compared.certain.extras)
        told += [(_too_many(call), call) for call in extras]
    return tuple(ref for text, call in told for ref in refer(session, text, (call,)))


def _called(session: Session, step: Step) -> bool:
    return any(c.tool.selects_name(call.name) for c in step.choices for call in session.tool_calls)


def _details(session: Session, parameters: ToolTrajectory, compared: Comparison) -> dict[str, Any]:
    pairing = compared.certain
    used = set(pairing.pairs.values())
    left = [i for i in range(len(session.tool_calls)) if i not in used]
    steps = parameters.steps or ()
    taken_by_optional = sum(1 for step in pairing.pairs if steps[step].optional)
    made = len(session.tool_calls) - taken_by_optional
    precision = pairing.matched / made if made else 1.0
    recall = pairing.matched / pairing.expected if pairing.expected else 1.0
    both = precision + recall
    return {
        "mode": parameters.mode,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / both if both else 0.0,
        "matched": [
            {"step": step, "call": session.tool_calls[call].id}
            for step, call in sorted(pairing.pairs.items())
        ],
        "missing": [
            {"step": index, "expected": step.label, "reason": compared.reasons.get(index, "")}
            for index, step in enumerate(steps)
            if index not in pairing.pairs and not step.optional
        ],
        "extra": [call_text(session.tool_calls[i]) for i in left[:_SHOWN]],
    }


_SHOWN = 100


def _describe(
    session: Session, outcome: Outcome, hits: tuple[str, ...], misses: tuple[str, ...]
) -> Outcome:
    shown = list(misses[:5])
    if len(misses) > 5:
        shown.append(f"and {len(misses) - 5} more")
    head = f"{len(hits)} met, {len(misses)} not"
    rationale = f"{head}: {'; '.join(shown)}" if shown else f"all {len(hits)} met"
    if not hits and not misses:
        rationale = "no calls, as expected"
    if outcome.verdict is Verdict.UNKNOWN:
        why = f" (the record is incomplete: {session.incomplete[0]})" if session.incomplete else ""
        rationale = f"cannot tell: {rationale}{why}"
    return replace(outcome, hits=hits, misses=misses, rationale=rationale)
