"""Every violation and every miss names the call it speaks of, wherever it is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from skilltrace_mlflow.checks import Outcome, Verdict, get_check, run_check
from skilltrace_mlflow.report import to_html, to_json, to_junit, to_markdown
from skilltrace_mlflow.report._words import what_happened
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.session import FileOperation, Session, SkillUse, SubAgent
from tests.builders import make_call, make_session

START = datetime(2026, 3, 1, 10, 0, 0, tzinfo=timezone.utc)


def recorded() -> Session:
    """Calls with numbers 1 to 9, each on its own line and second; the last two a sub-agent's."""
    calls = [
        make_call("Read", {"file_path": "/w/a"}),
        make_call("Bash", {"command": "ls"}),
        make_call("Bash", {"command": "rm -rf build"}),
        make_call("Bash", {"command": "ls missing"}, outcome="failed"),
        make_call("Skill", {"skill": "deploy"}),
        make_call("Write", {"file_path": "/w/secret.env", "content": "x"}),
        make_call("Task", {"subagent_type": "Explore"}),
        make_call("Bash", {"command": "git push"}, agent="a1", outcome="denied"),
        make_call("Bash", {"command": 'eval "$X"'}, agent="a1"),
    ]
    calls = [
        replace(call, id=f"c{n}", line=10 * n, timestamp=START + timedelta(seconds=n), position=n)
        for n, call in enumerate(calls, start=1)
    ]
    return make_session(
        calls,
        cwd="/w",
        skills=(SkillUse(name="deploy", status="loaded", call_id="c5"),),
        files=(FileOperation(type="create", file_path="/w/secret.env", call_id="c6"),),
        subagents=(SubAgent(id="a1", type="Explore", parent_call_id="c7"),),
    )


def judge(check: str, value: Any, session: Session | None = None, scope: Any = "all") -> Outcome:
    spec = get_check(check)
    return run_check(spec, session or recorded(), spec.parse(value), scope=scope)


FAILURES = [
    ("banned_tools", ["rm -rf"], [3]),
    ("banned_tools", ["Bash"], [2, 3, 4, 8, 9]),
    ("banned_tools", ["Bash(git push:*)"], [8]),
    ("banned_skills", ["deploy"], [5]),
    ("should_trigger", {"skill": "deploy", "expected": False}, [5]),
    ("tool_count", {"Bash": 3}, [8, 9]),
    ("tool_count", {"Read": 0}, [1]),
    ("category_limits", {"bash": 4}, [9]),
    ("tool_errors", {"max": 0}, [4]),
    ("tool_errors", {"max_unrecovered": 0}, [4]),
    ("permission_denials", {"max": 0}, [8]),
    ("file_scope", {"forbidden": ["*.env"]}, [6]),
    ("file_scope", {"allowed": ["src/**", "build"]}, [6]),
    ("subagents", {"banned": ["Explore"]}, [7]),
    ("subagents", {"max": 0}, [7]),
    ("permissions", {"deny": ["Bash(rm:*)"]}, [3]),
    ("tool_sequence", ["Write", "Read"], [6]),
    (
        "tool_trajectory",
        {"mode": "any_order", "expected": [{"tool": "Read", "input": {"file_path": "/w/b"}}]},
        [1],
    ),
]


@pytest.mark.parametrize(("check", "value", "numbers"), FAILURES)
def test_a_failure_names_its_calls(check: str, value: Any, numbers: list[int]) -> None:
    outcome = judge(check, value)
    assert outcome.verdict is Verdict.FAIL, outcome
    assert sorted({ref.number for ref in outcome.calls}) == numbers
    for ref in outcome.calls:
        assert ref.miss in outcome.misses
        assert ref.line == 10 * ref.number
        assert ref.time == START + timedelta(seconds=ref.number)
        assert ref.agent == ("a1" if ref.number >= 8 else "main")


