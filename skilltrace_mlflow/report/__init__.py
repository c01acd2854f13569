"""Results for people and machines: table, JSON, JSONL, JUnit XML, Markdown and an HTML report.

Everything is rendered from one `Evaluation`; nothing here imports MLflow or pandas.
"""

from skilltrace_mlflow.report._files import write_atomic
from skilltrace_mlflow.report.lines import to_json, to_jsonl
from skilltrace_mlflow.report.render import render
from skilltrace_mlflow.report.table import render_table

__all__ = [
    "render",
    "render_table",
    "to_json",
    "to_jsonl",
    "write_atomic",
]
