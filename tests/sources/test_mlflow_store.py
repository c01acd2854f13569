"""Fetching: what is there, what is not, and a server that is gone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Trace

from skilltrace_mlflow.errors import ConfigurationError, EvaluationError, TraceNotFoundError
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.sources.mlflow.stored import StoredTraces
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.driver.stores import free_port
from tests.sources.shapes import SESSION, START, Turn

RECORDING = Path(__file__).parent.parent / "data" / "recordings" / "subagent"


@pytest.fixture
def dead() -> str:
    """The address of a server that is not there."""
    return f"http://127.0.0.1:{free_port()}"


def test_a_dead_server_is_noticed_at_once(dead: str) -> None:
    began = time.monotonic()
    with pytest.raises(EvaluationError, match="does not answer") as caught:
        mlflow_store.probe(dead)
    assert time.monotonic() - began < 5
    assert not isinstance(caught.value, TraceNotFoundError)
    assert dead in str(caught.value)


def test_a_local_store_needs_no_server(store: str) -> None:
    mlflow_store.probe(store)


def test_a_password_is_never_shown() -> None:
    port = free_port()
    with pytest.raises(EvaluationError) as caught:
        mlflow_store.probe(f"http://me:secret@127.0.0.1:{port}")
    assert "secret" not in str(caught.value)


class TestTraces:
    def test_by_id(self, store: str) -> None:
        trace = Turn().end()
        found = mlflow_store.fetch_trace(trace.info.trace_id, tracking_uri=store)
        assert found.to_dict() == trace.to_dict()

    def test_not_there(self, store: str) -> None:
        with pytest.raises(TraceNotFoundError, match=f"tr-{'0' * 32}"):
            mlflow_store.fetch_trace(f"tr-{'0' * 32}", tracking_uri=store)

    def test_a_store_that_does_not_exist_is_not_made(self, tmp_path: Path) -> None:
        missing = tmp_path / "none.db"
        with pytest.raises(EvaluationError, match="no MLflow store") as caught:
            mlflow_store.fetch_trace("tr-1", tracking_uri=f"sqlite:///{missing}")
        assert not isinstance(caught.value, TraceNotFoundError)
        assert not missing.exists()

    def test_a_store_that_cannot_be_read(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken.db"
        broken.write_text("this is no database")
        with pytest.raises(EvaluationError) as caught:
            mlflow_store.fetch_trace("tr-1", tracking_uri=f"sqlite:///{broken}")
        assert not isinstance(caught.value, TraceNotFoundError)

    def test_of_an_experiment_newest_first(self, store: str) -> None:
        old, new = Turn(start=START).end(), Turn(start=START + 10**12).end()
        found = mlflow_store.search_experiment_traces("traces", tracking_uri=store)
        assert [t.info.trace_id for t in found] == [new.info.trace_id, old.info.trace_id]
        (newest,) = mlflow_store.search_experiment_traces("traces", tracking_uri=store, limit=1)
        assert newest.info.trace_id == new.info.trace_id

    def test_all_pages(self, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mlflow_store, "_PAGE", 2)
        made = {Turn(start=START + n * 10**10).end().info.trace_id for n in range(5)}
        found = mlflow_store.search_experiment_traces("traces", tracking_uri=store)
        assert {t.info.trace_id for t in found} == made


class TestSessions:
    def test_with_background_agents_and_without_strangers(self, store: str) -> None:
        turn = Turn().end()
        tags = {"mlflow.claude_code.agent_id": "a1"}
        agent = Turn(name="subagent_Explore", tags=tags, start=START + 10**11).end()
        Turn(name="my_app").end()
        Turn(session="another").end()
        experiment = turn.info.experiment_id
        found = mlflow_store.fetch_session_traces(SESSION, experiment, tracking_uri=store).traces
        assert [t.info.trace_id for t in found] == [turn.info.trace_id, agent.info.trace_id]

    def test_agents_that_background_agents_started_belong_to_the_turn(self, store: str) -> None:
        def turn(number: int, *, by: str | None, starts: str | None) -> Trace:
            tags = {
                "mlflow.claude_code.agent_id": f"a{number}",
                "mlflow.claude_code.parent_tool_use_id": by or "",
            }
            made = Turn(start=START + number * 10**10, tags=tags if by else {})
            if starts:
                made.tool(
                    starts, "Agent", {"prompt": "x"}, background=True, agent_id=f"a{number + 1}"
                )
            else:
                made.tool("t9", "Bash", {"command": "rm -rf build"})
            return made.end()

        first = turn(0, by=None, starts="t1")
        third = turn(2, by="t2", starts=None)
        second = turn(1, by="t1", starts="t2")
        turns = StoredTraces(traces=(first,))
        found = mlflow_store.with_agents(turns, tracking_uri=store).traces
        assert [t.info.trace_id for t in found] == [t.info.trace_id for t in (first, second, third)]

    @pytest.mark.parametrize("session", ["it's", 'a "b"'])
    def test_an_id_with_quotes(self, store: str, session: str) -> None:
        turn = Turn(session=session).end()
        found = mlflow_store.fetch_session_traces(
            session, turn.info.experiment_id, tracking_uri=store
        )
        assert len(found.traces) == 1


class TestRuns:
    def test_traces_made_under_a_run_and_linked_to_it(self, store: str) -> None:
        client = mlflow.MlflowClient()
        with mlflow.start_run() as run:
            made = Turn(metadata={"mlflow.sourceRun": run.info.run_id}).end()
        linked = Turn(start=START + 10**11).end()
        Turn(start=START + 10**12).end()
        client.link_traces_to_run([linked.info.trace_id], run.info.run_id)
        found = mlflow_store.fetch_run_traces(run.info.run_id, tracking_uri=store).traces
        assert [t.info.trace_id for t in found] == [made.info.trace_id, linked.info.trace_id]

    def test_no_such_run(self, store: str) -> None:
        for fetch in (mlflow_store.fetch_run_traces, mlflow_store.fetch_run_transcript):
            with pytest.raises(TraceNotFoundError, match="nope"):
                fetch("nope", tracking_uri=store)

    def test_a_run_without_a_transcript(self, store: str) -> None:
        with mlflow.start_run() as run:
            mlflow.log_text("x", "notes.txt")
        assert mlflow_store.fetch_run_transcript(run.info.run_id, tracking_uri=store) is None

    @pytest.mark.parametrize("name", mlflow_store.ARTIFACTS)
    def test_a_run_s_transcript_comes_with_its_sub_agents(self, store: str, name: str) -> None:
        (path,) = RECORDING.glob("*.jsonl")
        expected = parse_transcript(path)
        with mlflow.start_run() as run:
            mlflow.log_text(path.read_text(encoding="utf-8"), name)
            folder = path.with_suffix("") / "subagents"
            mlflow.log_artifacts(str(folder), f"{name.removesuffix('.jsonl')}/subagents")
        found = mlflow_store.fetch_run_transcript(run.info.run_id, tracking_uri=store)
        assert found is not None
        assert found.name == name
        session = parse_transcript(found)
        assert session.tool_calls == expected.tool_calls
        assert session.usage == expected.usage


class TestExperiments:
    def test_by_name_and_by_id(self, store: str) -> None:
        found = mlflow_store.resolve_experiment("traces", tracking_uri=store)
        assert mlflow_store.resolve_experiment(found, tracking_uri=store) == found

    def test_the_environment_s(self, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "traces")
        monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
        named = mlflow_store.resolve_experiment("traces", tracking_uri=store)
        assert mlflow_store.resolve_experiment(None, tracking_uri=store) == named

    @pytest.mark.parametrize("name", ["trces", "98765"])
    def test_unknown(self, store: str, name: str) -> None:
        with pytest.raises(ConfigurationError, match=name) as caught:
            mlflow_store.resolve_experiment(name, tracking_uri=store)
        assert "traces" in str(caught.value)

    def test_a_deleted_one_is_unknown(self, store: str) -> None:
        made = mlflow.MlflowClient().create_experiment("gone")
        mlflow.MlflowClient().delete_experiment(made)
        with pytest.raises(ConfigurationError, match="gone"):
            mlflow_store.resolve_experiment("gone", tracking_uri=store)


def test_what_was_set_before_is_restored(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    before = dict(os.environ)
    with mlflow_store.connect(f"sqlite:///{tmp_path / 'other.db'}", create=True):
        assert "other.db" in mlflow.get_tracking_uri()
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "30"
    assert mlflow.get_tracking_uri() == store
    assert dict(os.environ) == before
