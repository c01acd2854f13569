"""What people should look at, as a labeling session: traces that failed or could not be judged.

Labeling sessions are Databricks' alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.evaluate._surroundings import tracking
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.text import without_password

if TYPE_CHECKING:
    from mlflow.genai.labeling import LabelingSession

__all__ = ["label_traces", "traces_to_label"]


def traces_to_label(
    evaluation: Evaluation, verdicts: Sequence[str] = ("unknown", "error", "fail")
) -> tuple[str, ...]:
    """Ids of the traces with one of these verdicts on the test or on one of its checks, what could
    not be judged first.
    """
    found: dict[str, int] = {}
    for result in evaluation.results:
        if result.trace_id is None:
            continue
        reached = {result.verdict, *(outcome.verdict for outcome in result.judged)}
        ranks = [verdicts.index(v) for v in map(str, reached) if v in verdicts]
        if ranks:
            found[result.trace_id] = min([*ranks, found.get(result.trace_id, len(verdicts))])
    return tuple(sorted(found, key=lambda trace_id: found[trace_id]))


def label_traces(
    evaluation: Evaluation,
    name: str,
    *,
    users: Sequence[str] = (),
    label_schemas: Sequence[str] = ("expected_facts",),
    verdicts: Sequence[str] = ("unknown", "error", "fail"),
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> LabelingSession:
    """A new labeling session with the evaluation's traces that `traces_to_label` names.

    `users` are asked to label, `label_schemas` are what they are asked. Raises ConfigurationError
    on another store than a workspace, without the package databricks-agents, for a verdict that
    there is not, and where there is nothing to label; EvaluationError if the workspace does not
    answer, after which no session is left that holds nothing.
    """
    unknown = sorted(set(verdicts) - {str(verdict) for verdict in Verdict})
    if unknown:
        raise ConfigurationError(f"verdicts: there is no {unknown[0]!r}")
    wanted = traces_to_label(evaluation, verdicts)
    where = tracking_uri or evaluation.tracking_uri
    uri = mlflow_store.tracking_uri_of(where)
    if not uri.startswith("databricks"):
        raise ConfigurationError(
            f"labeling session {name}: labeling sessions are Databricks' alone, and this is "
            f'{without_password(uri)}; give tracking_uri="databricks", or label in '
            "MLflow's own trace view"
        )
    if not wanted:
        raise ConfigurationError(
            f"labeling session {name}: no trace of {evaluation.skill} is {' or '.join(verdicts)}"
        )
    held = experiment or evaluation.experiment_id
    with tracking(uri), mlflow_store.store_errors(f"labeling session {name}", uri):
        mlflow_store.probe(uri)
        experiment_id = mlflow_store.resolve_experiment(held, tracking_uri=uri)
        traces: list[Any] = [mlflow_store.fetch_trace(i, tracking_uri=uri) for i in wanted]
    with tracking(uri, experiment_id), mlflow_store.store_errors(f"labeling session {name}", uri):
        from mlflow.genai import labeling

        try:
            session = labeling.create_labeling_session(
                name, assigned_users=list(users), label_schemas=list(label_schemas)
            )
        except ImportError:
            raise ConfigurationError(
                f"labeling session {name}: the package databricks-agents is needed "
                "(pip install databricks-agents)"
            ) from None
        try:
            filled: LabelingSession = session.add_traces(traces)
        except BaseException:
            # An empty session would ask people for nothing. What went wrong first is told, whether
            # or not it can be deleted.
            with contextlib.suppress(Exception):
                labeling.delete_labeling_session(session)
            raise
        return filled
