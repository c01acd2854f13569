"""Quality gates: the least figure that a check must reach over all tests.

A gate passes only on full coverage: a test on which its check could not be evaluated fails it, and
so does a check that was judged nowhere. Otherwise lost evidence would turn a gate green.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from skilltrace_mlflow.checks import Outcome, Verdict, all_checks
from skilltrace_mlflow.confusion import TRIGGER_CHECK, TRIGGER_GATES, trigger_figures
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations.names import (
    FIGURE_GATES,
    GATE_GROUPS,
    gate_hint,
    gate_names,
    outcome_name,
)
from skilltrace_mlflow.responses import all_responses
from skilltrace_mlflow.results import GateResult, TestResult
from skilltrace_mlflow.text import cut

__all__ = ["gates_concerning", "is_graded", "judge_gates", "parse_gate"]

_WHOLE_TESTS = "pass_rate"
# Shares such as 9/10 and 0.9 differ in the last bit; a gate is not decided by it.
_SLACK = 1e-9


@dataclass(frozen=True, kw_only=True)
class _Tally:
    """The figures that count, and why some are missing."""

    figures: tuple[float, ...]
    lost: tuple[str, ...]

    @property
    def coverage(self) -> float:
        total = len(self.figures) + len(self.lost)
        return len(self.figures) / total if total else 0.0


def parse_gate(text: str) -> tuple[str, float]:
    """`NAME=VALUE` of `--fail-under`: the gate's name and its value, a number from 0 to 1.

    Raises ConfigurationError for anything else; the name is checked by `judge_gates`.
    """
    name, sign, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not sign or not name or not value:
        raise ConfigurationError(f"--fail-under {text!r}: expected NAME=VALUE, as tool_count=0.9")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0.0 <= number <= 1.0:
        way_out = ""
        if value.endswith("%"):
            way_out = "; write 90% as 0.9"
        raise ConfigurationError(
            f"--fail-under {text!r}: expected a number from 0 to 1 after '='{way_out}"
        )
    return name, number


def judge_gates(
    gates: Mapping[str, float],
    results: Sequence[TestResult],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    known: Iterable[str] = (),
) -> tuple[GateResult, ...]:
    """Judge every gate over all tests and attempts, in the order of `gates`.

    A graded check gives its mean score, any other its pass rate. `syntax_valid` and
    `routing_accuracy` stand for several checks, `trigger_recall` and `trigger_precision` for
    figures over `should_trigger`, `pass_rate` for the share of whole tests that pass,
    `tier1_pass_rate`… for the checks of that tier (`groups`: a manifest's `tiers`; else the
    deterministic checks, `execution_success`, and the rest). `known` are names of scorers beyond
    the registered ones.

    Raises ConfigurationError for a gate that names nothing known, and for a value outside [0, 1].
    """
    seen = {outcome.check for result in results for outcome in result.outcomes}
    names = gate_names() | seen | set(known)
    problems = []
    for name, required in gates.items():
        if name not in names:
            problems.append(f"gate {name!r}: no check has that name; {gate_hint(name, names)}")
        elif isinstance(required, bool) or not 0.0 <= required <= 1.0:
            problems.append(f"gate {name!r}: {required!r} is no number from 0 to 1")
    if problems:
        raise ConfigurationError(*problems)
    return tuple(
        _judge(name, float(required), results, _members(name, seen, groups or {}))
        for name, required in gates.items()
    )


def gates_concerning(
    gates: Mapping[str, float],
    checks: Iterable[str],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """The gates that stand for any of `checks`, and the names of the others.

    For a command that judges only part of what a manifest lists: a gate on the rest says nothing
    about it.
    """
    wanted = set(checks)
    kept = {
        name: required
        for name, required in gates.items()
        if wanted.intersection(_members(name, wanted, groups or {}))
    }
    return kept, tuple(sorted(gates.keys() - kept.keys()))


def _members(name: str, seen: set[str], groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The checks a gate stands for."""
    if name in GATE_GROUPS:
        return GATE_GROUPS[name]
    if name in TRIGGER_GATES:
        return (TRIGGER_CHECK,)
    if name == _WHOLE_TESTS:
        return tuple(sorted(seen))
    if name.startswith("tier") and name.endswith("_pass_rate"):
        tier = name.removesuffix("_pass_rate")
        if tier in groups:
            return tuple(outcome_name(item) for item in groups[tier])
        deterministic = {*all_checks(), *all_responses()} - {"execution_success"}
        if tier == "tier1":
            return tuple(sorted(deterministic))
        if tier == "tier2":
            return ("execution_success",)
        return tuple(sorted(seen - deterministic - {"execution_success"}))
    return (name,) if name in seen else (outcome_name(name),)


