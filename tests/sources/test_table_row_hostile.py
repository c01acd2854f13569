"""Hostile rows of trace tables: the session of the file, or what is lost is said, in one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.databricks.groups import GroupJudge, Item
from skilltrace_mlflow.databricks.outcomes import expectation_digests
from skilltrace_mlflow.errors import InputError, SkillTraceError
from skilltrace_mlflow.evaluation import trace_eval
from skilltrace_mlflow.expectations import load_ground_truth, load_manifest
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.score import Target
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.table_row import session_from_rows
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.forms import as_traces
from tests.sources.table_rows import unified_row

SKILL = Path(__file__).parents[2] / "examples" / "skills" / "bronze-ingestion"
SESSION = parse_transcript(SKILL / "traces" / "demo-good.jsonl")
(ROW,) = [unified_row(trace) for trace in as_traces(SESSION)]
MANIFEST = load_manifest(SKILL)
JUDGE = GroupJudge(
    target=Target.of(MANIFEST, None),
    digests=expectation_digests(MANIFEST, load_ground_truth(MANIFEST)),
    scored_at=datetime(2026, 2, 1, tzinfo=timezone.utc),
    most_bytes=10**9,
)
Verdicts = dict[str, str]


def row() -> dict[str, Any]:
    return copy.deepcopy(ROW)


def verdicts(session: Session) -> Verdicts:
    (result,) = trace_eval(str(SKILL), traces=[session]).results
    return {outcome.check: str(outcome.verdict) for outcome in result.outcomes}


WHOLE = verdicts(SESSION)


def of_spark(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """What an executor makes of a group: Spark hands rows over as JSON."""
    items = [
        Item(kind="trace", payload=json.dumps(item, default=lambda v: v.isoformat()))
        for item in ({k: v for k, v in r.items() if k != "execution_duration_ms"} for r in rows)
    ]
    return JUDGE.rows("the-key", items)


def agree(*rows: dict[str, Any]) -> Verdicts:
    """The verdicts on rows by both doors, which must be the same ones."""
    found = verdicts(session_from_rows(rows))
    told = of_spark(*rows)
    assert len(told) == len({(r["trace_id"], r["test_id"], r["check"]) for r in told})
    assert {r["check"]: r["verdict"] for r in told} == found
    return found


def each(name: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    changed = row()
    for span in changed["spans"]:
        span[name] = change(span[name])
    return changed


def moment(nanoseconds: int, hours: int) -> datetime:
    zone = timezone(timedelta(hours=hours))
    return datetime.fromtimestamp(nanoseconds // 1000 / 1e6, timezone.utc).astimezone(zone)


class TestTimes:
    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(float, id="float"),
            pytest.param(str, id="text"),
            pytest.param(lambda ns: moment(ns, 0), id="UTC"),
            pytest.param(lambda ns: moment(ns, 9), id="Tokyo"),
            pytest.param(lambda ns: moment(ns, 0).replace(tzinfo=None), id="no zone"),
            pytest.param(lambda ns: moment(ns, -3).isoformat(), id="ISO 8601"),
            pytest.param(lambda ns: pd.Timestamp(ns, tz="UTC"), id="pandas"),
        ],
    )
    @pytest.mark.parametrize("name", ["start_time_unix_nano", "end_time_unix_nano"])
    def test_a_moment_is_read_whatever_its_type(self, name: str, change: Any) -> None:
        changed = each(name, change)
        assert agree(changed) == WHOLE
        found = session_from_rows([changed])
        assert [c.name for c in found.tool_calls] == [c.name for c in SESSION.tool_calls]
        for ours, theirs in zip(found.tool_calls, SESSION.tool_calls, strict=True):
            assert ours.timestamp is not None
            assert theirs.timestamp is not None
            assert abs(ours.timestamp - theirs.timestamp) <= timedelta(microseconds=2)

    @pytest.mark.parametrize("unit", [10**3, 10**6, 10**9], ids=["us", "ms", "s"])
    def test_another_unit_is_damage_and_no_shorter_session(self, unit: int) -> None:
        changed = each("start_time_unix_nano", lambda ns: ns // unit)
        found = agree(changed)
        assert set(found.values()) == {"unknown", "pass"}
        assert found != WHOLE
        assert "damaged (start)" in session_from_rows([changed]).incomplete[0]


class TestTwice:
    def short(self) -> dict[str, Any]:
        changed = row()
        del changed["spans"][3:]
        changed["state"] = "IN_PROGRESS"
        return changed

    @pytest.mark.parametrize("turned", [False, True])
    def test_an_earlier_state_of_a_trace_counts_with_the_later(self, turned: bool) -> None:
        rows = [row(), self.short()]
        assert agree(*(reversed(rows) if turned else rows)) == WHOLE

    @pytest.mark.parametrize("turned", [False, True])
    def test_an_unfinished_copy_of_a_span_gives_way(self, turned: bool) -> None:
        early = row()
        for span in early["spans"]:
            span["end_time_unix_nano"] = None
            span["attributes"] = {"mlflow.spanType": span["attributes"]["mlflow.spanType"]}
        rows = [row(), early]
        assert agree(*(reversed(rows) if turned else rows)) == WHOLE

    def test_both_forms_of_its_id_are_one(self) -> None:
        bare = {**row(), "trace_id": ROW["trace_id"].rpartition("/")[2]}
        assert agree(row(), bare) == WHOLE

    def test_of_two_sessions_it_is_an_error(self) -> None:
        other = row()
        other["trace_metadata"]["mlflow.trace.session"] = "other"
        with pytest.raises(InputError, match="is there twice, of sessions"):
            session_from_rows([row(), other])
        (told,) = of_spark(row(), other)
        assert told["verdict"] == "error"
        assert told["rationale"].startswith("trace trace:/")


@pytest.mark.parametrize("name", ["tags", "trace_metadata", "state", "trace_id", "request_time"])
@pytest.mark.parametrize(
    "value", [None, float("nan"), 3, True, "{", "x\ud800\0", [], [1], [None], [["k"]], {"a": None}]
)
def test_wrong_types_beside_the_spans_change_no_verdict(name: str, value: Any) -> None:
    assert agree({**row(), name: value}) == WHOLE


def test_maps_as_json_texts_are_maps() -> None:
    changed = {**row(), **{n: json.dumps(ROW[n]) for n in ("tags", "trace_metadata")}}
    assert agree(changed) == WHOLE
    assert session_from_rows([changed]).session_id == SESSION.session_id


def test_a_struct_of_nulls_among_the_spans_hides_nothing() -> None:
    """Its start is the earliest there is, and would be taken for another program's root."""
    changed = row()
    changed["spans"].append(dict.fromkeys(changed["spans"][0]))
    assert "pass" not in {v for check, v in agree(changed).items() if check == "banned_tools"}


