"""Where skills are found, and what of their files is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from skilltrace_mlflow.errors import ConfigurationError, InputError
from skilltrace_mlflow.expectations import (
    TestCase,
    ground_truth_schema,
    load_ground_truth,
    load_manifest,
    manifest_schema,
    select_cases,
)

MANIFEST = """\
scorers:
  enabled:
    - python_syntax
    - tool_count        # NEW
    - token_budget      # NEW
    - file_existence    # NEW

  trace_expectations:   # NEW section
    tool_limits:
      mcp__databricks__execute_sql: 5
      Bash: 3
    token_budget:
      max_input: 50000
      max_output: 10000
    required_tools:
      - Read
      - mcp__databricks__execute_sql
    banned_tools:
      - "rm -rf"
      - "DROP DATABASE"
"""
GROUND_TRUTH = """\
test_cases:
  - id: "sdp_bronze_001"
    inputs:
      prompt: "Create bronze ingestion pipeline"
    expectations:
      # Existing
      expected_patterns: [...]
      # NEW: per-test trace expectations
      tool_limits:
        mcp__databricks__create_pipeline: 1
      expected_files:
        - "bronze_orders.sql"
    metadata:
      trace_run_id: "abc123"  # Link to MLflow trace
"""


@pytest.fixture
def skills(tmp_path: Path) -> Path:
    folder = tmp_path / "skills" / "sdp"
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_text(MANIFEST, encoding="utf-8")
    (folder / "ground_truth.yaml").write_text(GROUND_TRUTH, encoding="utf-8")
    return tmp_path / "skills"


def test_the_plans_two_examples_load_and_say_what_they_say(skills: Path) -> None:
    manifest = load_manifest("sdp", skills_dir=skills)
    assert manifest.name == "sdp"
    assert manifest.enabled == ("python_syntax", "tool_count", "token_budget", "file_existence")
    (case,) = load_ground_truth(manifest)
    assert (case.id, case.prompt) == ("sdp_bronze_001", "Create bronze ingestion pipeline")
    assert case.run_id == "abc123"
    assert {item.spec.name: item.value for item in case.expectations} == {
        "banned_tools": ["rm -rf", "DROP DATABASE"],
        "file_existence": ["bronze_orders.sql"],
        "required_tools": ["Read", "mcp__databricks__execute_sql"],
        "token_budget": {"max_input": 50000, "max_output": 10000},
        "tool_count": {
            "mcp__databricks__execute_sql": 5,
            "Bash": 3,
            "mcp__databricks__create_pipeline": 1,
        },
    }


@pytest.mark.parametrize("given", ["name", "folder", "file"])
def test_a_skill_is_named_or_pointed_at(
    skills: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKILLTRACE_SKILLS_DIR", str(skills))
    source = {"name": "sdp", "folder": skills / "sdp", "file": skills / "sdp" / "manifest.yaml"}
    assert load_manifest(source[given]).path == skills / "sdp" / "manifest.yaml"


def test_the_nearest_skills_directory_upward_is_searched(
    skills: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = skills.parent / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    monkeypatch.delenv("SKILLTRACE_SKILLS_DIR", raising=False)
    assert load_manifest("sdp").name == "sdp"


def test_an_unknown_skill_names_the_nearest(skills: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"skill 'spd': there is none in .*'sdp'"):
        load_manifest("spd", skills_dir=skills)


def test_no_skills_directory_says_how_to_give_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKILLTRACE_SKILLS_DIR", raising=False)
    with pytest.raises(ConfigurationError, match="--skills-dir or set SKILLTRACE_SKILLS_DIR"):
        load_manifest("sdp")


def test_a_named_directory_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--skills-dir: there is no directory"):
        load_manifest("sdp", skills_dir=tmp_path / "nowhere")


def test_a_folder_with_a_ground_truth_only_is_a_skill(tmp_path: Path) -> None:
    folder = tmp_path / "_routing"
    folder.mkdir()
    (folder / "ground_truth.yaml").write_text("test_cases: [{id: 1}]\n", encoding="utf-8")
    manifest = load_manifest("_routing", skills_dir=tmp_path)
    assert (manifest.name, manifest.path) == ("_routing", None)
    assert [case.id for case in load_ground_truth(manifest)] == ["1"]


@pytest.mark.parametrize(
    ("text", "enabled", "llm"),
    [
        ("scorers: [tool_count, python_syntax]", ("tool_count", "python_syntax"), ()),
        ("scorers: {enabled: [tool_count], llm_scorers: [Safety]}", ("tool_count",), ("Safety",)),
        (
            "evaluation: {scorers: {tier1: [python_syntax], tier2: [execution_success], "
            "tier3: ['Guidelines:tone']}}",
            ("python_syntax", "execution_success"),
            ("Guidelines:tone",),
        ),
        (
            "scorers: {enabled: [Guidelines: {name: tone, guidelines: [be kind]}, 'my.mod:fn']}",
            ("Guidelines", "my.mod:fn"),
            (),
        ),
    ],
)
def test_every_form_of_listing_scorers_is_read(
    tmp_path: Path, text: str, enabled: tuple[str, ...], llm: tuple[str, ...]
) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(f"skill_name: x\n{text}\n", encoding="utf-8")
    manifest = load_manifest(path)
    assert (manifest.enabled, manifest.llm_scorers) == (enabled, llm)


def test_other_tools_keys_are_notices(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(
        "skill_name: x\ntool_modules: []\ntriggers: [a]\nversion: 2\n", encoding="utf-8"
    )
    notices = load_manifest(path).notices
    assert [notice.split(": ")[1] for notice in notices] == ["tool_modules", "triggers", "version"]


def test_dates_and_odd_keys_in_metadata_are_free(tmp_path: Path) -> None:
    path = tmp_path / "gt.yaml"
    path.write_text(
        "metadata: {created_at: 2026-02-13}\n"
        "test_cases:\n"
        "  - id: a\n"
        "    metadata: {1: one, yes: no, when: 2026-02-13T16:00:00Z, tags: [x, y], category: z}\n",
        encoding="utf-8",
    )
    (case,) = load_ground_truth(path)
    assert case.metadata["1"] == "one"
    assert case.metadata["when"] == "2026-02-13T16:00:00Z"
    assert (case.tags, case.category) == (("x", "y"), "z")


def test_a_skills_description_is_free(tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").write_text(
        "skill: {name: x, scope: project, permissions: none, disabled: false, descriptio: y}\n",
        encoding="utf-8",
    )
    assert load_manifest(tmp_path).name == "x"


def test_what_is_disabled_for_sessions_is_off_for_them_alone(tmp_path: Path) -> None:
    (tmp_path / "manifest.yaml").write_text(
        "trace_expectations: {tool_limits: {Bash: 3}}\n"
        "session_expectations: {tool_limits: {Bash: 9}, turn_limit: {max_turns: 5}, "
        "disabled: [tool_count]}\n",
        encoding="utf-8",
    )
    manifest = load_manifest(tmp_path)
    assert manifest.trace_expectations == {"tool_limits": {"Bash": 3}}
    assert manifest.session_expectations == {"turn_limit": {"max_turns": 5}}


def test_merge_keys_and_anchors_work(tmp_path: Path) -> None:
    path = tmp_path / "gt.yaml"
    path.write_text(
        "limits: &limits {Bash: 1, Read: 2}\n"
        "test_cases:\n"
        "  - {id: a, expectations: {tool_limits: {<<: *limits, Bash: 5}}}\n",
        encoding="utf-8",
    )
    (case,) = load_ground_truth(path)
    assert case.expectations[0].value == {"Bash": 5, "Read": 2}


def test_a_trace_reference_is_relative_to_its_file(tmp_path: Path) -> None:
    path = tmp_path / "gt.yaml"
    path.write_text(
        "test_cases: [{id: a, outputs: {trace_ref: traces/a.jsonl}}]\n", encoding="utf-8"
    )
    (case,) = load_ground_truth(path)
    assert case.trace_ref == str(tmp_path / "traces" / "a.jsonl")


def test_an_id_in_two_datasets_is_refused(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("test_cases: [{id: same}]\n", encoding="utf-8")
    (tmp_path / "manifest.yaml").write_text(
        "skill_name: x\nevaluation: {datasets: [a.yaml, {path: b.yaml, type: yaml}]}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError, match=r"b\.yaml.*'same' is taken by .*a\.yaml:1"):
        load_ground_truth(load_manifest(tmp_path))


CASES = """\
test_cases:
  - {id: a, metadata: {category: create, tags: [fast]}}
  - {id: b, metadata: {category: create, tags: [slow]}}
  - {id: c, metadata: {category: change}}