def _judge(
    name: str, required: float, results: Sequence[TestResult], members: tuple[str, ...]
) -> GateResult:
    tally = _count_whole(name, results) if name in FIGURE_GATES else _count(results, members)
    got = sum(tally.figures) / len(tally.figures) if tally.figures else None
    gate = GateResult(
        name=name,
        required=required,
        got=got,
        coverage=tally.coverage,
        passed=True,
        checks=members,
    )
    reason = ""
    if not results:
        reason = "no test was evaluated"
    elif tally.lost:
        reason = f"not evaluated on {len(tally.lost)}: {'; '.join(tally.lost[:3])}"
        if len(tally.lost) > 3:
            reason += "; …"
    elif got is None:
        reason = f"no test was judged by {' or '.join(members) or 'any such check'}"
    elif got + _SLACK < required:
        reason = f"{gate.shown} < {required:g}"
    return replace(gate, passed=not reason, reason=reason)


def _count(results: Sequence[TestResult], members: tuple[str, ...]) -> _Tally:
    figures: list[float] = []
    lost: list[str] = []
    expected = {
        (result.test_id, outcome.check)
        for result in results
        for outcome in result.judged
        if outcome.check in members
    }
    for result in results:
        label = f"{result.test_id} #{result.attempt}"
        by_check = {outcome.check: outcome for outcome in result.outcomes}
        if result.error is not None and not any(name in by_check for name in members):
            lost.append(f"{label}: {result.error}")
        for name in members:
            outcome = by_check.get(name)
            if outcome is None:
                # Judged on another attempt at the same test: here it vanished.
                if (result.test_id, name) in expected:
                    lost.append(f"{label}: {name} gave no verdict")
                continue
            if outcome.verdict is Verdict.NOT_APPLICABLE:
                continue
            figure = _figure(outcome)
            if figure is None:
                why = outcome.rationale or str(outcome.verdict)
                lost.append(f"{label}: {name}: {_short(why)}")
            else:
                figures.append(figure)
    return _Tally(figures=tuple(figures), lost=tuple(lost))


def _count_whole(gate: str, results: Sequence[TestResult]) -> _Tally:
    """The figures of a gate that is not on a check: recall, precision, or whole tests that pass."""
    if gate == _WHOLE_TESTS:
        counted: Iterable[tuple[TestResult, float | None, str]] = (
            (
                result,
                None
                if result.verdict in (Verdict.UNKNOWN, Verdict.ERROR)
                else float(result.verdict is Verdict.PASS),
                result.error or str(result.verdict),
            )
            for result in results
        )
    else:
        counted = trigger_figures(gate, results)
    found = [(f"{r.test_id} #{r.attempt}", figure, why) for r, figure, why in counted]
    return _Tally(
        figures=tuple(figure for _, figure, _ in found if figure is not None),
        lost=tuple(f"{label}: {_short(why)}" for label, figure, why in found if figure is None),
    )


def _figure(outcome: Outcome) -> float | None:
    """What an outcome contributes; None where it could not be evaluated."""
    if outcome.verdict not in (Verdict.PASS, Verdict.FAIL):
        return None
    score = outcome.score
    if score is not None and not (math.isfinite(score) and 0.0 <= score <= 1.0):
        return None
    if score is not None and is_graded(outcome.check):
        return score
    return 1.0 if outcome.verdict is Verdict.PASS else 0.0


def is_graded(name: str) -> bool:
    """Whether a check's score is its figure; of a scorer that is not ours, it is."""
    spec = all_checks().get(name.removeprefix("session.")) or all_responses().get(name)
    return spec is None or spec.graded


def _short(text: str) -> str:
    return cut(text.splitlines()[0], 80) if text else ""
