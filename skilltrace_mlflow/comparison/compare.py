"""Two evaluations side by side: what got better, worse, appeared and vanished.

Fewer tokens, calls, seconds and dollars are better, more passes are better. What can no longer be
seen counts against B: a test or a check that vanished, and a pass that became `unknown`, are
regressions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from skilltrace_mlflow.comparison.paired import (
    bootstrap_interval,
    mcnemar_exact,
    paired_difference_interval,
)
from skilltrace_mlflow.comparison.records import CheckRecord, ResultRecord
from skilltrace_mlflow.figures import FIGURES

__all__ = [
    "DEFAULT_TOLERANCE",
    "Change",
    "CheckComparison",
    "Comparison",
    "FigureComparison",
    "Kind",
    "compare_results",
]

DEFAULT_TOLERANCE = 0.1
"""A figure may rise by this share before that is a regression."""

Kind = Literal["worse", "vanished", "better", "appeared", "changed"]
_KINDS: tuple[Kind, ...] = ("worse", "vanished", "changed", "better", "appeared")

# Where verdicts of several attempts tie, the one that promises least stands for the test.
_PRECEDENCE = ("fail", "error", "unknown", "pass")
_LEAST_SCORE_CHANGE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference on one test; `check` is None where the whole test appeared or vanished.

    `before` and `after` are verdicts in words, with the passes of several attempts or the score
    where those differ; `rationale` is B's (A's where B has none).
    """

    test_id: str
    skill: str
    check: str | None
    kind: Kind
    before: str
    after: str
    regression: bool
    rationale: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckComparison:
    """One check over all tests.

    `pairs` counts the tests that passed or failed it in both evaluations, `lost` those of them that
    passed only in A, `gained` only in B; `effect` is the change of the pass rate over these pairs,
    `interval` its 95 % interval, `p_value` McNemar's exact test. With several attempts a test
    passes where all of them do. `unpaired` counts tests that have the check in both but were not
    judged in one of them.
    """

    name: str
    before_passed: int
    before_judged: int
    after_passed: int
    after_judged: int
    pairs: int
    lost: int
    gained: int
    unpaired: int
    effect: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class FigureComparison:
    """One number over the tests that have it in both; the mean per test, attempts averaged.

    `effect` is the mean change, `interval` its 95 % paired bootstrap interval (None for one pair),
    `relative` the change as a share of A's mean. `verdict` is `worse` or `better` where the change
    is larger than the tolerance and not explained by chance, else `same`. Where a side holds lower
    bounds (`before_at_least`, `after_at_least`) the change is not certain: a rise from a lower
    bound, or a fall to one, is `unknown`.
    """

    name: str
    pairs: int
    before: float
    after: float
    effect: float
    interval: tuple[float, float] | None
    relative: float | None
    verdict: Literal["worse", "better", "same", "unknown"]
    before_at_least: bool = False
    after_at_least: bool = False


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All differences from A to B, the worst first.

    `paired_by` counts what sessions without verdicts were paired by, None for evaluations.
    """

    before_name: str
    after_name: str
    changes: tuple[Change, ...]
    checks: tuple[CheckComparison, ...]
    figures: tuple[FigureComparison, ...]
    tests_in_both: int
    tolerance: float
    paired_by: Mapping[str, int] | None = None

    @property
    def unpaired(self) -> bool:
        """Whether both sides hold tests and none is in both, so that nothing was compared."""
        sides = {change.kind for change in self.changes}
        return not self.tests_in_both and {"appeared", "vanished"} <= sides

    @property
    def regressions(self) -> tuple[str, ...]:
        """What got worse, one line each; empty where nothing did."""
        return (
            *(
                f"{c.test_id}: {c.check or 'the whole test'}: {c.before} → {c.after}"
                for c in self.changes
                if c.regression
            ),
            *(
                f"{FIGURES[f.name]}: {f.before:,.6g} → {f.after:,.6g} per test"
                for f in self.figures
                if f.verdict == "worse"
            ),
        )

    def count(self, kind: Kind) -> int:
        """Number of changes of that kind."""
        return sum(1 for change in self.changes if change.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "a": self.before_name,
            "b": self.after_name,
            "tests_in_both": self.tests_in_both,
            "tolerance": self.tolerance,
            **({} if self.paired_by is None else {"paired_by": dict(self.paired_by)}),
            "summary": {kind: self.count(kind) for kind in _KINDS},
            "regressions": list(self.regressions),
            "changes": [dict(vars(change)) for change in self.changes],
            "checks": [{**vars(check), "counts": dict(check.counts)} for check in self.checks],
            "figures": [dict(vars(figure)) for figure in self.figures],
        }


def compare_results(
    before: Sequence[ResultRecord],
    after: Sequence[ResultRecord],
    *,
    before_name: str = "A",
    after_name: str = "B",
    tolerance: float = DEFAULT_TOLERANCE,
    paired_by: Mapping[str, int] | None = None,
) -> Comparison:
    """Compare two evaluations test by test and check by check.

    Tests are paired by id, and by skill where one side holds several. A figure that rose is a
    regression only if the mean rose by more than `tolerance` (a share) and the interval of the
    change excludes zero: two runs of an agent never cost the same. Where no test is in both,
    nothing is a regression, and the comparison says that it is `unpaired`. With `paired_by` they
    are sessions, of which one that vanished is no regression.
    """
    several = any(len({record.skill for record in side}) > 1 for side in (before, after))
    a, b = _grouped(before, several), _grouped(after, several)
    keys = list(dict.fromkeys([*a, *b]))
    changes = [change for key in keys for change in _changes(a.get(key), b.get(key))]
    shared = [(a[key], b[key]) for key in keys if key in a and key in b]
    # Of two sets of other tests nothing can have got worse, and nobody asked for a session.
    if (a and b and not shared) or paired_by is not None:
        changes = [replace(change, regression=False) for change in changes]
    if paired_by is not None:  # that nothing judged a session is no news
        changes = [replace(c, before=_there(c.before), after=_there(c.after)) for c in changes]
    names = sorted({name for record in (*before, *after) for name in record.checks})
    return Comparison(
        before_name=before_name,
        after_name=after_name,
        changes=tuple(sorted(changes, key=lambda c: (not c.regression, _KINDS.index(c.kind)))),
        checks=tuple(_compare_check(name, a, b, changes) for name in names),
        figures=tuple(_figures(shared, tolerance)),
        tests_in_both=len(shared),
        tolerance=tolerance,
        paired_by=paired_by,
    )


_Attempts = Sequence[ResultRecord]
_Key = tuple[str, str]


def _grouped(records: _Attempts, several: bool) -> dict[_Key, list[ResultRecord]]:
    groups: dict[_Key, list[ResultRecord]] = {}
    for record in records:
        groups.setdefault((record.skill if several else "", record.test_id), []).append(record)
    return groups


def _there(state: str) -> str:
    return state if state == "not there" else "there"


def _changes(a: _Attempts | None, b: _Attempts | None) -> Iterable[Change]:
    if a is None or b is None:
        present = b if a is None else a
        assert present is not None  # noqa: S101 - a key comes from one side at least
        state = _test_state(present)
        yield Change(
            test_id=present[0].test_id,
            skill=present[0].skill,
            check=None,
            kind="appeared" if a is None else "vanished",
            before="not there" if a is None else state,
            after=state if a is None else "not there",
            regression=b is None,
        )
        return
    for name in sorted({name for record in (*a, *b) for name in record.checks}):
        change = _check_change(name, a, b)
        if change is not None:
            yield change
    yield from _unjudged(a, b)


def _check_change(name: str, a: _Attempts, b: _Attempts) -> Change | None:
    old, new = _of(name, a), _of(name, b)
    kind, before, after = _classified(old, new, len(a), len(b))
    if kind is None:
        return None
    latest = new or old
    worst = min(latest, key=lambda check: _PRECEDENCE.index(check.verdict))
    return Change(
        test_id=a[0].test_id,
        skill=b[0].skill,
        check=name,
        kind=kind,
        before=before,
        after=after,
        regression=kind in ("worse", "vanished"),
        rationale=worst.rationale,
    )


def _classified(
    old: Sequence[CheckRecord], new: Sequence[CheckRecord], old_attempts: int, new_attempts: int
) -> tuple[Kind | None, str, str]:
    before, after = _state(old, old_attempts), _state(new, new_attempts)
    if not old or not new:
        return ("appeared" if not old else "vanished"), before, after
    # Per attempt, not per verdict: an attempt that lost the check did not pass it.
    rate_before, rate_after = _passed(old) / old_attempts, _passed(new) / new_attempts
    if rate_after < rate_before:
        return "worse", before, after
    if rate_after > rate_before:
        return "better", before, after
    if _worst(old) != _worst(new):
        return "changed", before, after
    score_before, score_after = _mean_score(old), _mean_score(new)
    if score_before is None or score_after is None:
        return None, before, after
    if abs(score_after - score_before) <= _LEAST_SCORE_CHANGE:
        return None, before, after
    return "changed", f"{before}, score {score_before:.3g}", f"{after}, score {score_after:.3g}"


def _unjudged(a: _Attempts, b: _Attempts) -> Iterable[Change]:
    """A test that could be judged and no longer can, though no check of it says so."""
    was, now = (all(r.checks and r.verdict != "error" for r in side) for side in (a, b))
    if was and not now and any(r.verdict == "error" and not _has_error(r) for r in b):
        yield Change(
            test_id=a[0].test_id,
            skill=b[0].skill,
            check=None,
            kind="worse",
            before=_test_state(a),
            after=_test_state(b),
            regression=True,
        )


def _has_error(record: ResultRecord) -> bool:
    return any(check.verdict == "error" for check in record.checks.values())


def _of(name: str, attempts: _Attempts) -> list[CheckRecord]:
    return [record.checks[name] for record in attempts if name in record.checks]


def _passed(checks: Sequence[CheckRecord]) -> int:
    return sum(check.verdict == "pass" for check in checks)


def _worst(checks: Sequence[CheckRecord]) -> str:
    return min((check.verdict for check in checks), key=_PRECEDENCE.index)


def _state(checks: Sequence[CheckRecord], attempts: int) -> str:
    if not checks:
        return "not there"
    if attempts == 1:
        return checks[0].verdict
    return f"{_worst(checks)}, {_passed(checks)} of {attempts} attempts passed"


def _test_state(attempts: _Attempts) -> str:
    verdicts = [r.verdict if r.verdict in _PRECEDENCE else "unknown" for r in attempts]
    return _state([CheckRecord(verdict=verdict) for verdict in verdicts], len(attempts))


def _mean_score(checks: Sequence[CheckRecord]) -> float | None:
    scores = [check.score for check in checks if check.score is not None]
    return math.fsum(scores) / len(scores) if len(scores) == len(checks) else None


def _compare_check(
    name: str,
    a: Mapping[_Key, _Attempts],
    b: Mapping[_Key, _Attempts],
    changes: Sequence[Change],
) -> CheckComparison:
    old = {key: _decided(name, attempts) for key, attempts in a.items()}
    new = {key: _decided(name, attempts) for key, attempts in b.items()}
    pairs = [
        (old[key], new[key])
        for key in old.keys() & new.keys()
        if old[key] is not None and new[key] is not None
    ]
    in_both = sum(1 for key in a.keys() & b.keys() if _of(name, a[key]) and _of(name, b[key]))
    lost = sum(1 for was, now in pairs if was and not now)
    gained = sum(1 for was, now in pairs if now and not was)
    both = sum(1 for was, now in pairs if was and now)
    neither = len(pairs) - lost - gained - both
    counts: dict[str, int] = dict.fromkeys(_KINDS, 0)
    for change in changes:
        if change.check == name:
            counts[change.kind] += 1
    return CheckComparison(
        name=name,
        before_passed=sum(1 for passed in old.values() if passed),
        before_judged=sum(1 for passed in old.values() if passed is not None),
        after_passed=sum(1 for passed in new.values() if passed),
        after_judged=sum(1 for passed in new.values() if passed is not None),
        pairs=len(pairs),
        lost=lost,
        gained=gained,
        unpaired=in_both - len(pairs),
        effect=(gained - lost) / len(pairs) if pairs else None,
        interval=paired_difference_interval(both, lost, gained, neither) if pairs else None,
        p_value=mcnemar_exact(lost, gained) if pairs else None,
        counts=counts,
    )


def _decided(name: str, attempts: _Attempts) -> bool | None:
    """Whether the test passed the check; None where it was not judged (in some attempt)."""
    checks = _of(name, attempts)
    if len(checks) < len(attempts) or any(c.verdict not in ("pass", "fail") for c in checks):
        return None
    return all(check.verdict == "pass" for check in checks)


def _figures(
    shared: Sequence[tuple[_Attempts, _Attempts]], tolerance: float
) -> Iterable[FigureComparison]:
    for name in FIGURES:
        pairs = []
        bounds: tuple[bool, ...] = (False, False)
        for a, b in shared:
            before, after = _mean_figure(name, a), _mean_figure(name, b)
            if before is not None and after is not None:
                pairs.append((before, after))
                bounds = tuple(
                    known or any(name in record.at_least for record in side)
                    for known, side in zip(bounds, (a, b), strict=True)
                )
        if pairs:
            yield _compare_figure(name, pairs, tolerance, bounds)


def _compare_figure(
    name: str, pairs: Sequence[tuple[float, float]], tolerance: float, bounds: tuple[bool, ...]
) -> FigureComparison:
    before_bound, after_bound = bounds
    n = len(pairs)
    before = math.fsum(pair[0] for pair in pairs) / n
    after = math.fsum(pair[1] for pair in pairs) / n
    interval = bootstrap_interval([b - a for a, b in pairs])
    # One pair has no interval: the change itself is then all that is known.
    low, high = interval or (after - before, after - before)
    verdict: Literal["worse", "better", "same", "unknown"] = "same"
    if low > 0 and after - before > tolerance * before:
        verdict = "unknown" if before_bound else "worse"
    elif high < 0 and before - after > tolerance * before:
        verdict = "unknown" if after_bound else "better"
    elif before_bound or after_bound:
        verdict = "unknown"
    return FigureComparison(
        name=name,
        pairs=n,
        before=before,
        after=after,
        effect=after - before,
        interval=interval,
        relative=(after - before) / before if before else None,
        verdict=verdict,
        before_at_least=before_bound,
        after_at_least=after_bound,
    )


def _mean_figure(name: str, attempts: _Attempts) -> float | None:
    values = [record.figures[name] for record in attempts if name in record.figures]
    return math.fsum(values) / len(values) if len(values) == len(attempts) else None
