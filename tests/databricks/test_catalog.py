"""Traces in Unity Catalog through MLflow's own client, against a workspace that stands in."""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from skilltrace_mlflow.cli._app import run as cli_run
from skilltrace_mlflow.cli.job import command as job_command
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.evaluation import trace_eval
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.load import evidence_between, session_of_id, session_of_trace
from skilltrace_mlflow.sources.mlflow.stored import (
    DESTINATION,
    LONGEST,
    WAREHOUSE,
    between,
    is_location,
    location_of_id,
    windows,
)
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.databricks.catalog_workspace import LOCATION, CatalogWorkspace, running
from tests.sources.forms import as_traces

ROOT = Path(__file__).resolve().parents[2]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"
GOOD = SKILL / "traces" / "demo-good.jsonl"
RESUMED = next((ROOT / "tests" / "data" / "recordings" / "resume").glob("*.jsonl"))
EXPERIMENT = "/Shared/agents"
Run = Callable[..., "Done"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CatalogWorkspace, str]]:
    logging.getLogger("alembic").setLevel(logging.ERROR)
    with running(tmp_path_factory.mktemp("workspace")) as made:
        yield made


@pytest.fixture
def workspace(
    server: tuple[CatalogWorkspace, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[CatalogWorkspace]:
    """An empty catalog, an experiment that is linked to it, and a warehouse that reads it."""
    held, url = server
    held.traces.clear()
    held.searches.clear()
    held.written.clear()
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none.cfg"))
    monkeypatch.setenv("DATABRICKS_HOST", url)
    monkeypatch.setenv("DATABRICKS_TOKEN", "good")
    monkeypatch.setenv("MLFLOW_SQL_WAREHOUSE_AUTO_START", "false")
    monkeypatch.setenv("MLFLOW_GET_TRACE_OTEL_RETRY_TIMEOUT_SECONDS", "0")
    monkeypatch.setenv(WAREHOUSE, "wh1")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("databricks")
    client = MlflowClient()
    if client.get_experiment_by_name(EXPERIMENT) is None:
        made = client.create_experiment(EXPERIMENT, artifact_location=(tmp_path / "a").as_uri())
        client.set_experiment_tag(made, DESTINATION, LOCATION)
    yield held
    mlflow.set_tracking_uri(before)


def session_of(path: Path) -> Session:
    return parse_transcript(path)


def now_ms(*, days_ago: float = 0) -> int:
    return int((time.time() - days_ago * 86_400) * 1000)


@dataclass(frozen=True, kw_only=True)
class Done:
    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command line against the workspace, in this process."""

    def call(*arguments: str) -> Done:
        capfd.readouterr()
        code = cli_run([*arguments, "--tracking-uri", "databricks"])
        out, err = capfd.readouterr()
        told = [line for line in err.splitlines() if "databricks.sdk" not in line]
        return Done(exit_code=code, stdout=out, stderr="\n".join(told))

    return call


def test_a_trace_is_read_by_its_id(workspace: CatalogWorkspace) -> None:
    session = session_of(GOOD)
    (trace_id,) = workspace.hold(as_traces(session), at_ms=now_ms())
    found = session_of_trace(trace_id, tracking_uri="databricks").session
    assert found == session
    assert [c.result for c in found.tool_calls] == [c.result for c in session.tool_calls]


def test_verdicts_are_those_on_the_file(workspace: CatalogWorkspace, run: Run) -> None:
    (trace_id,) = workspace.hold(as_traces(session_of(GOOD)), at_ms=now_ms())
    result = run("trace-eval", str(SKILL), "--trace-id", trace_id, "--format", "json")
    (found,) = json.loads(result.stdout)["results"]
    expected = trace_eval(str(SKILL), traces=[GOOD]).results[0]
    checks = {o.check: str(o.verdict) for o in expected.outcomes}
    assert {o["name"]: o["verdict"] for o in found["checks"]} == checks


@pytest.mark.parametrize("place", [EXPERIMENT, LOCATION])
@pytest.mark.parametrize("days_ago", [0, 3, 20, 200])
def test_a_session_is_found_whole_by_its_experiment_and_its_place(
    workspace: CatalogWorkspace, place: str, days_ago: int, run: Run
) -> None:
    session = session_of(RESUMED)
    ids = workspace.hold(as_traces(session), at_ms=now_ms(days_ago=days_ago))
    assert len(ids) > 1
    listed = run("list-traces", "--experiment", place, "--format", "json")
    assert [row["id"] for row in json.loads(listed.stdout)] == ids[::-1]
    found = session_of_id(
        str(session.session_id), in_store=True, experiment=place, tracking_uri="databricks"
    )
    assert found.session == session
    latest = run("trace-eval", str(SKILL), "--latest", "--experiment", place, "--format", "json")
    assert json.loads(latest.stdout)["results"][0]["trace_id"] == ids[-1]


def test_a_turn_s_session_is_fetched_from_its_place(workspace: CatalogWorkspace) -> None:
    """A session's expectations judge all turns, also where no experiment is named."""
    session = session_of(RESUMED)
    *_, last = workspace.hold(as_traces(session), at_ms=now_ms(days_ago=300))
    item = session_of_trace(last, tracking_uri="databricks")
    assert item.fetch_whole is not None
    assert item.fetch_whole().prompts == session.prompts
    assert len(item.session.prompts) < len(session.prompts)


def test_a_stretch_of_time_is_searched(workspace: CatalogWorkspace) -> None:
    old = workspace.hold(as_traces(session_of(GOOD)), at_ms=now_ms(days_ago=9))
    new = workspace.hold(as_traces(session_of(RESUMED)), at_ms=now_ms(days_ago=2))
    end = datetime.now(timezone.utc)
    found = evidence_between(
        EXPERIMENT, end - timedelta(days=7), end, tracking_uri="databricks"
    ).evidence
    assert [item.trace_id for item in found] == new
    assert not set(old) & {item.trace_id for item in found}
    assert workspace.searches


def test_few_are_not_searched_for_in_the_whole_table(workspace: CatalogWorkspace, run: Run) -> None:
    workspace.hold(as_traces(session_of(RESUMED)), at_ms=now_ms())
    run("list-traces", "--experiment", LOCATION, "--limit", "1")
    assert len(workspace.searches) == 1
    assert len(json.loads(run("list-traces", "--experiment", LOCATION, "--format", "json").stdout))


def test_verdicts_are_written_back_under_a_run(workspace: CatalogWorkspace, run: Run) -> None:
    (trace_id,) = workspace.hold(as_traces(session_of(GOOD)), at_ms=now_ms())
    result = run(
        "trace-eval", str(SKILL), "--trace-id", trace_id, "--log", "--experiment", EXPERIMENT
    )
    assert result.exit_code in (0, 1), result.stderr
    held = {a.name for a in workspace.written if a.trace_id == trace_id}
    outcomes = trace_eval(str(SKILL), traces=[GOOD]).results[0].outcomes
    assert held >= {o.check for o in outcomes if str(o.verdict) in ("pass", "fail")}


def test_a_test_case_names_a_trace_of_the_catalog(
    workspace: CatalogWorkspace, tmp_path: Path, run: Run
) -> None:
    (trace_id,) = workspace.hold(as_traces(session_of(GOOD)), at_ms=now_ms())
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "SKILL.md").write_text("---\nname: s\ndescription: d\n---\n")
    (folder / "manifest.yaml").write_text("skill:\n  name: s\n")
    (folder / "ground_truth.yaml").write_text(
        "test_cases:\n"
        f"  - id: one\n    inputs: {{prompt: x}}\n    metadata: {{trace_id: '{trace_id}'}}\n"
        "    expectations: {required_tools: [Write]}\n"
    )
    result = run(
        "mlflow-eval",
        str(folder / "manifest.yaml"),
        "--experiment",
        EXPERIMENT,
        "--no-llm",
        "--include-traces",
    )
    assert "required_tools" in result.stdout, result.stdout
    assert {a.trace_id for a in workspace.written} == {trace_id}, result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("trace-eval", str(SKILL), "--trace-id", f"trace:/{LOCATION}/1"),
        ("list-traces", "--experiment", LOCATION),
        ("list-traces", "--experiment", EXPERIMENT),
        ("trace-eval", str(SKILL), "--latest", "--experiment", LOCATION),
    ],
)
@pytest.mark.usefixtures("workspace")
def test_a_missing_warehouse_is_one_line(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], run: Run
) -> None:
    monkeypatch.delenv(WAREHOUSE)
    result = run(*arguments)
    assert result.exit_code == 2
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert f"set {WAREHOUSE}" in lines[0]


