"""The results of an earlier evaluation, from a file or from the MLflow run that logged them."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from skilltrace_mlflow.comparison.records import ResultRecord, read_results
from skilltrace_mlflow.errors import InputError, TraceNotFoundError

__all__ = ["REPORT_ARTIFACT", "RESULTS_ARTIFACT", "is_run_id", "load_results"]

RESULTS_ARTIFACT = "skilltrace/results.jsonl"
"""Where an evaluation logs its result lines, below the run's artifacts."""
REPORT_ARTIFACT = "skilltrace/report.html"
"""Where an evaluation logs its HTML report."""

_RUN_ID = re.compile(r"[0-9a-fA-F]{32}")


def is_run_id(source: str) -> bool:
    """Whether `source` names an MLflow run: it looks like an id, and no file is called so."""
    return bool(_RUN_ID.fullmatch(source)) and not Path(source).exists()


def load_results(source: str, *, tracking_uri: str | None = None) -> tuple[ResultRecord, ...]:
    """The results in the file `source`, else those that the MLflow run of that id logged.

    Raises InputError if it is neither, TraceNotFoundError if the run or its results are not there,
    EvaluationError if the store does not answer.
    """
    if not is_run_id(source):
        if not Path(source).expanduser().exists():
            raise InputError(
                f"{source}: no such file, and no id of an MLflow run (32 hexadecimal digits)"
            )
        return read_results(source)
    with tempfile.TemporaryDirectory() as folder:
        return read_results(_download(source, folder, tracking_uri))


def _download(run_id: str, folder: str, tracking_uri: str | None) -> Path:
    from skilltrace_mlflow.sources.mlflow.store import connect, probe, store_errors

    probe(tracking_uri)
    place = RESULTS_ARTIFACT.rpartition("/")[0]
    with connect(tracking_uri) as client, store_errors(f"run {run_id}", tracking_uri):
        held = {
            item.path for item in client.list_artifacts(client.get_run(run_id).info.run_id, place)
        }
        if RESULTS_ARTIFACT not in held:
            raise TraceNotFoundError(
                f"run {run_id}: has no artifact {RESULTS_ARTIFACT}; runs of mlflow-eval and of "
                "trace-eval --log have one"
            )
        return Path(client.download_artifacts(run_id, RESULTS_ARTIFACT, folder))
