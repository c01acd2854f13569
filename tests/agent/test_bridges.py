"""Suites and results of other tools: as test cases, and judged on the traces that they left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from skilltrace_mlflow.cli._app import run as cli
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.expectations import load_ground_truth, load_manifest
from skilltrace_mlflow.sources.load import load_file

DATA = Path(__file__).parents[1] / "data" / "bridges"


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    folder = tmp_path / "skills" / "hello"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: hello\ndescription: say hello\n---\nSay hello.\n")
    (folder / "manifest.yaml").write_text("skill: {name: hello}\n")
    return folder


def call(path: Path, hello: Path, *more: str) -> int:
    return cli(["import-evals", str(path), "--skill=hello", f"--skills-dir={hello.parent}", *more])


def cases(hello: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((hello / "ground_truth.yaml").read_text())[
        "test_cases"
    ]
    return found


def test_a_result_of_plugin_eval_becomes_test_cases_once(hello: Path) -> None:
    result = DATA / "plugineval-result.json"
    assert call(result, hello) == 0
    (case,) = cases(hello)
    assert case["id"] == "smoke"
    assert case["inputs"]["prompt"] == "Please say hello with the hello skill."
    assert case["expectations"] == {
        "required_skills": ["hello"],
        "expected_patterns": [{"pattern": "(?i)hello"}],
    }
    text = (hello / "ground_truth.yaml").read_text()
    assert call(result, hello) == 0
    assert (hello / "ground_truth.yaml").read_text() == text
    assert load_ground_truth(load_manifest(hello))


def test_cases_are_added_beside_prompts_of_triggers(hello: Path) -> None:
    (hello / "ground_truth.yaml").write_text("trigger_prompts:\n  should: [Greet me]\n")
    assert call(DATA / "plugineval-result.json", hello) == 0
    assert {case.id for case in load_ground_truth(load_manifest(hello))} == {"smoke", "should_001"}


def test_its_traces_are_judged(hello: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert call(DATA / "plugineval-result.json", hello, "--evaluate", f"--output={output}") == 3
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(r["arm"], r["attempt"], r["verdict"]) for r in found] == [
        ("with", 1, "pass"),
        ("with", 2, "error"),  # its trace was not kept
        ("without", 1, "error"),
        ("without", 2, "error"),
    ]
    assert found[0]["source"].endswith("plugineval-transcript.jsonl")


@pytest.mark.parametrize("kept", ["plugineval-transcript.jsonl", "plugineval-trace.jsonl"])
def test_a_skill_that_was_not_called_fails_although_plugin_eval_passes_it(
    hello: Path, tmp_path: Path, kept: str
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    document = json.loads((DATA / "plugineval-result.json").read_text())
    document["cases"][0]["arms"]["with"] = document["cases"][0]["arms"]["with"][:1]
    document["cases"][0]["arms"]["without"] = []
    (folder / "result.json").write_text(json.dumps(document))
    shutil.copy(DATA / kept, folder / "trace.jsonl")
    output = tmp_path / "out.jsonl"
    assert call(folder / "result.json", hello, "--evaluate") == 0
    kept_lines = []
    for line in (DATA / kept).read_text().splitlines():
        # The same session without its Skill call.
        if '"toolu_01AAAA"' in line or "Base directory for this skill" in line:
            continue
        kept_lines.append(line)
    (folder / "trace.jsonl").write_text("\n".join(kept_lines) + "\n")
    assert call(folder / "result.json", hello, "--evaluate", f"--output={output}") == 1
    (result,) = (json.loads(line) for line in output.read_text().splitlines())
    verdicts = {check["name"]: check["verdict"] for check in result["checks"]}
    assert verdicts["required_skills"] == "fail"
    assert verdicts["pattern_adherence"] == "pass"
    assert result["notes"] == ["plugin eval: passed"]


def test_a_suite_of_plugin_eval(hello: Path, tmp_path: Path) -> None:
    case = tmp_path / "plugin" / "evals" / "greet"
    (case / "graders").mkdir(parents=True)
    (case / "prompt.md").write_text("---\nmax_turns: 3\n---\nPlease greet me.\n")
    (case / "graders" / "says.md").write_text("---\ntype: regex\npattern: hello\n---\n")
    (case / "graders" / "reads.md").write_text("---\ntype: tool_used\ntool: Read\n---\n")
    (case / "graders" / "odd.md").write_text("---\ntype: script\n---\n")
    assert call(tmp_path / "plugin", hello) == 0
    (found,) = cases(hello)
    assert (found["id"], found["inputs"]["prompt"]) == ("greet", "Please greet me.")
    assert found["expectations"] == {
        "required_skills": ["hello"],
        "required_tools": ["Read"],
        "expected_patterns": [{"pattern": "hello"}],
    }


def test_evals_of_skill_creator(
    hello: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evals.json"
    evals = [
        {
            "id": 1,
            "prompt": "Say hello to Ana",
            "expected_output": "A greeting with her name",
            "files": ["evals/files/names.csv"],
            "expectations": ["The output greets Ana"],
        }
    ]
    path.write_text(json.dumps({"skill_name": "hello", "evals": evals}))
    assert call(path, hello) == 0
    assert "files belong into" in capsys.readouterr().err
    queries = [
        {"query": "Greet them", "should_trigger": True},
        {"query": "Count them", "should_trigger": False},
    ]
    path.write_text(json.dumps(queries))
    assert call(path, hello) == 0
    first, second = cases(hello)[:2]
    assert first["expectations"]["assertions"] == ["The output greets Ana"]
    assert second["expectations"]["should_trigger"] == {"skill": "hello", "expected": False}


TRAJECTORY: dict[str, Any] = {
    "schema_version": "ATIF-v1.4",
    "session_id": "s-1",
    "agent": {"name": "claude-code", "version": "2.1.332", "model_name": "claude-sonnet-4-5"},
    "steps": [
        {"step_id": 1, "source": "user", "message": "Say hello"},
        {
            "step_id": 2,
            "timestamp": "2026-01-02T03:04:05Z",
            "source": "agent",
            "message": "",
            "tool_calls": [
                {"tool_call_id": "c1", "function_name": "Skill", "arguments": {"skill": "hello"}}
            ],
            "observation": {
                "results": [{"source_call_id": "c1", "content": "Launching skill: hello"}]
            },
            "metrics": {"prompt_tokens": 1000, "completion_tokens": 20, "cached_tokens": 900},
        },
        {
            "step_id": 3,
            "source": "agent",
            "message": "hello there",
            "metrics": {
                "prompt_tokens": 1100,
                "completion_tokens": 5,
                "cached_tokens": 1000,
                "extra": {"cache_creation_input_tokens": 60},
            },
        },
    ],
    "final_metrics": {"total_cost_usd": 0.01},
}
# What the published specification requires of the parts that are read.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["schema_version", "session_id", "agent", "steps"],
    "properties": {
        "agent": {"type": "object", "required": ["name", "version"]},
        "steps": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["step_id", "source", "message"],
                "properties": {
                    "source": {"enum": ["system", "user", "agent"]},
                    "tool_calls": {
                        "type": "array",
                        "items": {"required": ["tool_call_id", "function_name", "arguments"]},
                    },
                    "observation": {"required": ["results"]},
                },
            },
        },
    },
}


def test_a_trajectory_is_a_session(hello: Path, tmp_path: Path) -> None:
    jsonschema.validate(TRAJECTORY, SCHEMA)
    path = tmp_path / "trajectory.json"
    path.write_text(json.dumps(TRAJECTORY))
    session = load_file(path).session
    assert session.prompts == ("Say hello",)
    assert session.response == "hello there"
    assert [(c.name, c.outcome, c.result) for c in session.tool_calls] == [
        ("Skill", "unknown", "Launching skill: hello")
    ]
    usage = session.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (140, 1900)
    assert (usage.cache_creation_input_tokens, usage.output_tokens) == (60, 25)
    assert session.turns == 2
    assert session.ending.kind == "finished"
    assert session.lacks("tool_outcomes")
    assert call(path, hello, "--evaluate") == 0
    assert call(path, hello) == 0
    assert cases(hello)[0]["inputs"]["prompt"] == "Say hello"


@pytest.mark.parametrize(
    "text", ["{}", "[1]", '{"schema_version": "ATIF-v2.0", "steps": []}', "not json"]
)
def test_what_is_none_of_these_is_refused(hello: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert call(path, hello) == 2


def test_a_trajectory_without_steps_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**TRAJECTORY, "steps": "none"}))
    with pytest.raises(InputError, match="steps"):
        load_file(path)


def test_slips_in_translated_expectations_do_not_stay(hello: Path) -> None:
    assert call(DATA / "plugineval-result.json", hello) == 0
    assert cli(["validate", "hello", f"--skills-dir={hello.parent}"]) == 0
