"""skilltrace: turn Claude Code sessions into evidence and score it against a skill's expectations.

Public names load on first use, so that importing the package costs milliseconds. What the package
logs goes to the logger of its name, which is silent until somebody gives it a handler.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "TRACE_SCORER_MAP": "scorers",
    "FileOperation": "session",
    "Session": "session",
    "TokenUsage": "session",
    "ToolCall": "session",
    "TraceEvent": "session",
    "TraceMetrics": "metrics",
    "TraceSummary": "metrics",
    "build_scorers": "scorer_config",
    "claude_agent": "agent",
    "compute_trace_summary": "metrics",
    "evaluate_skill": "evaluate",
    "from_dataset": "evaluate.datasets",
    "get_trace_from_mlflow": "score",
    "get_trace_scorers": "scorers",
    "load_ground_truth": "expectations",
    "load_manifest": "expectations",
    "parse_and_compute_metrics": "score",
    "parse_transcript": "sources.transcript.reader",
    "run_skill": "agent",
    "session_from_trace": "sources.mlflow.trace",
    "setup_autolog": "autolog",
    "to_dataset": "evaluate.datasets",
    "trace_eval": "evaluation",
}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
