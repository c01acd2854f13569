"""`validate`, `schema`, `init` and `expect`, as a person calls them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.expectations import load_ground_truth, load_manifest
from tests.expectations.skills_folder import write_skills

RECORDINGS = Path(__file__).parent.parent / "data" / "recordings"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKILLTRACE_SKILLS_DIR", raising=False)


def test_init_writes_files_that_are_valid_as_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "my-skill"]) == 0
    folder = tmp_path / "skills" / "my-skill"
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    schemas = Path(".skilltrace", "schemas")
    assert written == [
        Path("skills", "my-skill", "manifest.yaml"),
        Path("skills", "my-skill", "ground_truth.yaml"),
        schemas / "manifest.schema.json",
        schemas / "ground_truth.schema.json",
    ]
    assert len(list(folder.iterdir())) == 2  # an agent that is given the skill reads no schema
    manifest = load_manifest(folder)
    assert manifest.name == "my-skill"
    assert manifest.notices == ()
    (case,) = load_ground_truth(manifest)
    assert case.id == "my_skill_001"
    assert run(["validate", "my-skill"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("my-skill: valid: 1 test case,")
    assert captured.err == ""


@pytest.mark.parametrize("place", ["", "skills", ".claude/skills", ".test/skills", "a/b"])
@pytest.mark.parametrize("name", ["manifest.yaml", "ground_truth.yaml"])
def test_the_first_line_names_a_schema_that_the_file_meets(
    tmp_path: Path, name: str, place: str
) -> None:
    import yaml
    from jsonschema import Draft202012Validator

    run(["init", "my-skill", "--skills-dir", str(tmp_path / place)])
    folder = tmp_path / place / "my-skill"
    first = (folder / name).read_text(encoding="utf-8").splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    schema = json.loads((folder / first.removeprefix(prefix)).read_text(encoding="utf-8"))
    data = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(data)) == []


def test_init_never_overwrites_without_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["init", "my-skill"])
    path = tmp_path / "skills" / "my-skill" / "manifest.yaml"
    path.write_text("mine", encoding="utf-8")
    assert run(["init", "my-skill"]) == 2
    assert path.read_text(encoding="utf-8") == "mine"
    assert "--force" in capsys.readouterr().err
    assert run(["init", "my-skill", "--force"]) == 0
    assert path.read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize("name", ["", ".", "..", " "])
def test_init_refuses_what_is_no_name(name: str, tmp_path: Path) -> None:
    assert run(["init", name]) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["odd: name", "ünïcode", "true", "a'b"])
def test_init_quotes_a_name_that_yaml_would_read_otherwise(tmp_path: Path, name: str) -> None:
    assert run(["init", name]) == 0
    assert load_manifest(tmp_path / "skills" / name).name == name


def test_validate_without_names_checks_every_skill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_skills(tmp_path)
    assert run(["validate"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 25


def test_validate_says_all_problems_of_all_skills(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_skills(tmp_path)
    for name in ("warehouse-tuning", "model-hosting"):
        path = folder / name / "manifest.yaml"
        text = path.read_text(encoding="utf-8").replace("required_tools:", "call_order:")
        path.write_text(text, encoding="utf-8")
    assert run(["validate"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert all("unknown key 'call_order'; did you mean 'tool_sequence'?" in e for e in errors)


def test_validate_reports_contradictions_and_notices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skill = tmp_path / "skills" / "x"
    skill.mkdir(parents=True)
    (skill / "manifest.yaml").write_text(
        "skill_name: x\ntriggers: [a]\n"
        "trace_expectations: {required_tools: [Bash], banned_tools: [Bash]}\n",
        encoding="utf-8",
    )
    assert run(["validate", "x"]) == 2
    err = capsys.readouterr().err
    assert "error: " in err
    assert "required_tools wants 'Bash', which banned_tools bans" in err
    assert "notice: " in err
    assert "triggers: not read by skilltrace-mlflow" in err


def test_strict_turns_notices_into_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skill = tmp_path / "skills" / "x"
    skill.mkdir(parents=True)
    (skill / "manifest.yaml").write_text("skill_name: x\ntriggers: [a]\n", encoding="utf-8")
    assert run(["validate", "x"]) == 0
    assert run(["validate", "x", "--strict"]) == 2


@pytest.mark.parametrize("kind", ["manifest", "ground-truth"])
def test_schema_prints_json_schema_and_nothing_else(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["schema", kind]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["$schema"].startswith("https://json-schema.org/")
    assert captured.err == ""


def test_expect_prints_a_ground_truth_that_passes_its_own_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = (RECORDINGS / "demo-good").glob("*.jsonl")
    shutil.copy(source, tmp_path / "session.jsonl")
    assert run(["expect", "--trace", "session.jsonl", "--test-id", "orders"]) == 0
    captured = capsys.readouterr()
    assert "mutations caught" in captured.err
    skill = tmp_path / "skills" / "x"
    skill.mkdir(parents=True)
    (skill / "manifest.yaml").write_text("skill_name: x\n", encoding="utf-8")
    text = captured.out.replace("trace_ref: session.jsonl", "trace_ref: ../../session.jsonl")
    assert text != captured.out
    (skill / "ground_truth.yaml").write_text(text, encoding="utf-8")
    assert run(["validate", "x"]) == 0
    judged = ["trace-eval", "x", "--trace", "session.jsonl", "--test-id", "orders"]
    assert run(judged) == 0


def test_expect_writes_a_file_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source,) = (RECORDINGS / "demo-good").glob("*.jsonl")
    command = ["expect", "--trace", str(source), "--output", "gt.yaml", "-q"]
    assert run(command) == 0
    (case,) = load_ground_truth(tmp_path / "gt.yaml")
    assert Path(case.trace_ref or "").is_file()
    assert run(command) == 2
    assert "exists already" in capsys.readouterr().err


def test_expect_without_a_trace_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["expect"]) == 2
    assert "--trace" in capsys.readouterr().err


def test_expect_of_a_missing_file_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["expect", "--trace", "nowhere.jsonl"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
