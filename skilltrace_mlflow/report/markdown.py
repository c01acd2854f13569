"""Markdown for the summary page of a CI job: problems first, then gates, then one line per test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from skilltrace_mlflow.arms import compare_arms
from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.figures import NO_FIGURES
from skilltrace_mlflow.report._attempts import (
    ARMS_HEAD,
    HEAD,
    arms_lines,
    arms_rows,
    attempts_of,
    attempts_rows,
    attempts_summary,
    triggering_summary,
)
from skilltrace_mlflow.report._summary import sentence
from skilltrace_mlflow.report._words import labels, problems, top_reasons, what_happened
from skilltrace_mlflow.report.table import headline
from skilltrace_mlflow.results import Evaluation, GateResult, TestResult
from skilltrace_mlflow.text import one_line

__all__ = ["escape", "markdown_table", "to_markdown", "to_note"]

# GitHub takes a job summary of at most 1 MiB; 300 rows of at most 1,500 characters stay below.
_MOST_PROBLEMS = 300
_MOST_TESTS = 1_000
_MOST_REASONS = 10
# Everything that starts markup inside a line, autolinks (http://) and emoji names (:x:) included.
_MARKUP = re.compile(r"[\\`*_\[\]!|~$@]|:(?=\S)|(?<=www)\.", re.IGNORECASE)
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: str, limit: int = 400) -> str:
    """`text` on one line such that Markdown shows it as it is, in a table too."""
    shown = _MARKUP.sub(lambda match: "\\" + match[0], one_line(text, limit))
    return re.sub("[&<>]", lambda match: _ENTITIES[match[0]], shown)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are already escaped."""
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def to_markdown(evaluation: Evaluation) -> str:
    """The evaluation as GitHub-flavoured Markdown."""
    names = {key: escape(name) for key, name in labels(evaluation.results).items()}
    parts = [
        f"## {escape(evaluation.skill) or 'Evaluation'}",
        f"**{escape(headline(evaluation))}**",
    ]
    found = problems(evaluation)
    if found:
        rows = [
            (
                f"**{outcome.verdict}**",
                escape(outcome.check) or "(whole test)",
                escape(what_happened(outcome)),
                names[id(result)],
            )
            for result, outcome in found[:_MOST_PROBLEMS]
        ]
        parts.append(markdown_table(("verdict", "check", "expected and observed", "test"), rows))
        if len(found) > _MOST_PROBLEMS:
            parts.append(f"… and {len(found) - _MOST_PROBLEMS:,} more.")
    stats = attempts_of(evaluation)
    if stats is not None:
        rows = attempts_rows(stats)[:_MOST_PROBLEMS]
        cells = ([escape(cell) for cell in row] for row in rows)
        parts += ["### Attempts", markdown_table(HEAD, cells), escape(attempts_summary(stats))]
    triggering = triggering_summary(evaluation)
    if triggering is not None:
        parts.append(escape(triggering))
    arms = compare_arms(evaluation)
    if arms is not None:
        cells = ([escape(cell) for cell in row] for row in arms_rows(arms))
        parts += ["### With and without the skill", markdown_table(ARMS_HEAD, cells)]
        parts += [escape(line) for line in arms_lines(arms)]
    if evaluation.gates:
        parts += ["### Gates", _gates(evaluation.gates)]
    if evaluation.results:
        parts += ["### Tests", _tests(evaluation.results[:_MOST_TESTS], names)]
        if len(evaluation.results) > _MOST_TESTS:
            parts.append(f"… and {len(evaluation.results) - _MOST_TESTS:,} more.")
    parts += [f"Lost: {escape(text)}" for text in evaluation.incomplete]
    parts += [f"Note: {escape(text)}" for text in evaluation.notes]
    if evaluation.run_id:
        parts.append(f"MLflow run {escape(evaluation.run_id)}")
    return "\n\n".join(parts) + "\n"


def to_note(evaluation: Evaluation, *, report: str | None = None) -> str:
    """The evaluation in short, for the description of its run; `report` is the report's address."""

    def shown(text: str) -> str:
        # MLflow's pages know no emoji names, and show the backslash in front of a colon.
        return escape(text, 2_000).replace("\\:", ":")

    parts = [f"**{shown(headline(evaluation))}**", shown(sentence(evaluation))]
    if evaluation.gates:
        parts.append(_gates(evaluation.gates).replace("\\:", ":"))
    reasons = top_reasons(evaluation, _MOST_REASONS)
    if reasons:
        parts.append("\n".join(f"- {shown(text)}" for text in reasons))
    parts += [f"Lost: {shown(text)}" for text in evaluation.incomplete[:_MOST_REASONS]]
    if report is not None:
        parts.append(f"[Report: every test, check and call]({report})")
    return "\n\n".join(parts) + "\n"


def _gates(gates: Sequence[GateResult]) -> str:
    rows = [
        (
            escape(gate.name),
            f"{gate.required:g}",
            gate.shown,
            gate.shown_coverage,
            "pass" if gate.passed else "**fail**",
            escape(gate.reason),
        )
        for gate in sorted(gates, key=lambda gate: gate.passed)
    ]
    return markdown_table(("gate", "required", "got", "judged", "verdict", "why"), rows)


def _tests(results: Sequence[TestResult], names: dict[int, str]) -> str:
    rows = []
    for result in results:
        counts = Counter(outcome.verdict for outcome in result.judged)
        figures = result.figures or NO_FIGURES
        rows.append(
            (
                names[id(result)],
                f"{result.verdict}" if result.verdict is Verdict.PASS else f"**{result.verdict}**",
                f"{counts[Verdict.PASS]} of {len(result.judged)}",
                figures.shown("tool_calls", none="—"),
                figures.shown("total_tokens", none="—"),
                figures.shown("duration_seconds", none="—"),
            )
        )
    head = ("test", "verdict", "checks passed", "tool calls", "tokens", "duration")
    return markdown_table(head, rows)
