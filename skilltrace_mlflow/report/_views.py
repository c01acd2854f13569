"""What the HTML report's template shows, computed here so that the template only prints."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.figures import FIGURES, NO_FIGURES, shown_figure
from skilltrace_mlflow.report._words import Problem, labels, what_happened
from skilltrace_mlflow.report.charts import bars, histogram
from skilltrace_mlflow.report.timeline import Limits, build_timeline
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.text import clipped, counted, dumps, one_line, without_password

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = [
    "PAGE_LIMITS",
    "charts",
    "facts",
    "gate_rows",
    "matrix",
    "problem_rows",
    "session_notes",
    "tests",
]

PAGE_LIMITS = Limits(input=100_000, result=100_000, message=100_000)

_LETTERS = {"pass": "p", "fail": "f", "unknown": "u", "error": "e"}
_MOST_PROBLEMS = 100
_FEW_LINKS, _MOST_LINKS = 3, 300
_MANY_COLUMNS = 7
_FEW_TESTS = 24
_FEW_OPEN = 3
_MOST_MISSES = 20
_MOST_REASONS = 5_000
_SORTED_BY = {"cost": "cost_usd", "tokens": "total_tokens", "seconds": "duration_seconds"}
_CHARTS = ("total_tokens", "tool_calls", "duration_seconds", "cost_usd")
# Evidence dominates a report's size: this many characters are spread over all calls shown, and
# tests that passed lose their timeline first.
_EVIDENCE_BUDGET = 6_000_000
_MOST_CALLS = 4_000
_LEAST_TEXT, _MOST_TEXT = 200, 4_000


def facts(evaluation: Evaluation, now: datetime) -> list[tuple[str, str]]:
    """When the report was written, and where the evaluation was logged."""
    run = evaluation.run_name or evaluation.run_id
    return [
        (name, one_line(value, 500))
        for name, value in (
            ("written", f"{now:%d %B %Y, %H:%M} {now.tzname() or ''}".lstrip("0")),
            ("MLflow run", run),
            ("run id", evaluation.run_id if run != evaluation.run_id else None),
            ("experiment", evaluation.experiment_id),
            ("tracking server", without_password(evaluation.tracking_uri or "")),
        )
        if value
    ]


def problem_rows(evaluation: Evaluation, found: Sequence[Problem]) -> dict[str, Any]:
    """The most frequent problems, each with the places in the page where its tests stand; and how
    many more there are.
    """
    anchors = {id(r): f"t{index}" for index, r in enumerate(evaluation.results)}
    names = labels(evaluation.results)
    return {
        "rows": [
            {
                "verdict": str(problem.verdict),
                "check": one_line(problem.check, 100),
                "what": problem.text,
                "count": f"{len(problem.tests):,}",
                "many": len(problem.tests) > _FEW_LINKS,
                "tests": [
                    (names[id(result)], anchors[id(result)])
                    for result in problem.tests[:_MOST_LINKS]
                ],
                "more": f"{max(0, len(problem.tests) - _MOST_LINKS):,}",
            }
            for problem in found[:_MOST_PROBLEMS]
        ],
        "more": f"{max(0, len(found) - _MOST_PROBLEMS):,}",
    }


def gate_rows(gates: Sequence[GateResult]) -> list[dict[str, str]]:
    """Gates, failed ones first."""
    return [
        {
            "verdict": "pass" if gate.passed else "fail",
            "name": one_line(gate.name),
            "required": f"{gate.required:g}",
            "got": gate.shown,
            "coverage": gate.shown_coverage,
            "reason": one_line(gate.reason, 400),
        }
        for gate in sorted(gates, key=lambda gate: gate.passed)
    ]


def matrix(evaluation: Evaluation) -> dict[str, Any]:
    """Tests by checks; a cell is (class letter, word, anchor of the check in its test)."""
    checks = evaluation.check_names
    gates = {name: gate for gate in evaluation.gates for name in gate.checks}
    columns = [
        {
            "name": one_line(name, 60),
            "gate": _gate_note(gates[name]) if name in gates else "",
            "class": ("pass" if gates[name].passed else "fail") if name in gates else "",
        }
        for name in checks
    ]
    names = labels(evaluation.results)
    figures = [
        (name, key)
        for name, key in _SORTED_BY.items()
        if any((r.figures or NO_FIGURES).get(key) is not None for r in evaluation.results)
    ]
    rows: list[dict[str, Any]] = []
    for index, result in enumerate(evaluation.results):
        verdicts = {o.check: str(o.verdict) for o in result.judged}
        cells = []
        for column, name in enumerate(checks):
            word = verdicts.get(name, "")
            linked = word not in ("", "pass")
            cells.append((_LETTERS.get(word, ""), word, f"t{index}c{column}" if linked else ""))
        rows.append(
            {
                "anchor": f"t{index}",
                "name": names[id(result)],
                "verdict": str(result.verdict),
                "letter": _LETTERS[result.verdict],
                "ok": result.verdict is Verdict.PASS,
                "cells": cells,
                "kinds": "".join(letter or "-" for letter, _, _ in cells),
                "category": one_line(result.category or ""),
                "figures": [
                    (name, (result.figures or NO_FIGURES).get(key), shown_in_matrix(result, key))
                    for name, key in figures
                ],
            }
        )
    return {
        "columns": columns,
        "rows": rows,
        "upright": len(checks) > _MANY_COLUMNS,
        "categories": sorted({row["category"] for row in rows} - {""}),
        "figures": [name for name, _ in figures],
        "verdicts": [v for v in _LETTERS if any(row["verdict"] == v for row in rows)],
    }


def shown_in_matrix(result: TestResult, key: str) -> str:
    """A figure in as few letters as a column has; a lower bound is `≥`."""
    return (result.figures or NO_FIGURES).shown(key, none="").replace("at least ", "≥ ")


def charts(evaluation: Evaluation) -> list[dict[str, str | Markup]]:
    """Distributions of the figures that at least two tests have."""
    from markupsafe import Markup

    names = labels(evaluation.results)
    made: list[dict[str, str | Markup]] = []
    for key in _CHARTS:
        items = [
            (names[id(result)], float(value))
            for result in evaluation.results
            if (value := (result.figures or NO_FIGURES).get(key)) is not None
        ]
        if len(items) < 2:
            continue
        values = sorted(value for _, value in items)
        bounds = sum(key in (r.figures or NO_FIGURES).at_least for r in evaluation.results)
        title = f"{FIGURES[key]} per test"
        svg = (
            bars(items, title=title)
            if len(items) <= _FEW_TESTS
            else histogram(values, title=title, unit=FIGURES[key])
        )
        made.append(
            {
                "title": title,
                "caption": _spread(key, values, bounds),
                "svg": Markup(svg),  # noqa: S704 - made by charts.py, which escapes every name
            }
        )
    return made


def _spread(key: str, values: Sequence[float], bounds: int) -> str:
    """Median and extremes of sorted values; `bounds` of them are lower bounds."""
    middle = shown_figure(key, statistics.median(values))
    least, most = shown_figure(key, values[0]), shown_figure(key, values[-1])
    text = f"median {middle}, from {least} to {most}, {counted(len(values), 'test')}"
    return text + (f"; lower bounds in {bounds:,} of them" if bounds else "")


def tests(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """One view per test, made when the template asks for it."""
    names = labels(evaluation.results)
    columns = {name: index for index, name in enumerate(evaluation.check_names)}
    shown = _with_timeline(evaluation.results)
    calls = sum(len(r.session.tool_calls) for r in shown.values() if r.session is not None)
    size = max(_LEAST_TEXT, min(_MOST_TEXT, _EVIDENCE_BUDGET // (2 * max(calls, 1))))
    limits = Limits(input=size, result=size, message=size)
    # Opened are the few that a reader has come for, never a wall of them.
    few = len(evaluation.results) <= _FEW_OPEN
    few_failed = sum(r.verdict is not Verdict.PASS for r in evaluation.results) <= _FEW_OPEN
    # What a check says of a pass is left out where it would be most of a page that is slow to open.
    brief = len(evaluation.results) * len(columns) > _MOST_REASONS
    for index, result in enumerate(evaluation.results):
        yield _test(
            result,
            names[id(result)],
            f"t{index}",
            columns,
            limits if id(result) in shown else None,
            few or (few_failed and result.verdict is not Verdict.PASS),
            brief,
        )


def session_notes(session: Session) -> list[str]:
    """What a reader should know about the record: lower bounds, gaps, odd lines."""
    notes = [*session.usage_notes, *session.incomplete]
    notes += [f"no {kind}: {reason}" for kind, reason in session.missing.items()]
    for found in session.diagnostics[:20]:
        where = f"line {found.line}: " if found.line is not None else ""
        notes.append(f"{where}{found.message}")
    return [one_line(note, 400) for note in notes]


def _with_timeline(results: Sequence[TestResult]) -> dict[int, TestResult]:
    """The tests whose timeline fits the report, those that did not pass first."""
    chosen: dict[int, TestResult] = {}
    calls = 0
    for result in sorted(results, key=lambda result: result.verdict is Verdict.PASS):
        if result.session is None:
            continue
        calls += len(result.session.tool_calls)
        if calls > _MOST_CALLS and chosen:
            break
        chosen[id(result)] = result
    return chosen


def _test(
    result: TestResult,
    name: str,
    anchor: str,
    columns: Mapping[str, int],
    limits: Limits | None,
    opened: bool,
    brief: bool,
) -> dict[str, Any]:
    passed = result.verdict is Verdict.PASS
    session = result.session
    view: dict[str, Any] = {
        "anchor": anchor,
        "name": name,
        "verdict": str(result.verdict),
        "ok": passed,
        "open": opened,
        "caption": _caption(result),
        "error": result.error and clipped(result.error, 2_000),
        "facts": _test_facts(result),
        "notes": [one_line(note, 500) for note in result.notes],
        "checks": [
            _check(outcome, anchor, columns)
            for outcome in _worst_first(result.judged)
            if not brief or outcome.verdict is not Verdict.PASS
        ],
        "passed": one_line(
            ", ".join(o.check for o in result.judged if brief and o.verdict is Verdict.PASS), 2_000
        ),
        "alignments": list(_alignments(result.judged)),
        "nodes": (),
        "no_timeline": "",
    }
    if session is None:
        view["no_timeline"] = "The trace itself is not part of this report." * bool(result.figures)
    elif limits is None:
        view["no_timeline"] = "The timeline is left out to keep this report small; see show."
    else:
        view["nodes"] = build_timeline(session, limits, result.judged)
        view["notes"] += session_notes(session)
    return view


def _caption(result: TestResult) -> str:
    figures = result.figures or NO_FIGURES
    shown = (("tool_calls", " calls"), ("total_tokens", " tokens"), ("duration_seconds", ""))
    return " · ".join(
        figures.shown(key) + word
        for key, word in (*shown, ("cost_usd", ""))
        if figures.get(key) is not None
    )


def _test_facts(result: TestResult) -> list[tuple[str, str]]:
    return [
        (name, text)
        for name, text in (
            ("category", one_line(result.category or "")),
            ("prompt", clipped((result.prompt or "").strip(), 2_000)),
            ("trace", one_line(result.trace_id or result.source or "", 500)),
            ("run", one_line(result.run_id or "")),
        )
        if text
    ]


def _check(outcome: Outcome, anchor: str, columns: Mapping[str, int]) -> dict[str, Any]:
    passed = outcome.verdict is Verdict.PASS
    what = what_happened(outcome, 2_000) if outcome.rationale or not passed else ""
    return {
        "verdict": str(outcome.verdict),
        "name": one_line(outcome.check, 100),
        "score": "" if outcome.score is None else f"{outcome.score:.3g}",
        "what": what,
        "misses": [] if passed else _misses(outcome, anchor),
        "anchor": "" if passed else f"{anchor}c{columns[outcome.check]}",
    }


def _misses(outcome: Outcome, anchor: str) -> list[dict[str, Any]]:
    """Misses with the calls that they speak of, and those that the rationale does not spell out."""
    calls: dict[str, list[tuple[str, str]]] = {}
    for ref in outcome.calls:
        calls.setdefault(ref.miss, []).append((one_line(ref.where), f"{anchor}n{ref.number}"))
    told = dict.fromkeys((*outcome.misses, *calls))
    return [
        {"text": one_line(text, 400), "calls": calls.get(text, [])[:_MOST_MISSES]}
        for text in told
        if text in calls or (outcome.rationale and text not in outcome.rationale)
    ][:_MOST_MISSES]


def _worst_first(outcomes: Sequence[Outcome]) -> list[Outcome]:
    order = (Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN, Verdict.PASS)
    return sorted(outcomes, key=lambda outcome: order.index(outcome.verdict))


def _alignments(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for outcome in outcomes:
        rows = outcome.details.get("alignment")
        if isinstance(rows, list | tuple):
            shown = [_aligned(row) for row in rows[:200] if isinstance(row, Mapping)]
            if shown and outcome.verdict is not Verdict.PASS:
                yield one_line(outcome.check, 100), shown


def _aligned(row: Mapping[str, Any]) -> dict[str, Any]:
    differs = [str(key) for key in row.get("differs") or ()]
    expected, actual = row.get("expected"), row.get("actual")
    if row.get("matched"):
        kind, word = "pass", "matched"
    elif expected is None:
        kind, word = ("fail", "extra") if row.get("extra", True) else ("same", "other")
    elif actual is None:
        kind, word = "fail", "missing"
    else:
        kind, word = "fail", "differs" if differs else "not here"
    return {
        "class": kind,
        "word": word,
        "expected": _side(expected, differs),
        "actual": _side(_telling(actual, expected), differs),
        "differs": one_line(", ".join(differs), 300),
    }


def _telling(actual: Any, expected: Any) -> Any:
    """The actual call without what nobody asked about: of a call beside the expected ones the
    first argument is enough, and that a call succeeded is worth a word only where it was expected.
    """
    if not isinstance(actual, Mapping):
        return actual
    asked = expected if isinstance(expected, Mapping) else {}
    shown = dict(actual)
    if "outcome" not in asked and shown.get("outcome") == "succeeded":
        del shown["outcome"]
    if "duration_ms" not in asked:
        shown.pop("duration_ms", None)
    if expected is None and isinstance(shown.get("input"), Mapping):
        shown["input"] = dict(list(shown["input"].items())[:1])
    return shown


def _side(call: Any, differs: Sequence[str]) -> dict[str, Any] | None:
    if call is None:
        return None
    if not isinstance(call, Mapping):
        return {"title": one_line(str(call)), "note": "", "fields": []}
    fields: list[tuple[str, str, bool]] = []
    for key, value in call.items():
        if key in ("tool", "name", "id", "index", "position"):
            continue
        if isinstance(value, Mapping) and key in ("input", "output"):
            for inner, item in value.items():
                marked = f"{key}.{inner}" in differs or str(inner) in differs or key in differs
                marked = marked or any(
                    d.startswith((f"{inner}.", f"{key}.{inner}.")) for d in differs
                )
                name = str(inner) if key == "input" else f"{key}.{inner}"
                fields.append((one_line(name, 80), _value(item), marked))
        elif value is not None:
            fields.append((one_line(str(key), 80), _value(value), str(key) in differs))
    place = call.get("position", call.get("index"))
    return {
        "title": one_line(str(call.get("tool", call.get("name", "?"))), 100),
        "note": f"call {place}" if isinstance(place, int) else "",
        "fields": fields,
    }


def _differs(path: str, name: str, differs: Sequence[str]) -> bool:
    """Whether an argument, or something inside it, is among the differing keys."""
    return any(d in (path, name) or d.startswith((f"{path}.", f"{name}.")) for d in differs)


def _value(value: Any) -> str:
    return one_line(value if isinstance(value, str) else dumps(value), 300)


def _gate_note(gate: GateResult) -> str:
    return f"{gate.shown} of {gate.required:g}"
