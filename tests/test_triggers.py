"""How often a skill was offered and loaded; recall and precision of picking it up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.checks import run_check
from skilltrace_mlflow.cli._app import run as cli
from skilltrace_mlflow.confusion import confusion_of
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import load_ground_truth, load_manifest
from skilltrace_mlflow.gates import judge_gates
from skilltrace_mlflow.results import TestResult
from skilltrace_mlflow.session import SkillUse
from skilltrace_mlflow.sources.offered import offered_skills
from skilltrace_mlflow.triggers import count_triggers
from tests.builders import make_session

RECORDINGS = Path(__file__).parent / "data" / "recordings"


def transcript(
    path: Path, *, listing: dict[str, Any] | None, skill: str | None = None, prompt: str = "Go"
) -> Path:
    lines: list[dict[str, Any]] = [{"type": "user", "message": {"role": "user", "content": prompt}}]
    if listing is not None:
        attachment = {"type": "skill_listing", **listing}
        lines.append({"type": "attachment", "attachment": attachment})
    if skill is not None:
        use = {"type": "tool_use", "id": "t1", "name": "Skill", "input": {"skill": skill}}
        message = {"id": "m1", "role": "assistant", "content": [use], "stop_reason": "tool_use"}
        lines.append({"type": "assistant", "message": message})
        block = {"type": "tool_result", "tool_use_id": "t1", "content": f"Launching skill: {skill}"}
        lines.append(
            {
                "type": "user",
                "message": {"role": "user", "content": [block]},
                "toolUseResult": {"success": True, "commandName": skill},
            }
        )
    text = "".join(json.dumps({"sessionId": path.stem, **line}) + "\n" for line in lines)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("listing", "offered"),
    [
        ({"names": ["a", "p:b"], "skillCount": 2, "content": "…"}, {"a", "p:b"}),
        ({"content": "- a: does a\n- p:b: does b", "skillCount": 2}, {"a", "p:b"}),
        ({"content": "- a: does a\n  - not one: of them", "skillCount": 1}, {"a"}),
        ({"content": "- a: does a", "skillCount": 2}, None),
        ({"content": "[trimmed]", "skillCount": 0, "names": []}, set()),
        ({"content": "[trimmed]", "skillCount": 3, "names": []}, None),
        (None, None),
    ],
)
def test_what_was_offered(tmp_path: Path, listing: Any, offered: set[str] | None) -> None:
    assert offered_skills(transcript(tmp_path / "s.jsonl", listing=listing)) == offered


def test_rates_count_sessions_that_are_known(tmp_path: Path) -> None:
    listing = {"names": ["p:a", "b"], "skillCount": 2}
    transcript(tmp_path / "1.jsonl", listing=listing, skill="a")
    transcript(tmp_path / "2.jsonl", listing=listing, skill="p:a")
    transcript(tmp_path / "3.jsonl", listing=listing)
    transcript(tmp_path / "4.jsonl", listing=None, skill="p:a")
    found = count_triggers([tmp_path])
    first, second = found.skills
    assert (first.skill, first.offered, first.loaded, first.by["tool"]) == ("p:a", 3, 2, 2)
    assert first.rate == pytest.approx(2 / 3)
    assert (first.loaded_otherwise, first.not_known) == (1, 1)
    assert (second.skill, second.offered, second.loaded) == ("b", 3, 0)
    assert second.interval[0] == 0.0
    assert second.interval[1] > 0.5
    assert [item.skill for item in count_triggers([tmp_path], only=["a"]).skills] == ["p:a"]


def test_ways_are_told_apart_on_recordings() -> None:
    by = {item.skill: item.by for item in count_triggers([RECORDINGS / "slash-skill"]).skills}
    assert by["naming"]["slash"] == 1
    assert by["row-count"]["forked"] == 1
    by = {item.skill: item.by for item in count_triggers([RECORDINGS / "skills"]).skills}
    assert by["naming"] == {"tool": 1, "slash": 0, "nested": 0, "read": 0, "forked": 0}
    assert by["release"]["tool"] == 0, "a refused one was not loaded"


@pytest.mark.parametrize("form", ["table", "json", "markdown"])
def test_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    listing = {"names": ["a"], "skillCount": 1}
    path = transcript(tmp_path / "s.jsonl", listing=listing, skill="a")
    assert cli(["triggers", str(path), "--format", form]) == 0
    out = capsys.readouterr().out
    if form == "json":
        (item,) = json.loads(out)
        assert item["by"]["tool"] == item["offered"] == item["loaded"] == 1
        assert {"rate", "low", "high", "not_known"} <= item.keys()
    else:
        assert "1.000" in out


def skill_folder(tmp_path: Path, text: str, gates: str = "") -> Path:
    folder = tmp_path / "naming"
    folder.mkdir()
    (folder / "manifest.yaml").write_text(f"skill: {{name: naming}}\n{gates}")
    (folder / "ground_truth.yaml").write_text(text)
    return folder


def test_two_lists_are_many_cases(tmp_path: Path) -> None:
    text = (
        "trigger_prompts:\n  should: [Name it, Name that]\n  should_not:\n    - Count it\n"
        "test_cases:\n  - id: x\n    expectations: {should_trigger: true}\n"
    )
    cases = load_ground_truth(load_manifest(skill_folder(tmp_path, text)))
    assert [(c.id, c.prompt) for c in cases] == [
        ("x", None),
        ("should_001", "Name it"),
        ("should_002", "Name that"),
        ("should_not_001", "Count it"),
    ]
    values = [c.trace_expectations["should_trigger"] for c in cases]
    assert [v["expected"] for v in values] == [True, True, True, False]
    assert {v["skill"] for v in values} == {"naming"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("trigger_prompts: {should: [' ']}\n", "trigger_prompts"),
        ("trigger_prompts: {shoud: [x]}\n", "shoud"),
        ("test_cases:\n  - {id: x, expectations: {should_trigger: maybe}}\n", "should_trigger"),
        ("trigger_prompts: {should: [x]}\ntest_cases: [{id: should_001}]\n", "should_001"),
    ],
)
def test_slips_are_named(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(ConfigurationError, match=place):
        load_ground_truth(load_manifest(skill_folder(tmp_path, text)))


def judged(test: str, status: Any, expected: bool) -> TestResult:
    from skilltrace_mlflow.checks import all_checks

    spec = all_checks()["should_trigger"]
    uses = () if status is None else (SkillUse(name="p:naming", status=status),)
    session = make_session(skills=(SkillUse(name="other", status="loaded"), *uses))
    value = {"skill": "naming", "expected": expected}
    outcome = run_check(spec, session, spec.parse(value))
    return TestResult(test_id=test, skill="naming", outcomes=(outcome,))


def test_recall_and_precision() -> None:
    results = [
        judged("1", "loaded", True),
        judged("2", "loaded", True),
        judged("3", None, True),
        judged("4", "read", False),
        judged("5", None, False),
    ]
    confusion = confusion_of(results)
    assert (confusion.hits, confusion.misses, confusion.wrong, confusion.left_alone) == (2, 1, 1, 1)
    assert confusion.recall == confusion.precision == pytest.approx(2 / 3)
    gates = {"trigger_recall": 0.6, "trigger_precision": 0.7, "pass_rate": 0.6}
    passed = [(gate.name, gate.got, gate.passed) for gate in judge_gates(gates, results)]
    assert passed == [
        ("trigger_recall", pytest.approx(2 / 3), True),
        ("trigger_precision", pytest.approx(2 / 3), False),
        ("pass_rate", 0.6, True),
    ]
    lost = [*results, judged("6", "attempted", True)]
    (gate,) = judge_gates({"trigger_recall": 0.1}, lost)
    assert not gate.passed
    assert "not evaluated on 1" in gate.reason
