"""`validate` counts what will be judged, also where only the manifest expects it."""

from __future__ import annotations

from pathlib import Path

import pytest

from skilltrace_mlflow.cli._app import run


def test_a_manifest_without_test_cases_has_checks_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.yaml").write_text(
        "skill: {name: s}\n"
        "scorers:\n"
        "  enabled: [execution_success]\n"
        "  disabled: [duration]\n"
        "  trace_expectations: {required_tools: [Read], duration: {max_seconds: 9}}\n"
        "  session_expectations: {turn_limit: {max_turns: 9}}\n",
        encoding="utf-8",
    )
    assert run(["validate", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "s: valid: 0 test cases, 2 trace checks, 0 gates" in captured.out
    assert "execution_success is listed but nothing is expected of it: not appl" in captured.err
