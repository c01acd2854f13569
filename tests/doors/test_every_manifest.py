"""One manifest, one answer: the command line and `trace_eval` in Python give the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from skilltrace_mlflow import trace_eval
from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.errors import SkillTraceError
from skilltrace_mlflow.report import render
from tests.doors.manifests import manifests

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
GOOD, FAILING = (EXAMPLE / "traces" / f"demo-{name}.jsonl" for name in ("good", "failing"))
EVERY = [pytest.param(text, id=where) for where, text in manifests()]
GROUND_TRUTH = """\
test_cases:
  - {id: one, inputs: {prompt: p}, expectations: {tool_sequence: [Read, Write]}}
"""


def through_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str], *options: str, allow: bool = False
) -> dict[str, Any]:
    traces = ["--trace", str(GOOD), "--trace", str(FAILING)]
    allowed = ["--allow-custom"] * allow
    code = run(["trace-eval", str(folder), *traces, "--format", "json", *allowed, *options])
    caught = capsys.readouterr()
    if not caught.out:
        return {"exit_code": code, "error": caught.err.strip().replace("error: ", "")}
    document: dict[str, Any] = json.loads(caught.out)
    assert document["exit_code"] == code
    assert all(note in caught.err for note in document.get("notes", ()))
    return document


def through_python(folder: Path, *, allow: bool = False, **options: Any) -> dict[str, Any]:
    try:
        evaluation = trace_eval(folder, [GOOD, FAILING], allow_custom=allow, **options)
    except SkillTraceError as error:
        return {"exit_code": error.exit_code, "error": str(error).strip()}
    document: dict[str, Any] = json.loads(render(evaluation, "json"))
    assert document["exit_code"] == evaluation.exit_code
    return document


def write(folder: Path, manifest: str) -> Path:
    (folder / "manifest.yaml").write_text(manifest, encoding="utf-8")
    (folder / "ground_truth.yaml").write_text(GROUND_TRUTH, encoding="utf-8")
    return folder


def test_the_suite_has_many_manifests() -> None:
    assert len(EVERY) > 80


@pytest.mark.parametrize("manifest", EVERY)
def test_both_doors_say_the_same(
    manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path, manifest)
    assert through_python(folder) == through_the_command_line(folder, capsys)


@pytest.mark.parametrize("manifest", EVERY[:1])
def test_a_test_case_is_chosen_alike(
    manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path, manifest)
    said = through_python(folder, test_id="one", fail_under={"tool_sequence": 0.5})
    options = ("--test-id", "one", "--fail-under", "tool_sequence=0.5")
    assert said == through_the_command_line(folder, capsys, *options)
    assert [result["attempt"] for result in said["results"]] == [1, 2]


OWN = """
def calls(session):
    print("must not be seen in the result")
    return len(session.tool_calls) < 5
"""


@pytest.mark.parametrize(
    ("manifest", "code", "allow"),
    [
        pytest.param(
            {
                "trace_expectations": {"tool_limits": {"Bash": 100}},
                "quality_gates": {"tool_sequence": 1.0},
            },
            0,
            False,
            id="a gate on what another test case expects",
        ),
        pytest.param(
            {
                "trace_expectations": {"tool_limits": {"Bash": 100}},
                "quality_gates": {"tool_errors": 1.0},
            },
            1,
            False,
            id="a gate on what nothing expects",
        ),
        pytest.param(
            {
                "trace_expectations": {"tool_limits": {"Bash": 3}},
                "quality_gates": {"tool_count": 0.5},
            },
            0,
            False,
            id="a gate that lets one of two fail",
        ),
        pytest.param({"enabled": ["nosuchmodule:function"]}, 2, False, id="not allowed"),
        pytest.param({"enabled": ["nosuchmodule:function"]}, 2, True, id="not there"),
        pytest.param({"enabled": ["door_functions:calls"]}, 1, True, id="an own function"),
    ],
)
def test_gates_and_own_functions_count_through_both(
    manifest: dict[str, Any],
    code: int,
    allow: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "enabled" in manifest:
        scorers = {**manifest, "trace_expectations": {"required_tools": ["Read"]}}
        manifest = {"skill": {"name": "s"}, "scorers": scorers}
    folder = write(tmp_path, yaml.safe_dump(manifest))
    (folder / "door_functions.py").write_text(OWN, encoding="utf-8")
    said = through_python(folder, allow=allow)
    assert said == through_the_command_line(folder, capsys, allow=allow)
    assert said["exit_code"] == code
