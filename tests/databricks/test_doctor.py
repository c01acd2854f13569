"""`doctor`: offline, on SQLite, and on a workspace that stands in, with the real SDK."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.databricks.doctor import Finding, examine, exit_code
from skilltrace_mlflow.importing import import_transcripts
from tests.cli.test_terminal import Terminal

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
GOOD = SKILL / "traces" / "demo-good.jsonl"
FAILING = SKILL / "traces" / "demo-failing.jsonl"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a `claude` of its own, no settings, and no session on the machine."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("MLFLOW_TRACING_SQL_WAREHOUSE_ID", raising=False)
    tools = tmp_path / "bin"
    tools.mkdir()
    claude = tools / "claude"
    claude.write_text("#!/bin/sh\necho '9.9.9 (Claude Code)'\n", encoding="utf-8")
    claude.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def enable(project: Path, uri: str, experiment: str) -> None:
    (project / ".claude").mkdir()
    env = {
        "MLFLOW_CLAUDE_TRACING_ENABLED": "true",
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_EXPERIMENT_NAME": experiment,
    }
    (project / ".claude" / "settings.json").write_text(json.dumps({"env": env}), encoding="utf-8")


def keep(project: Path, source: Path, name: str) -> Path:
    folder = project.parent / "claude" / "projects" / "-p"
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(source, folder / name))


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["doctor", "--format", "json", *arguments])
    shown = capsys.readouterr()
    assert shown.out, shown.err
    report = json.loads(shown.out)
    assert report["exit_code"] == code
    return code, {item["name"]: item for item in report["findings"]}


def states(found: dict[str, Any]) -> dict[str, str]:
    return {name: item["state"] for name, item in found.items()}


def test_a_set_up_without_anything_names_each_way_out(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project))
    code, found = told(capsys, "--tracking-uri", f"sqlite:///{project / 'none.db'}")
    assert code == 1
    assert states(found) == {
        "claude": "missing",
        "autolog": "missing",
        "store": "missing",
        "experiment": "unknown",
        "sessions": "unknown",
    }
    assert all(item["way_out"] for item in found.values())
    assert not list(project.iterdir())  # looking leaves nothing behind


def test_a_whole_set_up_on_sqlite_is_all_well_until_a_session_has_no_trace(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"sqlite:///{project / 'store.db'}"
    enable(project, uri, "agents")
    kept = keep(project, GOOD, "11111111-aaaa.jsonl")
    empty = keep(project, GOOD, "22222222-bbbb.jsonl")
    empty.write_text('{"type": "summary", "sessionId": "22222222-bbbb"}\n', encoding="utf-8")
    import_transcripts([kept], experiment="agents", tracking_uri=uri)
    code, found = told(capsys)
    assert (code, set(states(found).values())) == (0, {"ok"})
    other = keep(project, FAILING, "33333333-cccc.jsonl")
    code, found = told(capsys)
    assert code == 1
    assert found["sessions"]["found"].startswith("1 of 2 have no trace")
    assert str(other) in found["sessions"]["way_out"]
    assert states(told(capsys, "--here")[1])["sessions"] == "ok"  # none was started in here
    code, found = told(capsys, "--experiment", "nobody's")
    assert (code, states(found)["experiment"]) == (1, "missing")


def test_the_way_out_of_untraced_sessions_is_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shlex

    uri = f"sqlite:///{project / 'store.db'}"
    enable(project, uri, "agents")
    import_transcripts([keep(project, GOOD, "1-a.jsonl")], experiment="agents", tracking_uri=uri)
    keep(project, FAILING, "2-b.jsonl")
    program, *command = shlex.split(told(capsys)[1]["sessions"]["way_out"])
    assert program == "skilltrace-mlflow"
    assert run(command) == 0
    capsys.readouterr()
    assert told(capsys)[0] == 0


@pytest.mark.parametrize(
    ("settings", "word"), [("{", "not valid JSON"), ("[]", "object"), (None, "not traced")]
)
def test_settings_that_trace_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], settings: str | None, word: str
) -> None:
    (project / ".claude").mkdir()
    if settings is not None:
        (project / ".claude" / "settings.json").write_text(settings, encoding="utf-8")
    code, found = told(capsys, "--tracking-uri", f"sqlite:///{project / 'none.db'}")
    assert code == 1
    assert found["autolog"]["state"] == "missing"
    assert word in found["autolog"]["found"] + found["autolog"]["way_out"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ((), 0),
        (("ok", "skipped"), 0),
        (("ok", "unknown"), 3),
        (("unknown", "missing"), 1),
        (("missing",), 1),
    ],
)
def test_exit_codes(given: tuple[str, ...], code: int) -> None:
    findings = tuple(Finding(name=state, state=state, found="") for state in given)
    assert exit_code(findings) == code


class _Workspace(BaseHTTPRequestHandler):
    """A workspace's REST interface: a user, a warehouse, grants, one experiment, no trace."""

    privileges: tuple[str, ...] = ()
    hang = 0.0
    instead: tuple[int, str, str] | None = None

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(self.hang)
        if self.instead is not None:
            self._send(*self.instead)
            return
        if self.headers.get("Authorization") != "Bearer good":
            self._say(401, {"error_code": "UNAUTHENTICATED", "message": "token expired"})
            return
        place = self.path.partition("?")[0]
        held = [{"privilege": name} for name in self.privileges]
        experiment = {
            "experiment_id": "7",
            "name": "/Shared/agents",
            "lifecycle_stage": "active",
        }
        answers: dict[str, Any] = {
            "/api/2.0/preview/scim/v2/Me": {"userName": "ada", "groups": [{"display": "team"}]},
            "/api/2.0/sql/warehouses/wh1": {"id": "wh1", "name": "small", "state": "RUNNING"},
            "/api/2.1/unity-catalog/catalogs/main": {"name": "main", "owner": "root"},
            "/api/2.1/unity-catalog/schemas/main.st": {"name": "st", "owner": "root"},
            "/api/2.0/mlflow/experiments/get": {"experiment": experiment},
        }
        if "/effective-permissions/" in place:
            self._say(200, {"privilege_assignments": [{"principal": "team", "privileges": held}]})
        elif place == "/api/2.0/mlflow/experiments/get-by-name":
            named = "Shared%2Fagents" in self.path or "Shared/agents" in self.path
            missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}
            self._say(*((200, {"experiment": experiment}) if named else (404, missing)))
        elif place.endswith(("/traces/search", "/experiments/search")):
            self._say(200, {})
        elif place in answers:
            self._say(200, answers[place])
        else:
            self._say(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "nothing there"})

    def _say(self, status: int, body: object) -> None:
        self._send(status, "application/json", json.dumps(body))

    def _send(self, status: int, kind: str, body: str) -> None:
        data = body.encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except BrokenPipeError:  # nobody waits for it any more
            return

    def log_message(self, *arguments: object) -> None:
        """Nothing: the tests' output is read by people."""


