"""What was recorded about a test by other means: whether its code ran, the state it left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skilltrace_mlflow.checks import Outcome, Verdict, unknown
from skilltrace_mlflow.responses._base import Response, ResponseSpec

__all__ = ["SPECS"]


def _execution(response: Response, parameters: Any) -> Outcome:
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


def _outcomes(response: Response, parameters: int) -> Outcome:
    """`databricks_outcomes` describe a workspace after the run, which no trace shows: always
    unknown. Disable it by name where another tool verifies them."""
    return unknown(
        f"{parameters} outcome(s) in a workspace, which a trace does not show; verify them there, "
        "or put databricks_outcomes under disabled"
    )


def _parse_outcomes(expectations: Mapping[str, Any]) -> int | None:
    return len(expectations.get("databricks_outcomes") or ()) or None


SPECS = (
    ResponseSpec(
        name="execution_success",
        parse=lambda expectations: (),
        judge=_execution,
        needs_text=False,
    ),
    ResponseSpec(
        name="databricks_outcomes", parse=_parse_outcomes, judge=_outcomes, needs_text=False
    ),
)
