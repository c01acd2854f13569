"""python_syntax: the blocks of Python must parse."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.checks import Verdict
from tests.responses.judging import fenced, judge

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("x = 1", PASS),
        ("def f(:\n    pass", FAIL),
        ("%pip install x\nimport x", PASS),
        ("%sql\nSELECT * FROM t", PASS),
        ("%%bash\nls -l | wc", PASS),
        ("%time\nSELECT * FROM t", FAIL),
        ("!ls\nfor i in range(3):\n    %time f(i)", PASS),
        ("await f()", PASS),
        (">>> x = 1\n>>> x\n1", PASS),
        (">>> x = (\n", FAIL),
        ("x = '\\d'", PASS),
        ("\x00", FAIL),
        ("    indented = 1\n    too = 2", PASS),
        ("...", PASS),
        ("x = (a\n  %b)", PASS),
        ("x = (a\n  !=b)", PASS),
        ("!{sys.executable} -m pip install x", PASS),
        ("files = !ls\nx, y = %sql SELECT 1", PASS),
        ("x = 1 !ls", FAIL),
        ("def f(:\n    pass\n>>> f()", FAIL),
        (">>>x = (", FAIL),
        (">>> x = (\n... )\nprinted (\n>>> y = 2", PASS),
        ("x = 'a\u2028b\x0c'", PASS),
    ],
)
def test_python_blocks_must_parse(code: str, verdict: Verdict) -> None:
    assert judge("python_syntax", fenced("python", code)).verdict is verdict


def test_a_syntax_error_is_placed_in_the_response() -> None:
    outcome = judge("python_syntax", "first\n\n```py\nx = 1\ny = (\n```\n")
    assert outcome.verdict is FAIL
    assert "Python block 1 (line 4)" in outcome.rationale
    assert "at line 5" in outcome.rationale
