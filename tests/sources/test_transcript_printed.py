"""How long the runs took that `claude -p --output-format stream-json` printed.

Played on 2.1.332: `duration_ms` begins anew with every prompt and in every process of a resumed
session; `duration_api_ms` goes on over all of them and counts requests side by side twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skilltrace_mlflow.figures import figures
from skilltrace_mlflow.importing.turns import split_turns
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.report.timeline import totals
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.metrics_dict import session_from_metrics_dict
from skilltrace_mlflow.sources.session_json import session_from_json, session_to_json
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.checks.judging import judge
from tests.sources.lines import SESSION, dump, text, usage

NOON = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
INIT = {
    "type": "system",
    "subtype": "init",
    "cwd": "/home/dev/shop",
    "session_id": SESSION,
    "claude_code_version": "2.1.332",
    "permissionMode": "default",
}


def answer(number: int, at: float | None) -> dict[str, Any]:
    message = {
        "id": f"m{number}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [text("ok")],
        "stop_reason": "end_turn",
        "usage": usage(2, 50),
    }
    line = {"type": "assistant", "message": message, "session_id": SESSION, "uuid": f"u{number}"}
    if at is not None:
        line["timestamp"] = (NOON + timedelta(seconds=at)).isoformat()
    return line


def result(took: Any, api: float = 0.0) -> dict[str, Any]:
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "duration_ms": took,
        "duration_api_ms": api,
        "total_cost_usd": 0.01,
        "session_id": SESSION,
    }


def read(*lines: dict[str, Any]) -> Session:
    return parse_transcript(dump(INIT, *lines))


@pytest.mark.parametrize("api", [0, 100, 9_000_000])
@pytest.mark.parametrize("times", [(3.0, 5.0), (3.0, 3.0), (None, None)])
def test_one_run_took_what_its_result_says(times: tuple[float | None, ...], api: float) -> None:
    session = read(answer(1, times[0]), answer(2, times[1]), result(8250, api))
    assert session.duration_seconds == 8.25
    assert compute_metrics(session).duration_seconds == 8.25
    assert figures(session)["duration_seconds"] == 8.25
    assert "duration_seconds" not in figures(session).at_least
    assert dict(totals(session))["duration"] == "8.2 s"
    assert judge("duration", {"max_seconds": 8.25}, session).verdict == "pass"
    assert judge("duration", {"max_seconds": 8.2}, session).verdict == "fail"


def test_the_wait_between_two_prompts_counts_as_it_does_in_a_transcript() -> None:
    session = read(answer(1, 1.0), result(1000), answer(2, 61.0), result(1000))
    assert session.duration_seconds == 61.0


def test_without_times_the_runs_add_up() -> None:
    assert (
        read(answer(1, None), result(1000), answer(2, None), result(2500)).duration_seconds == 3.5
    )


def test_agents_that_go_on_behind_a_result_are_not_lost() -> None:
    session = read(answer(1, 1.0), result(900), answer(2, 3.0), result(0), result(400))
    assert session.duration_seconds == pytest.approx(2.9)


@pytest.mark.parametrize("took", [None, "620", True, -5, [1]])
def test_a_duration_that_is_none_leaves_the_times_of_the_entries(took: Any) -> None:
    assert read(answer(1, 1.0), answer(2, 1.5), result(took)).duration_seconds == 0.5


def test_less_than_the_entries_show_is_not_believed() -> None:
    assert read(answer(1, 1.0), answer(2, 9.0), result(620)).duration_seconds == 8.0


@pytest.mark.parametrize(
    "lines",
    [
        (answer(1, 1.0), answer(2, 5.0)),
        (answer(1, 1.0), result(500), answer(2, 5.0)),
    ],
    ids=["before its only result", "before its second"],
)
def test_a_file_cut_before_a_result_is_a_lower_bound(lines: tuple[dict[str, Any], ...]) -> None:
    session = read(*lines)
    assert judge("duration", {"max_seconds": 100}, session).verdict == "unknown"
    assert judge("duration", {"max_seconds": 3}, session).verdict == "fail"
    assert judge("banned_tools", ["WebFetch"], session).verdict == "unknown"
    assert session.ending.kind == "unknown"
    assert "duration_seconds" in figures(session).at_least
    assert dict(totals(session))["duration"].startswith("at least ")


def test_a_result_says_nothing_of_a_later_message_that_is_missing() -> None:
    whole = read(answer(1, 1.0), result(500), answer(2, 5.0), result(700))
    assert whole.incomplete == ()
    assert judge("banned_tools", ["WebFetch"], whole).verdict == "pass"


@given(
    gaps=st.lists(st.tuples(st.floats(0.1, 50), st.floats(0, 500)), min_size=1, max_size=5),
    timed=st.booleans(),
)
def test_never_less_than_the_entries_and_the_runs_show(
    gaps: list[tuple[float, float]], timed: bool
) -> None:
    lines, now = [], 0.0
    for number, (took, wait) in enumerate(gaps):
        now += took
        lines += [answer(number, now if timed else None), result(took * 1000)]
        now += wait
    spent = sum(took for took, _ in gaps)
    waited = sum(wait for _, wait in gaps[:-1]) if timed else 0.0
    assert read(*lines).duration_seconds == pytest.approx(spent + waited, abs=1e-4)


@pytest.mark.parametrize("timed", [True, False])
def test_a_session_keeps_what_its_source_stated(timed: bool) -> None:
    times = (3.0, 5.0) if timed else (None, None)
    session = read(answer(1, times[0]), answer(2, times[1]), result(8250))
    assert session_from_json(session_to_json(session)) == session
    figures_alone = session_from_metrics_dict(compute_metrics(session).to_dict())
    assert figures_alone.duration_seconds == 8.25
    (turn,) = split_turns(session, name="run")
    assert turn.session.duration_seconds == 8.25
