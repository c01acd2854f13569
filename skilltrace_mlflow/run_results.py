"""The results of an earlier evaluation, from a file or from the MLflow run that logged them."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from skilltrace_mlflow.errors import InputError, TraceNotFoundError
from skilltrace_mlflow.records import ResultRecord, read_results

__all__ = ["RESULTS_ARTIFACT", "load_results"]

RESULTS_ARTIFACT = "skilltrace/results.jsonl"
"""Where an evaluation logs its result lines, below the run's artifacts."""

_RUN_ID = re.compile(r"[0-9a-fA-F]{32}")


def load_results(source: str, *, tracking_uri: str | None = None) -> tuple[ResultRecord, ...]:
    """The results in the file `source`, else those that the MLflow run of that id logged.

    Raises InputError if it is neither, TraceNotFoundError if the run or its results are not there,
    EvaluationError if the store does not answer.
    """
    path = Path(source).expanduser()
    if path.exists() or not _RUN_ID.fullmatch(source):
        if not path.exists():
            raise InputError(
                f"{source}: no such file, and no id of an MLflow run (32 hexadecimal digits)"
            )
        return read_results(path)
    with tempfile.TemporaryDirectory() as folder:
        return read_results(_download(source, folder, tracking_uri))


def _download(run_id: str, folder: str, tracking_uri: str | None) -> Path:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    from skilltrace_mlflow.sources.mlflow_store import probe

    probe(tracking_uri)
    client = MlflowClient(tracking_uri)
    try:
        client.get_run(run_id)
        return Path(client.download_artifacts(run_id, RESULTS_ARTIFACT, folder))
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TraceNotFoundError(
            f"run {run_id}: has no {RESULTS_ARTIFACT} ({reason}); only runs of mlflow-eval and "
            "trace-eval --log do"
        ) from error
