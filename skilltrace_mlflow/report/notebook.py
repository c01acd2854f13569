"""What a notebook shows of an evaluation, a session and its figures: HTML with styles in place.

Notebooks keep no style sheet and run no script of an output, and some are dark: colours are chosen
so that text stays readable on both, and words stand beside them.
"""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.metrics import TraceMetrics
from skilltrace_mlflow.report._files import write_atomic
from skilltrace_mlflow.report._summary import sentence
from skilltrace_mlflow.report._words import failures, labels, unjudged, what_happened
from skilltrace_mlflow.report.html import to_html
from skilltrace_mlflow.report.table import headline
from skilltrace_mlflow.report.timeline import Limits, Node, build_timeline, totals
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.text import clipped, counted, one_line

__all__ = ["ReportPage", "evaluation_html", "evaluation_page", "metrics_html", "session_html"]

_MOST_ROWS = 200
_MOST_REASONS = 8
_MOST_NODES = 60
_LONGEST_CELL = 300
_LONGEST_NAME = 40
# Words as well as marks: neither colour nor a symbol alone says what a verdict is.
_MARKS = {"pass": "✓ pass", "fail": "✗ fail", "unknown": "? unknown", "error": "! error"}
_COLOURS = {
    "pass": "background:#d8f0de;color:#12531f",
    "fail": "background:#fbdad7;color:#8a1510",
    "unknown": "background:#faecc4;color:#614100",
    "error": "background:#ecdcf8;color:#571f88",
}


@dataclass(frozen=True, kw_only=True)
class ReportPage:
    """The HTML report, shown by a notebook in a frame of its own; `path` where it was saved."""

    html: str = field(repr=False)
    path: Path | None = None

    def _repr_html_(self) -> str:
        where = "" if self.path is None else f"<p>saved to {_text(str(self.path), 500)}</p>"
        page = html.escape(self.html, quote=True)
        return (
            f'{where}<iframe sandbox="allow-scripts" srcdoc="{page}" '
            'style="width:100%;height:46rem;border:1px solid #8886"></iframe>'
        )


def evaluation_page(evaluation: Evaluation, path: str | os.PathLike[str] | None) -> ReportPage:
    """The report of an evaluation, saved to `path` where there is one."""
    text = to_html(evaluation)
    if path is None:
        return ReportPage(html=text)
    file = Path(path).expanduser()
    write_atomic(file, text)
    return ReportPage(html=text, path=file)


def evaluation_html(evaluation: Evaluation) -> str:
    """Headline, gates, the most frequent reasons, and the matrix of tests by checks."""
    verdict = {0: "pass", 1: "fail", 2: "fail"}.get(evaluation.exit_code, "unknown")
    style = f"{_COLOURS[verdict]};padding:.4em .7em"
    parts = [
        f'<p style="{style}"><b>{_text(headline(evaluation))}</b></p>',
        f"<p>{_text(sentence(evaluation), 1_000)}</p>",
    ]
    if evaluation.gates:
        rows = [
            (_mark("pass" if g.passed else "fail"), _cell(g.name), _cell(f"{g.required:g}"),
             _cell(g.shown), _cell(g.reason))
            for g in sorted(evaluation.gates, key=lambda gate: gate.passed)
        ]  # fmt: skip
        parts.append(_table("Gates", ("", "gate", "required", "got", "why"), rows))
    found = [*failures(evaluation), *unjudged(evaluation)]
    if found:
        reasons = [
            (_mark(str(p.verdict)), _cell(p.check), _cell(p.text), _cell(f"{len(p.tests):,}"))
            for p in found[:_MOST_REASONS]
        ]
        parts.append(_table("What did not pass", ("", "check", "why", "tests"), reasons))
    return "".join([*parts, _matrix(evaluation)])


def _matrix(evaluation: Evaluation) -> str:
    names = evaluation.check_names
    shown = evaluation.results[:_MOST_ROWS]
    tests = labels(evaluation.results)
    rows = []
    for result in shown:
        by_name = {outcome.check: outcome for outcome in result.judged}
        cells = (_outcome(by_name.get(name)) for name in names)
        whole = _mark(str(result.verdict), result.error or "")
        name = tests[id(result)]
        style = ' style="white-space:nowrap"' if len(name) <= _LONGEST_NAME else ""
        rows.append((f"<th{style}>{_text(name)}</th>", whole, *cells))
    if len(evaluation.results) > len(shown):
        rest = f"… and {counted(len(evaluation.results) - len(shown), 'more test')}"
        rows.append((f"<th>{rest}</th>",))
    return _table(evaluation.skill, ("test", "verdict", *names), rows)


def session_html(session: Session) -> str:
    """What the session comes to, and its timeline as far as a cell holds it."""
    name = session.session_id or session.source or "session"
    rows = [(f"<th>{_text(key)}</th>", _cell(value)) for key, value in totals(session)]
    nodes = list(_flat(build_timeline(session, Limits(input=0, result=0, message=300))))
    lines = [_line(node, depth) for depth, node in nodes[:_MOST_NODES]]
    if len(nodes) > _MOST_NODES:
        lines.append(
            ("<td></td>", "<td></td>", f"<td>… and {len(nodes) - _MOST_NODES:,} more</td>")
        )
    return _table(name, (), rows) + _table("Timeline", ("call", "", ""), lines)


def metrics_html(metrics: TraceMetrics) -> str:
    """The figures of a session."""
    rows = [(f"<th>{_text(key)}</th>", _cell(value)) for key, value in totals(metrics.session)]
    return _table(metrics.session_id or "session", (), rows)


def _flat(nodes: Iterable[Node], depth: int = 0) -> Iterable[tuple[int, Node]]:
    for node in nodes:
        if node.kind != "step":
            yield depth, node
        yield from _flat(node.children, depth + 1)


def _line(node: Node, depth: int) -> tuple[str, ...]:
    verdict = {"succeeded": "pass", "failed": "fail", "denied": "error"}.get(
        node.outcome, "unknown"
    )
    if node.kind != "call":
        said = f"{node.title} {node.text}".strip()
        return "<td></td>", f"<td><i>{_text(node.kind)}</i></td>", _cell(said, depth)
    state = f'<td style="{_COLOURS[verdict]}">{_text(node.outcome)}</td>'
    return _cell(str(node.number or "")), state, _cell(f"{node.title}  {node.text}", depth)


def _outcome(outcome: Outcome | None) -> str:
    if outcome is None:
        return '<td title="not expected"></td>'
    why = (
        what_happened(outcome, 1_000) if outcome.verdict is not Verdict.PASS else outcome.rationale
    )
    return _mark(str(outcome.verdict), why)


def _mark(verdict: str, why: str = "") -> str:
    style = f"{_COLOURS[verdict]};white-space:nowrap"
    return f'<td style="{style}" title="{_text(why)}">{_MARKS[verdict]}</td>'


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    heads = "".join(f"<th>{_text(name, 60)}</th>" for name in head)
    top = f"<thead><tr>{heads}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    table = f"<table><caption>{_text(caption)}</caption>{top}<tbody>{body}</tbody></table>"
    return f'<div style="overflow-x:auto">{table}</div>'  # many checks are wider than a cell


def _cell(text: str, depth: int = 0) -> str:
    indent = f";padding-left:{1 + 1.5 * min(depth, 10):g}em" if depth else ""
    return f'<td style="text-align:left{indent}">{_text(one_line(text, _LONGEST_CELL))}</td>'


def _text(text: str, limit: int = _LONGEST_CELL) -> str:
    """`text` cut, with what would reorder or hide its neighbours made visible, and escaped."""
    return html.escape(clipped(text, limit), quote=True)
