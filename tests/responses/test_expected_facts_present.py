"""expected_facts_present: facts that must be in the answer, and others that must not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from skilltrace_mlflow.checks import Verdict
from tests.responses.judging import judge

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("expectations", "verdict"),
    [
        ({"expected_facts": ["Unity Catalog"]}, PASS),
        ({"expected_facts": ["unity  CATALOG"]}, PASS),
        ({"expected_facts": ["Unity Catalog", "Hive"]}, FAIL),
        ({"unexpected_facts": ["Hive"]}, PASS),
        ({"unexpected_facts": ["unity catalog"]}, FAIL),
        ({"expected_facts": ["Unity"], "unexpected_facts": ["Catalog"]}, FAIL),
        ({"unexpected_facts": ["drop table"]}, FAIL),
        ({"unexpected_facts": ["rm -rf"]}, FAIL),
        ({"unexpected_facts": ["cafe\u0301"]}, FAIL),
        ({"expected_facts": ["soft hyphen", "2*3*4"]}, PASS),
        ({"unexpected_facts": ["234"]}, PASS),
    ],
)
def test_facts_are_present_and_unexpected_ones_absent(
    expectations: Mapping[str, Any], verdict: Verdict
) -> None:
    text = (
        "It is registered in Unity\nCatalog. Never **`DROP`** *TABLE* or `rm` -rf, "
        "says the caf\u00e9: soft hy\u00adphen, 2*3*4."
    )
    assert judge("expected_facts_present", text, expectations).verdict is verdict


@pytest.mark.parametrize(
    ("text", "fact", "verdict"),
    [
        ("Mode **over**write.", "overwrite", FAIL),
        ("Mode over**write**.", "overwrite", FAIL),
        ("Call drop\\_table.", "drop_table", FAIL),
        ("2**3**4", "234", PASS),
        ("over ** write", "overwrite", PASS),
    ],
)
def test_what_a_reader_sees_is_there(text: str, fact: str, verdict: Verdict) -> None:
    outcome = judge("expected_facts_present", text, {"unexpected_facts": [fact]})
    assert outcome.verdict is verdict
