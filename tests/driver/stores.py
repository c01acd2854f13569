"""Real MLflow stores for the driver's tests: SQLite files, and servers on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import yaml
from mlflow.entities import Assessment
from mlflow.tracking import MlflowClient

from skilltrace_mlflow.results import Evaluation

__all__ = ["Server", "copy_store", "free_port", "use_store", "verdicts", "write_skill"]


@dataclass
class Server:
    """`mlflow server` on a port that stays the same when it is killed and started again.

    Without `jobs` it starts none of the eight processes that run scorers for it, each of which
    imports MLflow: half a minute of work for a test that asks for traces and assessments alone.
    """

    folder: Path
    port: int
    jobs: bool = False
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": str(self.jobs).lower()},
                start_new_session=True,
            )
        if wait:
            self.wait()

    def wait(self, seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/health", timeout=1).close()
                return
            time.sleep(0.1)
        raise TimeoutError((self.folder / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        """As a machine that loses its power: nothing is finished, nothing is said."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def copy_store(template: Path, folder: Path) -> str:
    """A fresh SQLite store (its tables take a second to make, a copy none); returns its URI."""
    shutil.copy(template, folder / "mlflow.db")
    return f"sqlite:///{folder / 'mlflow.db'}"


@contextlib.contextmanager
def use_store(uri: str, experiment: str, artifacts: Path | None = None) -> Iterator[str]:
    """The store and the experiment as MLflow's active ones; yields the experiment's id."""
    from mlflow.tracking import fluent

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    if found is None:
        location = None if artifacts is None else artifacts.as_uri()
        experiment_id = client.create_experiment(experiment, artifact_location=location)
    else:
        experiment_id = found.experiment_id
    mlflow.set_experiment(experiment_id=experiment_id)
    try:
        yield experiment_id
    finally:
        mlflow.set_tracking_uri(before)
        fluent._active_experiment_id = None
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


def write_skill(
    folder: Path, *, manifest: Mapping[str, Any], cases: Sequence[Mapping[str, Any]]
) -> Path:
    """A skill folder with these contents; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"skill": {"name": folder.name}, **manifest}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    truth = yaml.safe_dump({"test_cases": list(cases)}, sort_keys=False)
    (folder / "ground_truth.yaml").write_text(truth, encoding="utf-8")
    return folder


def verdicts(
    evaluation: Evaluation | str, trace_ids: Sequence[str] = (), *, valid: bool | None = None
) -> list[tuple[str, str, str, Any]]:
    """What stands in the store under the run: (test id, attempt, check, value or error code)."""
    if isinstance(evaluation, Evaluation):
        run_id = str(evaluation.run_id)
        trace_ids = [r.trace_id for r in evaluation.results if r.trace_id]
    else:
        run_id = evaluation
    client = MlflowClient()
    found = []
    for trace_id in dict.fromkeys(trace_ids):
        for assessment in client.get_trace(trace_id).info.assessments:
            metadata = assessment.metadata or {}
            mine = metadata.get("mlflow.assessment.sourceRunId") == run_id
            if not mine or assessment.feedback is None:
                continue
            if valid is not None and assessment.valid is not valid:
                continue
            found.append(
                (
                    metadata["skilltrace.test_id"],
                    metadata["skilltrace.attempt"],
                    assessment.name,
                    value_of(assessment),
                )
            )
    return sorted(found)


def value_of(assessment: Assessment) -> Any:
    """The value, or the code of the error in its place."""
    error = assessment.feedback.error
    return assessment.feedback.value if error is None else error.error_code
