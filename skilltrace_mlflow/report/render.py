"""One door to every format that the command line knows."""

from __future__ import annotations

from collections.abc import Callable

from skilltrace_mlflow.comparison.compare import Comparison
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.report.github import to_github
from skilltrace_mlflow.report.html import to_html
from skilltrace_mlflow.report.junit import to_junit
from skilltrace_mlflow.report.lines import to_json, to_jsonl
from skilltrace_mlflow.report.markdown import to_markdown
from skilltrace_mlflow.report.table import table_text
from skilltrace_mlflow.results import Evaluation

__all__ = ["render"]


def render(
    evaluation: Evaluation,
    format: str,  # noqa: A002 - the option's name
    *,
    include_trace: bool = False,
    width: int | None = None,
    color: bool = False,
    comparison: Comparison | None = None,
) -> str:
    """The evaluation as `table`, `json`, `jsonl`, `junit`, `markdown`, `github` or `html`.

    `width` and `color` are the terminal's and concern the table only; `include_trace` concerns the
    JSON formats only, `comparison` (with a baseline) the HTML report only. Raises
    ConfigurationError for another format.
    """
    formats: dict[str, Callable[[], str]] = {
        "table": lambda: table_text(evaluation, width=width, color=color),
        "json": lambda: to_json(evaluation, include_trace=include_trace),
        "jsonl": lambda: to_jsonl(evaluation, include_trace=include_trace),
        "junit": lambda: to_junit(evaluation),
        "markdown": lambda: to_markdown(evaluation),
        "github": lambda: to_github(evaluation),
        "html": lambda: to_html(evaluation, comparison=comparison),
    }
    if format not in formats:
        raise ConfigurationError(f"format {format!r} is not one of {', '.join(sorted(formats))}")
    return formats[format]()