def test_a_place_reads_as_number_line_time_and_agent() -> None:
    assert judge("banned_tools", ["rm -rf"]).explanation == (
        "call 3 (line 30, 10:00:03, main agent): rm -rf: `rm -rf build`"
    )
    told = judge("permission_denials", {"max": 0}).explanation
    assert told.startswith("call 8 (line 80, 10:00:08, sub-agent a1): denied: 1 > 0")
    many = judge("banned_tools", ["Bash"]).explanation
    assert many.startswith(
        "calls 2, 3, 4, 8 and 9 (lines 20, 30, 40, 80 and 90, from 10:00:02, "
        "main agent, sub-agent a1): Bash: "
    )


def test_two_calls_are_told_as_several() -> None:
    told = judge("tool_count", {"Bash": 0}, scope="subagents").explanation
    assert told.startswith("calls 8 and 9 (lines 80 and 90, from 10:00:08, sub-agent a1): ")


def test_what_is_not_recorded_is_not_made_up() -> None:
    bare = make_session([make_call("Bash", {"command": "rm -rf x"})])
    assert judge("banned_tools", ["rm -rf"], bare).explanation.startswith(
        "call 1 (18:47:29, main agent): "
    )


def test_the_number_is_that_in_the_session_whatever_the_scope() -> None:
    outcome = judge("tool_count", {"Bash": 0}, scope="subagents")
    assert [ref.number for ref in outcome.calls] == [8, 9]
    # and again after the part was looked at, in the other order
    assert [ref.number for ref in judge("banned_tools", ["rm -rf"], scope="main").calls] == [3]


def test_what_cannot_be_told_names_its_call_too() -> None:
    outcome = judge("banned_tools", ["chmod 777"])
    assert outcome.verdict is Verdict.UNKNOWN
    assert [ref.number for ref in outcome.calls] == [9]
    assert outcome.explanation.startswith("call 9 (line 90, ")


def test_a_pass_and_a_tool_that_was_never_called_name_none() -> None:
    assert judge("required_tools", ["Read"]).calls == ()
    missed = judge("required_tools", ["WebSearch"])
    assert missed.verdict is Verdict.FAIL
    assert missed.calls == ()
    assert missed.explanation == missed.rationale


def test_the_place_says_nothing_about_equality() -> None:
    outcome = judge("banned_tools", ["rm -rf"])
    assert replace(outcome, calls=()) == outcome


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    outcomes = (judge("banned_tools", ["rm -rf"]), judge("tool_count", {"Bash": 4}))
    result = TestResult(test_id="t", skill="s", outcomes=outcomes, session=recorded())
    return Evaluation(skill="s", results=(result,))


def test_every_format_says_it(evaluation: Evaluation) -> None:
    said = "call 3 (line 30, 10:00:03, main agent)"
    assert what_happened(evaluation.results[0].outcomes[0]).startswith(said)
    assert f'message="{said}: ' in to_junit(evaluation)
    assert f"[{said}]" in to_junit(evaluation)
    assert said in to_markdown(evaluation).replace("\\", "")
    checks = json.loads(to_json(evaluation))["results"][0]["checks"]
    assert checks[0]["calls"] == [
        {
            "number": 3,
            "line": 30,
            "time": "2026-03-01T10:00:03+00:00",
            "agent": "main",
            "tool": "Bash",
            "id": "c3",
            "miss": "rm -rf: `rm -rf build`",
        }
    ]
    assert [ref["agent"] for ref in checks[1]["calls"]] == ["a1"]


def test_the_report_marks_and_anchors_the_call(evaluation: Evaluation) -> None:
    page = to_html(evaluation)
    assert 'href="#t0n3"' in page
    marked = page[page.index('class="call marked" id="t0n3"') :][:1000]
    assert "banned_tools" in marked.partition('id="t0n4"')[0]
    assert 'class="call marked" id="t0n2"' not in page


def test_the_feedback_stands_on_the_span_of_the_call() -> None:
    from mlflow.entities import Feedback

    from skilltrace_mlflow.feedback import outcome_to_feedback

    outcome = judge("banned_tools", ["rm -rf"])
    feedback = outcome_to_feedback(outcome, span_id="abc")
    assert isinstance(feedback, Feedback)
    feedback.span_id = "the root's, as MLflow would have it"
    assert feedback.span_id == "abc"
    assert (feedback.rationale or "").startswith("call 3 (line 30, ")
    assert Feedback.from_dictionary(feedback.to_dictionary()).span_id == "abc"
