"""One door to every format that the command line knows."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.errors import ConfigurationError

if TYPE_CHECKING:  # whoever writes a file or prints figures needs no checks
    from skilltrace_mlflow.comparison.compare import Comparison
    from skilltrace_mlflow.results import Evaluation

__all__ = ["render"]

# The module beside this one and the function in it that writes a format.
_WRITERS = {
    "table": ("table", "table_text"),
    "json": ("lines", "to_json"),
    "jsonl": ("lines", "to_jsonl"),
    "junit": ("junit", "to_junit"),
    "markdown": ("markdown", "to_markdown"),
    "github": ("github", "to_github"),
    "html": ("html", "to_html"),
}


def render(
    evaluation: Evaluation,
    format: str,  # noqa: A002 - the option's name
    *,
    include_trace: bool = False,
    width: int | None = None,
    color: bool = False,
    comparison: Comparison | None = None,
    report: Path | None = None,
) -> str:
    """The evaluation as `table`, `json`, `jsonl`, `junit`, `markdown`, `github` or `html`.

    `width`, `color` and `report` (the HTML report that was written, which the last lines name)
    concern the table only, `include_trace` the JSON formats, `comparison` (with a baseline) the
    HTML report. Raises ConfigurationError for another format.
    """
    if format not in _WRITERS:
        raise ConfigurationError(f"format {format!r} is not one of {', '.join(sorted(_WRITERS))}")
    module, name = _WRITERS[format]
    write = getattr(importlib.import_module(f"skilltrace_mlflow.report.{module}"), name)
    settings: dict[str, Any] = {}
    if format == "table":
        settings = {"width": width, "color": color, "report": report}
    elif format in ("json", "jsonl"):
        settings = {"include_trace": include_trace}
    elif format == "html":
        settings = {"comparison": comparison}
    return str(write(evaluation, **settings))
