"""An MLflow server of the installed release."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.driver.stores import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Server(tmp_path_factory.mktemp("server"), port)
    made.start()
    try:
        yield made
    finally:
        made.kill()
