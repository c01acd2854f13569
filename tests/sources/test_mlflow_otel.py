"""Claude Code's own OpenTelemetry spans, as it really exported them into MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.session import MAIN_AGENT, Session, TokenUsage
from skilltrace_mlflow.sources.mlflow.trace import is_claude_code_trace, session_from_trace
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

DATA = Path(__file__).parent.parent / "data"
TRACES = DATA / "traces" / "claude_code_otel"


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((TRACES / f"{name}.json").read_text(encoding="utf-8"))
    return document


def transcript(name: str) -> Session:
    (path,) = (DATA / "recordings" / name).glob("*.jsonl")
    return parse_transcript(path)


@pytest.mark.parametrize("kind", ["default", "detailed"])
@pytest.mark.parametrize("name", ["failing-bash", "subagent"])
def test_tokens_and_calls_are_those_of_the_transcript(kind: str, name: str) -> None:
    found, expected = session_from_trace(load(f"{kind}-{name}")), transcript(name)
    assert found.usage == expected.usage
    assert found.usage_complete
    assert found.turns == expected.turns
    assert found.stop_reason == expected.stop_reason
    assert found.session_id == expected.session_id
    assert found.version == expected.version
    assert [(c.id, c.name, c.outcome) for c in found.tool_calls] == [
        (c.id, c.name, c.outcome) for c in expected.tool_calls
    ]


def test_a_sub_agent_s_calls_are_its_own() -> None:
    session = session_from_trace(load("detailed-subagent"))
    (agent,) = session.subagents
    assert agent.type == "general-purpose"
    owners = [call.agent for call in session.tool_calls]
    expected = [call.agent == MAIN_AGENT for call in transcript("subagent").tool_calls]
    assert [owner == MAIN_AGENT for owner in owners] == expected
    assert set(owners) == {MAIN_AGENT, agent.id}
    assert not session.incomplete


def test_what_is_redacted_is_missing() -> None:
    session = session_from_trace(load("default-failing-bash"))
    assert {call.input for call in session.tool_calls} == {None}
    assert session.prompts == ()
    assert {"files", "messages", "skills", "tool_inputs", "tool_results"} <= set(session.missing)
    assert "OTEL_LOG_TOOL_DETAILS" in session.missing["tool_inputs"]


def test_details_are_a_part_of_the_arguments() -> None:
    session = session_from_trace(load("detailed-failing-bash"))
    bash = session.tool_calls[0]
    assert bash.input == {"command": "python3 check.py"}
    assert bash.input_truncated
    assert session.prompts == transcript("failing-bash").prompts
    assert [f.file_path for f in session.files if f.type == "edit"] == ["/home/dev/shop/orders.csv"]
    assert session.lacks("tool_inputs")


def test_durations_are_measured() -> None:
    durations = [c.duration_ms for c in session_from_trace(load("default-failing-bash")).tool_calls]
    assert all(duration is not None and duration > 0 for duration in durations)


def test_a_refused_permission_is_denied() -> None:
    session = session_from_trace(load("default-permission-denied"))
    outcomes = {call.id: call.outcome for call in session.tool_calls}
    for call in transcript("permission-denied").tool_calls:
        assert outcomes.get(call.id, call.outcome) == call.outcome
    assert "denied" in outcomes.values()


@pytest.mark.parametrize("path", sorted(TRACES.glob("*.json")), ids=lambda path: path.stem)
def test_an_export_without_its_root_is_incomplete(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    spans = document["data"]["spans"]
    document["data"]["spans"] = [s for s in spans if s["name"] != "claude_code.interaction"]
    document["info"]["state"] = "IN_PROGRESS"
    assert is_claude_code_trace(document)
    session = session_from_trace(document)
    assert session.incomplete
    assert not session.usage_complete
    assert session.lacks("messages")


@pytest.mark.parametrize("translated", [True, False])
def test_the_cache_is_told_apart_from_input(translated: bool) -> None:
    # MLflow's translation adds the cache to the input; Claude Code's own attribute leaves it out.
    document = load("default-failing-bash")
    spans = [s for s in document["data"]["spans"] if s["name"] == "claude_code.llm_request"]
    if translated:
        for span in spans:
            for name in ("input_tokens", "output_tokens", "cache_read_tokens"):
                del span["attributes"][name]
    else:
        for span in spans:
            del span["attributes"]["mlflow.chat.tokenUsage"]
    assert session_from_trace(document).usage == TokenUsage(
        input_tokens=29,
        output_tokens=421,
        cache_creation_input_tokens=14908,
        cache_read_input_tokens=72726,
    )


def spans_of(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [s for s in document["data"]["spans"] if s["name"] == name]
    return sorted(found, key=lambda span: int(span["start_time_unix_nano"]))


def test_a_request_that_failed_last_cut_the_session_off() -> None:
    document = load("default-failing-bash")
    whole = session_from_trace(document)
    last = spans_of(document, "claude_code.llm_request")[-1]
    last["attributes"].update(success="false", error='"529 overloaded"')
    session = session_from_trace(document)
    assert (session.ending.kind, session.ending.text) == ("cut_off", "529 overloaded")
    assert len(session.steps) == len(whole.steps) - 1
    assert session.usage.output_tokens < whole.usage.output_tokens


def test_a_session_that_ended_in_a_call_had_no_last_word() -> None:
    document = load("default-failing-bash")
    last = spans_of(document, "claude_code.llm_request")[-1]
    document["data"]["spans"].remove(last)
    assert session_from_trace(document).ending.kind not in ("finished", "unknown")


def test_without_a_request_or_a_call_the_ending_is_unknown() -> None:
    document = load("default-failing-bash")
    document["data"]["spans"] = spans_of(document, "claude_code.interaction")
    session = session_from_trace(document)
    assert (session.ending.kind, session.ending.text) == ("unknown", "the trace holds no response")


def test_an_export_that_comes_twice_counts_once() -> None:
    document = load("default-failing-bash")
    once = session_from_trace(document)
    request = spans_of(document, "claude_code.llm_request")[0]
    document["data"]["spans"].append({**request, "span_id": "AAAAAAAAAAE="})
    assert session_from_trace(document).usage == once.usage


@pytest.mark.parametrize(
    ("execution", "tool", "outcome"),
    [
        ({"success": "false", "error": '"Interrupted"'}, {}, "interrupted"),
        ({"success": "false", "error": '"ShellError"'}, {}, "failed"),
        ({"success": "true"}, {}, "succeeded"),
        ({}, {"success": "true"}, "succeeded"),
        ({}, {"success": "false", "error": '"ShellError"'}, "failed"),
        ({}, {}, "unknown"),
    ],
)
def test_how_a_call_ended_is_what_its_execution_or_itself_says(
    execution: dict[str, str], tool: dict[str, str], outcome: str
) -> None:
    document = load("default-failing-bash")
    inner = spans_of(document, "claude_code.tool.execution")[-1]
    for name in ("success", "error"):
        inner["attributes"].pop(name, None)
    inner["attributes"].update(execution)
    spans_of(document, "claude_code.tool")[-1]["attributes"].update(tool)
    assert session_from_trace(document).tool_calls[-1].outcome == outcome


@pytest.mark.parametrize("length", [10**400, -1, True, "12"])
def test_what_is_no_duration_is_none(length: Any) -> None:
    document = load("default-failing-bash")
    tool = spans_of(document, "claude_code.tool")[-1]
    tool["attributes"]["duration_ms"] = json.dumps(length)
    assert session_from_trace(document).tool_calls[-1].duration_ms is None
