"""Which scorers a manifest turns into."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Feedback
from mlflow.genai.scorers import Guidelines, RegexMatch, Safety, Scorer

from skilltrace_mlflow.checks import all_checks
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import load_manifest
from skilltrace_mlflow.scorer_config import build_scorers, is_model_based, missing_setup

ALWAYS = {
    "databricks_outcomes",
    "execution_success",
    "expected_facts_present",
    "pattern_adherence",
    "routing_precision",
    "routing_recall",
    "skill_routing_accuracy",
}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MLFLOW_GENAI_JUDGE_DEFAULT_MODEL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DATABRICKS_HOST", "DATABRICKS_CONFIG_PROFILE", "DATABRICKS_RUNTIME_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")


def by_name(config: Any, **options: Any) -> dict[str, Scorer]:
    return {item.name: item for item in build_scorers(config, **options)}


@pytest.mark.parametrize(
    "config",
    [
        {"enabled": ["python_syntax", "sql_syntax"]},
        ["python_syntax", "sql_syntax"],
        {"scorers": ["python_syntax", "sql_syntax"]},
        {"evaluation": {"scorers": {"tier1": ["python_syntax"], "tier2": ["sql_syntax"]}}},
        {"enabled": ["python_syntax", "sql_syntax", "tool_count"], "trace_scorers": ["tool_count"]},
    ],
)
def test_every_form_of_listing_gives_the_same_scorers(config: Any) -> None:
    assert set(by_name(config)) == {"python_syntax", "sql_syntax"} | ALWAYS


def test_trace_checks_come_with_include_traces() -> None:
    found = by_name({"enabled": ["python_syntax"]}, include_traces=True)
    assert set(found) == {"python_syntax"} | ALWAYS | set(all_checks())


def test_trace_checks_are_bound_to_the_manifests_expectations() -> None:
    config = {"trace_expectations": {"tool_limits": {"Bash": 5}}}
    scorer = by_name(config, include_traces=True)["tool_count"]
    feedback = scorer(trace={"tools": {"by_name": {"Bash": 10}}})
    assert feedback.value == "no"
    assert "10 > 5" in feedback.rationale


def test_disabled_scorers_are_left_out() -> None:
    found = by_name(
        {"enabled": ["python_syntax"], "disabled": ["python_syntax", "tool_count"]},
        include_traces=True,
    )
    assert not {"python_syntax", "tool_count"} & set(found)


def test_a_gate_on_syntax_runs_the_syntax_checks() -> None:
    gated = by_name({"skill_name": "x", "quality_gates": {"syntax_valid": 1.0}})
    assert {"python_syntax", "sql_syntax", "yaml_syntax"} <= set(gated)
    chosen = by_name(
        {"skill_name": "x", "scorers": ["sql_syntax"], "quality_gates": {"syntax_valid": 1.0}}
    )
    assert "python_syntax" not in chosen


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (["python_syntx"], "no scorer is named 'python_syntx'; did you mean 'python_syntax'"),
        (["Saftey"], "did you mean 'Safety'"),
        ({"enabeld": []}, "unknown key 'enabeld'; did you mean 'enabled'"),
        (["Guidelines"], "Guidelines needs guidelines"),
        ([{"Safety": {"colour": "red"}}], "Safety takes no argument 'colour'"),
        ([{"RegexMatch": {"pattern": "x", "match_type": "never"}}], "the arguments do not fit"),
        (["my.module:function"], "runs code; allow it with --allow-custom"),
        ("python_syntax", "expected a manifest, mapping or list"),
        (["RegexMatch"], "the arguments do not fit"),
        ([{"no_hallucinated_apis": {"rules": "nowhere.yaml"}}], "nowhere.yaml: cannot be read"),
        ([{"no_hallucinated_apis": {"rule": "x"}}], "takes {rules: FILE}"),
    ],
)
def test_what_cannot_be_built_is_an_error(config: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_scorers(config)
    assert message in str(caught.value)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_scorers([{"Safety": {"x": 1}}, "a.b:c"])
    assert len(caught.value.problems) == 2


def test_mlflows_scorers_get_their_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    found = by_name(
        {
            "enabled": [{"RegexMatch": {"pattern": "^CREATE", "name": "creates"}}],
            "llm_scorers": [
                "Safety",
                {"Guidelines": {"name": "kind", "guidelines": ["be kind"]}},
                "Guidelines:tone",
                "guidelines_from_expectations",
            ],
            "default_guidelines": ["be brief"],
        }
    )
    assert isinstance(found["creates"], RegexMatch)
    assert isinstance(found["safety"], Safety)
    kind, tone = found["kind"], found["tone"]
    assert isinstance(kind, Guidelines)
    assert isinstance(tone, Guidelines)
    assert (kind.guidelines, tone.guidelines) == (["be kind"], ["be brief"])
    model_based = {name for name, item in found.items() if is_model_based(item)}
    assert model_based == {"safety", "kind", "tone", "guidelines_from_expectations"}


def test_without_its_key_a_model_based_scorer_says_what_to_set() -> None:
    notes: list[str] = []
    scorer = by_name({"llm_scorers": ["Safety"]}, notes=notes)["safety"]
    assert not is_model_based(scorer)
    feedback = scorer()
    assert isinstance(feedback, Feedback)
    assert feedback.value is None
    assert "OPENAI_API_KEY" in feedback.error.error_message
    assert "OPENAI_API_KEY" in notes[0]


def test_no_llm_leaves_model_based_scorers_out_and_says_so() -> None:
    notes: list[str] = []
    found = by_name(
        {"enabled": ["python_syntax"], "llm_scorers": ["Safety", "guidelines_from_expectations"]},
        no_llm=True,
        notes=notes,
    )
    assert set(found) == {"python_syntax"} | ALWAYS
    assert notes == [
        "safety: left out by --no-llm",
        "guidelines_from_expectations: left out by --no-llm",
    ]


@pytest.mark.parametrize(
    ("model", "environment", "missing"),
    [
        ("openai:/gpt-4o", {}, "OPENAI_API_KEY"),
        ("openai:/gpt-4o", {"OPENAI_API_KEY": "x"}, None),
        ("anthropic:/claude", {"OPENAI_API_KEY": "x"}, "ANTHROPIC_API_KEY"),
        ("databricks:/judge", {}, "DATABRICKS_HOST"),
        ("endpoints:/judge", {"DATABRICKS_HOST": "https://x"}, None),
        ("ollama:/llama", {}, None),
        (None, {}, "MLFLOW_GENAI_JUDGE_DEFAULT_MODEL"),
        (None, {"MLFLOW_GENAI_JUDGE_DEFAULT_MODEL": "gateway:/x"}, None),
    ],
)
def test_what_a_model_needs(
    monkeypatch: pytest.MonkeyPatch,
    model: str | None,
    environment: dict[str, str],
    missing: str | None,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = missing_setup(model)
    assert (found is None) == (missing is None)
    assert missing is None or missing in (found or "")


def test_guidelines_come_from_each_row_and_none_means_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    scorer = by_name({"llm_scorers": ["guidelines_from_expectations"]})[
        "guidelines_from_expectations"
    ]
    assert scorer(inputs={}, outputs="x", expectations={}) is None
    unknown = scorer(inputs={}, outputs=None, expectations={"guidelines": ["be kind"]})
    assert unknown.error.error_message == "No response available"


@pytest.fixture
def own_module(tmp_path: Path) -> Path:
    folder = tmp_path / "skills" / "x"
    folder.mkdir(parents=True)
    (folder / "own_scorers_for_this_test.py").write_text(
        textwrap.dedent(
            """
            def calls(trace_summary, least=1):
                return len(trace_summary.tool_names) >= least

            def edits(session):
                return any(call.name == "Edit" for call in session.tool_calls)

            def odd(colour):
                return True

            constant = 3
            """
        ),
        encoding="utf-8",
    )
    (folder / "own_script_for_this_test.py").write_text("import sys; sys.exit(0)", "utf-8")
    return folder


def own(folder: Path, *entries: str) -> dict[str, Scorer]:
    listed = ", ".join(entries)
    (folder / "manifest.yaml").write_text(
        f"skill_name: x\nscorers: {{enabled: [{listed}]}}\n", encoding="utf-8"
    )
    return by_name(load_manifest(folder), allow_custom=True)


def test_own_functions_may_ask_for_session_and_summary(own_module: Path) -> None:
    module = "own_scorers_for_this_test"
    found = own(own_module, f"'{module}:edits'", f"'{module}:calls': {{least: 2}}")
    trace = {"tools": {"by_name": {"Edit": 1}, "calls": [{"id": "1", "name": "Edit"}]}}
    assert found["edits"](trace=trace).value == "yes"
    assert found["calls"](trace=trace).value == "no"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("'own_scorers_for_this_test:nothing'", "has no function 'nothing'"),
        ("'own_scorers_for_this_test:constant'", "has no function 'constant'"),
        ("'no_such_module_at_all:f'", "cannot be imported: ModuleNotFoundError"),
        ("'own_script_for_this_test:f'", "cannot be imported: SystemExit"),
        ("'own_scorers_for_this_test:odd'", "parameter 'colour' is none of"),
        ("'own_scorers_for_this_test:calls': {most: 2}", "calls has no parameter 'most'"),
    ],
)
def test_an_own_function_that_does_not_fit_is_an_error(
    own_module: Path, entry: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        own(own_module, entry)
    assert message in str(caught.value)
    assert "manifest.yaml:2:" in str(caught.value)


def test_a_module_that_exits_when_imported_does_not_end_the_command(own_module: Path) -> None:
    (own_module / "own_script_for_this_test.py").write_text("raise SystemExit(0)\n")
    with pytest.raises(ConfigurationError, match="cannot be imported: SystemExit: 0"):
        own(own_module, "'own_script_for_this_test:f'")


def test_a_manifests_own_rules_are_added_to_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        "rules: [{pattern: 'old_client\\(', instead: new_client}]\n", encoding="utf-8"
    )
    (tmp_path / "manifest.yaml").write_text(
        "skill_name: x\nscorers: [{no_hallucinated_apis: {rules: rules.yaml}}]\n", encoding="utf-8"
    )
    scorer = by_name(load_manifest(tmp_path))["no_hallucinated_apis"]
    for code, verdict in (("old_client(1)", "no"), ("import dlt", "no"), ("new_client(1)", "yes")):
        response = f"```python\n{code}\n```"
        assert scorer(outputs={"response": response}, expectations={}).value == verdict