def test_a_job_names_its_warehouse(
    workspace: CatalogWorkspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Serverless jobs have no environment variables."""
    workspace.hold(as_traces(session_of(GOOD)), at_ms=now_ms())
    monkeypatch.delenv(WAREHOUSE)
    monkeypatch.setenv(WAREHOUSE, "")  # so that what the job sets is taken back
    asked = ["--skills-dir", str(SKILL.parent), "--experiment", EXPERIMENT, "--no-llm"]
    asked += ["--table", str(tmp_path / "outcomes"), "--dry-run", "--tracking-uri", "databricks"]
    assert cli_run(asked, job_command, "skilltrace-job") == 2
    assert cli_run([*asked, "--warehouse", "wh1"], job_command, "skilltrace-job") in (0, 1)
    assert workspace.searches


@pytest.mark.usefixtures("workspace")
def test_what_writes_runs_needs_an_experiment(run: Run) -> None:
    result = run("trace-eval", str(SKILL), "--trace", str(GOOD), "--log", "--experiment", LOCATION)
    assert result.exit_code == 2
    assert "give the one that is linked to it" in result.stderr


@pytest.mark.usefixtures("workspace")
def test_a_trace_that_is_not_there_is_told(run: Run) -> None:
    result = run("trace-eval", str(SKILL), "--trace-id", f"trace:/{LOCATION}/1")
    assert result.exit_code == 3
    assert "not found in databricks" in result.stderr


def test_another_store_has_no_such_traces(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    with pytest.raises(ConfigurationError, match="give --tracking-uri databricks"):
        session_of_trace(f"trace:/{LOCATION}/1", tracking_uri=f"sqlite:///{tmp_path}/x.db")


@pytest.mark.parametrize("text", ["trace:/", "trace:/a/1", "trace:/a.b.c", "trace:/a.b.c.d/1"])
def test_an_id_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"trace:/catalog\.schema\.prefix/<id>"):
        location_of_id(text)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("main.traces.agents", True),
        ("main.traces", True),
        ("/Shared/a.b.c", False),
        ("123", False),
        ("a.b.c.d", False),
    ],
)
def test_places_are_told_from_experiments(text: str, is_one: bool) -> None:
    assert is_location(text) is is_one


@pytest.mark.parametrize("days", [None, 0.5, 5, 399, 900])
def test_windows_leave_no_gap_and_no_overlap(days: float | None) -> None:
    now = datetime.now(timezone.utc)
    since = None if days is None else now - timedelta(days=days)
    found = list(windows(since))
    assert found[0][1] > now
    assert all(later[0] == earlier[1] for later, earlier in itertools.pairwise(found))
    first = found[-1][0]
    assert first == since if since else abs(first - (now - LONGEST)) < timedelta(seconds=5)
    assert all(start < end for start, end in found)
    assert "timestamp_ms >=" in between(*found[0])
