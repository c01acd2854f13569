"""Proposed expectations hold on their own trace and fail on a mutant of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from skilltrace_mlflow.checks import Verdict, run_check
from skilltrace_mlflow.errors import EvaluationError
from skilltrace_mlflow.expectations import load_ground_truth, parse_expectations
from skilltrace_mlflow.proposals import propose, to_yaml
from skilltrace_mlflow.proposals._mutations import FORBIDDEN_COMMAND, MUTATIONS, mutants
from skilltrace_mlflow.proposals._propose import file_pattern, lasting_input
from skilltrace_mlflow.session import Ending, FileOperation, Session, SkillUse, TokenUsage
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.builders import make_call, make_session

RECORDINGS = Path(__file__).parent / "data" / "recordings"
LEARNABLE = ("demo-good", "demo-edit", "demo-subagent", "read-edit", "skills", "mcp", "notebook")


def session(*, extra: str | None = None, order: tuple[str, ...] = ("Read", "Write")) -> Session:
    calls = [
        make_call("Skill", {"skill": "bronze"}, id="s"),
        *(make_call(name, {"file_path": f"/w/src/{name}.py"}, id=name) for name in order),
    ]
    if extra is not None:
        calls.append(make_call(extra, id="extra"))
    return make_session(
        calls,
        cwd="/w",
        usage=TokenUsage(input_tokens=1000, output_tokens=100),
        files=(FileOperation(type="create", file_path="/w/src/Write.py", call_id="Write"),),
        skills=(SkillUse(name="bronze", status="loaded", call_id="s"),),
        ending=Ending(kind="finished"),
    )


def recording(name: str) -> Session:
    (path,) = (p for p in (RECORDINGS / name).glob("*.jsonl"))
    return parse_transcript(path)


@pytest.mark.parametrize("name", LEARNABLE)
def test_what_is_proposed_from_a_recording_holds_on_it_and_catches_something(
    name: str, tmp_path: Path
) -> None:
    recorded = recording(name)
    proposal = propose([recorded])
    assert proposal.expectations
    for key, row in proposal.killed.items():
        assert any(count for count, _ in row.values()), key
    path = tmp_path / "ground_truth.yaml"
    path.write_text(to_yaml(proposal, test_id="t", prompt=recorded.prompts[0]), encoding="utf-8")
    (case,) = load_ground_truth(path)
    assert case.prompt == recorded.prompts[0]
    assert {item.spec.key for item in case.expectations} == set(proposal.expectations)
    for item in case.expectations:
        outcome = run_check(item.spec, recorded, item.parameters, scope=item.scope)
        assert outcome.verdict is Verdict.PASS, (item.spec.name, outcome.rationale)


def test_each_mutation_is_caught_by_something() -> None:
    proposal = propose([session()])
    for name in MUTATIONS:
        assert any(row[name][0] for row in proposal.killed.values()), name


def test_what_is_proposed_is_what_was_done() -> None:
    expected = propose([session()]).expectations
    assert expected["completion"] == "required"
    assert expected["required_tools"] == ["Read", "Skill", "Write"]
    assert expected["required_skills"] == ["bronze"]
    assert expected["expected_files"] == ["src/Write.py"]
    assert expected["banned_tools"] == ["rm -rf", "DROP DATABASE"]
    assert expected["tool_limits"] == {"Read": 2, "Skill": 2, "Write": 2}
    assert expected["token_budget"]["max_total"] == 1700
    assert [step["tool"] for step in expected["tool_trajectory"]["expected"]] == [
        "Skill",
        "Read",
        "Write",
    ]


def test_several_traces_give_what_they_have_in_common() -> None:
    expected = propose([session(extra="Bash"), session(extra="Glob")]).expectations
    assert expected["required_tools"] == ["Read", "Skill", "Write"]
    tools = [step["tool"] for step in expected["tool_trajectory"]["expected"]]
    assert tools == ["Skill", "Read", "Write"]
    assert set(expected["tool_limits"]) == {"Bash", "Glob", "Read", "Skill", "Write"}


def test_traces_in_different_orders_share_a_subsequence() -> None:
    sessions = [session(order=("Read", "Write")), session(order=("Write", "Read"))]
    steps = propose(sessions).expectations["tool_trajectory"]["expected"]
    assert len(steps) == 2
    assert steps[0]["tool"] == "Skill"


def test_a_ban_that_the_trace_breaks_is_not_proposed() -> None:
    broken = make_session([make_call("Bash", {"command": "rm -rf build"}), make_call("Read")])
    assert "rm -rf" not in propose([broken]).expectations.get("banned_tools", [])


def test_incomplete_usage_gives_no_budget() -> None:
    from dataclasses import replace

    proposal = propose([replace(session(), usage_complete=False)])
    assert "token_budget" not in proposal.expectations
    assert "token_budget" in proposal.dropped


def test_a_name_that_no_expectation_can_spell_is_left_out() -> None:
    odd = session(extra="<b>Bash</b>")
    proposal = propose([odd])
    assert proposal.expectations["required_tools"] == ["Read", "Skill", "Write"]
    assert "<b>Bash</b>" not in proposal.expectations["tool_limits"]
    assert proposal.expectations == propose([session()]).expectations


def test_a_trace_without_a_call_teaches_nothing() -> None:
    with pytest.raises(EvaluationError, match="no tool call"):
        propose([make_session()])


def test_mutants_differ_from_their_original_and_are_the_same_each_time() -> None:
    original = session()
    first, second = mutants(original), mutants(original)
    for name, found in first.items():
        assert found, name
        assert all(mutant != original for mutant in found), name
        assert found == second[name]


def test_a_dropped_or_failed_call_leaves_no_file_and_no_skill() -> None:
    for name in ("drop a call", "fail a call"):
        found = mutants(session())[name]
        assert any(not mutant.files for mutant in found)
        assert any(not mutant.skills for mutant in found)


def test_the_forbidden_command_is_one_that_the_bans_know() -> None:
    (ban,) = parse_expectations({"banned_tools": ["rm -rf"]})
    call = make_call("Bash", {"command": FORBIDDEN_COMMAND})
    assert run_check(ban.spec, make_session([call]), ban.parameters).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/w/src/a.py", "src/a.py"),
        ("/w/out/2026-02-13T16:13:55/report.md", "out/*/report.md"),
        ("/w/runs/1707840835/log.txt", "runs/*/log.txt"),
        ("/w/3f2504e0-4f89-11d3-9a0c-0305e82c3301.json", "*.json"),
        ("/w/cache/9f86d081884c7d65.bin", "cache/*.bin"),
        ("/w/a[1].py", "a[[]1].py"),
        ("/elsewhere/b.sql", "b.sql"),
        ("rel/c.sql", "rel/c.sql"),
        ("./d.sql", "d.sql"),
        ("C:\\w\\e.py", "e.py"),
        ("/tmp/scratch.py", None),
        ("/w/v1/bronze_2.py", "v1/bronze_2.py"),
    ],
)
def test_paths_lose_what_changes_from_run_to_run(path: str, pattern: str | None) -> None:
    assert file_pattern(path, "/w") == pattern


def test_inputs_keep_what_a_call_was_about() -> None:
    arguments = {"file_path": "/w/a.py", "content": "x" * 1000, "timeout": 5}
    assert lasting_input(arguments, "/w") == {"file_path": {"$glob": "*a.py"}}
    assert lasting_input({"skill": "bronze", "args": "now"}, "/w") == {"skill": "bronze"}
    assert lasting_input({"command": "ls"}, "/w") == {}
    assert lasting_input(None, "/w") == {}


def test_the_yaml_says_what_each_expectation_catches() -> None:
    proposal = propose([session()])
    text = to_yaml(proposal, test_id="a: b", prompt="yes\nno", trace_ref="t.jsonl")
    assert "# catches: double the tokens\n      token_budget:" in text
    (case,) = yaml.safe_load(text)["test_cases"]
    assert case["id"] == "a: b"
    assert case["inputs"]["prompt"] == "yes\nno"
    assert case["outputs"] == {"trace_ref": "t.jsonl"}
