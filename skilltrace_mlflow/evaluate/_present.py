"""What MLflow's own pages show of a run and its traces: tags, a description, the verdict in a name.

Nothing is decided by these: they repeat for a reader what assessments, metrics and lines say. The
figures of a run (`run_metrics`) are over all its rows: MLflow's own means cover one call at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from skilltrace_mlflow.attempts import attempt_metrics
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.comparison.records import REPORT_ARTIFACT
from skilltrace_mlflow.evaluate._rows import Row
from skilltrace_mlflow.evaluate._store import STORE_ERRORS, RunStore, first_line
from skilltrace_mlflow.gates import is_graded
from skilltrace_mlflow.report.markdown import to_note
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.sources.mlflow.names import TEST_TAG, judged_tags

__all__ = ["VERDICT_TAG", "present_run", "run_metrics", "tag_traces"]

VERDICT_TAG = "skilltrace.verdict"
_NOTE = "mlflow.note.content"
_WORDS = {0: "passed", 1: "failed", 2: "unreadable input"}
_MARKS = {"passed": "✓", "failed": "✗", "unreadable input": "!"}
_LONGEST_TAG = 500


def present_run(
    evaluation: Evaluation, store: RunStore, *, named: bool, tracking_uri: str
) -> str | None:
    """Verdict, tests and description on the run; its new name where MLflow made the old one up.

    Raises one of STORE_ERRORS.
    """
    word = _WORDS.get(evaluation.exit_code, "not fully judged")
    tests = ", ".join(dict.fromkeys(result.test_id for result in evaluation.results))
    store.tag(VERDICT_TAG, word)
    store.tag(TEST_TAG, _cut(tests))
    databricks = tracking_uri.startswith("databricks")
    page = f"#/experiments/{store.experiment_id}/runs/{store.run_id}/artifacts/{REPORT_ARTIFACT}"
    store.tag(_NOTE, to_note(evaluation, report=None if databricks else page))
    name = evaluation.run_name
    if named or not name or name[0] in "✓✗?!":
        return name
    name = f"{_MARKS.get(word, '?')} {word} · {name}"
    store.rename(name)
    return name


def tag_traces(rows: Sequence[Row], results: Sequence[TestResult], store: RunStore) -> list[str]:
    """Skill, test and verdict on every trace that the run judged; what did not work, in words.

    A trace that several tests were judged on names them all, and the worst verdict.
    """
    judged: dict[str, list[TestResult]] = {}
    for row in rows:
        if row.trace_id is not None and row.number < len(results):
            judged.setdefault(row.trace_id, []).append(results[row.number])
    held = {row.trace_id: row.trace.info.tags for row in rows if row.trace is not None}
    wanted = [
        (trace_id, key, value)
        for trace_id, found in judged.items()
        for key, value in _tags(found, held.get(trace_id, {})).items()
        if held.get(trace_id, {}).get(key) != value
    ]

    for done, (trace_id, key, value) in enumerate(wanted):
        left = f"{len(wanted) - done:,} tags of traces were not set"
        if store.deadline.passed:
            return [f"{left}: the time was over"]
        try:
            store.patiently(store.client.set_trace_tag, trace_id, key, value)
        except STORE_ERRORS as error:
            return [f"{left}: {first_line(error)}"]
    return []


def _tags(found: Iterable[TestResult], held: Mapping[str, str]) -> Mapping[str, str]:
    """What is to stand on a trace that holds these tags already."""
    found = list(found)
    order = (Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN, Verdict.PASS)
    verdict = min((result.verdict for result in found), key=order.index)
    tests = _cut(", ".join(dict.fromkeys(result.test_id for result in found)))
    marks = judged_tags(held, test=tests, skill=_cut(found[0].skill))
    return {**marks, VERDICT_TAG: str(verdict)}


def _cut(text: str) -> str:
    text = " ".join(text.split()) or "-"
    return text if len(text) <= _LONGEST_TAG else text[: _LONGEST_TAG - 1] + "…"


def run_metrics(results: Sequence[TestResult]) -> dict[str, float]:
    """For each check `/mean` of what could be judged, `/pass_rate` and `/coverage` of all that
    were expected; then the figures over attempts.
    """
    outcomes: dict[str, list[Outcome]] = {}
    for result in results:
        for outcome in result.judged:
            outcomes.setdefault(outcome.check, []).append(outcome)
    figures: dict[str, float] = {}
    for check, found in sorted(outcomes.items()):
        judged = [o for o in found if o.verdict in (Verdict.PASS, Verdict.FAIL)]
        passed = sum(o.verdict is Verdict.PASS for o in judged)
        if judged:
            values = [_value(outcome) for outcome in judged]
            figures[f"{check}/mean"] = sum(values) / len(values)
        figures[f"{check}/pass_rate"] = passed / len(found)
        figures[f"{check}/coverage"] = len(judged) / len(found)
    return figures | attempt_metrics(results)


def _value(outcome: Outcome) -> float:
    """What MLflow's own mean counts: the score of a graded check, 1 or 0 for a yes or no."""
    if outcome.score is not None and is_graded(outcome.check):
        return outcome.score
    return float(outcome.verdict is Verdict.PASS)
