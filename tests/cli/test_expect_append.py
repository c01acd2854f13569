"""`expect --append`: a session becomes a test case that passes as it was written, once."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.expectations import TestCase, load_ground_truth, load_manifest
from skilltrace_mlflow.sources.load import load_file
from skilltrace_mlflow.sources.locate import project_slug

ROOT = Path(__file__).resolve().parents[2]
GOOD = ROOT / "examples" / "skills" / "bronze-ingestion" / "traces" / "demo-good.jsonl"
RECORDINGS = ROOT / "tests" / "data" / "recordings"
SECRET = "sk-ant-" + "a1B2c3D4e5" * 4


@pytest.fixture
def skill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A skill where Claude Code keeps it, above the current directory; no store is named."""
    folder = tmp_path / "project" / ".claude" / "skills" / "orders"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: orders\n---\n", encoding="utf-8")
    (folder / "manifest.yaml").write_text("skill: {name: orders}\n", encoding="utf-8")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    for name in (*os.environ,):
        if name.startswith("MLFLOW_") or name == "SKILLTRACE_SKILLS_DIR":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path / "project")
    return folder


def recording(name: str) -> Path:
    found = (RECORDINGS / name).glob("*.jsonl")
    return max(path for path in found if not path.name.startswith("agent-"))


def cases(skill: Path) -> tuple[TestCase, ...]:
    return load_ground_truth(load_manifest(skill))


def files(skill: Path) -> dict[str, bytes]:
    return {
        path.relative_to(skill).as_posix(): path.read_bytes()
        for path in sorted(skill.rglob("*"))
        if path.is_file()
    }


def passes(case: TestCase) -> None:
    told = ["trace-eval", "orders", "--trace", str(case.trace_ref), "--test-id", case.id]
    assert run(told) == 0


@pytest.mark.parametrize(
    "name",
    [
        *("demo-good", "read-edit", "todo", "skills", "mcp", "compact", "unicode", "notebook"),
        *("subagent", "nested-agents", "background-agent", "parallel-agents", "tool-errors"),
        *("tour-1.0.128", "tour-2.0.60", "newest-workflow-2.1.332", "fork", "resume"),
    ],
)
@pytest.mark.parametrize("redact", [(), ("--redact",)], ids=["as it is", "redacted"])
def test_what_is_proposed_passes_on_the_copy(
    name: str, redact: tuple[str, ...], skill: Path, tmp_path: Path
) -> None:
    source = tmp_path / "elsewhere" / "session"
    shutil.copytree(RECORDINGS / name, source)
    session = source / recording(name).name
    original = load_file(session).session
    assert run(["expect", "orders", "--append", "--trace", str(session), *redact]) == 0
    shutil.rmtree(source)
    (case,) = cases(skill)
    assert case.id == "recorded_001"
    assert case.prompt == original.prompts[0]
    assert Path(str(case.trace_ref)).resolve().parent == (skill / "traces").resolve()
    copy = load_file(str(case.trace_ref)).session
    assert len(copy.tool_calls) == len(original.tool_calls)
    assert copy.usage == original.usage
    if not redact:
        assert copy == original
    passes(case)


def test_files_of_sub_agents_come_along(skill: Path) -> None:
    assert run(["expect", "orders", "--append", "--trace", str(recording("subagent"))]) == 0
    names = [name for name in files(skill) if name.startswith("traces/")]
    assert [Path(name).suffixes for name in names] == [[".jsonl"], [".meta", ".json"], [".jsonl"]]


@pytest.mark.parametrize("name", ["subagent", "tour-2.0.60"])
def test_no_secret_is_left_in_any_file(name: str, skill: Path, tmp_path: Path) -> None:
    source = tmp_path / "session"
    shutil.copytree(RECORDINGS / name, source)
    for path in source.rglob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            content = row.get("message", {}).get("content")
            if isinstance(content, str):
                row["message"]["content"] = f"{content} {SECRET}"
            for part in content if isinstance(content, list) else ():
                for key in ("text", "content"):
                    if isinstance(part.get(key), str):
                        part[key] += f" {SECRET}"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    session = source / recording(name).name
    assert run(["expect", "orders", "--append", "--redact", "--trace", str(session)]) == 0
    assert not any(SECRET.encode() in data for data in files(skill).values())
    (case,) = cases(skill)
    assert "[REDACTED: Anthropic API Key]" in str(case.prompt)
    passes(case)


