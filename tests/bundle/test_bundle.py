"""Bundles: valid by their schema and Databricks' own classes, and all that they name exists.

Everything is asked of both, this repository's and the one that `init --bundle` writes for a team.
"""

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

from skilltrace_mlflow.databricks.bundle import repository_bundle
from tests.bundle.generate import PLACE
from tests.bundle.tables import sample_tables

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "tests/data/bundle/schema.json").read_text(encoding="utf-8"))
MADE = {"file_path", "current_user"}  # of `workspace`, filled in by the command line tool


@pytest.fixture(scope="module", params=["repository", "team"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the bundle lies in."""
    return ROOT if request.param == "repository" else team(tmp_path_factory.mktemp("our skills"))


def team(folder: Path, skill: str = "bronze") -> Path:
    """A team's repository with the bundle that `init` writes there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert init(skill, "--bundle") == 0
    return folder


def init(*arguments: str) -> int:
    from skilltrace_mlflow.cli._app import run as run_command

    return run_command(["init", *arguments])


@pytest.fixture(scope="module")
def bundle(root: Path) -> dict[str, Any]:
    return read(root)


def read(root: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((root / "bundle.yml").read_text(encoding="utf-8"))
    return loaded


def jobs(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return list(bundle["resources"]["jobs"].values())


def tasks(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [task for job in jobs(bundle) for task in job["tasks"]]


def errors(document: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [error.message for error in validator.iter_errors(document)]


def resolved(text: str, bundle: dict[str, Any], root: Path = ROOT) -> str:
    """A text with the variables' defaults, and with this repository in place of the workspace's."""
    while found := re.search(r"\$\{var\.(\w+)\}", text):
        text = text.replace(found[0], str(bundle["variables"][found[1]]["default"]))
    return text.replace("${workspace.file_path}", str(root))


def test_bundle_is_valid_against_its_schema(bundle: dict[str, Any]) -> None:
    assert errors(bundle) == []


@pytest.mark.parametrize(
    "path",
    [
        ("resources", "jobs", "evaluate", "taskz"),
        ("resources", "jobs", "evaluate", "schedule", "cron"),
        ("resources", "alerts", "pass_rate_falls", "evaluation", "treshold"),
        ("resources", "dashboards", "outcomes", "dataset_catalogue"),
        ("resources", "jobs", "score_at_scale", "tasks", 0, "python_wheel_task", "parametres"),
        ("resources", "jobs", "register_monitoring", "enviroments"),
        ("variables", "catalog", "defalt"),
        ("targets", "dev", "modus"),
    ],
)
def test_schema_refuses_a_misspelt_key(bundle: dict[str, Any], path: tuple[str | int, ...]) -> None:
    broken = json.loads(json.dumps(bundle))
    node: Any = broken
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
    assert len(list(databricks_objects(bundle))) == 5


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("jobs", "evaluate"),
        ("jobs", "score_at_scale"),
        ("jobs", "register_monitoring"),
        ("dashboards", "outcomes"),
        ("alerts", "pass_rate_falls"),
    ],
)
def test_databricks_own_classes_refuse_a_misspelt_key(
    bundle: dict[str, Any], kind: str, name: str
) -> None:
    broken = json.loads(json.dumps(bundle))
    broken["resources"][kind][name]["descripshun"] = "x"
    with pytest.raises((TypeError, ValueError)):
        list(databricks_objects(broken))


def test_there_is_one_bundle_file(root: Path) -> None:
    names = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
    assert [name for name in names if (root / name).exists()] == ["bundle.yml"]


def test_this_repositorys_bundle_is_what_the_template_says() -> None:
    """`python -m tests.bundle.generate` writes it anew."""
    assert PLACE.read_text(encoding="utf-8") == repository_bundle()


def test_a_team_has_the_same_jobs_dashboard_and_alert(root: Path, bundle: dict[str, Any]) -> None:
    """All but who runs them, where skills lie and how the package is installed."""

    def common(document: dict[str, Any], folder: Path) -> Any:
        resources = json.loads(json.dumps(document["resources"]))
        (dashboard,) = resources["dashboards"].values()
        place = folder / dashboard.pop("file_path")
        dashboard["content"] = json.loads(place.read_text(encoding="utf-8"))
        for job in resources["jobs"].values():
            for environment in job["environments"]:
                environment["spec"]["dependencies"].pop(0)
            for parameter in job["parameters"]:
                if parameter["name"] == "skill":
                    parameter["default"] = "one of the skills"
        return resources

    assert common(bundle, root) == common(read(ROOT), ROOT)
    assert set(bundle["resources"]["jobs"]) == {
        "evaluate",
        "score_at_scale",
        "register_monitoring",
    }


@pytest.mark.parametrize("skill", ["no", "true", "007", "a: b", "it's", '"q"', "ü"])
def test_names_of_any_kind_are_texts_in_the_bundle(tmp_path: Path, skill: str) -> None:
    folder = tmp_path / skill.replace("ü", "2026")
    folder.mkdir()
    made = read(team(folder, skill))
    assert isinstance(made["bundle"]["name"], str)
    for job in jobs(made):
        defaults = {item["name"]: item["default"] for item in job["parameters"]}
        assert defaults.get("skill", skill) == skill
        place = resolved(defaults["skills_dir"], made, folder)
        assert (Path(place) / skill / "manifest.yaml").is_file()
    assert errors(made) == []


@pytest.mark.parametrize("kind", ["repository", "team"])
def test_nothing_of_the_template_is_left_over(tmp_path: Path, kind: str) -> None:
    folder = ROOT if kind == "repository" else team(tmp_path)
    text = (folder / "bundle.yml").read_text(encoding="utf-8")
    assert not re.search(r"@(if|else|end|[A-Z]+@)", text)


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


def test_the_jobs_parse_the_parameters_that_they_are_given(
    root: Path, bundle: dict[str, Any]
) -> None:
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
            given = [resolved(text, bundle, root) for text in given]
            command = commands()[wheel["entry_point"]]
            if isinstance(command, click.Group):
                found = command.get_command(click.Context(command), given.pop(0))
                assert found is not None
                command = found
            context = command.make_context(wheel["entry_point"], given)
            assert context.params.get("table", "main.skilltrace.outcomes") == (
                "main.skilltrace.outcomes"
            )
            skills = Path(context.params["skills_dir"])
            assert skills.is_dir()
            if context.params.get("skill"):
                assert (skills / context.params["skill"] / "manifest.yaml").is_file()


def test_paths_that_the_bundle_names_exist(root: Path, bundle: dict[str, Any]) -> None:
    skills = Path(resolved("${var.skills_dir}", bundle, root))
    assert list(skills.glob("*/manifest.yaml"))
    for task in tasks(bundle):
        if "notebook_task" in task:
            assert (root / task["notebook_task"]["notebook_path"]).is_file()
    for artifact in bundle.get("artifacts", {}).values():
        assert (root / artifact["path"] / "pyproject.toml").is_file()
        assert artifact["dynamic_version"] is True
    for dashboard in bundle["resources"]["dashboards"].values():
        assert (root / dashboard["file_path"]).is_file()


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


def test_environments_that_tasks_use_are_declared_and_install_the_package(
    root: Path, bundle: dict[str, Any]
) -> None:
    version = importlib.metadata.version("skilltrace-mlflow")
    package = "./dist/*.whl" if root == ROOT else f"skilltrace-mlflow=={version}"
    for job in jobs(bundle):
        environments = {item["environment_key"]: item["spec"] for item in job["environments"]}
        for task in job["tasks"]:
            assert package in environments[task["environment_key"]]["dependencies"]


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
    assert prod["workspace"]["root_path"].startswith("/Workspace/")


def test_this_repositorys_production_runs_as_a_service_principal() -> None:
    prod = read(ROOT)["targets"]["prod"]
    assert prod["run_as"]["service_principal_name"]
    assert prod["permissions"]


def test_four_variables_stand_first_and_no_other_has_to_be_set(bundle: dict[str, Any]) -> None:
    first = ["catalog", "schema", "experiment", "warehouse_id"]
    assert list(bundle["variables"])[:4] == first


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

    def test_a_bundle_is_added_to_skills_that_are_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert init("bronze") == 0
        manifest = tmp_path / "skills" / "bronze" / "manifest.yaml"
        manifest.write_text("# mine\n", encoding="utf-8")
        assert init("bronze", "--bundle") == 0
        assert manifest.read_text(encoding="utf-8") == "# mine\n"
        assert (tmp_path / "bundle.yml").is_file()

    @pytest.mark.parametrize("name", ["databricks.yml", "bundle.yaml", "bundle.yml"])
    def test_a_bundle_that_is_there_is_not_overwritten(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / name).write_text("bundle: {name: ours}\n", encoding="utf-8")
        assert init("bronze", "--bundle") == 2
        assert not (tmp_path / "skills").exists()
        assert (tmp_path / name).read_text(encoding="utf-8") == "bundle: {name: ours}\n"


def run(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """A query in Databricks SQL, run by DuckDB; refused where it is not Databricks SQL."""
    sqlglot.parse_one(query, read="databricks")
    (text,) = sqlglot.transpile(query, read="databricks", write="duckdb")
    return connection.sql(text)
