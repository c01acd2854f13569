"""The command line: parse arguments, call one function, map the error to an exit code.

Commands are found by name and imported when called, so that `--help` costs little more than
starting Python.
"""

from __future__ import annotations

import os
import sys

__all__ = ["job_main", "main", "mlflow_eval_main", "scale_main"]


def main() -> None:
    """Entry point of `skilltrace-mlflow` and `skill-test`."""
    _exit(sys.argv[1:])


def mlflow_eval_main() -> None:
    """Entry point of `mlflow-eval`, the subcommand of that name."""
    _exit(["mlflow-eval", *sys.argv[1:]])


def job_main() -> None:
    """Entry point of `skilltrace-job`, what scheduled jobs run."""
    from skilltrace_mlflow.cli._app import run
    from skilltrace_mlflow.cli.job import command

    _leave(run(sys.argv[1:], command, "skilltrace-job"))


def scale_main() -> None:
    """Entry point of `skilltrace-scale`, what the Spark job runs."""
    from skilltrace_mlflow.cli._app import run
    from skilltrace_mlflow.cli.scale import command

    _leave(run(sys.argv[1:], command, "skilltrace-scale"))


def _exit(arguments: list[str]) -> None:
    from skilltrace_mlflow.cli._app import run

    _leave(run(arguments))


def _leave(code: int) -> None:
    _leave_now_if_something_hangs(code)
    # A Databricks wheel task counts any SystemExit as a failure, exit code 0 included.
    if code:
        sys.exit(code)


def _leave_now_if_something_hangs(code: int) -> None:
    """Python waits for MLflow's threads before it exits; one that waits for a dead server would
    keep the command beyond its --timeout.
    """
    evaluate = sys.modules.get("skilltrace_mlflow.evaluate")
    if evaluate is not None and evaluate.unfinished():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
