"""execution_success and databricks_outcomes: what a test case records of the answer's effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.responses import (
    Response,
    all_responses,
    run_response,
)
from tests.responses.judging import judge

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("outputs", "verdict"),
    [
        ({"execution_success": True}, PASS),
        ({"execution_success": False}, FAIL),
        ({}, NOT_APPLICABLE),
        ({"execution_success": "yes"}, UNKNOWN),
    ],
)
def test_execution_success_is_what_was_recorded(
    outputs: Mapping[str, Any], verdict: Verdict
) -> None:
    spec = all_responses()["execution_success"]
    assert run_response(spec, Response(outputs=outputs), spec.parse({})).verdict is verdict


def test_outcomes_in_a_workspace_are_never_taken_for_met() -> None:
    outcome = judge("databricks_outcomes", None, {"databricks_outcomes": [{"kind": "uc_table"}]})
    assert outcome.verdict is UNKNOWN
    assert "disabled" in outcome.rationale
