"""The driver around `mlflow.genai.evaluate`: complete or loud."""

from skilltrace_mlflow.evaluate._deadline import unfinished
from skilltrace_mlflow.evaluate._log import log_evaluation, model_scorers
from skilltrace_mlflow.evaluate._resume import unfinished_run
from skilltrace_mlflow.evaluate._skill import Interrupted, evaluate_skill
from skilltrace_mlflow.evaluate.given import Given

__all__ = [
    "Given",
    "Interrupted",
    "evaluate_skill",
    "log_evaluation",
    "model_scorers",
    "unfinished",
    "unfinished_run",
]
