"""Files as MLflow traces: an assessment needs a trace to stand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from skilltrace_mlflow.evaluate._find import Importer
from skilltrace_mlflow.session import Session

__all__ = ["importer_into"]


def importer_into(experiment: Callable[[], str]) -> Importer:
    """An importer into the experiment with the id that `experiment()` gives; importing the same
    file again gives the same traces.
    """

    def log(source: Path | Session) -> Sequence[str]:
        from skilltrace_mlflow.importing import import_session

        return import_session(source, experiment_id=experiment())

    return log
