"""Suites and results of other tools: as test cases, and judged on the traces that they left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from skilltrace_mlflow.agent.bridges._plugin_eval import translated
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


def graded(grader: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a grader becomes beside the skill itself, and what is left out."""
    found, left_out = translated([{"name": "g", **grader}], "hello")
    assert found.pop("required_skills", ["hello"]) == ["hello"]
    return found, left_out


REGEX = {"type": "regex", "pattern": "Done"}
USED = {"type": "tool_used", "tool": "Read"}
NEVER = {"should_trigger": {"skill": "hello", "expected": False}}


@pytest.mark.parametrize(
    ("grader", "meant"),
    [
        # JavaScript's expressions mind the case, those of a test case do not.
        (REGEX, {"expected_patterns": [{"pattern": "(?-i:Done)"}]}),
        ({**REGEX, "flags": "gims"}, {"expected_patterns": [{"pattern": "(?ims)Done"}]}),
        ({**REGEX, "flags": "m"}, {"expected_patterns": [{"pattern": "(?m-i:Done)"}]}),
        (
            {**REGEX, "match": "not_contains"},
            {"expected_patterns": [{"pattern": "(?-i:Done)", "max_count": 0}]},
        ),
        (
            {**REGEX, "match": "count:2"},
            {"expected_patterns": [{"pattern": "(?-i:Done)", "min_count": 2, "max_count": 2}]},
        ),
        (USED, {"required_tools": ["Read"]}),
        ({**USED, "min": 2}, {"tool_limits": {"Read": {"min": 2}}}),
        ({**USED, "max": 3}, {"tool_limits": {"Read": {"min": 1, "max": 3}}}),
        ({**USED, "min": 0, "max": 3}, {"tool_limits": {"Read": {"max": 3}}}),
        ({**USED, "min": 0, "max": 0}, {"tool_limits": {"Read": 0}}),
        ({**USED, "min": 0}, {}),
        ({**USED, "tool": "Skill"}, {}),
        ({**USED, "tool": "Skill", "input_match": "hello"}, {}),
        ({**USED, "tool": "Skill", "min": 0, "max": 0, "arm": "both"}, NEVER),
        ({"type": "file_exists", "path": "out/*.md"}, {"expected_files": ["out/*.md"]}),
        ({"type": "file_exists", "path": "report.md"}, {"expected_files": ["./report.md"]}),
        ({"type": "llm", "criteria": "Is kind."}, {"assertions": ["Is kind."]}),
        ({"type": "llm", "graderMarkdown": "Is kind."}, {"assertions": ["Is kind."]}),
    ],
    ids=str,
)
def test_what_graders_mean(grader: dict[str, Any], meant: dict[str, Any]) -> None:
    assert graded(grader) == (meant, ())
    settings = {k: v for k, v in grader.items() if k not in ("type", "graderMarkdown")}
    kept = {k: v for k, v in grader.items() if k not in settings}
    assert graded({**kept, "config": settings}) == (meant, ()), "as a result has it"


@pytest.mark.parametrize(
    "grader",
    [
        {**REGEX, "target": "trace"},
        {**REGEX, "target": {"source": "file", "path": "x"}},
        {**REGEX, "flags": "y"},
        {**REGEX, "match": "count:x"},
        {**REGEX, "pattern": r"\p{Lu}("},
        {**REGEX, "pattern": ""},
        {**USED, "input_match": "secret"},
        {**USED, "tool": "read"},
        {**USED, "min": 3, "max": 1},
        {"type": "tool_order", "before": "Read", "after": "Write"},
        {"type": "file_exists", "path": "x", "exists": False},
        {"type": "llm", "criteria": "x", "focus": "trace"},
        {"type": "llm"},
        {"type": "baseline", "baseline_file": "x", "criteria": "x"},
        {"type": "script"},
    ],
    ids=str,
)
def test_what_no_check_means_is_named(grader: dict[str, Any]) -> None:
    found, (left_out,) = graded(grader)
    assert found == {}
    assert left_out.startswith(f"grader 'g' ({grader['type']}) ")
    assert "\n" not in left_out


