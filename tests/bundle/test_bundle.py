"""The asset bundle: valid against its schema, and everything it names exists."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "tests/data/bundle/schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bundle() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "bundle.yml").read_text(encoding="utf-8"))
    return loaded


def jobs(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return list(bundle["resources"]["jobs"].values())


def errors(document: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [error.message for error in validator.iter_errors(document)]


def test_bundle_is_valid_against_its_schema(bundle: dict[str, Any]) -> None:
    assert errors(bundle) == []


@pytest.mark.parametrize(
    "path",
    [
        ("resources", "jobs", "evaluate_skill", "taskz"),
        ("resources", "jobs", "evaluate_skill", "schedule", "cron"),
        ("artifacts", "skilltrace_wheel", "tipe"),
        ("targets", "dev", "modus"),
    ],
)
def test_schema_refuses_a_misspelt_key(bundle: dict[str, Any], path: tuple[str, ...]) -> None:
    broken = json.loads(json.dumps(bundle))
    node = broken
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = "x"
    assert errors(broken) != []


def test_there_is_one_bundle_file() -> None:
    names = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
    assert [name for name in names if (ROOT / name).exists()] == ["bundle.yml"]


def test_entry_points_that_jobs_name_exist(bundle: dict[str, Any]) -> None:
    tasks = [task for job in jobs(bundle) for task in job["tasks"]]
    named = [task["python_wheel_task"] for task in tasks if "python_wheel_task" in task]
    assert named
    for task in named:
        scripts = {
            entry.name: entry
            for entry in importlib.metadata.distribution(task["package_name"]).entry_points
            if entry.group == "console_scripts"
        }
        assert callable(scripts[task["entry_point"]].load())


def test_paths_that_the_bundle_names_exist(bundle: dict[str, Any]) -> None:
    default = bundle["variables"]["skills_dir"]["default"]
    skills = ROOT / default.removeprefix("${workspace.file_path}/")
    assert (skills / bundle["variables"]["skill"]["default"] / "manifest.yaml").is_file()
    for job in jobs(bundle):
        for task in job["tasks"]:
            if "notebook_task" in task:
                assert (ROOT / task["notebook_task"]["notebook_path"]).is_file()
    for artifact in bundle["artifacts"].values():
        assert (ROOT / artifact["path"] / "pyproject.toml").is_file()


def test_parameters_that_tasks_use_are_declared(bundle: dict[str, Any]) -> None:
    for job in jobs(bundle):
        declared = {parameter["name"] for parameter in job["parameters"]}
        used = set(re.findall(r"\{\{job\.parameters\.(\w+)\}\}", json.dumps(job["tasks"])))
        assert used
        assert used <= declared


def test_options_that_the_job_passes_exist(bundle: dict[str, Any]) -> None:
    command = importlib.import_module("skilltrace_mlflow.cli.mlflow_eval").command
    known = {name for parameter in command.params for name in parameter.opts}
    for job in jobs(bundle):
        for task in job["tasks"]:
            given = task["python_wheel_task"]["parameters"]
            assert {item for item in given if item.startswith("--")} <= known


def test_environments_that_tasks_use_are_declared_and_install_the_wheel(
    bundle: dict[str, Any],
) -> None:
    for job in jobs(bundle):
        environments = {item["environment_key"]: item["spec"] for item in job["environments"]}
        for task in job["tasks"]:
            assert "./dist/*.whl" in environments[task["environment_key"]]["dependencies"]


def test_dev_and_prod_are_targets_and_the_schedule_is_paused_in_dev_only(
    bundle: dict[str, Any],
) -> None:
    modes = {name: target["mode"] for name, target in bundle["targets"].items()}
    assert modes == {"dev": "development", "prod": "production"}
    # `mode: development` pauses a schedule only where `pause_status` is unset.
    assert all("pause_status" not in job["schedule"] for job in jobs(bundle))
