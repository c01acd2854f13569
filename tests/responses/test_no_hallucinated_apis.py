"""no_hallucinated_apis: names of code that does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from skilltrace_mlflow.checks import Verdict
from tests.responses.judging import fenced, judge

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("language", "code", "verdict"),
    [
        ("python", "@dlt.table\ndef f(): ...", FAIL),
        ("python", "import dlt", FAIL),
        ("python", "from pyspark import pipelines as dp\n@dp.table\ndef f(): ...", PASS),
        ("python", "mlflow.evaluate(x)", FAIL),
        ("python", "mlflow.genai.evaluate(data=x, scorers=[])", PASS),
        ("sql", "CREATE TABLE t (a INT) PARTITIONED BY (a)", FAIL),
        ("sql", "CREATE TABLE t (a INT) USING PARQUET PARTITIONED BY (a)", PASS),
        ("sql", "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t", PASS),
        ("sql", "CREATE OR REFRESH LIVE TABLE t AS SELECT 1", FAIL),
        ("bash", "databricks pipelines list", PASS),
    ],
)
def test_apis_that_do_not_exist_are_found_in_code(
    language: str, code: str, verdict: Verdict
) -> None:
    assert judge("no_hallucinated_apis", fenced(language, code)).verdict is verdict


def test_prose_may_name_what_to_avoid() -> None:
    assert judge("no_hallucinated_apis", "Never use @dlt.table.").verdict is NOT_APPLICABLE


def test_a_test_can_add_rules_of_its_own() -> None:
    rules = [{"pattern": r"old_client\(", "instead": "new_client"}]
    text = fenced("python", "old_client(1)")
    assert judge("no_hallucinated_apis", text).verdict is PASS
    outcome = judge("no_hallucinated_apis", text, {"hallucinated_apis": rules})
    assert outcome.verdict is FAIL
    assert "use new_client" in outcome.rationale


def test_a_rules_file_is_validated(tmp_path: Path) -> None:
    from skilltrace_mlflow.errors import ConfigurationError
    from skilltrace_mlflow.expectations.responses import load_rules

    path = tmp_path / "rules.yaml"
    path.write_text("rules:\n  - {patern: x}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"rules\.yaml:2:6: .*did you mean 'pattern'"):
        load_rules(path)
    path.write_text("rules:\n  - {pattern: '('}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"rules\.yaml:2:.*bad regular expression"):
        load_rules(path)
