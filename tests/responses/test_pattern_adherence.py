"""pattern_adherence: expressions that must match so and so often."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.checks import ParameterError, Verdict
from skilltrace_mlflow.responses import (
    all_responses,
)
from tests.responses.judging import judge

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("patterns", "verdict", "score"),
    [
        (["STREAMING TABLE"], PASS, 1.0),
        (["streaming table"], PASS, 1.0),
        (["DLT"], FAIL, 0.0),
        (["STREAMING", "DLT"], FAIL, 0.5),
        ([{"pattern": "table", "min_count": 3}], FAIL, 0.0),
        ([{"pattern": "table", "min_count": 2, "max_count": 2}], PASS, 1.0),
        ([{"pattern": "table", "max_count": 1}], FAIL, 0.0),
        ([{"pattern": "@dlt", "max_count": 0}], PASS, 1.0),
        ([{"pattern": "table", "max_count": 0}], FAIL, 0.0),
        ([r"TABLE\s+(\w+)"], PASS, 1.0),
    ],
)
def test_patterns_match_as_often_as_they_should(
    patterns: list[Any], verdict: Verdict, score: float
) -> None:
    text = "CREATE STREAMING TABLE bronze; a table"
    outcome = judge("pattern_adherence", text, {"expected_patterns": patterns})
    assert (outcome.verdict, outcome.score) == (verdict, score)


def test_a_missed_pattern_names_count_and_description() -> None:
    expected = {"expected_patterns": [{"pattern": "x+y", "min_count": 2, "description": "the sum"}]}
    assert judge("pattern_adherence", "xy", expected).rationale == "the sum: 1 < 2"


@pytest.mark.parametrize("pattern", ["(", {"pattern": "a", "min_count": 2, "max_count": 1}])
def test_a_bad_pattern_is_refused_when_parsed(pattern: Any) -> None:
    with pytest.raises(ParameterError):
        all_responses()["pattern_adherence"].parse({"expected_patterns": [pattern]})


def test_a_runaway_pattern_is_an_error_and_not_a_hang() -> None:
    outcome = judge("pattern_adherence", "a" * 5000, {"expected_patterns": [r"(a+)+b$"]})
    assert outcome.verdict is ERROR
    assert "still searching" in outcome.rationale


@pytest.mark.parametrize(
    ("pattern", "text"), [("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9")]
)
def test_an_accent_of_its_own_is_no_other_letter(pattern: str, text: str) -> None:
    absent = {"expected_patterns": [{"pattern": pattern, "max_count": 0}]}
    assert judge("pattern_adherence", text, absent).verdict is FAIL
    assert judge("pattern_adherence", text, {"expected_patterns": [pattern]}).verdict is PASS
    assert judge("pattern_adherence", "cafe", absent).verdict is PASS
