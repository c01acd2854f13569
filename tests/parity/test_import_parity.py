"""Every recording, imported and read back through MLflow, equals the session read from its file."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from mlflow.entities import Trace

from skilltrace_mlflow.importing import import_transcripts
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.sources.mlflow.trace import session_from_trace
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.driver.stores import Server, copy_store

RECORDINGS = Path(__file__).parent.parent / "data" / "recordings"
FILES = find_sessions(RECORDINGS)


def same_results(one: Session, other: Session) -> bool:
    return [c.result for c in one.tool_calls] == [c.result for c in other.tool_calls]


def by_session(uri: str) -> dict[str, list[Trace]]:
    sessions: dict[str, list[Trace]] = defaultdict(list)
    for trace in mlflow_store.search_experiment_traces("parity", tracking_uri=uri):
        sessions[trace.info.trace_metadata["mlflow.trace.session"]].append(trace)
    return sessions


@pytest.fixture(scope="module")
def imported(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Trace]]:
    """The traces of all recordings by session, from a SQLite file."""
    uri = copy_store(template, tmp_path_factory.mktemp("imported"))
    report = import_transcripts([RECORDINGS], experiment="parity", tracking_uri=uri)
    assert not report.failed
    return by_session(uri)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem[:4]}")
def test_imported_and_read_back_is_the_same_session(
    imported: dict[str, list[Trace]], path: Path
) -> None:
    session = parse_transcript(path)
    assert session.session_id is not None
    found = session_from_trace(imported[session.session_id])
    assert found == session
    assert same_results(found, session)
    assert found.incomplete == session.incomplete
    assert found.cost_usd == session.cost_usd
    assert [c.details for c in found.tool_calls] == [c.details for c in session.tool_calls]
    assert [f.content for f in found.files] == [f.content for f in session.files]


def test_a_server_keeps_the_same(server: Server) -> None:
    # Through HTTP spans travel as OpenTelemetry's protocol buffers, and come back as JSON.
    names = ("mcp", "resume", "subagent", "tool-errors", "unicode")
    import_transcripts(
        [RECORDINGS / name for name in names], experiment="parity", tracking_uri=server.url
    )
    traces = by_session(server.url)
    for path in (path for path in FILES if path.parent.name in names):
        session = parse_transcript(path)
        found = session_from_trace(traces[session.session_id or ""])
        assert found == session
        assert same_results(found, session)


def test_there_are_recordings() -> None:
    assert len(FILES) > 30
