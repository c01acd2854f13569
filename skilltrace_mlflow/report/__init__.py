"""Results for people and machines: table, JSON, JSONL, JUnit XML, Markdown and an HTML report.

Everything is rendered from one `Evaluation`; nothing here imports MLflow or pandas. What writes a
format is imported when it is asked for: a table needs no template and no XML.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.report._files import write_atomic
from skilltrace_mlflow.report.render import render

if TYPE_CHECKING:
    from skilltrace_mlflow.report.charts import figure_over_runs, pass_rate_over_runs
    from skilltrace_mlflow.report.comparison import render_comparison
    from skilltrace_mlflow.report.dump import call_json, dump_sessions, session_text
    from skilltrace_mlflow.report.github import to_github
    from skilltrace_mlflow.report.html import to_html, to_html_page
    from skilltrace_mlflow.report.junit import to_junit
    from skilltrace_mlflow.report.lines import to_json, to_jsonl
    from skilltrace_mlflow.report.markdown import to_markdown
    from skilltrace_mlflow.report.show import call_text, timeline_text
    from skilltrace_mlflow.report.table import render_table
    from skilltrace_mlflow.report.terminal.lines import columns_text
    from skilltrace_mlflow.report.terminal.metrics import metrics_table, totals_table
    from skilltrace_mlflow.report.terminal.traces import traces_table

__all__ = [
    "call_json",
    "call_text",
    "columns_text",
    "dump_sessions",
    "figure_over_runs",
    "metrics_table",
    "pass_rate_over_runs",
    "render",
    "render_comparison",
    "render_table",
    "session_text",
    "timeline_text",
    "to_github",
    "to_html",
    "to_html_page",
    "to_json",
    "to_jsonl",
    "to_junit",
    "to_markdown",
    "totals_table",
    "traces_table",
    "write_atomic",
]

_HOME = {
    "call_json": "dump",
    "call_text": "show",
    "columns_text": "terminal.lines",
    "dump_sessions": "dump",
    "figure_over_runs": "charts",
    "metrics_table": "terminal.metrics",
    "pass_rate_over_runs": "charts",
    "render_comparison": "comparison",
    "render_table": "table",
    "session_text": "dump",
    "timeline_text": "show",
    "to_github": "github",
    "to_html": "html",
    "to_html_page": "html",
    "to_json": "lines",
    "to_jsonl": "lines",
    "to_junit": "junit",
    "to_markdown": "markdown",
    "totals_table": "terminal.metrics",
    "traces_table": "terminal.traces",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
