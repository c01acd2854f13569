"""The bundle: valid by its schema and Databricks' own classes, and all that it names exists."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
import duckdb
import jsonschema
import pytest
import sqlglot
import yaml
from databricks.bundles.alerts import Alert
from databricks.bundles.dashboards import Dashboard
from databricks.bundles.jobs import Job

from tests.bundle.tables import sample_tables

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "tests/data/bundle/schema.json").read_text(encoding="utf-8"))
MADE = {"file_path", "current_user"}  # of `workspace`, filled in by the command line tool


@pytest.fixture(scope="module")
def bundle() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "bundle.yml").read_text(encoding="utf-8"))
    return loaded


def jobs(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return list(bundle["resources"]["jobs"].values())


def tasks(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [task for job in jobs(bundle) for task in job["tasks"]]


def errors(document: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [error.message for error in validator.iter_errors(document)]


def resolved(text: str, bundle: dict[str, Any]) -> str:
    """A text with the variables' defaults, and with this repository in place of the workspace's."""
    text = text.replace("${workspace.file_path}", str(ROOT))
    while found := re.search(r"\$\{var\.(\w+)\}", text):
        text = text.replace(found[0], str(bundle["variables"][found[1]]["default"]))
    return text.replace("${workspace.file_path}", str(ROOT))


def test_bundle_is_valid_against_its_schema(bundle: dict[str, Any]) -> None:
    assert errors(bundle) == []


@pytest.mark.parametrize(
    "path",
    [
        ("resources", "jobs", "evaluate", "taskz"),
        ("resources", "jobs", "evaluate", "schedule", "cron"),
        ("resources", "alerts", "pass_rate_falls", "evaluation", "treshold"),
        ("resources", "dashboards", "outcomes", "dataset_catalogue"),
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


def databricks_objects(bundle: dict[str, Any]) -> Iterator[Any]:
    resources = bundle["resources"]
    for kind, made_by in (("jobs", Job), ("alerts", Alert), ("dashboards", Dashboard)):
        for value in resources[kind].values():
            yield made_by.from_dict(value)


def test_databricks_own_classes_take_every_resource(bundle: dict[str, Any]) -> None:
    assert set(bundle["resources"]) == {"jobs", "alerts", "dashboards"}
    assert len(list(databricks_objects(bundle))) >= 3


@pytest.mark.parametrize(("kind", "name"), [("jobs", "evaluate"), ("alerts", "pass_rate_falls")])
def test_databricks_own_classes_refuse_a_misspelt_key(
    bundle: dict[str, Any], kind: str, name: str
) -> None:
    broken = json.loads(json.dumps(bundle))
    broken["resources"][kind][name]["descripshun"] = "x"
    with pytest.raises((TypeError, ValueError)):
        list(databricks_objects(broken))


def test_there_is_one_bundle_file() -> None:
    names = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
    assert [name for name in names if (ROOT / name).exists()] == ["bundle.yml"]


def entry_points(package: str) -> dict[str, importlib.metadata.EntryPoint]:
    found = importlib.metadata.distribution(package).entry_points
    return {entry.name: entry for entry in found if entry.group == "console_scripts"}


def test_entry_points_that_jobs_name_exist(bundle: dict[str, Any]) -> None:
    named = [task["python_wheel_task"] for task in tasks(bundle) if "python_wheel_task" in task]
    assert named
    for task in named:
        assert callable(entry_points(task["package_name"])[task["entry_point"]].load())


def commands() -> dict[str, click.Command]:
    from skilltrace_mlflow.cli._app import app
    from skilltrace_mlflow.cli.job import command as job
    from skilltrace_mlflow.cli.scale import command as scale

    return {"skilltrace-job": job, "skilltrace-mlflow": app, "skilltrace-scale": scale}


def test_the_job_parses_the_parameters_that_it_is_given(bundle: dict[str, Any]) -> None:
    """With every variable and job parameter at its default, some of which are empty texts."""
    for job in jobs(bundle):
        defaults = {item["name"]: item["default"] for item in job["parameters"]}
        for task in job["tasks"]:
            wheel = task["python_wheel_task"]
            given = [
                re.sub(
                    r"\{\{job\.parameters\.(\w+)\}\}", lambda m, known=defaults: known[m[1]], text
                )
                for text in wheel["parameters"]
            ]
            given = [resolved(text, bundle) for text in given]
            command = commands()[wheel["entry_point"]]
            if isinstance(command, click.Group):
                found = command.get_command(click.Context(command), given.pop(0))
                assert found is not None
                command = found
            context = command.make_context(wheel["entry_point"], given)
            assert context.params.get("table", "main.skilltrace.outcomes") == (
                "main.skilltrace.outcomes"
            )
            assert Path(context.params["skills_dir"]).is_dir()


def test_paths_that_the_bundle_names_exist(bundle: dict[str, Any]) -> None:
    skills = Path(resolved("${var.skills_dir}", bundle))
    assert list(skills.glob("*/manifest.yaml"))
    for task in tasks(bundle):
        if "notebook_task" in task:
            assert (ROOT / task["notebook_task"]["notebook_path"]).is_file()
    for artifact in bundle["artifacts"].values():
        assert (ROOT / artifact["path"] / "pyproject.toml").is_file()
        assert artifact["dynamic_version"] is True
    for dashboard in bundle["resources"]["dashboards"].values():
        assert (ROOT / dashboard["file_path"]).is_file()


def test_variables_that_are_used_are_declared_and_the_other_way_round(
    bundle: dict[str, Any],
) -> None:
    text = json.dumps(bundle)
    assert set(re.findall(r"\$\{var\.(\w+)\}", text)) == set(bundle["variables"])
    known = {"var", "workspace", "bundle", "resources"}
    assert {name.split(".")[0] for name in re.findall(r"\$\{([\w.]+)\}", text)} <= known
    assert all(item["description"] and "default" in item for item in bundle["variables"].values())


def test_parameters_that_tasks_use_are_declared(bundle: dict[str, Any]) -> None:
    for job in jobs(bundle):
        declared = {parameter["name"] for parameter in job["parameters"]}
        used = set(re.findall(r"\{\{job\.parameters\.(\w+)\}\}", json.dumps(job["tasks"])))
        assert used == declared


def test_environments_that_tasks_use_are_declared_and_install_the_wheel(
    bundle: dict[str, Any],
) -> None:
    for job in jobs(bundle):
        environments = {item["environment_key"]: item["spec"] for item in job["environments"]}
        for task in job["tasks"]:
            assert "./dist/*.whl" in environments[task["environment_key"]]["dependencies"]


def test_a_scheduled_job_fails_loudly_and_never_runs_twice_at_once(bundle: dict[str, Any]) -> None:
    for job in (job for job in jobs(bundle) if "schedule" in job):
        assert job["max_concurrent_runs"] == 1
        assert job["queue"]["enabled"]
        assert job["timeout_seconds"] > 0
        assert job["email_notifications"]["on_failure"]
        assert job["health"]["rules"][0]["metric"] == "RUN_DURATION_SECONDS"
        for task in job["tasks"]:
            assert task["max_retries"] >= 1
            # Retries have to fit into the job's own limit.
            assert task["timeout_seconds"] * (1 + task["max_retries"]) <= job["timeout_seconds"]


def test_dev_and_prod_are_targets_and_the_schedule_is_paused_in_dev_only(
    bundle: dict[str, Any],
) -> None:
    modes = {name: target["mode"] for name, target in bundle["targets"].items()}
    assert modes == {"dev": "development", "prod": "production"}
    # `mode: development` pauses a schedule only where `pause_status` is unset.
    scheduled = [job for job in jobs(bundle) if "schedule" in job]
    assert all("pause_status" not in job["schedule"] for job in scheduled)
    prod = bundle["targets"]["prod"]
    assert prod["run_as"]["service_principal_name"]
    assert prod["permissions"]
    assert prod["workspace"]["root_path"].startswith("/Workspace/")


def test_the_alert_fires_when_the_pass_rate_falls(bundle: dict[str, Any]) -> None:
    alert = bundle["resources"]["alerts"]["pass_rate_falls"]
    now = datetime.now(timezone.utc)

    def change(before: str, after: str) -> float | None:
        rows = [("a", now - timedelta(days=20), before), ("b", now - timedelta(days=1), after)]
        with sample_tables(rows) as connection:
            query = resolved(alert["query_text"], bundle).replace("main.skilltrace.", "")
            relation = run(connection, query)
            assert relation.columns == [alert["evaluation"]["source"]["name"]]
            (value,) = relation.fetchall()[0]
            return None if value is None else float(value)

    threshold = alert["evaluation"]["threshold"]["value"]["double_value"]
    assert alert["evaluation"]["comparison_operator"] == "LESS_THAN"
    fell, rose = change("pass", "unknown"), change("fail", "pass")
    assert fell is not None
    assert rose is not None
    assert fell < threshold < rose


class TestInit:
    """`init --bundle`: a bundle for a team's own repository."""

    def init(self, *arguments: str) -> int:
        from skilltrace_mlflow.cli._app import run as run_command

        return run_command(["init", *arguments])

    def test_it_writes_a_bundle_that_is_valid_and_whose_parts_exist(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert self.init("bronze", "--bundle") == 0
        made = yaml.safe_load((tmp_path / "bundle.yml").read_text(encoding="utf-8"))
        assert errors(made) == []
        assert (
            len(list(databricks_objects({"resources": {"alerts": {}, **made["resources"]}}))) == 2
        )
        test_variables_that_are_used_are_declared_and_the_other_way_round(made)
        test_parameters_that_tasks_use_are_declared(made)
        (job,) = jobs(made)
        version = importlib.metadata.version("skilltrace-mlflow")
        assert job["environments"][0]["spec"]["dependencies"] == [f"skilltrace-mlflow=={version}"]
        skills = {item["name"]: item["default"] for item in job["parameters"]}["skills_dir"]
        place = tmp_path / skills.removeprefix("${workspace.file_path}/")
        assert (place / "bronze" / "manifest.yaml").is_file()
        (dashboard,) = made["resources"]["dashboards"].values()
        assert (tmp_path / dashboard["file_path"]).is_file()
        wheel = job["tasks"][0]["python_wheel_task"]
        command = commands()[wheel["entry_point"]]
        known = {name for item in command.params for name in (*item.opts, *item.secondary_opts)}
        assert {item for item in wheel["parameters"] if item.startswith("--")} <= known

    def test_a_bundle_is_added_to_skills_that_are_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert self.init("bronze") == 0
        manifest = tmp_path / "skills" / "bronze" / "manifest.yaml"
        manifest.write_text("# mine\n", encoding="utf-8")
        assert self.init("bronze", "--bundle") == 0
        assert manifest.read_text(encoding="utf-8") == "# mine\n"
        assert (tmp_path / "bundle.yml").is_file()

    @pytest.mark.parametrize("name", ["databricks.yml", "bundle.yaml", "bundle.yml"])
    def test_a_bundle_that_is_there_is_not_overwritten(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / name).write_text("bundle: {name: ours}\n", encoding="utf-8")
        assert self.init("bronze", "--bundle") == 2
        assert not (tmp_path / "skills").exists()
        assert (tmp_path / name).read_text(encoding="utf-8") == "bundle: {name: ours}\n"


def run(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """A query in Databricks SQL, run by DuckDB; refused where it is not Databricks SQL."""
    sqlglot.parse_one(query, read="databricks")
    (text,) = sqlglot.transpile(query, read="databricks", write="duckdb")
    return connection.sql(text)
