"""What each check of the response says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.checks import Example, Outcome, ParameterError, Verdict
from skilltrace_mlflow.expectations.explain import find_problems
from skilltrace_mlflow.expectations.responses import response_keys, response_problems
from skilltrace_mlflow.responses import (
    NO_RESPONSE,
    Response,
    ResponseSpec,
    all_responses,
    run_response,
)
from skilltrace_mlflow.responses._blocks import code_blocks
from skilltrace_mlflow.session import SkillUse
from tests.builders import make_session

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ERROR, NOT_APPLICABLE = Verdict.ERROR, Verdict.NOT_APPLICABLE
# Keys that model-based and custom scorers read.
READ_ELSEWHERE = {"assertions", "custom", "expected_response", "guidelines"}


def judge(name: str, text: str | None, expectations: Mapping[str, Any] | None = None) -> Outcome:
    spec = all_responses()[name]
    parameters = spec.parse(expectations or {})
    assert parameters is not None
    return run_response(spec, Response(text=text), parameters)


def fenced(language: str, code: str) -> str:
    return f"Here it is:\n\n```{language}\n{code}\n```\n"


def test_every_key_is_read_by_a_check_or_by_scorers_of_others() -> None:
    read = {key for spec in all_responses().values() for key in spec.keys}
    assert not read & READ_ELSEWHERE
    assert read | READ_ELSEWHERE == set(response_keys())
    assert all(spec.summary for spec in all_responses().values())


EXAMPLES = [
    pytest.param(spec, example, id=f"{name}-{number}")
    for name, spec in all_responses().items()
    for number, example in enumerate(spec.examples)
]


@pytest.mark.parametrize(("spec", "example"), EXAMPLES)
def test_examples(spec: ResponseSpec, example: Example) -> None:
    assert not list(response_problems(example.value))
    for key, value in example.value.items():
        assert not list(find_problems(value, spec.keys[key]))
    session = make_session([], **example.session) if example.session else None
    response = Response(text=example.response, outputs=example.outputs, session=session)
    outcome = run_response(spec, response, spec.parse(example.value))
    assert (outcome.verdict, outcome.check) == (example.verdict, spec.name), outcome.rationale


@pytest.mark.parametrize("name", sorted(set(all_responses()) - {"databricks_outcomes"}))
def test_every_check_has_an_example_that_passes_and_one_that_fails(name: str) -> None:
    verdicts = {example.verdict for example in all_responses()[name].examples}
    assert {PASS, FAIL} <= verdicts


@pytest.mark.parametrize("name", [n for n, s in all_responses().items() if s.needs_text])
def test_no_response_is_unknown(name: str) -> None:
    spec = all_responses()[name]
    outcome = run_response(spec, Response(), ("anything",))
    assert (outcome.verdict, outcome.rationale, outcome.check) == (UNKNOWN, NO_RESPONSE, name)


@pytest.mark.parametrize(
    ("behaviour", "verdict"),
    [
        (lambda response, parameters: 1 / 0, ERROR),
        (lambda response, parameters: Outcome.of(True, score=float("nan")), ERROR),
        (lambda response, parameters: Outcome.of(True, score=1.5), ERROR),
        (lambda response, parameters: Outcome.of(True), PASS),
    ],
)
def test_a_crash_or_an_impossible_score_is_an_error(behaviour: Any, verdict: Verdict) -> None:
    spec = ResponseSpec(name="x", parse=lambda expectations: (), judge=behaviour)
    assert run_response(spec, Response(text=""), ()).verdict is verdict


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


@pytest.mark.parametrize(
    "info",
    [
        "python:src/app.py",
        "{python}",
        "{.python .numberLines}",
        "python,linenos",
        "python=",
        'Python title="app.py"',
        "ipython3",
    ],
)
def test_the_language_is_read_from_every_kind_of_info_string(info: str) -> None:
    assert judge("python_syntax", fenced(info, "x = (")).verdict is FAIL


@pytest.mark.parametrize("marker", ["- ", "* ", "1. ", "> - ", "- - "])
def test_a_fence_may_begin_a_list_item(marker: str) -> None:
    text = f"{marker}```python\n    x = (\n    ```\n\nThen\n\n```python\ny = (\n```\n"
    outcome = judge("python_syntax", text)
    assert outcome.verdict is FAIL
    assert len(outcome.misses) == 2


@pytest.mark.parametrize("name", ["python_syntax", "sql_syntax", "yaml_syntax"])
@pytest.mark.parametrize("text", ["prose only", "", "`x = (` inline", fenced("bash", "x = (")])
def test_without_a_block_of_the_language_there_is_nothing_to_judge(name: str, text: str) -> None:
    assert judge(name, text).verdict is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("SELECT 1", PASS),
        ("SELECT * FORM x", FAIL),
        ("SELEC * FROM x", FAIL),
        ("hello world", FAIL),
        ("SELECT (1", FAIL),
        ("SELECT 'unclosed", FAIL),
        ("SELECT 1; SELECT FROM WHERE", FAIL),
        ("-- a comment\nSELECT 1;\n-- another\n", PASS),
        ("SELECT * FROM ${catalog}.{schema}.<table>", PASS),
        ("SELECT * FROM {{ ref }} WHERE d = :day", PASS),
        ("CREATE OR REFRESH STREAMING TABLE b AS SELECT * FROM STREAM read_files('/x')", PASS),
        ("CREATE FLOW f AS AUTO CDC INTO t FROM stream(s) KEYS (id) SEQUENCE BY ts", PASS),
        ("APPLY CHANGES INTO t FROM STREAM s KEYS (id) SEQUENCE BY ts", PASS),
        ("CREATE OR REPLACE TABLE x AS SELECT FROM WHERE", FAIL),
        ("CREATE STREAMING TABLE x AS SELECT * FORM y", FAIL),
        ("BEGIN\n  DECLARE x INT;\n  SET x = 1;\nEND", PASS),
        ("", FAIL),
    ],
)
def test_sql_blocks_must_parse_as_databricks_sql(code: str, verdict: Verdict) -> None:
    assert judge("sql_syntax", fenced("sql", code)).verdict is verdict


@pytest.mark.parametrize(
    "code",
    [
        "SELECT a, FROM t",
        "SELECT FROM t",
        "SELECT DISTINCT FROM t",
        "SELECT * FROM t,",
        "SELECT * FROM a JOIN b ON",
        "SELECT a FROM t WHERE a IN",
        "SELECT count(*) FROM t GROUP BY",
        "SELECT * FROM t UNION ALL SELECT",
        "CREATE TABLE t (a INT,)",
        "CREATE TABLE t AS",
        "CREATE STREAMING TABLE x AS SELEC * FROM y",
        "CREATE OR REFRESH STREAMING TABLE",
        "INSERT INTO t (a, b)",
        "UPDATE t SET",
        "-- all of them\nDELETE t WHERE a",
        "DROP TABEL t",
        "CREATE OR REPLACE TABEL t (a INT)",
        "ALTER TABEL t ADD COLUMN a INT",
    ],
)
def test_slips_that_the_parser_lets_pass_are_found(code: str) -> None:
    assert judge("sql_syntax", fenced("sql", code)).verdict is FAIL


@pytest.mark.parametrize(
    "code",
    [
        "SELECT CAST(x AS ARRAY<STRING>) FROM t",
        "CREATE TABLE t (a ARRAY<STRING>, b MAP<STRING, INT>, c STRUCT<d: ARRAY<STRING>>)",
        "SELECT * FROM t WHERE a <b AND c> d",
        "SELECT * FROM <your catalog>.s.t",
        "SELECT window(ts, '1 hour').start, window.end FROM t GROUP BY window(ts, '1 hour')",
        "SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY b)",
        "%sql\nSELECT 1",
        "CREATE FUNCTION f(x STRING) RETURNS STRING LANGUAGE PYTHON AS $$\n# it's; (\nf(a,)\n$$",
        "SELECT msg.from, raw:order, x AS table FROM t",
        "SELECT a FROM t WHERE x IS DISTINCT FROM y",
        "SET spark.sql.ansi.enabled = on",
        "GRANT SELECT, MODIFY ON TABLE t TO `a b`",
        "INSERT INTO t TABLE s",
        "CREATE TABLE t (a INT GENERATED ALWAYS AS (b + 1)) AS (SELECT 1)",
        "CREATE VIEW v WITH METRICS LANGUAGE YAML AS $$ a: 1 $$",
        "DROP ${kind} x",
        "CREATE TABLE a DEEP CLONE b VERSION AS OF 3",
        "CREATE ONLINE TABLE o",
        "CREATE PROCEDURE p() LANGUAGE SQL AS BEGIN SELECT 1; SELECT 2; END",
        "SELECT begin, end FROM t; SELECT 2",
        "MERGE WITH SCHEMA EVOLUTION INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET *",
        "INSERT WITH SCHEMA EVOLUTION INTO t SELECT 1",
        "DESCRIBE DETAIL t",
        "RESTORE TABLE t TO VERSION AS OF 3",
        "CONVERT TO DELTA parquet.`s3://x`",
        "CREATE SEMANTIC MODEL m",
    ],
)
def test_databricks_own_sql_is_no_slip(code: str) -> None:
    assert judge("sql_syntax", fenced("sql", code)).verdict is PASS


def test_sql_that_the_parser_does_not_know_is_said() -> None:
    outcome = judge("sql_syntax", fenced("sql", "OPTIMIZE t ZORDER BY (a)"))
    assert outcome.verdict is PASS
    assert "checked for brackets and quotes only: OPTIMIZE t ZORDER" in outcome.rationale


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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```python\na\n```\n```sql\nb\n```", [("python", "a\n"), ("sql", "b\n")]),
        ("~~~yaml\na\n~~~", [("yaml", "a\n")]),
        ("````md\n```\nx\n```\n````", [("md", "```\nx\n```\n")]),
        ("```python title=x\na\n```", [("python", "a\n")]),
        ("- item\n  ```python\n  if x:\n    y\n  ```", [("python", "if x:\n  y\n")]),
        ("> ```sql\n> a\n> ```", [("sql", "a\n")]),
        ("```python\nnever closed", [("python", "never closed\n")]),
        ("```inline```", []),
    ],
)
def test_code_blocks_are_found_as_commonmark_has_them(
    text: str, found: list[tuple[str, str]]
) -> None:
    assert [(block.language, block.text) for block in code_blocks(text)] == found


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


def routed(
    name: str, expected: list[str], uses: list[SkillUse], several: bool | None = None
) -> Outcome:
    spec = all_responses()[name]
    expectations: dict[str, Any] = {"expected_skills": expected}
    if several is not None:
        expectations["is_multi_skill"] = several
    session = make_session(skills=tuple(uses))
    return run_response(spec, Response(session=session), spec.parse(expectations))


def loaded(*names: str) -> list[SkillUse]:
    return [SkillUse(name=name, status="loaded") for name in names]


@pytest.mark.parametrize(
    ("expected", "used", "several", "accuracy", "precision", "recall"),
    [
        (["a"], ["a"], None, PASS, 1.0, 1.0),
        (["a"], ["a", "a"], False, PASS, 1.0, 1.0),
        (["a"], ["b"], None, FAIL, 0.0, 0.0),
        (["a"], ["a", "b"], False, FAIL, 0.5, 1.0),
        (["a", "b"], ["a"], True, FAIL, 1.0, 0.5),
        (["a", "b"], ["b", "a"], True, PASS, 1.0, 1.0),
        (["a"], [], None, FAIL, 0.0, 0.0),
        ([], [], False, PASS, 1.0, 1.0),
        ([], ["a"], False, FAIL, 0.0, 1.0),
        (["a"], ["plugin:a"], None, PASS, 1.0, 1.0),
    ],
)
def test_routing_compares_expected_with_loaded_skills(
    expected: list[str],
    used: list[str],
    several: bool | None,
    accuracy: Verdict,
    precision: float,
    recall: float,
) -> None:
    uses = loaded(*used)
    assert routed("skill_routing_accuracy", expected, uses, several).verdict is accuracy
    assert routed("routing_precision", expected, uses, several).score == precision
    assert routed("routing_recall", expected, uses, several).score == recall


@pytest.mark.parametrize("name", ["skill_routing_accuracy", "routing_precision", "routing_recall"])
def test_routing_without_a_trace_is_unknown(name: str) -> None:
    spec = all_responses()[name]
    outcome = run_response(spec, Response(text="x"), spec.parse({"expected_skills": []}))
    assert (outcome.verdict, outcome.misses) == (UNKNOWN, ("No trace available",))


def test_routing_without_evidence_of_skills_is_unknown() -> None:
    spec = all_responses()["skill_routing_accuracy"]
    session = make_session(missing={"skills": "counts only"})
    outcome = run_response(spec, Response(session=session), spec.parse({"expected_skills": []}))
    assert (outcome.verdict, outcome.rationale) == (UNKNOWN, "counts only")


def test_a_failed_load_is_no_load_and_an_attempt_may_be_one() -> None:
    failed = [SkillUse(name="a", status="failed")]
    attempted = [SkillUse(name="a", status="attempted")]
    assert routed("skill_routing_accuracy", ["a"], failed).verdict is FAIL
    assert routed("skill_routing_accuracy", ["a"], attempted).verdict is UNKNOWN
    assert routed("skill_routing_accuracy", [], attempted).verdict is UNKNOWN
    assert routed("skill_routing_accuracy", ["b"], [*loaded("c"), *attempted]).verdict is FAIL
    assert routed("skill_routing_accuracy", [], [*attempted, *failed]).verdict is UNKNOWN
    both = [*attempted, SkillUse(name="b", status="attempted")]
    assert routed("skill_routing_accuracy", ["a"], both).verdict is UNKNOWN
    assert routed("routing_precision", ["a"], [*loaded("a", "c"), *both]).score == 1 / 3


@pytest.mark.parametrize(
    ("name", "expected", "used", "verdict"),
    [
        ("skill_routing_accuracy", [], [], UNKNOWN),
        ("skill_routing_accuracy", ["a"], ["a"], UNKNOWN),
        ("skill_routing_accuracy", ["a"], ["b"], FAIL),
        ("routing_precision", ["a"], ["a"], UNKNOWN),
        ("routing_precision", ["a"], ["a", "b"], FAIL),
        ("routing_recall", ["a"], ["a"], PASS),
        ("routing_recall", ["a"], [], UNKNOWN),
    ],
)
def test_an_incomplete_record_may_hide_a_skill(
    name: str, expected: list[str], used: list[str], verdict: Verdict
) -> None:
    session = make_session(skills=tuple(loaded(*used)), incomplete=("line 3 is damaged",))
    spec = all_responses()[name]
    parameters = spec.parse({"expected_skills": expected})
    assert run_response(spec, Response(session=session), parameters).verdict is verdict


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


@pytest.mark.parametrize("name", all_responses())
def test_a_check_with_keys_says_nothing_where_they_are_absent(name: str) -> None:
    spec = all_responses()[name]
    if spec.listed or name == "execution_success":
        assert spec.parse({}) is not None
    else:
        assert spec.parse({}) is None
