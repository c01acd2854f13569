"""What was recorded about a test by other means: whether its code ran, the state it left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.checks import Example, Outcome, Verdict, unknown
from skilltrace_mlflow.responses._base import Response, response_check

__all__ = ["databricks_outcomes", "execution_success"]


@response_check(
    name="execution_success",
    parse=lambda expectations: (),
    needs_text=False,
    examples=(
        Example(
            value={},
            outputs={"execution_success": True},
            verdict=Verdict.PASS,
            why="whoever ran the code recorded that it ran",
        ),
        Example(
            value={},
            outputs={"execution_success": False},
            verdict=Verdict.FAIL,
            why="it was recorded that the code did not run",
        ),
    ),
)
def execution_success(response: Response, parameters: Any) -> Outcome:
    """`outputs.execution_success`, as whoever ran the code recorded it; nothing recorded, nothing
    to judge."""
    value = response.outputs.get("execution_success")
    if value is None:
        return Outcome(
            verdict=Verdict.NOT_APPLICABLE, rationale="outputs.execution_success is not recorded"
        )
    if not isinstance(value, bool):
        return unknown(f"outputs.execution_success is {value!r}, expected true or false")
    return Outcome.of(value, rationale=f"outputs.execution_success is {str(value).lower()}")


def _parse_outcomes(expectations: Mapping[str, Any]) -> int | None:
    return len(expectations.get("databricks_outcomes") or ()) or None


@response_check(
    name="databricks_outcomes",
    parse=_parse_outcomes,
    needs_text=False,
    keys={
        "databricks_outcomes": {
            "type": "array",
            "items": {"type": "object", "description": "One thing in the workspace."},
            "description": "State of a workspace after the run. Never judged here: always unknown.",
        },
    },
    examples=(
        Example(
            value={"databricks_outcomes": [{"kind": "uc_table", "name": "main.bronze.events"}]},
            verdict=Verdict.UNKNOWN,
            why="no trace shows the state of a workspace",
        ),
    ),
)
def databricks_outcomes(response: Response, parameters: int) -> Outcome:
    """`databricks_outcomes` describe a workspace after the run, which no trace shows: always
    unknown. Disable it by name where another tool verifies them."""
    return unknown(
        f"{parameters} outcome(s) in a workspace, which a trace does not show; verify them there, "
        "or put databricks_outcomes under disabled"
    )
