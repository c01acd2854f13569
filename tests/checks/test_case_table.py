"""The case table through Python: expectations as a file holds them, scored."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.checks import run_check
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import parse_expectations
from tests.builders import make_session
from tests.checks.case_table import CASES, REFUSED, Case, Refused


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case) -> None:
    (expectation,) = parse_expectations(case.expectations)
    session = make_session(case.calls, **case.session)
    outcome = run_check(expectation.spec, session, expectation.parameters, scope=expectation.scope)
    assert outcome.verdict == case.verdict, (case.reason, outcome.rationale)
    if case.score is not None:
        assert outcome.score == pytest.approx(case.score), case.reason


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_refused(case: Refused) -> None:
    with pytest.raises(ConfigurationError, match=case.message):
        parse_expectations(case.expectations)
