"""What an evaluation changes around itself, and puts back: MLflow's globals, signals, the streams.

`mlflow.genai.evaluate` reads its limits from the environment and prints to standard output, which
belongs to the result alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from types import FrameType

from skilltrace_mlflow._internals import active_experiment_kept, evaluation_bar
from skilltrace_mlflow.sources.mlflow.store import BOUNDS
from skilltrace_mlflow.streams import reserved_output

__all__ = [
    "environment",
    "few_workers",
    "lifted_rate_limit",
    "quiet_mlflow",
    "terminable",
    "tracking",
]

_SCORER_LIMIT = "MLFLOW_GENAI_EVAL_SCORER_RATE_LIMIT"
_WORKERS = "MLFLOW_GENAI_EVAL_MAX_WORKERS"
_NOISY = ("mlflow", "alembic")


@contextlib.contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Environment variables inside the block; afterwards they are as before."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def lifted_rate_limit() -> contextlib.AbstractContextManager[None]:
    """No limit on scorer calls: MLflow's is meant for models and throttles every scorer alike."""
    return environment({_SCORER_LIMIT: "0"})


def few_workers(uri: str) -> contextlib.AbstractContextManager[None]:
    """Two workers on a SQLite store: it has one writer at a time, and MLflow's ten spend their time
    waiting for each other (measured: 3.7 s of processor time for 60 traces, with two 2.4 s).
    """
    if not uri.startswith("sqlite:") or _WORKERS in os.environ:
        return contextlib.nullcontext()
    return environment({_WORKERS: "2"})


@contextlib.contextmanager
def tracking(uri: str | None, experiment_id: str | None = None) -> Iterator[str]:
    """MLflow's tracking URI and experiment inside the block; yields the URI in use."""
    import mlflow

    uri_before = mlflow.get_tracking_uri()
    patience = {name: value for name, value in BOUNDS.items() if name not in os.environ}
    kept = _kept("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID")
    experiment_kept = (
        contextlib.nullcontext() if experiment_id is None else active_experiment_kept()
    )
    with environment({**patience, **kept}), experiment_kept:
        try:
            if uri is not None:
                mlflow.set_tracking_uri(uri)
            if experiment_id is not None:
                mlflow.set_experiment(experiment_id=experiment_id)
            yield mlflow.get_tracking_uri()
        finally:
            if uri is not None:
                mlflow.set_tracking_uri(uri_before)


def _kept(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


@contextlib.contextmanager
def quiet_mlflow(*, progress: bool) -> Iterator[None]:
    """MLflow's prints swallowed, its warnings left to us, its bar only where it can be seen."""
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with evaluation_bar(shown=progress and sys.stderr.isatty()), reserved_output():
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM is as good as Ctrl-C inside the block (only the main thread can arrange that)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
