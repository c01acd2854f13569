"""Whatever form evidence is handed over in, every check says of it what it says of the session.

A form that lacks a kind of evidence may answer `unknown` where the session has a verdict; nothing
may pass or fail for the form alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.checks import Outcome, Verdict, all_checks, run_check
from skilltrace_mlflow.expectations import Expectation, parse_expectations
from skilltrace_mlflow.scorers._evidence import as_session
from skilltrace_mlflow.session import (
    Ending,
    FileOperation,
    Message,
    ModelStep,
    Session,
    SkillUse,
    SubAgent,
    TokenUsage,
    ToolCall,
)
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.builders import START
from tests.sources.forms import FIGURES, FORMS

RECORDINGS = Path(__file__).parent.parent / "data" / "recordings"
SCOPED = ("all", "main", "subagents")

# Beside the checks' own examples: one value that this session keeps, one that it breaks.
_MORE: Mapping[str, tuple[Any, ...]] = {
    "banned_skills": (["deploy"], ["review"]),
    "banned_tools": (["rm -rf", "WebFetch"], ["Bash(git push:*)"], ["Write"], ["mcp__*"]),
    "category_limits": ({"bash": 9}, {"bash": 1}),
    "cost_budget": ({"max_usd": 100.0}, {"max_usd": 0.000001}),
    "duration": ({"max_seconds": 999}, {"max_seconds": 1}),
    "expected_files": (["*.sql"], ["*.py"]),
    "expected_messages": (),
    "file_scope": ({"allowed": ["**"]}, {"forbidden": ["/shop/**"]}),
    "permission_denials": ({"max": 9}, {"max": 0}),
    "permissions": ({"allow": ["Bash", "Read", "Write", "Agent", "Skill"]}, {"deny": ["Read"]}),
    "repeated_calls": ({"max_identical": 9}, {"max_identical": 1}, {"max_total": 1}),
    "required_commands": (["git status"], ["make test"]),
    "should_trigger": (
        {"skill": "review", "expected": True},
        {"skill": "review", "expected": False},
    ),
    "required_skills": (["review"], ["deploy"]),
    "required_tools": (["Read", "Write"], ["WebFetch"]),
    "subagents": ({"max": 1}, {"max": 0}, {"banned": ["Plan"]}, {"required": ["Explore"]}),
    "token_budget": (
        {"max_input": 30},
        {"max_input": 2000},
        {"max_total": 10**6},
        {"max_output": 1},
        {"max_cache_read": 10**6},
    ),
    "tool_errors": ({"max": 9}, {"max": 0}),
    "tool_limits": ({"Bash": 9, "*": 99}, {"Read": 0}),
    "tool_sequence": (["Read", "Write"], ["Write", "Read"]),
    "tool_trajectory": (
        {"mode": "in_order", "expected": [{"tool": "Read"}, {"tool": "Write"}]},
        {"mode": "in_order", "expected": [{"tool": "Bash", "input": {"command": "git status"}}]},
    ),
    "turn_limit": ({"max_turns": 99}, {"max_turns": 1}, {"max_user_messages": 0}),
}


def _session() -> Session:
    """A session of two prompts with a sub-agent, a skill, files, an error and a refusal."""
    place = iter(range(100))

    def at() -> Any:
        return START + timedelta(seconds=next(moment))

    moment = iter(range(100))
    records: list[Any] = []

    def step(id_: str, agent: str = "main", **fields: Any) -> None:
        usage = TokenUsage(
            input_tokens=5,
            output_tokens=40,
            cache_read_input_tokens=1000,
            cache_creation_input_tokens=300,
            cache_creation_1h_input_tokens=100,
        )
        records.append(
            ModelStep(
                id=id_,
                model="claude-sonnet-4-5",
                agent=agent,
                usage=usage,
                timestamp=at(),
                position=next(place),
                stop_reason="tool_use",
                **fields,
            )
        )

    def call(id_: str, name: str, given: dict[str, Any], agent: str = "main", **more: Any) -> None:
        values: dict[str, Any] = {"outcome": "succeeded", "load_result": "done", **more}
        records.append(
            ToolCall(
                id=id_,
                name=name,
                input=given,
                agent=agent,
                timestamp=at(),
                end_timestamp=at(),
                position=next(place),
                **values,
            )
        )

    def said(role: Any, text: str) -> None:
        records.append(Message(role=role, text=text, timestamp=at(), position=next(place)))

    said("user", "Review the orders.")
    step("m1")
    call("t1", "Skill", {"skill": "review"})
    call("t2", "Read", {"file_path": "/shop/a.sql"})
    step("m2")
    call("t3", "Agent", {"subagent_type": "Explore", "prompt": "look"})
    step("m3", "a1")
    call("t4", "Bash", {"command": "git status"}, "a1")
    said("user", "Now write it.")
    step("m4", speed="fast", web_search_requests=1)
    call("t5", "Bash", {"command": "false"}, outcome="failed", outcome_reason="Exit code 1")
    call("t6", "Bash", {"command": "git push"}, outcome="denied", outcome_reason="permission rule")
    call("t7", "Write", {"file_path": "/shop/b.sql", "content": "SELECT 1"})
    step("m5")
    said("assistant", "Done.")
    return Session(
        session_id="0f8fad5b-d9cb-469f-a165-70867728950e",
        steps=tuple(r for r in records if isinstance(r, ModelStep)),
        tool_calls=tuple(r for r in records if isinstance(r, ToolCall)),
        messages=tuple(r for r in records if isinstance(r, Message)),
        files=(
            FileOperation(type="read", file_path="/shop/a.sql", call_id="t2"),
            FileOperation(type="create", file_path="/shop/b.sql", content="SELECT 1", call_id="t7"),
        ),
        subagents=(SubAgent(id="a1", type="Explore", prompt="look", parent_call_id="t3"),),
        skills=(SkillUse(name="review", status="loaded", call_id="t1"),),
        start_time=START,
        end_time=START + timedelta(seconds=40),
        cwd="/shop",
        ending=Ending(kind="finished"),
        stop_reason="end_turn",
    )


def _changed(session: Session, **fields: Any) -> Session:
    return dataclasses.replace(session, cache={}, **fields)


def _with_call(session: Session, id_: str, **changes: Any) -> Session:
    calls = tuple(
        dataclasses.replace(call, **changes) if call.id == id_ else call
        for call in session.tool_calls
    )
    return _changed(session, tool_calls=calls)


def _with_step(session: Session, number: int, **changes: Any) -> Session:
    steps = list(session.steps)
    steps[number] = dataclasses.replace(steps[number], **changes)
    return _changed(session, steps=tuple(steps))


def _sessions() -> Iterator[tuple[str, Session]]:
    whole, replace = _session(), _changed
    yield "whole", whole
    yield (
        "incomplete",
        replace(
            whole,
            incomplete=("line 12 is not JSON",),
            usage_complete=False,
            usage_notes=("line 12 is not JSON",),
        ),
    )
    yield (
        "a step with a lower bound",
        replace(
            _with_step(whole, 2, usage_complete=False),
            usage_complete=False,
            usage_notes=("1 of 5 API responses record only a lower bound of their tokens",),
        ),
    )
    yield (
        "usage that can be read in two ways",
        replace(
            _with_step(
                whole,
                0,
                usage_complete=False,
                usage_most=TokenUsage(input_tokens=1305, output_tokens=40),
            ),
            usage_complete=False,
            usage_notes=("1 of 5 API responses record only a lower bound of their tokens",),
        ),
    )
    yield (
        "usage lost apart",
        replace(whole, usage_complete=False, usage_notes=("a file is missing",)),
    )
    gap = "the transcript of sub-agent a1 is missing"
    yield (
        "a sub-agent's transcript missing",
        replace(
            whole,
            steps=tuple(s for s in whole.steps if s.agent == "main"),
            tool_calls=tuple(c for c in whole.tool_calls if c.agent == "main"),
            incomplete=(gap,),
            usage_complete=False,
            usage_notes=(gap,),
        ),
    )
    yield (
        "a sub-agent known by its call only",
        replace(_with_call(whole, "t3", outcome="unknown"), subagents=(), skills=(), files=()),
    )
    yield (
        "an agent that was warmed up",
        replace(
            whole, subagents=(*whole.subagents, SubAgent(id="w", type="Plan", status="warm-up"))
        ),
    )
    yield (
        "cut off",
        replace(
            whole,
            ending=Ending(kind="cut_off", text="API Error: 529 Overloaded"),
            api_errors=("API Error: 529 Overloaded",),
        ),
    )
    yield "a limit of turns", replace(whole, ending=Ending(kind="turn_limit", text="max turns"))
    yield "an end that is not known", replace(whole, ending=Ending())
    yield (
        "no response of a model",
        Session(
            session_id="0f8fad5b-d9cb-469f-a165-70867728950e",
            messages=whole.messages[:1],
            start_time=START,
            end_time=START,
            api_errors=("Invalid API key · Please run /login",),
            ending=Ending(kind="cut_off", text="Invalid API key · Please run /login"),
        ),
    )
    yield "nothing at all", Session(session_id="empty", start_time=START, end_time=START)
    yield "a cost that is recorded", replace(whole, cost_usd=0.25)
    yield (
        "a recorded cost and usage lost",
        replace(whole, cost_usd=0.25, usage_complete=False, usage_notes=("lost",)),
    )
    yield "a model without a price", _with_step(whole, 1, model="somebody-else")
    yield "arguments cut short", _with_call(whole, "t4", input_truncated=True)
    yield "arguments not recorded", _with_call(whole, "t4", input=None)
    yield (
        "a hook that rewrote",
        _with_call(whole, "t4", requested_input={"command": "git push --force"}),
    )
    yield (
        "a failure that may be a refusal",
        _with_call(whole, "t5", details={"maybe_refused": True}),
    )
    yield "a refusal that may have run", _with_call(whole, "t6", details={"maybe_ran": True})
    yield (
        "a skill read as a file",
        replace(whole, skills=(SkillUse(name="review", status="read", call_id="t2"),)),
    )
    yield (
        "no order, no outcomes",
        replace(whole, missing={"tool_order": "not kept", "tool_outcomes": "not kept"}),
    )
    yield (
        "no usage, no agents",
        replace(whole, missing={"usage": "not kept", "agents": "not kept", "turns": "not kept"}),
    )


SESSIONS = dict(_sessions())


def _expectations() -> Iterator[tuple[str, Expectation]]:
    for name, spec in all_checks().items():
        values = [example.value for example in spec.examples] + list(_MORE.get(spec.key, ()))
        for number, value in enumerate(values):
            (parsed,) = parse_expectations({spec.key: value})
            for scope in SCOPED if spec.scoped else ("all",):
                changed = dataclasses.replace(parsed, scope=scope)
                yield f"{name} {number} {scope}", changed


EXPECTATIONS = dict(_expectations())


def judged(session: Session | None) -> dict[str, Outcome]:
    return {
        name: run_check(item.spec, session, item.parameters, scope=item.scope)
        for name, item in EXPECTATIONS.items()
    }


@pytest.fixture(scope="module")
def verdicts() -> dict[str, dict[str, Outcome]]:
    return {name: judged(session) for name, session in SESSIONS.items()}


def test_no_check_is_left_out() -> None:
    assert {spec.key for spec in all_checks().values()} - _MORE.keys() <= {"completion"}
    assert {name.split()[0] for name in EXPECTATIONS} == set(all_checks())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SESSIONS)
def test_a_whole_form_is_judged_like_the_session(
    name: str, form: str, verdicts: dict[str, dict[str, Outcome]]
) -> None:
    found = judged(as_session(FORMS[form](SESSIONS[name])))
    assert {key: (o.verdict, o.score) for key, o in found.items()} == {
        key: (o.verdict, o.score) for key, o in verdicts[name].items()
    }


@pytest.mark.parametrize("form", FIGURES)
@pytest.mark.parametrize("name", SESSIONS)
def test_figures_are_judged_like_the_session_or_not_at_all(
    name: str, form: str, verdicts: dict[str, dict[str, Outcome]]
) -> None:
    found = judged(as_session(FIGURES[form](SESSIONS[name])))
    wrong = {
        key: (str(outcome.verdict), str(expected.verdict), outcome.rationale)
        for key, expected in verdicts[name].items()
        if (outcome := found[key]).verdict not in (expected.verdict, Verdict.UNKNOWN)
    }
    assert wrong == {}


@pytest.mark.parametrize("name", SESSIONS)
def test_figures_with_inputs_lack_nothing_but_results(
    name: str, verdicts: dict[str, dict[str, Outcome]]
) -> None:
    found = judged(as_session(FIGURES["figures with inputs"](SESSIONS[name])))
    lost = {
        key: (str(found[key].verdict), str(expected.verdict), found[key].rationale)
        for key, expected in verdicts[name].items()
        if found[key].verdict != expected.verdict and "result" not in found[key].rationale
    }
    assert lost == {}


@pytest.mark.parametrize(
    "path", find_sessions(RECORDINGS)[::4], ids=lambda path: f"{path.parent.name}-{path.stem[:4]}"
)
def test_figures_of_recordings_are_judged_like_their_sessions(path: Path) -> None:
    session = parse_transcript(path)
    expected = judged(session)
    found = judged(as_session(FIGURES["figures with inputs"](session)))
    assert {
        key: (str(outcome.verdict), str(expected[key].verdict), outcome.rationale)
        for key, outcome in found.items()
        if outcome.verdict != expected[key].verdict and "result" not in outcome.rationale
    } == {}
