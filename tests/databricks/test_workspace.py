"""What a workspace's refusals are told as, with the real SDK and nothing behind it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.databricks.workspace import export_secrets, workspace
from skilltrace_mlflow.errors import ConfigurationError


class _Workspace(BaseHTTPRequestHandler):
    """A workspace's REST interface, as far as secrets go."""

    def do_GET(self) -> None:
        token = self.headers.get("Authorization")
        if token != "Bearer good":
            self._say(403 if token == "Bearer poor" else 401, {"error_code": "", "message": "no"})
        elif "key=openai" in self.path and "scope=judges" in self.path:
            value = base64.b64encode(b"sk-1").decode()
            self._say(200, {"key": "openai", "value": value})
        else:
            missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such secret"}
            self._say(404, missing)

    def _say(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Nothing: the tests' output is read by people."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), _Workspace)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none.cfg"))
    monkeypatch.setenv("DATABRICKS_HOST", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("host")
def test_a_secret_becomes_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "good")
    monkeypatch.setenv("JUDGE_KEY", "old")
    export_secrets(["JUDGE_KEY=judges/openai"])
    import os

    assert os.environ["JUDGE_KEY"] == "sk-1"


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("good", "secret judges/other: is not there"),
        ("poor", "ask for the grant"),
        ("bad", "databricks auth login"),
    ],
)
def test_refusals_name_the_way_out(monkeypatch: pytest.MonkeyPatch, token: str, told: str) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", token)
    with pytest.raises(ConfigurationError, match=told):
        export_secrets(["JUDGE_KEY=judges/other"])


def test_no_profile_is_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOST", "TOKEN", "CONFIG_PROFILE", "CLIENT_ID"):
        monkeypatch.delenv(f"DATABRICKS_{name}", raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none.cfg"))
    with pytest.raises(ConfigurationError, match="databricks auth login"):
        workspace()
    with pytest.raises(ConfigurationError, match="databricks auth login"):
        workspace(profile="nobody")


@pytest.mark.parametrize("text", ["KEY", "KEY=scope", "KEY=/key", "=scope/key", "A B=scope/key"])
def test_a_secret_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="NAME=SCOPE/KEY"):
        export_secrets([text])


def test_a_command_without_a_profile_says_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """MLflow's own warning and its page about every way to sign in stay out of it."""
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none.cfg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    place = ["--experiment", "main.traces.agents", "--tracking-uri", "databricks"]
    assert run(["list-traces", *place]) == 3
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: databricks: no Databricks workspace is configured (")
    assert line.endswith("name a profile with DATABRICKS_CONFIG_PROFILE")
    assert len(line) < 300
