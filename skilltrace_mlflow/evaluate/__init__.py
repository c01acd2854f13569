"""The driver around `mlflow.genai.evaluate`: complete or loud."""

from skilltrace_mlflow.evaluate._deadline import unfinished
from skilltrace_mlflow.evaluate._log import log_evaluation, model_scorers
from skilltrace_mlflow.evaluate._resume import unfinished_run
from skilltrace_mlflow.evaluate._rows import REQUEST_TAG, Given, request_id
from skilltrace_mlflow.evaluate._skill import Interrupted, evaluate_skill

__all__ = [
    "REQUEST_TAG",
    "Given",
    "Interrupted",
    "evaluate_skill",
    "log_evaluation",
    "model_scorers",
    "request_id",
    "unfinished",
    "unfinished_run",
]
