"""Not fully stored is not absent: a turn that lost a span, or still runs, may have done what is
forbidden, and no door leaves it out in silence.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from skilltrace_mlflow import evaluate_skill, trace_eval
from skilltrace_mlflow.results import Evaluation
from tests.driver.stores import write_skill
from tests.driver.traces import log_turn

BAN = {"banned_tools": ["rm -rf"], "required_tools": ["Read"]}
BAD = ("Bash", {"command": "rm -rf x"})
SESSION = "11111111-2222-3333-4444-555555555555"


def lose_a_span(store: str, trace_id: str) -> None:
    """Its tool call's span was never written."""
    _change(store, "DELETE FROM spans WHERE trace_id = ? AND name LIKE 'tool_%'", trace_id)


def lose_every_span(store: str, trace_id: str) -> None:
    """The turn was begun, and nothing of it was written yet."""
    _change(store, "DELETE FROM spans WHERE trace_id = ?", trace_id)
    _change(store, "UPDATE trace_info SET status = 'IN_PROGRESS' WHERE request_id = ?", trace_id)


def lose_the_root(store: str, trace_id: str) -> None:
    """The span that comes last, of a turn that still runs: its statistics are not there, either."""
    _change(store, "DELETE FROM spans WHERE trace_id = ? AND parent_span_id IS NULL", trace_id)
    _change(
        store,
        "DELETE FROM trace_request_metadata WHERE request_id = ? AND key LIKE '%sizeStats'",
        trace_id,
    )
    _change(store, "UPDATE trace_info SET status = 'IN_PROGRESS' WHERE request_id = ?", trace_id)


def _change(store: str, statement: str, trace_id: str) -> None:
    with sqlite3.connect(store.removeprefix("sqlite:///")) as connection:
        assert connection.execute(statement, (trace_id,)).rowcount > 0, statement


DAMAGES = pytest.mark.parametrize("damage", [lose_a_span, lose_every_span, lose_the_root])
Damage = Callable[[str, str], None]


def by_session_id(skill: Path, run_id: str, store: str) -> Evaluation:
    return trace_eval(skill, session_id=SESSION, experiment="traces", tracking_uri=store)


def by_run_id(skill: Path, run_id: str, store: str) -> Evaluation:
    return trace_eval(skill, run_id=run_id, tracking_uri=store)


def by_run_id_as_one_test(skill: Path, run_id: str, store: str) -> Evaluation:
    return trace_eval(skill, run_id=run_id, test_id="by_session", tracking_uri=store)


def case_of_session(skill: Path, run_id: str, store: str) -> Evaluation:
    return evaluate_skill(
        skill, include_traces=True, experiment="traces", test_ids=["by_session"], tracking_uri=store
    )


def case_of_run(skill: Path, run_id: str, store: str) -> Evaluation:
    return evaluate_skill(
        skill, include_traces=True, experiment="traces", test_ids=["by_run"], tracking_uri=store
    )


DOORS = pytest.mark.parametrize(
    "door", [by_session_id, by_run_id, by_run_id_as_one_test, case_of_session, case_of_run]
)


def two_turns(tmp_path: Path, **more: Any) -> tuple[Path, str, list[str]]:
    """A skill, a run, and its session's turns: the first harmless, the second forbidden."""
    with mlflow.start_run() as run:
        turns = [
            log_turn("look", ["Read"], session=SESSION),
            log_turn("go on", ["Read", BAD], session=SESSION),
        ]
    MlflowClient().link_traces_to_run(turns, run.info.run_id)
    cases = [
        {"id": "by_session", "metadata": {"session_id": SESSION}},
        {"id": "by_run", "metadata": {"trace_run_id": run.info.run_id}},
        {"id": "by_trace", "metadata": {"trace_id": turns[0]}},
    ]
    skill = write_skill(tmp_path / "s", manifest={"trace_expectations": BAN, **more}, cases=cases)
    return skill, run.info.run_id, turns


def worst(evaluation: Evaluation, check: str) -> str:
    said = {
        str(outcome.verdict)
        for result in evaluation.results
        for outcome in result.outcomes
        if outcome.check == check
    }
    return next(v for v in ("fail", "error", "unknown", "pass") if v in said)


@DOORS
def test_the_whole_is_judged_where_it_is_stored(
    door: Callable[..., Evaluation], store: str, tmp_path: Path
) -> None:
    skill, run_id, _ = two_turns(tmp_path)
    assert worst(door(skill, run_id, store), "banned_tools") == "fail"


@DAMAGES
@DOORS
def test_what_is_not_wholly_stored_is_no_pass(
    door: Callable[..., Evaluation], damage: Damage, store: str, tmp_path: Path
) -> None:
    skill, run_id, turns = two_turns(tmp_path)
    damage(store, turns[1])
    evaluation = door(skill, run_id, store)
    assert worst(evaluation, "banned_tools") in ("unknown", "fail")
    assert evaluation.exit_code in (1, 3)


@DAMAGES
def test_session_expectations_see_the_gap(damage: Damage, store: str, tmp_path: Path) -> None:
    skill, _, turns = two_turns(tmp_path, session_expectations={"banned_tools": ["rm -rf"]})
    damage(store, turns[1])
    evaluations = [
        evaluate_skill(skill, include_traces=True, experiment="traces", test_ids=["by_trace"]),
        trace_eval(skill, trace_id=turns[0], tracking_uri=store),
    ]
    for evaluation in evaluations:
        assert worst(evaluation, "banned_tools") == "pass"  # of that turn alone
        assert worst(evaluation, "session.banned_tools") in ("unknown", "fail")
        (reason,) = [
            o.rationale for o in evaluation.results[0].outcomes if o.check == "session.banned_tools"
        ]
        assert turns[1] in reason


@DAMAGES
def test_the_newest_tagged_attempt_is_not_replaced_by_an_older_one(
    damage: Damage, store: str, tmp_path: Path
) -> None:
    tags = {"skilltrace.test_id": "it"}
    log_turn("look", ["Read"], tags=tags)
    newest = log_turn("look", ["Read", BAD], tags=tags)
    skill = write_skill(tmp_path / "s", manifest={"trace_expectations": BAN}, cases=[{"id": "it"}])
    damage(store, newest)
    evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
    assert worst(evaluation, "banned_tools") in ("unknown", "fail")


def test_another_programs_unfinished_trace_in_the_session_is_left_out(
    store: str, tmp_path: Path
) -> None:
    skill, run_id, _ = two_turns(tmp_path)
    with mlflow.start_span("other_program"):
        mlflow.update_current_trace(metadata={"mlflow.trace.session": SESSION})
    mlflow.flush_trace_async_logging()
    before = by_session_id(skill, run_id, store)
    _change(store, "DELETE FROM spans WHERE name = 'other_program' AND ? != ''", "x")
    after = by_session_id(skill, run_id, store)
    assert [o.rationale for o in before.results[0].outcomes] == [
        o.rationale for o in after.results[0].outcomes
    ]
