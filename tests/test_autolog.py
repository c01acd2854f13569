"""`autolog` guards Claude Code's settings; the real `mlflow autolog claude` does the work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skilltrace_mlflow.autolog import autolog_status, disable_autolog, setup_autolog
from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError

ENABLED = {
    "permissions": {"allow": ["Read"]},
    "env": {
        "KEEP": "me",
        "MLFLOW_CLAUDE_TRACING_ENABLED": "true",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
        "MLFLOW_EXPERIMENT_ID": "7",
        "MLFLOW_EXPERIMENT_NAME": "traces",
    },
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / ".claude" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_status_of_a_project_without_settings(tmp_path: Path) -> None:
    status = autolog_status(tmp_path)
    assert not status.enabled
    assert status.files == ()


def test_local_settings_win_over_shared_ones(tmp_path: Path) -> None:
    write(tmp_path, "settings.json", json.dumps(ENABLED))
    local = {"env": {"MLFLOW_TRACKING_URI": "databricks"}}
    write(tmp_path, "settings.local.json", json.dumps(local))
    status = autolog_status(tmp_path)
    assert status.enabled
    assert (status.tracking_uri, status.experiment_id) == ("databricks", "7")


def test_status_shows_no_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"env": {"MLFLOW_TRACKING_URI": "http://me:secret@host:5000"}}
    write(tmp_path, "settings.json", json.dumps(settings))
    for form in ("table", "json"):
        assert run(["autolog", "status", "-d", str(tmp_path), "--format", form]) == 0
        out = capsys.readouterr().out
        assert "secret" not in out
        assert "@host:5000" in out


def test_settings_that_cannot_be_read_are_not_called_bad_json(tmp_path: Path) -> None:
    (tmp_path / ".claude" / "settings.json").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        autolog_status(tmp_path)


def test_disable_removes_tracing_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, "settings.json", json.dumps(ENABLED))
    (change,) = disable_autolog(tmp_path)
    settings = json.loads(path.read_text(encoding="utf-8"))
    assert settings["permissions"] == {"allow": ["Read"]}
    assert settings["env"] == {"KEEP": "me"}
    assert change.path == path
    assert '-env.MLFLOW_CLAUDE_TRACING_ENABLED: "true"' in change.diff.splitlines()
    assert "KEEP" not in change.diff, "a neighbour may be a secret"
    assert "permissions" not in change.diff


@pytest.mark.parametrize(
    "text", ['{\n  // a comment\n  "env": {}\n}', "[1]", '{"env": []}', "", "{"]
)
def test_settings_that_cannot_be_parsed_are_never_touched(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "settings.json", text)
    with pytest.raises(ConfigurationError, match=r"settings\.json"):
        disable_autolog(tmp_path)
    assert path.read_text(encoding="utf-8") == text


def test_setup_without_the_claude_binary_says_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="claude binary is not on PATH"):
        setup_autolog(tmp_path, "traces")
    assert list(tmp_path.iterdir()) == []


def test_setup_that_fails_puts_the_settings_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A `claude` that refuses every command, as an old one does that knows no plugins.
    folder = tmp_path / "bin"
    folder.mkdir()
    fake = folder / "claude"
    fake.write_text("#!/bin/sh\necho 'unknown command: plugin' >&2\nexit 1\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    project = tmp_path / "project"
    project.mkdir()
    with pytest.raises(EvaluationError, match="as before"):
        setup_autolog(project, tracking_uri=f"sqlite:///{tmp_path}/s.db", experiment_id="0")
    assert list(project.iterdir()) == []

    text = json.dumps({"permissions": {"deny": ["Bash(rm:*)"]}})
    path = write(project, "settings.json", text)
    with pytest.raises(EvaluationError):
        setup_autolog(project, tracking_uri=f"sqlite:///{tmp_path}/s.db", experiment_id="0")
    assert path.read_text(encoding="utf-8") == text


def test_setup_with_the_claude_that_is_here_works_or_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plugin comes from a repository on the network; where there is none, nothing changes."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = json.dumps({"permissions": {"deny": ["Bash(rm:*)"]}})
    path = write(tmp_path, "settings.json", text)
    failure = ""
    try:
        setup_autolog(tmp_path, tracking_uri="http://127.0.0.1:9", experiment_id="0")
    except (ConfigurationError, EvaluationError) as error:
        failure = str(error)
    assert len(failure.splitlines()) <= 1
    assert autolog_status(tmp_path).enabled == (not failure)
    assert json.loads(path.read_text(encoding="utf-8"))["permissions"]["deny"]
    if failure:
        assert path.read_text(encoding="utf-8") == text


def test_name_and_id_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        setup_autolog(tmp_path, "a", experiment_id="1")


def test_command_line_prints_status_and_maps_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "settings.json", json.dumps(ENABLED))
    assert run(["autolog", "status", "-d", str(tmp_path), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["experiment_name"] == "traces"
    path.write_text("{,}", encoding="utf-8")
    assert run(["autolog", "disable", "-d", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "settings.json:1" in captured.err
