"""The traces that another tool left, judged by a skill's manifest and what was translated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from skilltrace_mlflow.agent.bridges._case import Attempt, ImportedCase
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.errors import ConfigurationError, SkillTraceError
from skilltrace_mlflow.expectations import Manifest, merge_expectations, parse_expectations
from skilltrace_mlflow.expectations.responses import response_keys
from skilltrace_mlflow.responses import all_responses, run_response
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.score import score_session
from skilltrace_mlflow.scorers import as_response
from skilltrace_mlflow.sources.load import load_file
from skilltrace_mlflow.text import counted

__all__ = ["evaluate_imported"]

_OF_MODELS = ("assertions", "expected_response", "guidelines")


def evaluate_imported(cases: Sequence[ImportedCase], manifest: Manifest) -> Evaluation:
    """Judge the traces that the other tool left, by the manifest and what was translated.

    Raises ConfigurationError where it left none.
    """
    arms: dict[str, list[TestResult]] = {"with": [], "without": []}
    for case in cases:
        for attempt in case.attempts:
            arms[attempt.arm].append(_judged(case, attempt, manifest))
    if not arms["with"]:
        raise ConfigurationError("there is no trace to evaluate; import the cases, then `run` them")
    both = bool(arms["without"])
    return Evaluation(
        skill=manifest.name,
        results=tuple(replace(r, arm="with") if both else r for r in arms["with"]),
        without=tuple(replace(r, arm="without") for r in arms["without"]),
        notes=tuple(f"{case.id}: {text}" for case in cases for text in _notes(case)),
    )


def _notes(case: ImportedCase) -> list[str]:
    """What of the other tool's case is not judged."""
    asked = [case.expectations[key] for key in _OF_MODELS if key in case.expectations]
    count = sum(len(value) if isinstance(value, list) else 1 for value in asked)
    model = f"{counted(count, 'expectation')} for a model to judge: not judged here"
    return [*case.left_out, *([model] if count else [])]


def _judged(case: ImportedCase, attempt: Attempt, manifest: Manifest) -> TestResult:
    result = TestResult(
        test_id=case.id, skill=manifest.name, attempt=attempt.attempt, prompt=case.prompt
    )
    said = (attempt.said,) if attempt.said else ()
    if attempt.trace is None:
        return replace(result, error=attempt.error or "no trace was found", notes=said)
    try:
        session = load_file(attempt.trace).session
    except SkillTraceError as error:
        return replace(result, error=str(error), notes=said)
    keys = response_keys()
    responses = {k: v for k, v in case.expectations.items() if k in keys}
    traces = {k: v for k, v in case.expectations.items() if k not in keys}
    expected = parse_expectations(merge_expectations(manifest.trace_expectations, traces))
    outcomes: list[Outcome] = [*score_session(session, expected)]
    response = as_response(inputs={"prompt": case.prompt}, outputs=None, session=session)
    for spec in all_responses().values():
        parameters = spec.parse(responses) if responses and not spec.listed else None
        if parameters is not None:
            outcomes.append(run_response(spec, response, parameters))
    judged = (o for o in outcomes if o.verdict is not Verdict.NOT_APPLICABLE)
    return replace(
        result,
        outcomes=tuple(sorted(judged, key=lambda outcome: outcome.check)),
        session=session,
        source=str(attempt.trace),
        notes=said,
    )
