"""Settings files of Claude Code under `permissions`: what is read, and what is said of it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from skilltrace_mlflow.evaluation import trace_eval
from skilltrace_mlflow.expectations import load_manifest, parse_expectations
from skilltrace_mlflow.expectations._files import resolve_files
from skilltrace_mlflow.expectations.lint import lint
from tests.builders import make_call, make_session

SETTINGS = """{
  "permissions": {
    "allow": [
      "Read",
      "Web*",
      "Write(src/**)"
    ],
    "deny": [
      "Bash(git push:*)",
      "Cd(src)",
      "Stop Task"
    ]
  }
}
"""


def _skill(folder: Path, settings: str, manifest: str = "settings.json") -> Path:
    (folder / "settings.json").write_text(settings, encoding="utf-8")
    path = folder / "manifest.yaml"
    path.write_text(
        f"skill: {{name: demo}}\ntrace_expectations: {{permissions: {manifest}}}\n",
        encoding="utf-8",
    )
    return path


def test_rules_that_are_never_applied_reach_the_reader(tmp_path: Path) -> None:
    path = _skill(tmp_path, SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        manifest = load_manifest(path)
    settings = tmp_path / "settings.json"
    wanted = [
        f"{settings}:5: allow: Web*: ",
        f"{settings}:6: allow: Write(src/**): ",
        f"{settings}:10: deny: Cd(src): ",
        f"{settings}:11: deny: Stop Task: left out",
    ]
    notices = lint(manifest, ()).notices
    session = make_session([make_call("Read", {"file_path": "a"})])
    evaluation = trace_eval(path, [session])
    (outcome,) = (o for o in evaluation.results[0].outcomes if o.check == "permissions")
    for text in wanted:
        assert sum(text in notice for notice in notices) == 1, (text, notices)
        assert sum(text in note for note in evaluation.notes) == 1, (text, evaluation.notes)
        assert text in outcome.rationale


def test_inline_rules_are_named_at_the_manifest(tmp_path: Path) -> None:
    path = _skill(tmp_path, "{}", "{allow: [Read, 'Web*']}")
    notices = lint(load_manifest(path), ()).notices
    assert any(n.startswith(f"{path}: permissions: allow: Web*: ") for n in notices)


@pytest.mark.parametrize(
    ("mode", "verdicts"),
    [(None, ["pass", "unknown"]), ("dontAsk", ["pass", "fail"]), ("manual", ["pass", "unknown"])],
)
def test_a_file_with_empty_lists_is_its_mode(
    tmp_path: Path, mode: str | None, verdicts: list[str]
) -> None:
    permissions: dict[str, object] = {"allow": [], "deny": [], "ask": []}
    if mode is not None:
        permissions["defaultMode"] = mode
    path = _skill(tmp_path, json.dumps({"permissions": permissions}))
    (found,) = parse_expectations(load_manifest(path).trace_expectations)
    from skilltrace_mlflow.checks import run_check

    sessions = [
        make_session([make_call("Bash", {"command": line})], cwd="/repo")
        for line in ("ls", "npm test")
    ]
    outcomes = [run_check(found.spec, session, found.parameters) for session in sessions]
    assert [str(outcome.verdict) for outcome in outcomes] == verdicts


def _rules(folder: Path, files: dict[str, dict], **more: object) -> dict:
    for name, rules in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps({"permissions": rules}), encoding="utf-8")
    problems: list[str] = []
    layer = {"permissions": {"settings": list(files), **more}}
    found = resolve_files(layer, folder, lambda *said: problems.append(str(said)))
    assert problems == []
    return dict(found["permissions"])


class TestSeveralFiles:
    """As Claude Code 2.1.332 merges them, the weakest first."""

    def test_lists_add_up_and_the_last_mode_holds(self, tmp_path: Path) -> None:
        files = {
            "a.json": {"allow": ["Read"], "deny": ["WebFetch"], "defaultMode": "acceptEdits"},
            "b.json": {"allow": ["Read", "Edit"], "defaultMode": "dontAsk"},
            "c.json": {"ask": ["Bash"], "additionalDirectories": ["../docs"]},
        }
        rules = _rules(tmp_path, files, deny=["Skill"])
        assert rules["allow"] == ["Read", "Edit"]
        assert rules["deny"] == ["WebFetch", "Skill"]
        assert rules["ask"] == ["Bash"]
        assert rules["additionalDirectories"] == ["../docs"]
        assert rules["defaultMode"] == "dontAsk"

    def test_a_projects_settings_cannot_switch_asking_off(self, tmp_path: Path) -> None:
        files = {
            "user.json": {"defaultMode": "acceptEdits"},
            ".claude/settings.json": {"defaultMode": "bypassPermissions"},
        }
        rules = _rules(tmp_path, files)
        assert rules["defaultMode"] == "default"
        assert "cannot switch asking off" in " ".join(rules["remarks"])

    def test_nor_can_anybody_where_it_is_forbidden(self, tmp_path: Path) -> None:
        files = {
            "managed.json": {"disableBypassPermissionsMode": "disable"},
            "user.json": {"defaultMode": "bypassPermissions"},
        }
        assert _rules(tmp_path, files)["defaultMode"] == "default"

    def test_a_users_rule_from_the_root_starts_at_the_folder_of_settings(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        files = {".claude/settings.json": {"deny": ["Read(/keys/**)", "Read(//etc/**)"]}}
        assert _rules(tmp_path, files)["deny"] == ["Read(~/.claude/keys/**)", "Read(//etc/**)"]

    def test_a_file_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        problems: list[str] = []
        layer = {"permissions": {"settings": ["none.json"]}}
        resolve_files(layer, tmp_path, lambda _, text, __: problems.append(text))
        assert len(problems) == 1
        assert "none.json" in problems[0]
