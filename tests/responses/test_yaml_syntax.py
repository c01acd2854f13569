"""yaml_syntax: the blocks of YAML must parse."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.checks import Verdict
from tests.responses.judging import fenced, judge

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("a: 1\nb: [x, y]", PASS),
        ("a: b: c", FAIL),
        ("a: *x", FAIL),
        ("a: &x 1\nb: *x", PASS),
        ("a: &x 1\n---\nb: *x", FAIL),
        ("a: [1", FAIL),
        ("a: !Ref x\n---\nb: 2", PASS),
        ("\ta: 1", FAIL),
        ("a: &x [1]\nb: *x", PASS),
    ],
)
def test_yaml_blocks_must_parse(code: str, verdict: Verdict) -> None:
    # An indented block is dedented, so a tab needs a line beside it.
    assert judge("yaml_syntax", fenced("yaml", f"z: 0\n{code}")).verdict is verdict