def test_a_suite_of_plugin_eval(hello: Path, tmp_path: Path) -> None:
    evals = tmp_path / "plugin" / "evals"
    case = evals / "greet"
    (case / "graders").mkdir(parents=True)
    (case / "prompt.md").write_text("\ufeff---\nmax_turns: 3\n---\nPlease greet me.\n")
    (case / "graders" / "says.md").write_text("---\ntype: regex\n---\nhello\n")
    (case / "graders" / "reads.md").write_text("---\ntype: tool_used\ntool: Read\n---\n")
    (case / "graders" / "odd.md").write_text("---\ntype: script\n---\n")
    (case / "graders" / "README.md").write_text("How these are graded.\n")
    (evals / "part").mkdir()
    (evals / "part" / "case.yaml").write_text(
        'schema_version: "1.0"\nname: waves\nexecution: {prompt: Wave}\n'
        "graders: [{type: tool_used, name: bash, tool: Bash}]\n"
    )
    assert call(tmp_path / "plugin", hello) == 0
    greet, wave = cases(hello)
    assert (greet["id"], greet["inputs"]["prompt"]) == ("greet", "Please greet me.")
    assert greet["expectations"] == {
        "required_skills": ["hello"],
        "required_tools": ["Read"],
        "expected_patterns": [{"pattern": "(?-i:hello)"}],
    }
    assert (wave["id"], wave["inputs"]["prompt"]) == ("part", "Wave")
    assert wave["expectations"]["required_tools"] == ["Bash"]


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
    first, greet, count = cases(hello)
    assert first["expectations"]["assertions"] == ["The output greets Ana"]
    assert greet["expectations"]["should_trigger"] == {"skill": "hello", "expected": True}
    assert count["expectations"]["should_trigger"] == {"skill": "hello", "expected": False}
    # Another case of the same name is not silently taken for one that is there.
    path.write_text(json.dumps({"skill_name": "hello", "evals": [{"id": 1, "prompt": "Other"}]}))
    text = (hello / "ground_truth.yaml").read_text()
    assert call(path, hello, "-q") == 0
    assert "eval_1: not added" in capsys.readouterr().err
    assert (hello / "ground_truth.yaml").read_text() == text


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


def test_a_trajectory_of_harbor_says_what_its_transcript_says() -> None:
    """`atif-subagent.json` is what Harbor 0.26 made of the recording."""
    name = "demo-subagent.jsonl"
    recording = Path(__file__).parents[2] / "examples" / "skills" / "bronze-ingestion" / "traces"
    was = load_file(recording / name).session
    session = load_file(DATA / "atif-subagent.json").session
    for part in ("prompts", "turns", "usage"):
        assert getattr(session, part) == getattr(was, part), part
    assert session.response == (was.response or "").strip()
    assert [(s.name, s.status) for s in session.skills] == [(s.name, s.status) for s in was.skills]
    assert [(a.type, a.prompt) for a in session.subagents] == [
        (a.type, a.prompt) for a in was.subagents
    ]
    assert {c.id: (c.name, c.input, c.agent == "main") for c in session.tool_calls} == {
        c.id: (c.name, c.input, c.agent == "main") for c in was.tool_calls
    }
    outcomes = {c.id: c.outcome for c in was.tool_calls}
    known = [c for c in session.tool_calls if c.outcome != "unknown"]
    assert len(known) == 6
    assert all(c.outcome == outcomes[c.id] for c in known)


def test_parts_and_odd_figures_of_a_trajectory(tmp_path: Path) -> None:
    document = json.loads(json.dumps(TRAJECTORY))
    first, second, last = document["steps"]
    first["message"] = [{"type": "text", "text": "Say hello"}, {"type": "image", "source": {}}]
    first["timestamp"] = "2026-01-02T03:04:00"
    second["observation"]["results"][0]["content"] = [
        {"type": "text", "text": "Launching skill: hello"}
    ]
    last["metrics"] = {"prompt_tokens": "many", "completion_tokens": [5], "cached_tokens": True}
    document["final_metrics"]["total_cost_usd"] = float("nan")
    path = tmp_path / "trajectory.json"
    path.write_text(json.dumps(document))
    session = load_file(path).session
    assert session.prompts == ("Say hello",)
    assert [(s.name, s.status) for s in session.skills] == [("hello", "loaded")]
    assert session.cost_usd is None
    assert session.lacks("usage")


