"""One store template, one server, per run of the tests; logged to by each test on its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tests.driver.stores import Server, copy_store, free_port, use_store


@pytest.fixture(scope="session", autouse=True)
def _traces_are_logged_at_once() -> Iterator[None]:
    """Waiting for MLflow's queue takes seconds each time, and is not what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store with all its tables."""
    logging.getLogger("alembic").setLevel(logging.ERROR)
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Iterator[str]:
    """A fresh SQLite store, active, with the experiment `traces`; its URI."""
    uri = copy_store(template, tmp_path)
    with use_store(uri, "traces", tmp_path / "artifacts"):
        yield uri


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Server]:
    """An MLflow server on loopback."""
    folder = tmp_path_factory.mktemp("server")
    copy_store(template, folder)
    (folder / "mlflow.db").rename(folder / "server.db")
    server = Server(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.kill()
