"""Results read back, and two evaluations side by side."""

from skilltrace_mlflow.comparison.compare import Comparison, compare_results
from skilltrace_mlflow.comparison.records import (
    ResultRecord,
    load_results,
    read_results,
    records_of,
)

__all__ = [
    "Comparison",
    "ResultRecord",
    "compare_results",
    "load_results",
    "read_results",
    "records_of",
]
