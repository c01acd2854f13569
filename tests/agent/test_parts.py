"""Parts of a run that need no attempt: the budget, the folder, traces that are there already."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from skilltrace_mlflow.agent._traces import experiment_id_of, log_attempts
from skilltrace_mlflow.agent.options import agent_options
from skilltrace_mlflow.agent.records import Job, Record, RunFolder
from skilltrace_mlflow.agent.runner import Budget
from skilltrace_mlflow.agent.skill import skill_of
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import load_manifest

RECORDING = (
    Path(__file__).parents[2]
    / "examples"
    / "skills"
    / "bronze-ingestion"
    / "traces"
    / "demo-good.jsonl"
)


@given(
    most=st.floats(0.01, 10),
    costs=st.lists(st.floats(0, 2), max_size=12),
    places=st.integers(1, 4),
)
def test_the_budget_is_never_promised_twice(most: float, costs: list[float], places: int) -> None:
    budget = Budget(most)
    running: list[tuple[int, float]] = []
    for number, cost in enumerate(costs):
        allowed, share = budget.reserve(number, places - len(running))
        if allowed:
            assert share is not None
            running.append((number, share))
        assert budget.spent + sum(share for _, share in running) <= most + 1e-9
        if len(running) == places or not allowed:
            for key, share in running:
                budget.settle(key, min(cost, share))  # the CLI ends an attempt at its bound
            running = []
            assert budget.spent <= most + 1e-9
    mean = budget.mean
    if mean is not None and budget.spent + mean > most:
        assert not budget.reserve("last", 1)[0], "it could pass the bound"


def test_the_first_attempt_runs_alone() -> None:
    budget = Budget(1.0)
    assert budget.reserve("a", 4)[0]
    assert not budget.reserve("b", 3)[0]
    budget.settle("a", 0.1)
    assert budget.reserve("b", 4) == (True, pytest.approx(0.225))
    assert budget.reserve("c", 3)[0]


def record_of(folder: Path) -> Record:
    folder.mkdir()
    shutil.copy(RECORDING, folder / "session.jsonl")
    first = json.loads(RECORDING.read_text().splitlines()[0])
    return Record(
        test_id="x",
        arm="with",
        attempt=1,
        session_id=first["sessionId"],
        end="finished",
        folder=folder,
    )


@pytest.mark.parametrize("live", [False, True])
def test_a_session_is_in_the_store_once(place: Path, tmp_path: Path, live: bool) -> None:
    uri = f"sqlite:///{place / 'mlflow.db'}"
    home = experiment_id_of("traces", uri)
    client = MlflowClient(uri)
    record = record_of(tmp_path / "attempt")
    options = {"skill": "s", "run_id": "r", "experiment_id": home, "tracking_uri": uri}
    first = log_attempts([record], **options)
    (trace_id,) = first[record]
    if live:  # as autolog leaves it: no import's mark
        client.delete_trace_tag(trace_id, "skilltrace.source")
    assert log_attempts([record], **options) == first
    (trace,) = client.search_traces(locations=[home])
    assert trace.info.tags["skilltrace.run"] == "r"
    assert trace.info.tags["mlflow.eval.requestId"].startswith("eval-")


def test_what_a_given_up_attempt_has_cost_counts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "0123456789ab")
    job = Job(test_id="x", prompt="p", arm="with", attempt=1, index=0)
    made = folder.fresh_folder(job)
    (made / "stream.ndjson").write_text('{"type": "result", "total_cost_usd": 0.25}\n{"cut')
    assert folder.done([job]) == {}
    assert folder.spent_in_vain([job]) == 0.25
    folder.fresh_folder(job)
    assert folder.spent_in_vain([job]) == 0.25


@pytest.mark.parametrize(
    ("agent", "place_of_it"),
    [
        ("{modle: x}", "modle"),
        ("{permission_mode: yolo}", "permission_mode"),
        ("{max_turns: 0}", "max_turns"),
        ("{workspace: nowhere}", "agent.workspace"),
        ("{skills: [nowhere]}", "agent.skills"),
        ("{settings: nowhere.json}", "agent.settings"),
        ("{settings: {permissions: 7}}", r"agent.settings: permissions: got the number 7"),
        ("{settings: {permissions: {deny: Read}}}", r"agent.settings: permissions.deny: .*list"),
        ("{settings: {hooks: [x]}}", r"agent.settings: hooks"),
        ("{settings: odd.json}", r"agent.settings: odd.json: permissions"),
        ("{mcp_config: {x: {command: y}}}", "agent.mcp_config: .*mcpServers"),
        ("{mcp_config: {mcpServers: {x: y}}}", "agent.mcp_config: mcpServers.x"),
    ],
)
def test_slips_in_the_agent_block_are_named(tmp_path: Path, agent: str, place_of_it: str) -> None:
    (tmp_path / "manifest.yaml").write_text(f"skill: {{name: s}}\nagent: {agent}\n")
    (tmp_path / "odd.json").write_text('{"permissions": []}')
    with pytest.raises(ConfigurationError, match=place_of_it):
        agent_options(load_manifest(tmp_path).agent, folder=tmp_path)


def test_a_skill_travels_without_what_its_tests_know(tmp_path: Path) -> None:
    folder = tmp_path / "naming"
    for name in ("SKILL.md", "manifest.yaml", "tests.yaml", "scripts/run.py", "traces/a.jsonl"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("test_cases: []\n" if name == "tests.yaml" else "")
    (folder / "manifest.yaml").write_text(
        "skill: {name: naming}\nevaluation: {datasets: [tests.yaml]}\n"
    )
    skill = skill_of(load_manifest(folder))
    before = skill.digest()
    skill.install(tmp_path / "w")
    target = tmp_path / "w" / ".claude" / "skills" / "naming"
    found = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    assert found == {"SKILL.md", "scripts/run.py"}
    (folder / "tests.yaml").write_text("test_cases: [{id: x}]\n")
    assert skill.digest() == before
    (folder / "scripts" / "run.py").write_text("print()\n")
    assert skill.digest() != before
