"""Recordings of the real CLI: token totals equal what the CLI itself reported."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.pricing import session_cost, step_cost
from skilltrace_mlflow.session import OUTSIDE, ModelStep, Session, TokenUsage
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
FOLDERS = sorted(path for path in RECORDINGS.iterdir() if any(path.glob("result*.json")))


def states_usage(folder: Path) -> bool:
    """Whether the CLI stated its figures in the transcripts, cumulative over resumes."""
    return any(b'"cost-state"' in path.read_bytes() for path in folder.glob("*.jsonl"))


STATED = [folder for folder in FOLDERS if states_usage(folder)]
SUMMED = [folder for folder in FOLDERS if folder not in STATED]


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("result*.json"))]


def sessions(folder: Path) -> list[Session]:
    """The sessions of a recording, with the transcripts of agents that have no session file."""
    found = [parse_transcript(path) for path in find_sessions(folder)]
    seen = {step.id for session in found for step in session.steps}
    for path in sorted(folder.glob("agent-*.jsonl")):
        alone = parse_transcript(path)
        if not {step.id for step in alone.steps} & seen:
            found.append(alone)
    return found


def steps(folder: Path) -> dict[str, ModelStep]:
    """API messages over a folder; a fork repeats those of the session it left."""
    return {step.id: step for session in sessions(folder) for step in session.steps}


def test_there_are_recordings() -> None:
    assert len(FOLDERS) >= 9


@pytest.mark.parametrize("folder", SUMMED, ids=lambda path: path.name)
def test_tokens_equal_the_cli_s_model_usage(folder: Path) -> None:
    total = sum((step.usage for step in steps(folder).values()), TokenUsage())
    models = [usage for outcome in results(folder) for usage in outcome["modelUsage"].values()]
    assert {
        "inputTokens": total.input_tokens,
        "outputTokens": total.output_tokens,
        "cacheReadInputTokens": total.cache_read_input_tokens,
        "cacheCreationInputTokens": total.cache_creation_input_tokens,
    } == {
        name: sum(usage[name] for usage in models)
        for name in (
            "inputTokens",
            "outputTokens",
            "cacheReadInputTokens",
            "cacheCreationInputTokens",
        )
    }


@pytest.mark.parametrize("folder", SUMMED, ids=lambda path: path.name)
def test_the_cost_equals_the_cli_s(folder: Path) -> None:
    ours = sum(step_cost(step) or 0.0 for step in steps(folder).values())
    theirs = sum(outcome["total_cost_usd"] for outcome in results(folder))
    assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("folder", SUMMED, ids=lambda path: path.name)
def test_tokens_by_model_equal_the_cli_s(folder: Path) -> None:
    ours: dict[str, int] = {}
    for step in steps(folder).values():
        ours[step.model or ""] = ours.get(step.model or "", 0) + step.usage.output_tokens
    theirs: dict[str, int] = {}
    for outcome in results(folder):
        for model, usage in outcome["modelUsage"].items():
            theirs[model] = theirs.get(model, 0) + usage["outputTokens"]
    assert {m: n for m, n in ours.items() if n} == {m: n for m, n in theirs.items() if n}


@pytest.mark.parametrize("folder", STATED, ids=lambda path: path.name)
def test_sessions_equal_what_the_cli_stated(folder: Path) -> None:
    last = {outcome["session_id"]: outcome for outcome in results(folder)}
    for session in sessions(folder):
        outcome = last[session.session_id or ""]
        models = outcome["modelUsage"].values()
        stated = TokenUsage(
            input_tokens=sum(usage["inputTokens"] for usage in models),
            output_tokens=sum(usage["outputTokens"] for usage in models),
            cache_creation_input_tokens=sum(u["cacheCreationInputTokens"] for u in models),
            cache_read_input_tokens=sum(usage["cacheReadInputTokens"] for usage in models),
        )
        ours = replace(session.usage, cache_creation_1h_input_tokens=0)
        assert session.diagnostics == ()
        if folder.name.startswith("newest-kill"):
            # The killed process stated nothing: its response is in the messages alone.
            assert ours.total_tokens > stated.total_tokens
            assert not session.usage_complete
            assert (session_cost(session) or 0) > outcome["total_cost_usd"]
        else:
            assert ours == stated
            assert session.usage_complete
            assert session_cost(session) == pytest.approx(outcome["total_cost_usd"], abs=1e-9)
        denied = {denial["tool_use_id"] for denial in outcome["permission_denials"]}
        assert denied <= {call.id for call in session.tool_calls if call.outcome == "denied"}


def test_side_requests_are_among_the_recordings() -> None:
    beyond = [
        folder.name
        for folder in STATED
        for session in sessions(folder)
        if any(step.agent == OUTSIDE for step in session.steps)
    ]
    sides = {f"newest-{name}-2.1.332" for name in ("compact", "autocompact", "web", "search")}
    assert sides <= set(beyond)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_what_the_cli_lists_as_denied_never_counts_as_success(folder: Path) -> None:
    denied = {
        denial["tool_use_id"]
        for outcome in results(folder)
        for denial in outcome.get("permission_denials", ())
    }
    outcomes = {call.id: call for session in sessions(folder) for call in session.tool_calls}
    for call_id in denied:
        assert outcomes[call_id].outcome in ("denied", "failed"), outcomes[call_id]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_answer_is_the_cli_s(folder: Path) -> None:
    read = sessions(folder)
    texts = {message.text.strip() for session in read for message in session.messages}
    inputs = [call.input for session in read for call in session.tool_calls]
    for outcome in results(folder):
        if "structured_output" in outcome:
            assert outcome["structured_output"] in inputs
        elif outcome["subtype"] == "success" and not outcome["is_error"]:
            assert outcome["result"].strip() in {*texts, ""}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_recordings_are_read_without_gaps(folder: Path) -> None:
    for path in find_sessions(folder):
        session = parse_transcript(path)
        if session.messages:
            assert session.incomplete == ()
        for call in session.tool_calls:
            if call.load_result is not None:
                assert call.result is not None


def test_an_empty_session_file_is_an_error_and_not_listed() -> None:
    empty = [path for path in RECORDINGS.rglob("*.jsonl") if path.stat().st_size == 0]
    for path in empty:
        assert path not in find_sessions(path.parent)
        with pytest.raises(InputError, match="is empty"):
            parse_transcript(path)


@pytest.mark.parametrize("folder", STATED, ids=lambda path: path.name)
def test_a_result_behind_its_transcript_agrees_with_it(folder: Path, tmp_path: Path) -> None:
    """`cat SESSION.jsonl result.json`: the line of `--output-format json` as the last one."""
    last = {outcome["session_id"]: outcome for outcome in results(folder)}
    copy = Path(shutil.copytree(folder, tmp_path / folder.name))
    for path in find_sessions(folder):
        alone = parse_transcript(path)
        outcome = last[alone.session_id or ""]
        longer = copy / path.relative_to(folder)
        with longer.open("a", encoding="utf-8") as file:
            file.write(json.dumps(outcome) + "\n")
        both = parse_transcript(longer)
        assert both.usage == alone.usage
        assert both.usage_complete == alone.usage_complete
        assert session_cost(both) == pytest.approx(session_cost(alone))
        assert [c.id for c in both.tool_calls] == [c.id for c in alone.tool_calls]
        said = {denial["tool_use_id"] for denial in outcome["permission_denials"]}
        denied = {call.id for call in both.tool_calls if call.outcome == "denied"}
        assert said <= denied == {c.id for c in alone.tool_calls if c.outcome == "denied"}
        kinds = {"error_max_turns": "turn_limit", "error_max_budget_usd": "budget_limit"}
        expected = kinds.get(outcome["subtype"]) or (
            "cut_off" if outcome["is_error"] else "finished"
        )
        assert both.ending.kind == expected
        # The entries begin before the prompt is sent and end before the result is printed.
        took = outcome["duration_ms"] / 1000
        assert (both.duration_seconds or 0) >= took
        if len(results(folder)) == 1 and not folder.name.startswith("newest-kill"):
            assert alone.duration_seconds == pytest.approx(took, abs=max(1.0, took / 4))
