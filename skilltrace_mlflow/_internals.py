"""The only file that touches what MLflow does not promise to keep.

Each function says why there is no public way. `tests/test_internals.py` tries every one of them on
the installed MLflow, names the versions that it was tried with, and holds that no other module
reaches past MLflow's public names. MLflow is imported inside the functions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Feedback, Run
    from mlflow.genai.scorers import Scorer
    from mlflow.tracing.client import TracingClient

__all__ = [
    "EVALUATION_THREADS",
    "SOURCE_RUN",
    "active_experiment_kept",
    "databricks_host",
    "evaluation_bar",
    "forget_active_run",
    "function_of",
    "placed_feedback",
    "run_tags",
    "set_uri",
    "tracing_client",
]

SOURCE_RUN = "mlflow.assessment.sourceRunId"
"""Metadata by which MLflow knows the run that an assessment was made in."""

EVALUATION_THREADS = (
    "MlflowGenAIEvalPredict",
    "MlflowGenAIEvalScore",
    "MlflowGenAIEvalMultiTurn",
    "GenAIEvaluation",
)
"""How the names of those threads of `mlflow.genai.evaluate` begin that write, or wait for one that
does. Its thread that submits rows is left out: it waits on a lock for good, and does nothing else.
"""


def function_of(scorer: Scorer) -> Callable[..., Any] | None:
    """The function that `@scorer` was put on, None for a scorer that is a class: MLflow keeps it
    for its own serialisation and shows it nowhere.
    """
    function: Callable[..., Any] | None = getattr(scorer, "_original_func", None)
    return function


def placed_feedback(feedback: Feedback, span_id: str) -> Feedback:
    """`feedback` on a span of its own: MLflow puts the root's id on whatever a scorer returns, and
    has no public way to say another.
    """
    from mlflow.entities import Feedback

    class PlacedFeedback(Feedback):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, span_id if name == "span_id" else value)

    feedback.__class__ = PlacedFeedback
    feedback.span_id = span_id
    return feedback


def forget_active_run(run: Run) -> None:
    """Take a run off the stack of active ones without ending it: MLflow has no public way to leave
    a run as it is.
    """
    from mlflow.tracking import fluent

    stack = fluent._active_run_stack.get()  # type: ignore[no-untyped-call]
    if run in stack:
        stack.remove(run)


@contextlib.contextmanager
def active_experiment_kept() -> Iterator[None]:
    """The active experiment after the block is the one before it: there is no public way to ask for
    it without creating one.
    """
    from mlflow.tracking import fluent

    before = fluent._active_experiment_id
    try:
        yield
    finally:
        fluent._active_experiment_id = before


def set_uri() -> str | None:
    """The tracking URI that this process has set, None where it follows from the environment:
    `mlflow.get_tracking_uri()` does not tell the two apart.
    """
    from mlflow.tracking._tracking_service import utils

    uri: str | None = utils._tracking_uri
    return uri


@contextlib.contextmanager
def evaluation_bar(*, shown: bool) -> Iterator[None]:
    """MLflow's progress bar of an evaluation only where it is to be `shown`: it has no switch."""
    from mlflow.genai.evaluation import harness as module

    harness: Any = module  # `tqdm` there is None where it is not installed
    before = harness.tqdm
    if not shown:
        harness.tqdm = None
    try:
        yield
    finally:
        harness.tqdm = before


def run_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """`tags` with those that `mlflow.start_run` sets on a run by itself (user, source, commit)."""
    from mlflow.tracking.context.registry import resolve_tags

    resolved: dict[str, str] = resolve_tags(dict(tags))
    return resolved


def tracing_client(uri: str | None = None) -> TracingClient:
    """What MLflow's exporter itself calls: `MlflowClient` can neither log a finished trace nor get
    several traces at once.
    """
    from mlflow.tracing.client import TracingClient

    return TracingClient(uri)


def databricks_host(uri: str) -> str:
    """The workspace behind a `databricks` tracking URI; raises whatever the lookup raises."""
    from mlflow.utils.databricks_utils import get_databricks_host_creds

    return str(get_databricks_host_creds(uri).host)  # type: ignore[no-untyped-call]
