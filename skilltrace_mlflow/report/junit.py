"""JUnit XML: one testcase per test and check, one per gate.

The elements and attributes are those that both the Ant schema and the Jenkins xUnit schema allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from xml.etree import ElementTree as ET

from skilltrace_mlflow.checks import Outcome, Verdict, places
from skilltrace_mlflow.figures import NO_FIGURES
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from skilltrace_mlflow.text import clipped, label, one_line

__all__ = ["to_junit"]

_WHOLE_TEST = "(whole test)"
_LONGEST = 10_000


def to_junit(evaluation: Evaluation, *, now: datetime | None = None) -> str:
    """The evaluation as JUnit XML, dated `now`.

    A failure is a `<failure>`, what could not be judged an `<error>`: a reader of JUnit must not
    take either for green. A check that only its gate judges, and whose gate passed, is `<skipped>`
    where it did not pass, so that the file agrees with the exit code.
    """
    stamp = (now or datetime.now(timezone.utc)).strftime("%Y-%m-%dT%H:%M:%S")
    root = ET.Element("testsuites")
    excused = evaluation.allowed_checks
    cases: list[ET.Element] = []
    for result in evaluation.results:
        cases += _cases(result, excused)
    cases += [
        _case(evaluation.skill, "(logging)", "error", "lost", text, text)
        for text in evaluation.incomplete
    ]
    if not evaluation.results:
        text = "no test was evaluated"
        cases.append(_case(evaluation.skill, "(evaluation)", "error", "unknown", text, text))
    _suite(root, one_line(evaluation.skill) or "evaluation", cases, stamp)
    if evaluation.gates:
        name = f"{one_line(evaluation.skill)} quality gates".strip()
        _suite(root, name, [_gate_case(name, gate) for gate in evaluation.gates], stamp)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _cases(result: TestResult, excused: Mapping[str, str]) -> list[ET.Element]:
    class_name = f"{one_line(result.skill)}.{label(result.test_id, result.attempt, limit=500)}"
    cases = [_outcome_case(class_name, outcome, result, excused) for outcome in result.judged]
    seconds = (result.figures or NO_FIGURES).get("duration_seconds")
    if result.error is not None:
        text = _evidence(result.error, (), (), result)
        cases.append(_case(class_name, _WHOLE_TEST, "error", "error", result.error, text))
    elif not cases:
        text = "nothing was expected of this test, so nothing was judged"
        cases.append(_case(class_name, _WHOLE_TEST, "error", "unknown", text, text))
    if seconds is not None:
        # The session was one for all its checks: counted once, so that the sums are right.
        cases[0].set("time", f"{seconds:.3f}")
    return cases


def _outcome_case(
    class_name: str, outcome: Outcome, result: TestResult, excused: Mapping[str, str]
) -> ET.Element:
    name = outcome.check or _WHOLE_TEST
    if outcome.verdict is Verdict.PASS:
        return _case(class_name, name)
    verdict = str(outcome.verdict)
    message = outcome.explanation or "; ".join(outcome.misses)
    if name in excused:
        return _case(
            class_name, name, "skipped", None, f"{verdict}, but {excused[name]}: {message}"
        )
    at = places(outcome.calls)
    misses = tuple(f"{text} [{at[text]}]" if text in at else text for text in outcome.misses)
    text = _evidence(message, outcome.hits, misses, result)
    tag = "failure" if outcome.verdict is Verdict.FAIL else "error"
    return _case(class_name, name, tag, verdict, message, text)


def _gate_case(class_name: str, gate: GateResult) -> ET.Element:
    name = one_line(gate.name)
    if gate.passed:
        return _case(class_name, name)
    got = "nothing to judge" if gate.got is None else f"got {gate.shown}"
    message = f"required {gate.required:g}, {got}, coverage {gate.shown_coverage}. {gate.reason}"
    return _case(class_name, name, "failure", "gate", message.strip(), message)


def _case(
    class_name: str,
    name: str,
    tag: str | None = None,
    kind: str | None = None,
    message: str = "",
    text: str = "",
) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": one_line(class_name, 700) or "evaluation",
            "name": one_line(name) or "(unnamed)",
            "time": "0",
        },
    )
    if tag is not None:
        attributes = {"message": one_line(message, 1_000)}
        if kind is not None:
            attributes["type"] = kind
        ET.SubElement(case, tag, attributes).text = clipped(text, _LONGEST) or None
    return case


def _evidence(
    message: str, hits: tuple[str, ...], misses: tuple[str, ...], result: TestResult
) -> str:
    lines = [message]
    lines += [f"missed: {text}" for text in misses[:50]]
    lines += [f"met: {text}" for text in hits[:50]]
    if result.source:
        lines.append(f"trace: {result.source}")
    lines += [f"note: {text}" for text in result.notes]
    return "\n".join(lines)


def _suite(root: ET.Element, name: str, cases: list[ET.Element], stamp: str) -> None:
    def count(tag: str) -> str:
        return str(sum(1 for case in cases if case.find(tag) is not None))

    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": name,
            "id": str(len(root)),
            "package": "skilltrace",
            "hostname": "localhost",  # asked for by the Ant schema; whose machine it was is private
            "timestamp": stamp,
            "tests": str(len(cases)),
            "failures": count("failure"),
            "errors": count("error"),
            "skipped": count("skipped"),
            "time": f"{sum(float(case.get('time', '0')) for case in cases):.3f}",
        },
    )
    ET.SubElement(suite, "properties")
    suite.extend(cases)
    ET.SubElement(suite, "system-out")
    ET.SubElement(suite, "system-err")
