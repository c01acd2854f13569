"""Suites and results of other tools as test cases, and as evaluations of their traces.

Read are a result of `claude plugin eval --json` and its suite (`evals/**/prompt.md` or `case.yaml`
with graders), `evals.json` of skill-creator (also its lists of trigger queries), and Harbor's ATIF
trajectories. What a grader says is translated where a check means the same; the rest is named,
never guessed.
"""

from skilltrace_mlflow.agent.bridges._case import Attempt, ImportedCase
from skilltrace_mlflow.agent.bridges._judge import evaluate_imported
from skilltrace_mlflow.agent.bridges._read import add_cases, read_evals

__all__ = ["Attempt", "ImportedCase", "add_cases", "evaluate_imported", "read_evals"]