"""


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        ({}, "abc"),
        ({"ids": ["c", "a"]}, "ac"),
        ({"categories": ["create"]}, "ab"),
        ({"tags": ["slow"]}, "b"),
        ({"categories": ["create"], "tags": ["fast"]}, "a"),
    ],
)
def test_cases_are_selected_by_id_category_and_tag(
    tmp_path: Path, selection: dict[str, list[str]], left: str
) -> None:
    path = tmp_path / "gt.yaml"
    path.write_text(CASES, encoding="utf-8")
    assert "".join(c.id for c in select_cases(load_ground_truth(path), **selection)) == left


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"ids": ["d"]}, "no test case has the id 'd'"),
        ({"categories": ["creat"]}, "did you mean 'create'"),
        ({"categories": ["change"], "tags": ["fast"]}, "no test case is left"),
    ],
)
def test_a_selection_that_selects_nothing_is_refused(
    tmp_path: Path, selection: dict[str, list[str]], message: str
) -> None:
    path = tmp_path / "gt.yaml"
    path.write_text(CASES, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        select_cases(load_ground_truth(path), **selection)


def test_the_schemas_are_valid_json_schema() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(manifest_schema())
    Draft202012Validator.check_schema(ground_truth_schema())


def test_the_schemas_hold_every_registered_check() -> None:
    from skilltrace_mlflow.checks import all_checks

    keys = {spec.key for spec in all_checks().values()}
    assert keys <= set(manifest_schema()["$defs"]["trace_expectations"]["properties"])
    case = ground_truth_schema()["properties"]["test_cases"]["items"]
    assert keys <= set(case["properties"]["expectations"]["properties"])


def test_importing_costs_neither_a_parser_nor_a_validator() -> None:
    code = (
        "import sys, skilltrace_mlflow.expectations; "
        "heavy = {'jsonschema', 'mlflow', 'pandas', 'sqlglot'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


SETTINGS = '{"permissions": {"deny": ["Read(.env)"], "allow": ["Bash(ls:*)"]}, "model": "x"}'


def with_permissions(tmp_path: Path, manifest: str, test: str) -> TestCase:
    (tmp_path / "settings.json").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "manifest.yaml").write_text(
        f"skill_name: x\ntrace_expectations: {manifest}\n", encoding="utf-8"
    )
    (tmp_path / "ground_truth.yaml").write_text(
        f"test_cases: [{{id: a, expectations: {test}}}]\n", encoding="utf-8"
    )
    (case,) = load_ground_truth(load_manifest(tmp_path))
    return case


@pytest.mark.parametrize(
    ("manifest", "test", "denied"),
    [
        ("{permissions: settings.json}", "{}", ["Read(.env)"]),
        ("{permissions: {settings: settings.json, deny: [WebFetch]}}", "{}", None),
        ("{permissions: settings.json}", "{permissions: {deny: [WebFetch]}}", None),
        ("{permissions: {deny: [WebFetch]}}", "{permissions: settings.json}", None),
        ("{permissions: settings.json}", "{permissions: null}", ["Read(.env)"]),
    ],
)
def test_permission_rules_come_from_a_settings_file_and_merge(
    tmp_path: Path, manifest: str, test: str, denied: list[str] | None
) -> None:
    (found,) = with_permissions(tmp_path, manifest, test).expectations
    assert {rule.text for rule in found.parameters.deny} == set(
        denied or ["Read(.env)", "WebFetch"]
    )


def test_what_a_settings_file_does_not_mention_is_asked_for(tmp_path: Path) -> None:
    (found,) = with_permissions(tmp_path, "{permissions: settings.json}", "{}").expectations
    assert found.parameters.mode == "default"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.json", "missing.json cannot be read"),
        ("broken.json", "broken.json is not JSON"),
    ],
)
def test_a_settings_file_that_gives_no_rules_is_refused(
    tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        with_permissions(tmp_path, f"{{permissions: {name}}}", "{}")
    assert message in str(caught.value)
    assert "manifest.yaml:2:35: trace_expectations.permissions" in str(caught.value)


def test_words_of_other_tools_in_a_rows_mappings_are_no_slips(tmp_path: Path) -> None:
    row = {
        "id": "a",
        "inputs": {"prompt_id": 7, "prompts": ["x"]},
        "outputs": {"response_id": "r", "execution_success_rate": 0.5},
        "metadata": {"tag": "smoke", "session": "morning", "trace_run": "nightly"},
    }
    path = tmp_path / "ground_truth.yaml"
    path.write_text(yaml.safe_dump({"test_cases": [row]}), encoding="utf-8")
    (case,) = load_ground_truth(path)
    assert case.notices == ()