@pytest.fixture
def workspace(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Workspace]]:
    handler = type("_Fresh", (_Workspace,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = project / "databricks.cfg"
    host = f"http://127.0.0.1:{server.server_port}"
    config.write_text(
        f"[DEFAULT]\nhost = {host}\ntoken = good\n[old]\nhost = {host}\ntoken = expired\n"
        "[nowhere]\nhost = http://127.0.0.1:1\ntoken = good\n"
    )
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(config))
    enable(project, "databricks", "/Shared/agents")
    yield handler
    server.shutdown()
    server.server_close()


ALL = ("USE_CATALOG", "USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE")
PLACE = ("--warehouse", "wh1", "--table", "main.st.outcomes")


@pytest.mark.parametrize("privileges", [ALL, ("ALL_PRIVILEGES",)])
def test_a_workspace_with_everything(
    workspace: type[_Workspace], capsys: pytest.CaptureFixture[str], privileges: tuple[str, ...]
) -> None:
    workspace.privileges = privileges
    code, found = told(capsys, *PLACE)
    assert (code, set(states(found).values())) == (0, {"ok"}), found
    assert "ada" in found["workspace"]["found"]


@pytest.mark.parametrize("absent", ALL)
def test_a_missing_grant_is_named(
    workspace: type[_Workspace], capsys: pytest.CaptureFixture[str], absent: str
) -> None:
    workspace.privileges = tuple(name for name in ALL if name != absent)
    code, found = told(capsys, *PLACE)
    assert (code, found["grants"]["state"]) == (1, "missing")
    assert found["grants"]["found"].startswith(absent)
    assert "GRANT" in found["grants"]["way_out"]


@pytest.mark.parametrize(
    ("arguments", "name", "state", "word"),
    [
        (("--profile", "old"), "workspace", "missing", "databricks auth login"),
        (("--profile", "nobody"), "workspace", "missing", "databricks auth login"),
        (("--warehouse", "wh2"), "warehouse", "missing", "databricks warehouses list"),
        (("--table", "outcomes"), "grants", "missing", "catalog.schema.name"),
        (("--table", "other.st.outcomes"), "grants", "missing", "GRANT"),
        (("--experiment", "/Shared/none"), "experiment", "missing", "--experiment"),
        ((), "warehouse", "skipped", "--warehouse"),
        ((), "grants", "skipped", "--table"),
    ],
)
def test_what_a_workspace_lacks(
    workspace: type[_Workspace],
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    name: str,
    state: str,
    word: str,
) -> None:
    code, found = told(capsys, *arguments)
    assert found[name]["state"] == state, found
    assert word in found[name]["found"] + found[name]["way_out"]
    assert code == (1 if state == "missing" else 0)


EXPIRED = '{"error_code": "403", "message": "Invalid access token. Token is expired."}'
DENIED = '{"error_code": "PERMISSION_DENIED", "message": "User is not active in this workspace."}'


@pytest.mark.parametrize(
    ("answer", "state", "found", "way_out"),
    [
        ((403, "application/json", EXPIRED), "missing", "credentials", "databricks auth login"),
        ((403, "application/json", DENIED), "missing", "not allowed", "ask for the grant"),
        ((200, "text/html", "<html>hello</html>"), "missing", "no Databricks workspace", "host"),
        ((404, "text/plain", "not found"), "missing", "no Databricks workspace", "host"),
        ((404, "text/html", "<html>nginx</html>"), "missing", "no Databricks workspace", "host"),
        ((503, "text/plain", "upstream"), "unknown", "did not answer", "network"),
    ],
)
def test_what_answers_instead_of_a_workspace(
    workspace: type[_Workspace],
    capsys: pytest.CaptureFixture[str],
    answer: tuple[int, str, str],
    state: str,
    found: str,
    way_out: str,
) -> None:
    workspace.instead = answer
    _, findings = told(capsys, "--timeout", "16")
    finding = findings["workspace"]
    assert (finding["state"], finding["found"].count("http")) == (state, 1), finding
    assert found in finding["found"], finding
    assert way_out in finding["way_out"], finding
    assert "SDK" not in finding["found"], finding


def test_a_host_where_nobody_is(
    workspace: type[_Workspace], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said before the time is over, and not that more time would help."""
    code, findings = told(capsys, "--profile", "nowhere", "--timeout", "16")
    finding = findings["workspace"]
    assert (code, finding["state"]) == (3, "unknown"), finding
    assert "did not answer" in finding["found"], finding
    assert "host" in finding["way_out"], finding


def test_a_workspace_that_hangs_is_given_up_on(
    workspace: type[_Workspace], capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.hang = 30
    start = time.monotonic()
    code, found = told(capsys, "--timeout", "1", *PLACE)
    assert time.monotonic() - start < 20
    assert code == 3
    assert states(found)["workspace"] == "unknown"


def test_mlflow_that_is_not_installed_is_one_of_the_findings(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "mlflow" else real(name, *a)
    )
    (*_, last) = examine(project)
    assert (last.state, last.way_out) == ("missing", "pip install skilltrace-mlflow")


def test_on_a_terminal_what_is_missing_stands_out(project: Path) -> None:
    terminal = Terminal(80)
    code = subprocess.run(
        [sys.executable, "-m", "skilltrace_mlflow", "doctor", "--tracking-uri", "sqlite:///n.db"],
        stdin=subprocess.DEVNULL,
        stdout=terminal.slave,
        stderr=terminal.slave,
        env={k: v for k, v in os.environ.items() if k != "NO_COLOR"},
        timeout=120,
        check=False,
    ).returncode
    colour = re.compile(r"\x1b\[[0-9;]*m")
    # What is longer than a line goes on below, indented.
    lines = [line for line in terminal.text().splitlines() if colour.sub("", line)[:1] != " "]
    assert code == 1
    assert [colour.sub("", line).split()[1] for line in lines] == [
        "claude",
        "autolog",
        "store",
        "experiment",
        "sessions",
    ]
    assert lines[0].startswith("ok")
    assert lines[2].startswith("\x1b[1;31mmissing")