@pytest.mark.parametrize("how", ["--latest", "--local", "--session-id", "--trace", "gz", "glob"])
def test_a_session_may_be_named_in_every_way(how: str, skill: Path, tmp_path: Path) -> None:
    folder = tmp_path / "claude" / "projects" / project_slug(Path.cwd())
    folder.mkdir(parents=True)
    text = GOOD.read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    text = "".join(
        json.dumps({**r, "cwd": str(Path.cwd())} if "cwd" in r else r) + "\n" for r in rows
    )
    session_id = next(row["sessionId"] for row in rows if "sessionId" in row)
    file = folder / f"{session_id}.jsonl"
    file.write_text(text, encoding="utf-8")
    (zipped := tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    named = {
        "--session-id": ["--session-id", session_id],
        "--trace": ["--trace", str(file)],
        "gz": ["--trace", str(zipped)],
        "glob": ["--trace", str(file), str(zipped)],
    }
    assert run(["expect", "--append", "orders", *named.get(how, [how])]) == 0
    (case,) = cases(skill)
    passes(case)
    assert run(["expect", "--append", "orders", *named.get(how, [how])]) == 2


def test_the_same_session_is_added_once(skill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = ["expect", "orders", "--append", "--trace", str(GOOD)]
    assert run(first) == 0
    before = files(skill)
    for again in ([], ["--test-id", "other"], ["--redact"], ["--test-id", "recorded_001"]):
        capsys.readouterr()
        assert run([*first, *again]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert all(word in line for word in ("recorded_001", "already", "--replace"))
        assert files(skill) == before


@pytest.mark.parametrize("link", ["trace_ref: traces/mine.jsonl", "trace_ref: {dir}/mine.jsonl"])
def test_a_case_written_by_hand_is_known_by_its_file(
    link: str, skill: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = link.format(dir=tmp_path)
    mine = skill / link.removeprefix("trace_ref: ")
    mine.parent.mkdir(exist_ok=True)
    shutil.copy(GOOD, mine)
    path = skill / "ground_truth.yaml"
    path.write_text(f"test_cases:\n  - id: mine\n    outputs: {{{link}}}\n", encoding="utf-8")
    assert run(["expect", "orders", "--append", "--trace", str(GOOD)]) == 2
    assert "ground_truth.yaml:2: test case 'mine'" in capsys.readouterr().err


def test_replace_writes_the_case_anew_and_nothing_else(skill: Path) -> None:
    path = skill / "ground_truth.yaml"
    head = "# ours\ntest_cases:\n  - {id: first}  # one\n"
    tail = "\n# about the last\n  - id: last\ntrigger_prompts: {}  # none yet\n"
    path.write_text(head + tail, encoding="utf-8")
    append = ["expect", "orders", "--append", "--trace"]
    assert run([*append, str(GOOD), "--test-id", "kept"]) == 0
    text = path.read_text(encoding="utf-8")
    assert text.startswith(head + tail.partition("trigger")[0])
    assert text.endswith("none yet\n")
    edited = text.replace(
        "    metadata:\n", "    tags: [ours]\n    metadata:\n      category: edges\n"
    )
    path.write_text(edited.replace("max: 0", "max: 7"), encoding="utf-8")
    assert run([*append, str(GOOD), "--replace"]) == 0
    assert [case.id for case in cases(skill)] == ["first", "last", "kept"]
    case = cases(skill)[2]
    assert case.trace_expectations["tool_errors"] == {"max": 0}
    assert (case.tags, case.category) == (("ours",), "edges")
    # Another session for the same test.
    assert run([*append, str(recording("read-edit")), "--test-id", "kept"]) == 2
    assert run([*append, str(recording("read-edit")), "--test-id", "kept", "--replace"]) == 0
    assert [case.id for case in cases(skill)] == ["first", "last", "kept"]
    assert cases(skill)[2].session_id == recording("read-edit").stem
    passes(cases(skill)[2])
    assert path.read_text(encoding="utf-8").startswith(head)


def test_it_takes_the_place_of_the_example_that_init_wrote(skill: Path) -> None:
    assert run(["init", "orders", "--force"]) == 0
    head = (skill / "ground_truth.yaml").read_text(encoding="utf-8").splitlines()[:3]
    assert run(["expect", "orders", "--append", "--trace", str(GOOD)]) == 0
    text = (skill / "ground_truth.yaml").read_text(encoding="utf-8")
    assert text.splitlines()[:3] == head
    assert "Describe here" not in text
    assert "tr-…" not in text
    (case,) = cases(skill)
    passes(case)


def test_what_fails_with_the_manifest_is_said(
    skill: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (skill / "manifest.yaml").write_text(
        "skill: {name: orders}\ntrace_expectations:\n  banned_tools: [Write]\n",
        encoding="utf-8",
    )
    assert run(["expect", "orders", "--append", "--trace", str(GOOD)]) == 0
    said = capsys.readouterr()
    assert "with what the manifest expects, banned_tools: fail: " in said.err
    assert "next: skilltrace-mlflow mlflow-eval orders" in said.err
    assert [case["id"] for case in yaml.safe_load(said.out)["test_cases"]] == ["recorded_001"]


@pytest.mark.parametrize("redact", [(), ("--redact",)])
def test_two_sessions_of_one_name_are_kept_apart(
    redact: tuple[str, ...], skill: Path, tmp_path: Path
) -> None:
    for number, source in enumerate((GOOD, recording("read-edit"), recording("todo"))):
        (folder := tmp_path / str(number)).mkdir()
        shutil.copy(source, folder / "session.jsonl")
        session = str(folder / "session.jsonl")
        assert run(["expect", "orders", "--append", "--trace", session, *redact]) == 0
    found = cases(skill)
    assert [case.id for case in found] == ["recorded_001", "recorded_002", "recorded_003"]
    assert len({case.trace_ref for case in found}) == 3
    for case in found:
        passes(case)


def test_a_session_that_lies_in_the_skill_is_not_copied(skill: Path) -> None:
    (skill / "traces").mkdir()
    shutil.copy(GOOD, skill / "traces" / "mine.jsonl")
    assert (
        run(["expect", "orders", "--append", "--trace", str(skill / "traces" / "mine.jsonl")]) == 0
    )
    assert [name for name in files(skill) if name.startswith("traces/")] == ["traces/mine.jsonl"]
    passes(cases(skill)[0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--append", "--trace", "{good}"], "to which skill"),
        (["orders", "--trace", "{good}"], "--append"),
        (["--redact", "--trace", "{good}"], "--append"),
        (["--replace", "--trace", "{good}"], "--append"),
        (["nowhere", "--append", "--trace", "{good}"], "nowhere"),
        (["orders", "other", "--append", "--trace", "{good}"], "several skills"),
        (["orders", "--append", "--trace", "missing.jsonl"], "missing.jsonl"),
        (["orders", "--append"], "Name a trace"),
        (["orders", "--append", "--latest"], "no Claude Code session"),
        (["orders", "--append", "--trace", "{good}", "--output", "x.yaml"], "--output"),
        (["orders", "--append", "--trace", "{plain}"], "no tool call"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(
    arguments: list[str], says: str, skill: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(skill)
    given = [text.format(good=GOOD, plain=recording("plain")) for text in arguments]
    assert run(["expect", *given]) in (2, 3)
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.lower().startswith("error: ")]
    assert says in line
    assert captured.out == ""
    assert files(skill) == before


@pytest.mark.parametrize(
    "text", ["test_cases: [\n", "test_cases: 3\n", "test_cases:\n  - id: x\n    expectatons: {}\n"]
)
def test_a_broken_ground_truth_is_left_alone(
    text: str, skill: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (skill / "ground_truth.yaml").write_text(text, encoding="utf-8")
    before = files(skill)
    assert run(["expect", "orders", "--append", "--trace", str(GOOD)]) == 2
    assert "ground_truth.yaml" in capsys.readouterr().err
    assert files(skill) == before


def test_a_failure_halfway_takes_the_copy_back(
    skill: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (skill / "ground_truth.yaml").mkdir()  # a folder of that name cannot be written
    before = sorted(skill.rglob("*"))
    assert run(["expect", "orders", "--append", "--trace", str(recording("subagent"))]) != 0
    assert "ground_truth.yaml" in capsys.readouterr().err
    assert sorted(skill.rglob("*")) == before
