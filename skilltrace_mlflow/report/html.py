"""The HTML report and the page of one trace: one file each, nothing loaded.

The page forbids itself everything but its own style sheet, and the report its own script (filters
and order, without which it reads as well), by a Content-Security-Policy of their hashes. Every
expression in a template is made plain and escaped; nothing is marked safe but our own CSS and SVG.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timezone
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow import __version__
from skilltrace_mlflow.arms import Arms, compare_arms
from skilltrace_mlflow.comparison.compare import Comparison
from skilltrace_mlflow.report import _views as views
from skilltrace_mlflow.report._attempts import ARMS_HEAD, arms_lines, arms_rows, triggering_summary
from skilltrace_mlflow.report._summary import run_url, sentence
from skilltrace_mlflow.report._words import failures, unjudged
from skilltrace_mlflow.report.comparison import (
    CHANGE_HEAD,
    CHECK_HEAD,
    FIGURE_HEAD,
    change_rows,
    check_rows,
    figure_rows,
    verdict,
)
from skilltrace_mlflow.report.table import headline
from skilltrace_mlflow.report.timeline import Node, build_timeline, call_node, totals
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.text import one_line, plain

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["to_html", "to_html_page"]

_MOST_CHANGES = 500
_CLASSES = {0: "pass", 1: "fail", 2: "fail"}


def to_html(
    evaluation: Evaluation,
    *,
    comparison: Comparison | None = None,
    now: datetime | None = None,
) -> str:
    """The evaluation as one self-contained page, dated `now`; `comparison` adds its section.

    Texts of traces are cut to what keeps the page small; `show` has them whole.
    """
    from markupsafe import Markup

    matrix = views.matrix(evaluation)
    arms = compare_arms(evaluation)
    return _render(
        "report.html.jinja",
        title=one_line(evaluation.skill) or "Evaluation",
        verdict_class=_CLASSES.get(evaluation.exit_code, "unknown"),
        headline=headline(evaluation),
        sentence=sentence(evaluation),
        facts=views.facts(evaluation, now or datetime.now(timezone.utc)),
        run_url=run_url(evaluation),
        lost=[one_line(text, 500) for text in evaluation.incomplete[:50]],
        notes=[one_line(text, 500) for text in evaluation.notes[:50]],
        failures=views.problem_rows(evaluation, failures(evaluation)),
        unjudged=views.problem_rows(evaluation, unjudged(evaluation)),
        triggering=triggering_summary(evaluation),
        arms=None if arms is None else _arms(arms),
        gates=views.gate_rows(evaluation.gates),
        comparison=None if comparison is None else _comparison(comparison),
        matrix=matrix,
        charts=views.charts(evaluation),
        tests=lambda: views.tests(evaluation),
        script=Markup(_script()),  # noqa: S704 - our own script
        script_hash=_hash(_script()),
        version=__version__,
    )


def to_html_page(
    session: Session, *, name: str = "", source: str = "", call: int | None = None
) -> str:
    """The timeline of one session as a self-contained page, or one call of it, opened."""
    if call is not None:
        nodes: tuple[Node, ...] = (call_node(session, call, views.PAGE_LIMITS),)
    else:
        nodes = build_timeline(session, views.PAGE_LIMITS)
    return _render(
        "page.html.jinja",
        name=one_line(name or session.session_id or "Session"),
        source=one_line(source, 500),
        totals=totals(session),
        notes=views.session_notes(session),
        nodes=nodes,
        opened=call is not None,
    )


def _arms(arms: Arms) -> dict[str, Any]:
    classes = {"helps": "pass", "harms": "fail"}
    return {
        "class": classes.get(arms.verdict, "unknown"),
        "head": ARMS_HEAD,
        "rows": arms_rows(arms),
        "lines": arms_lines(arms),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "before": one_line(comparison.before_name),
        "after": one_line(comparison.after_name),
        "class": "fail" if comparison.regressions else "pass",
        "verdict": verdict(comparison),
        "change_head": CHANGE_HEAD,
        "changes": change_rows(comparison.changes[:_MOST_CHANGES]),
        "check_head": CHECK_HEAD,
        "checks": check_rows(comparison.checks),
        "figure_head": FIGURE_HEAD,
        "figures": figure_rows(comparison.figures),
    }


def _render(template: str, **values: Any) -> str:
    from markupsafe import Markup

    style = _style()
    return (
        _environment()
        .get_template(template)
        .render(style=Markup(style), style_hash=_hash(style), **values)  # noqa: S704 - our own style sheet
    )


def _hash(text: str) -> str:
    """What a Content-Security-Policy names a style sheet or a script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _style() -> str:
    return (resources.files("skilltrace_mlflow.report") / "templates" / "style.css").read_text(
        encoding="utf-8"
    )


@cache
def _script() -> str:
    return (resources.files("skilltrace_mlflow.report") / "templates" / "report.js").read_text(
        encoding="utf-8"
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup, escape

    def finalize(value: Any) -> Any:
        """Whatever a template prints is made plain first; autoescape then does its part."""
        if isinstance(value, str) and not isinstance(value, Markup):
            return plain(value)
        return value

    def breakable(text: str) -> Markup:
        """A name that may break behind its `_`, `-`, `/`, `.` and `:`, and elsewhere only if it has
        to.
        """
        shown = re.sub(r"(?<=[^\W_])([_\-/.:]+)(?=[^\W_])", r"\1<wbr>", str(escape(plain(text))))
        return Markup(shown)  # noqa: S704 - escaped before

    environment = Environment(
        loader=PackageLoader("skilltrace_mlflow.report"),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    return environment