RESULT = {"cases": [{"name": "a", "arms": {"with": [{"tracePath": ""}]}}]}


def result_with(**changed: Any) -> str:
    return json.dumps({"cases": [{**RESULT["cases"][0], **changed}]})


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[1]",
        "[]",
        "not json",
        "[" * 100_000,
        '{"schema_version": "ATIF-v2.0", "steps": []}',
        '{"schema_version": "ATIF-v1.4", "steps": []}',
        '{"cases": 5}',
        '{"schemaVersion": 2, "cases": []}',
        json.dumps({"cases": RESULT["cases"] * 2}),
        result_with(name=""),
        result_with(graders={"a": 1}),
        result_with(graders=[None]),
        result_with(graders=[{"type": "tool_used", "config": {"min": "two"}}]),
        result_with(arms=[1]),
        result_with(arms={"third": []}),
        result_with(arms={"with": ["x"]}),
        result_with(arms={"with": [{"tracePath": 7}]}),
        '{"evals": 3}',
        '{"evals": []}',
        '{"evals": [{"prompt": 5}]}',
        '{"evals": [{"prompt": " "}]}',
        '{"evals": [{"prompt": "x", "expectations": "abc"}]}',
        '{"evals": [{"prompt": "x", "id": 1}, {"prompt": "y", "id": 1}]}',
    ],
    ids=lambda text: text[:60],
)
def test_what_is_none_of_these_is_refused(
    hello: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert call(path, hello) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path}: ")
    assert not (hello / "ground_truth.yaml").exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("prompt.md", "---\n[unclosed\n---\nhi"),
        ("prompt.md", "---\n- a list\n---\nhi"),
        ("case.yaml", "graders: 7\n"),
        ("case.yaml", "execution: {prompt: [1]}\n"),
        ("graders/a.md", "---\ntype: [regex]\n---\n"),
    ],
)
def test_a_suite_that_is_none_is_refused(
    hello: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, text: str
) -> None:
    folder = tmp_path / "evals" / "a"
    (folder / "graders").mkdir(parents=True)
    (folder / "prompt.md").write_text("Greet me.\n")
    (folder / file).write_text(text)
    assert call(tmp_path, hello) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {folder / file}: ")


def test_a_case_that_was_not_run_is_not_lost(hello: Path, tmp_path: Path) -> None:
    document = json.loads((DATA / "plugineval-result.json").read_text())
    first = document["cases"][0]
    first["arms"]["with"] = first["arms"]["with"][:1]
    first["graders"].append({"name": "kind", "type": "llm", "config": {"criteria": "Is kind."}})
    document["cases"].append({**first, "name": "late", "arms": {"with": []}})
    document["partialReason"] = "cost_ceiling"
    (tmp_path / "result.json").write_text(json.dumps(document))
    shutil.copy(DATA / "plugineval-transcript.jsonl", tmp_path)
    output = tmp_path / "out.json"
    assert call(tmp_path / "result.json", hello, "--evaluate", f"--output={output}") == 3
    found = json.loads(output.read_text())
    verdicts = {
        r["test_id"]: (r["verdict"], r.get("error"))
        for r in found["results"]
        if r.get("arm") != "without"
    }
    assert verdicts["smoke"] == ("pass", None)
    assert verdicts["late"] == ("error", "plugin eval did not run it (cost_ceiling)")
    assert "smoke: 1 expectation for a model to judge: not judged here" in found["notes"]


def test_a_trajectory_without_steps_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**TRAJECTORY, "steps": "none"}))
    with pytest.raises(InputError, match="steps"):
        load_file(path)


def test_slips_in_translated_expectations_do_not_stay(hello: Path) -> None:
    assert call(DATA / "plugineval-result.json", hello) == 0
    assert cli(["validate", "hello", f"--skills-dir={hello.parent}"]) == 0