def test_a_trace_whose_root_has_no_name_is_an_error_and_not_left_out() -> None:
    changed = {**row(), "spans": [{"key": 1}]}
    (told,) = of_spark(changed)
    assert told["verdict"] == "error"
    assert "\n" not in told["rationale"]


def test_ids_in_bytes_are_told_apart() -> None:
    changed = row()
    for span in changed["spans"]:
        for name in ("span_id", "parent_span_id"):
            span[name] = None if span[name] is None else bytes.fromhex(span[name])
    assert verdicts(session_from_rows([changed])) == WHOLE


@pytest.mark.parametrize(
    "text", ["a\ud800\0\x1b[31m\u2028b", json.dumps("a\ud800\0b"), "x" * 10_000_000]
)
def test_what_a_tool_gave_back_changes_no_verdict(text: str) -> None:
    changed = row()
    for span in changed["spans"]:
        if span["name"].startswith("tool_"):
            span["attributes"]["mlflow.spanOutputs"] = text
    assert agree(changed) == WHOLE


TEXTS = ("", "\ud800", "\0", "{", "null", "NaN")
OTHERS: tuple[Any, ...] = ([], [None], [[]], {}, {"key": None}, b"\xff")
JUNK = st.sampled_from((None, True, -1, 0, 2**70, float("nan"), float("inf"), *TEXTS, *OTHERS))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_damage_turns_a_failure_into_a_pass(data: st.DataObject) -> None:
    """A session that ran a banned command, with damage elsewhere: never a pass, never a crash."""
    changed = copy.deepcopy(BANNED)
    for _ in range(data.draw(st.integers(1, 3))):
        span = changed["spans"][data.draw(st.integers(0, len(changed["spans"]) - 1))]
        span[data.draw(st.sampled_from(sorted(span)))] = data.draw(JUNK)
    data.draw(st.randoms()).shuffle(changed["spans"])
    try:
        session = session_from_rows([changed])
    except SkillTraceError:
        return
    compute_metrics(session).to_dict(inputs=True)
    assert verdicts(session)["banned_tools"] != "pass"


def banned() -> dict[str, Any]:
    changed = row()
    for span in changed["spans"]:
        if span["name"].startswith("tool_Bash"):
            command = 'psql -c "DROP DATABASE main"'
            span["attributes"]["mlflow.spanInputs"] = json.dumps({"command": command})
    assert verdicts(session_from_rows([changed]))["banned_tools"] == "fail"
    return changed


BANNED = banned()
