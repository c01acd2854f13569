"""A folder of skills written for other tools loads as it stands, and its mistakes are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import find_skills, load_ground_truth, load_manifest
from skilltrace_mlflow.expectations.lint import lint
from skilltrace_mlflow.responses import Response, all_responses, run_response
from tests.expectations.skills_folder import write_skills


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_skills(tmp_path_factory.mktemp("large"))


def test_every_skill_loads_without_a_problem(folder: Path) -> None:
    skills = find_skills(folder)
    assert len(skills) == 25
    for skill in skills:
        manifest = load_manifest(skill.name, skills_dir=folder)
        cases = load_ground_truth(manifest)
        assert manifest.name == skill.name
        assert len(cases) in (2, 3)
        assert lint(manifest, cases).problems == ()


def test_the_flat_form_says_what_it_says(folder: Path) -> None:
    manifest = load_manifest("warehouse-tuning", skills_dir=folder)
    assert manifest.enabled == (
        "python_syntax",
        "sql_syntax",
        "pattern_adherence",
        "no_hallucinated_apis",
        "expected_facts_present",
    )
    assert manifest.llm_scorers == ("Safety", "guidelines_from_expectations")
    assert manifest.quality_gates == {
        "syntax_valid": 1.0,
        "pattern_adherence": 0.9,
        "no_hallucinated_apis": 1.0,
        "execution_success": 0.8,
    }
    first, second = load_ground_truth(manifest)
    limits = {item.spec.name: item.value for item in first.expectations}["tool_count"]
    assert limits == {"Bash": 40, "mcp__databricks__execute_sql": 3}
    limits = {item.spec.name: item.value for item in second.expectations}["tool_count"]
    assert limits == {"mcp__databricks__execute_sql": 10}
    assert second.run_id == "abc123"
    assert [notice.split(": ")[1] for notice in manifest.notices] == ["tool_modules", "triggers"]


def test_the_older_form_keeps_its_tiers(folder: Path) -> None:
    manifest = load_manifest("metric-catalogue", skills_dir=folder)
    assert manifest.tiers == {
        "tier1": ("python_syntax", "sql_syntax", "pattern_adherence"),
        "tier2": ("execution_success",),
        "tier3": ("Guidelines",),
    }
    assert manifest.default_guidelines == ("Name the catalogue",)
    assert set(manifest.quality_gates) == {f"tier{n}_pass_rate" for n in (1, 2, 3)}


def test_the_routing_skill_needs_no_manifest(folder: Path) -> None:
    cases = load_ground_truth(load_manifest("_routing", skills_dir=folder))
    assert [case.response_expectations["expected_skills"] for case in cases] == [
        ["change-feeds"],
        ["row-masks", "bundle-deploys"],
        [],
    ]


def test_recorded_responses_are_judged(folder: Path) -> None:
    case = load_ground_truth(load_manifest("warehouse-tuning", skills_dir=folder))[0]
    response = Response(text=case.response, outputs=case.outputs, prompt=case.prompt)
    verdicts = {}
    for name, spec in all_responses().items():
        parameters = spec.parse(case.response_expectations)
        if parameters is not None:
            verdicts[name] = run_response(spec, response, parameters).verdict
    assert verdicts == {
        "execution_success": Verdict.PASS,
        "expected_facts_present": Verdict.PASS,
        "no_hallucinated_apis": Verdict.PASS,
        "pattern_adherence": Verdict.PASS,
        "python_syntax": Verdict.NOT_APPLICABLE,
        "sql_syntax": Verdict.PASS,
        "yaml_syntax": Verdict.NOT_APPLICABLE,
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "manifest.yaml",
            "    required_tools:\n      - Read\n",
            "    banned_patterns:\n      - 'raw dictionaries'\n",
            "trace_expectations.banned_patterns: unknown key 'banned_patterns'",
        ),
        (
            "ground_truth.yaml",
            "required_tools: [mcp__databricks__execute_sql]",
            "call_order: [Read, Write]",
            "trace_expectations.call_order: unknown key 'call_order'",
        ),
    ],
)
def test_trace_keys_that_nobody_checks_are_refused_by_name(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    skill = write_skills(tmp_path) / "warehouse-tuning"
    text = (skill / file).read_text(encoding="utf-8")
    assert old in text
    (skill / file).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_ground_truth(load_manifest(skill))
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1
