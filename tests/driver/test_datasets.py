"""Ground truths as evaluation datasets and back, on MLflow's own stores."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.genai.datasets import create_dataset, get_dataset

from skilltrace_mlflow import from_dataset, load_ground_truth, load_manifest, to_dataset
from skilltrace_mlflow.errors import ConfigurationError, InputError
from tests.driver.stores import Server, use_store

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "skills" / "bronze-ingestion"
CASES: list[dict[str, Any]] = [
    {
        "id": "all",
        "inputs": {"prompt": "make it", "other": {"deep": [1, 2.5, None, True]}},
        "outputs": {"response": "done — ünï", "trace_ref": "traces/x.jsonl"},
        "expectations": {"required_tools": ["Write"], "expected_facts": ["a", "b"]},
        "metadata": {"category": "create", "owner": "me"},
        "tags": ["smoke"],
    },
    {"id": "same-prompt", "inputs": {"prompt": "x"}, "expectations": {"required_tools": ["Read"]}},
    {"id": "same-prompt-2", "inputs": {"prompt": "x"}, "expectations": {"banned_tools": ["Bash"]}},
    {"id": "no-inputs", "outputs": {"trace_ref": "traces/y.jsonl"}},
    {"id": "nothing-expected", "inputs": {"prompt": "y"}},
]


def skill_of(folder: Path, cases: list[dict[str, Any]], **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.yaml").write_text("skill: {name: s}\n")
    document = {"test_cases": cases, **more}
    (folder / "ground_truth.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
    return folder / "manifest.yaml"


def test_a_ground_truth_comes_back_as_it_was(store: str, tmp_path: Path) -> None:
    skill = skill_of(tmp_path / "s", CASES)
    change = to_dataset(skill, "cases", experiment="traces")
    assert (change.cases, change.written, change.deleted) == (5, 5, 0)
    assert from_dataset("cases") == {"test_cases": CASES}


def test_the_example_s_cases_are_equal_after_a_round_trip(store: str, tmp_path: Path) -> None:
    to_dataset(EXAMPLE, "example", experiment="traces")
    file = tmp_path / "ground_truth.yaml"
    from_dataset("example", file, skill="bronze-ingestion")
    manifest = load_manifest(EXAMPLE)
    was, now = load_ground_truth(manifest), load_ground_truth(file, manifest=manifest)
    assert [(c.id, c.prompt, c.trace_expectations, c.metadata) for c in now] == [
        (c.id, c.prompt, c.trace_expectations, c.metadata) for c in was
    ]
    assert [c.expectations for c in now] == [c.expectations for c in was]


def test_prompts_of_triggers_become_cases(store: str, tmp_path: Path) -> None:
    skill = skill_of(tmp_path / "s", [], trigger_prompts={"should": ["a"], "should_not": ["b"]})
    to_dataset(skill, "cases", experiment="traces")
    found = from_dataset("cases")["test_cases"]
    assert [c["expectations"]["should_trigger"] for c in found] == [True, False]


def test_written_again_nothing_changes(store: str, tmp_path: Path) -> None:
    skill = skill_of(tmp_path / "s", CASES)
    to_dataset(skill, "cases", experiment="traces")
    ids = sorted(get_dataset(name="cases").to_df()["dataset_record_id"])
    change = to_dataset(skill, "cases", experiment="traces")
    assert (change.written, change.deleted) == (0, 0)
    assert sorted(get_dataset(name="cases").to_df()["dataset_record_id"]) == ids


@pytest.mark.parametrize(
    "edited",
    [
        [*CASES[:1], *CASES[2:]],
        [{**CASES[0], "expectations": {"expected_facts": ["a"]}}, *CASES[1:]],
        [{**CASES[0], "inputs": {"prompt": "another"}}, *CASES[1:]],
        CASES[::-1],
        [{**CASES[4], "expectations": {"required_tools": ["Read"]}}],
    ],
    ids=["deleted", "expectation taken out", "prompt", "order", "one left"],
)
def test_an_edited_file_is_what_the_dataset_holds(
    store: str, tmp_path: Path, edited: list[dict[str, Any]]
) -> None:
    """An expectation that was taken out must not stay: MLflow merges records key by key."""
    to_dataset(skill_of(tmp_path / "s", CASES), "cases", experiment="traces")
    to_dataset(skill_of(tmp_path / "s", edited), "cases", experiment="traces")
    assert from_dataset("cases") == {"test_cases": edited}


def test_records_of_others_stay_and_are_cases(store: str, tmp_path: Path) -> None:
    made = create_dataset(name="cases", experiment_id="0")
    made.merge_records([{"inputs": {"prompt": "mine"}, "expectations": {"expected_facts": ["f"]}}])
    to_dataset(skill_of(tmp_path / "s", CASES), "cases", experiment="traces")
    to_dataset(skill_of(tmp_path / "s", CASES[:1]), "cases", experiment="traces")
    first, other = from_dataset("cases")["test_cases"]
    assert first == CASES[0]
    assert other["inputs"] == {"prompt": "mine"}
    assert other["expectations"] == {"expected_facts": ["f"]}
    assert other["id"]
    assert from_dataset("cases", skill="s")["test_cases"] == CASES[:1]


def test_what_people_edit_in_the_dataset_comes_back(store: str, tmp_path: Path) -> None:
    to_dataset(skill_of(tmp_path / "s", CASES[:1]), "cases", experiment="traces")
    dataset = get_dataset(name="cases")
    dataset.merge_records(
        [{"inputs": CASES[0]["inputs"], "expectations": {"expected_facts": ["z"]}}]
    )
    (found,) = from_dataset("cases")["test_cases"]
    assert found["expectations"] == {"required_tools": ["Write"], "expected_facts": ["z"]}
    assert found["id"] == "all"


def test_on_a_server(server: Server, tmp_path: Path) -> None:
    with use_store(server.url, "datasets"):
        skill = skill_of(tmp_path / "s", CASES)
        to_dataset(skill, "cases", experiment="datasets", tracking_uri=server.url)
        assert from_dataset("cases", tracking_uri=server.url) == {"test_cases": CASES}


def test_what_cannot_be_is_told(store: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="dataset nobody: not found"):
        from_dataset("nobody")
    to_dataset(skill_of(tmp_path / "t", CASES), "cases", experiment="traces")
    with pytest.raises(ConfigurationError, match="no test case of skill other"):
        from_dataset("cases", skill="other")
    taken = tmp_path / "taken.yaml"
    taken.touch()
    with pytest.raises(InputError, match="is there already"):
        from_dataset("cases", taken)


def test_databricks_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from skilltrace_mlflow.sources.mlflow import store as mlflow_store

    monkeypatch.setattr(mlflow_store, "probe", lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "databricks.agents.datasets", None)
    with pytest.raises(ConfigurationError, match="databricks-agents is needed"):
        from_dataset("main.skills.cases", tracking_uri="databricks")
