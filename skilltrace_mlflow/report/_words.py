"""The words of every format: what results are called, what did not pass, and why.

What went wrong is told once (`failures`, `unjudged`): tests that failed, or could not be judged,
for the same reason. Two reasons are the same kind where they differ in numbers, ids and quoted
texts only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.text import counted, label, one_line

__all__ = [
    "WHOLE_TEST",
    "WORST_FIRST",
    "Problem",
    "failures",
    "labels",
    "missed",
    "problems",
    "top_reasons",
    "unjudged",
    "what_happened",
]

WHOLE_TEST = "(whole test)"
"""Stands for the check's name where no check is meant."""

WORST_FIRST = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.UNKNOWN: 2, Verdict.PASS: 3}
_NOTHING_ASKED = "nothing was expected of this test, so nothing was judged"
_LONGEST = 400
# What may differ between two texts of one kind: quoted texts, ids, numbers.
_SLOT = re.compile(
    r"`[^`]*`|\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)"
    r"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\btr-[0-9a-f]+\b"
    r"|\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b|(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])"
)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def labels(results: Sequence[TestResult], *, limit: int = 120) -> dict[int, str]:
    """The name of each result, by its `id()`; the attempt is shown where there are several."""
    attempts = Counter(result.test_id for result in results)
    return {
        id(r): label(r.test_id, r.attempt, attempts=attempts[r.test_id], limit=limit)
        for r in results
    }


def problems(evaluation: Evaluation) -> list[tuple[TestResult, Outcome]]:
    """Everything that did not pass, failures before errors before unknowns, tests in order."""
    found = [(result, outcome) for result in evaluation.results for outcome in missed(result)]
    return sorted(found, key=lambda pair: WORST_FIRST[pair[1].verdict])


def missed(result: TestResult) -> list[Outcome]:
    """What did not pass of one test, the worst first.

    What kept the whole test from being judged comes as an outcome without a check's name.
    """
    found: list[Outcome] = []
    if result.error is not None:
        found.append(Outcome(verdict=Verdict.ERROR, rationale=result.error))
    elif not result.judged:
        found.append(Outcome(verdict=Verdict.UNKNOWN, rationale=_NOTHING_ASKED))
    found += [outcome for outcome in result.judged if outcome.verdict is not Verdict.PASS]
    return sorted(found, key=lambda outcome: WORST_FIRST[outcome.verdict])


def what_happened(outcome: Outcome, limit: int = 400) -> str:
    """Expected and observed on one line, behind the calls that it speaks of: the rationale, or what
    was missed where there is none.
    """
    text = outcome.explanation or "; ".join(outcome.misses[:5]) or "no reason given"
    return one_line(text, limit)


@dataclass(kw_only=True)
class Problem:
    """One reason, and the tests that it hit, each once and in order."""

    verdict: Verdict
    check: str
    text: str
    tests: list[TestResult] = field(default_factory=list)


def failures(evaluation: Evaluation) -> list[Problem]:
    """What failed, by check and by what was missed: what hit most tests first.

    A reason that hit a single test is told whole, with its call.
    """
    found = [pair for pair in problems(evaluation) if pair[1].verdict is Verdict.FAIL]
    return _ranked(_grouped(found, _missed))


def unjudged(evaluation: Evaluation) -> list[Problem]:
    """What could not be judged, by check and by the kind of reason."""
    found = [p for p in problems(evaluation) if p[1].verdict in (Verdict.UNKNOWN, Verdict.ERROR)]
    return _ranked(_grouped(found, _reason))


def top_reasons(evaluation: Evaluation, most: int = 3) -> list[str]:
    """The most frequent reasons in short: `required_tools: Read: not called · 41 tests`."""
    ranked = [*failures(evaluation), *unjudged(evaluation)]
    return [
        f"{one_line(problem.check, 80)}: {one_line(problem.text, 160)} · "
        f"{counted(len(problem.tests), 'test')}"
        for problem in ranked[:most]
    ]


def _missed(outcome: Outcome) -> Sequence[str]:
    told = [text for text in outcome.misses if text in outcome.rationale]
    return told or [outcome.rationale]


def _reason(outcome: Outcome) -> Sequence[str]:
    return [outcome.rationale]


def _grouped(
    found: Sequence[tuple[TestResult, Outcome]], reasons: Callable[[Outcome], Sequence[str]]
) -> Iterator[Problem]:
    """Reasons that hit several tests once each; what is left of a test's, test by test."""
    groups: dict[tuple[Verdict, str, str], list[tuple[TestResult, str]]] = {}
    keys: list[list[tuple[Verdict, str, str]]] = []
    for result, outcome in found:
        mine = []
        for text in reasons(outcome):
            key = (outcome.verdict, outcome.check, _kind(text))
            groups.setdefault(key, []).append((result, text))
            mine.append(key)
        keys.append(mine)
    shared = {key for key, hits in groups.items() if len({id(result) for result, _ in hits}) > 1}
    for key in groups:
        if key in shared:
            verdict, check, _ = key
            tests = list({id(result): result for result, _ in groups[key]}.values())
            text = one_line(_common(text for _, text in groups[key]), _LONGEST)
            yield Problem(
                verdict=verdict, check=check or WHOLE_TEST, text=text or "no reason", tests=tests
            )
    for (result, outcome), mine in zip(found, keys, strict=True):
        if not all(key in shared for key in mine):
            yield Problem(
                verdict=outcome.verdict,
                check=outcome.check or WHOLE_TEST,
                text=what_happened(outcome, _LONGEST),
                tests=[result],
            )


def _ranked(made: Iterable[Problem]) -> list[Problem]:
    return sorted(made, key=lambda problem: -len(problem.tests))


def _kind(text: str) -> str:
    return _SLOT.sub("\0", text)


def _common(texts: Iterable[str]) -> str:
    """One text for several of one kind: what differs is `…`, or a range of numbers where they alone
    differ.
    """
    distinct = list(dict.fromkeys(texts))
    slots = list(zip(*map(_SLOT.findall, distinct), strict=True))
    alone = sum(len(set(values)) > 1 for values in slots) == 1
    shown = iter([_one_slot(values, alone) for values in slots])
    return _SLOT.sub(lambda _: next(shown), distinct[0])


def _one_slot(values: Sequence[str], alone: bool) -> str:
    if len(set(values)) == 1:
        return values[0]
    if alone and all(_NUMBER.fullmatch(value) for value in values):
        ordered = sorted(set(values), key=lambda value: float(value.replace(",", "")))
        return f"{ordered[0]} to {ordered[-1]}"
    marks = {value[0] for value in values}
    mark = marks.pop() if len(marks) == 1 and values[0][0] in "`\"'" else ""
    return f"{mark}…{mark}"
