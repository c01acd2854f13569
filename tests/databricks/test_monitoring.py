"""Scorers that MLflow stores judge as this package does, where it is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Trace
from mlflow.genai.scorers import get_scorer

from skilltrace_mlflow import load_manifest, parse_transcript
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.databricks import monitoring
from skilltrace_mlflow.databricks.embedding import scorer_source
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError
from skilltrace_mlflow.expectations import Manifest
from skilltrace_mlflow.expectations.manifest import manifest_from_mapping
from skilltrace_mlflow.score import Target, score_session
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.mlflow.store import connect
from skilltrace_mlflow.sources.mlflow.trace import is_claude_code_trace, session_from_trace
from tests.driver.stores import Server, free_port
from tests.sources.forms import as_traces

DATA = Path(__file__).parent.parent / "data"
SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
FLAG = "MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS"
# A process in which nothing but MLflow and what it needs can be imported.
ELSEWHERE = """
import json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
from mlflow.entities import Trace
from mlflow.genai.scorers import Scorer
job = json.load(open(sys.argv[1]))
scorer = Scorer.model_validate(job["scorer"])
found = []
for trace in job["traces"]:
    given = scorer(trace=Trace.from_dict(trace))
    found.append([(f.name, f.metadata["skilltrace.verdict"], f.value, f.rationale) for f in given])
json.dump(found, sys.stdout)
"""
OURS = "skilltrace_mlflow"
PARSERS = f"{OURS},sqlglot,tree_sitter,tree_sitter_bash,regex,msgspec,ruamel"


def skill(expectations: dict[str, Any]) -> Manifest:
    return manifest_from_mapping({"skill": {"name": "s"}, "trace_expectations": expectations})


def elsewhere(
    manifest: Manifest,
    traces: list[Any],
    folder: Path,
    *,
    without: str,
    python: str | Path = sys.executable,
) -> list[Any]:
    job = folder / "job.json"
    dump = monitoring.monitoring_scorer(manifest).model_dump()
    job.write_text(json.dumps({"scorer": dump, "traces": traces}))
    done = subprocess.run(
        [python, "-c", ELSEWHERE, str(job), without],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, FLAG: "true"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def here(manifest: Manifest, trace: Any) -> list[Outcome]:
    if not is_claude_code_trace(trace):
        return []
    outcomes = score_session(session_from_trace(trace), Target.of(manifest).expectations)
    return [o for o in outcomes if o.verdict is not Verdict.NOT_APPLICABLE]


def traces_of_writers() -> list[Any]:
    stored = [json.loads(path.read_text()) for path in sorted((DATA / "traces").rglob("*.json"))]
    stored = [trace for trace in stored if isinstance(trace, dict) and "info" in trace]
    imported = [
        trace
        for name in ("demo-good", "demo-failing", "tool-errors", "mcp", "subagent")
        for path in find_sessions(DATA / "recordings" / name)
        for trace in as_traces(parse_transcript(path))
    ]
    return [*stored, *imported]


EXPECTED = {
    "tool_limits": {"Bash": 2},
    "banned_tools": ["WebFetch", "rm -rf", "DROP DATABASE"],
    "required_tools": ["Read"],
    "token_budget": {"max_input": 100, "max_output": 100000},
    "turn_limit": {"max_turns": 4},
    "file_scope": {"allowed": ["src/**"]},
}


def test_the_same_verdicts_on_traces_of_every_writer(tmp_path: Path) -> None:
    manifest, traces = skill(EXPECTED), traces_of_writers()
    found = elsewhere(manifest, traces, tmp_path, without=OURS)
    assert len(traces) > 5
    for trace, given in zip(traces, found, strict=True):
        expected = here(manifest, trace)
        assert [(g[0], g[1]) for g in given] == [(o.check, str(o.verdict)) for o in expected]
        assert [g[3] for g in given] == [o.explanation or None for o in expected]


def test_without_parsers_nothing_passes_that_did_not(tmp_path: Path) -> None:
    manifest, traces = skill(EXPECTED), traces_of_writers()
    found = elsewhere(manifest, traces, tmp_path, without=PARSERS)
    judged = 0
    for trace, given in zip(traces, found, strict=True):
        for mine, (name, verdict, value, _) in zip(here(manifest, trace), given, strict=True):
            judged += 1
            assert name == mine.check
            if verdict != str(mine.verdict):
                assert (verdict, value) == ("unknown", None)
    assert judged > 20


def test_the_body_keeps_to_what_is_stored() -> None:
    wanted = [{"check": "tool_count", "value": {"B'\"\\\n": 1}, "scope": "all", "companions": {}}]
    source = scorer_source("skilltrace_s", wanted, {"skilltrace.skill": "{s}"})
    assert "'''" not in source
    assert '"""' not in source
    assert source.startswith("def skilltrace_s(trace):\n    import ")
    assert source == scorer_source("skilltrace_s", wanted, {"skilltrace.skill": "{s}"})


def test_nothing_is_expected_of_a_single_trace() -> None:
    manifest = manifest_from_mapping(
        {"skill": {"name": "s"}, "session_expectations": {"required_tools": ["Read"]}}
    )
    with pytest.raises(ConfigurationError, match="whole session"):
        monitoring.monitoring_scorer(manifest)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    before = os.environ.get(FLAG)
    os.environ[FLAG] = "true"  # the client that lists scorers asks for it as the server does
    started = Server(tmp_path_factory.mktemp("monitoring"), free_port(), jobs=True)
    started.start()
    yield started.url
    started.kill()
    if before is None:
        del os.environ[FLAG]


def test_registered_on_a_server_and_read_back_it_judges_the_same(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The open-source server keeps it; what MLflow starts by itself there must ask a model."""
    experiment_id = mlflow.MlflowClient(tracking_uri=server).create_experiment("watched")
    place = ["--experiment", "watched", "--tracking-uri", server]
    assert run(["register", "--list", *place]) == 0
    assert "no scorer of this package" in capsys.readouterr().err
    assert run(["register", str(SKILL), "--sample-rate", "0.5", *place]) == 3
    assert "not started" in capsys.readouterr().err
    assert run(["register", "--list", *place]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    shown = json.loads(line)
    assert (shown["name"], shown["running"]) == ("skilltrace_bronze_ingestion", False)
    with connect(server):
        kept = get_scorer(name="skilltrace_bronze_ingestion", experiment_id=experiment_id)
    manifest = load_manifest(SKILL)
    for path in find_sessions(SKILL / "traces"):
        for trace in as_traces(parse_transcript(path)):
            given = kept(trace=Trace.from_dict(trace))
            expected = here(manifest, trace)
            assert [(f.name, f.rationale) for f in given] == [
                (o.check, o.explanation or None) for o in expected
            ]
    with pytest.raises(ConfigurationError, match="no scorer"):
        monitoring.stop("other", experiment="watched", tracking_uri=server)


def test_a_warehouse_is_databricks_alone(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--experiment", "watched", "--tracking-uri", server]
    assert run(["register", str(SKILL), "--warehouse", "abc", *place]) == 2
    assert "only Databricks has SQL warehouses" in capsys.readouterr().err


def test_backfilling_needs_databricks(server: str) -> None:
    with pytest.raises(ConfigurationError, match="databricks-agents"):
        monitoring.backfill("s", tracking_uri=server)


def test_a_store_that_allows_no_own_scorers_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FLAG, raising=False)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.MlflowClient(tracking_uri=uri).create_experiment("here")
    with pytest.raises(EvaluationError, match=FLAG):
        monitoring.register(load_manifest(SKILL), experiment="here", tracking_uri=uri)
