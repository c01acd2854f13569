"""The forms in which a trace arrives, what is refused, and what an incomplete trace says."""

from __future__ import annotations

import base64
import json
from typing import Any

import mlflow
import pytest

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.sources.mlflow.trace import is_claude_code_trace, session_from_trace
from tests.sources.shapes import SESSION, START, Turn, tool_use, usage

pytestmark = pytest.mark.usefixtures("store")


def a_turn(prompt: str = "Fix it.", call: str = "t1", **options: Any) -> Any:
    turn = Turn(prompt, metadata={"mlflow.trace.permission_mode": "default"}, **options)
    turn.llm([tool_use(call, "Bash", {"command": "ls"})], counts=usage(4, 20, read=0, created=9))
    turn.tool(call, "Bash", {"command": "ls"}, "a.sql")
    return turn.end()


def hexadecimal(value: str | None) -> str | None:
    return None if value is None else base64.b64decode(value).hex()


def as_schema_2(trace: Any) -> dict[str, Any]:
    """As MLflow before 3 wrote it."""
    document = trace.to_dict()
    info = document["info"]
    spans = [
        {
            "name": span["name"],
            "context": {
                "trace_id": hexadecimal(span["trace_id"]),
                "span_id": hexadecimal(span["span_id"]),
            },
            "parent_id": hexadecimal(span["parent_span_id"]),
            "start_time": span["start_time_unix_nano"],
            "end_time": span["end_time_unix_nano"],
            "status_code": span["status"]["code"].removeprefix("STATUS_CODE_"),
            "status_message": "",
            "attributes": span["attributes"],
            "events": [],
        }
        for span in document["data"]["spans"]
    ]
    metadata = [{"key": k, "value": v} for k, v in info["trace_metadata"].items()]
    return {
        "info": {
            "request_id": info["trace_id"],
            "timestamp_ms": START // 1_000_000,
            "status": "OK",
            "request_metadata": metadata,
            "tags": {},
        },
        "data": {"spans": spans},
    }


def as_row(trace: Any) -> dict[str, Any]:
    """As a row of a Unity Catalog view: one level, attribute maps of texts, ids in hexadecimal."""
    document = trace.to_dict()
    spans = [
        {
            "span_id": hexadecimal(span["span_id"]),
            "parent_span_id": hexadecimal(span["parent_span_id"]) or "",
            "name": span["name"],
            "start_time_unix_nano": span["start_time_unix_nano"],
            "end_time_unix_nano": span["end_time_unix_nano"],
            "status": {"code": span["status"]["code"], "message": ""},
            # Some exporters encode once more on the way into the table.
            "attributes": {k: json.dumps(v) for k, v in span["attributes"].items()},
            "events": [],
        }
        for span in document["data"]["spans"]
    ]
    info = document["info"]
    return {
        "trace_id": info["trace_id"],
        "request_time": "2026-01-13T18:47:29Z",
        "state": "OK",
        "trace_metadata": info["trace_metadata"],
        "tags": info["tags"],
        "spans": spans,
    }


FORMS = {
    "dictionary": lambda trace: trace.to_dict(),
    "json": lambda trace: trace.to_json(),
    "json bytes": lambda trace: trace.to_json().encode(),
    "json of json": lambda trace: json.dumps(json.loads(trace.to_json()), indent=1),
    "list": lambda trace: [trace],
    "list of dictionaries": lambda trace: [trace.to_dict()],
    "schema 2": as_schema_2,
    "table row": as_row,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_session(form: str) -> None:
    trace = a_turn()
    expected = session_from_trace(trace)
    assert expected.session_id == SESSION
    assert expected.tool_calls[0].input == {"command": "ls"}
    found = session_from_trace(FORMS[form](trace))
    assert found == expected
    assert found.tool_calls[0].result == "a.sql"
    assert is_claude_code_trace(FORMS[form](trace)) is (not form.startswith("list"))


def test_a_trace_given_twice_counts_once() -> None:
    trace = a_turn()
    assert session_from_trace([trace, trace.to_dict()]) == session_from_trace(trace)


def test_an_id_that_is_used_again_in_a_trace_is_another_call() -> None:
    turn = Turn("Fix it.")
    for command in ("ls", "rm -rf x", "ls"):
        turn.tool("Bash:0", "Bash", {"command": command}, "done")
    calls = session_from_trace(turn.end()).tool_calls
    assert [call.input for call in calls][:2] == [{"command": "ls"}, {"command": "rm -rf x"}]
    assert len({call.id for call in calls}) == len(calls)


def test_turns_merge_in_time_order() -> None:
    late = a_turn("Second.", "t2", start=START + 10**12)
    early = a_turn("First.", "t1")
    session = session_from_trace([late, early])
    assert session.prompts == ("First.", "Second.")
    assert [call.id for call in session.tool_calls] == ["t1", "t2"]
    assert [call.position for call in session.tool_calls] == sorted(
        call.position for call in session.tool_calls
    )
    assert session.start_time == session_from_trace(early).start_time
    assert session.end_time == session_from_trace(late).end_time


def test_a_turn_that_was_traced_twice_counts_once() -> None:
    # A Stop hook that another hook sends back to work runs again over the same turn.
    first, again = a_turn(), a_turn()
    session = session_from_trace([first, again])
    assert len(session.tool_calls) == 1
    assert session.usage.output_tokens == 20
    assert len(session.prompts) == 1


def test_traces_of_two_sessions_are_refused() -> None:
    with pytest.raises(InputError, match="different sessions"):
        session_from_trace([a_turn(), a_turn(session="another", call="t2")])


@pytest.mark.parametrize("name", ["root_span", "my_agent"])
def test_another_program_s_trace_is_no_evidence(name: str) -> None:
    turn = Turn(name=name)
    turn.tool("t1", "Bash", {"command": "ls"}, "a")
    trace = turn.end()
    assert not is_claude_code_trace(trace)
    with pytest.raises(InputError, match=f"not a Claude Code trace.*{name}"):
        session_from_trace(trace)
    with pytest.raises(InputError, match="not a Claude Code trace"):
        session_from_trace([a_turn(), trace])


@pytest.mark.parametrize(
    "thing",
    [[], "", "{", "[]", 5, None, {}, {"info": {}}, {"info": {}, "data": {"spans": 3}},
     {"info": {}, "data": {"spans": [7]}}, {"info": {}, "data": {"spans": []}}, "\ud800"],
)  # fmt: skip
def test_what_is_no_trace_is_an_input_error(thing: Any) -> None:
    with pytest.raises(InputError):
        session_from_trace(thing)
    assert is_claude_code_trace(thing) is False


def test_a_trace_without_its_spans_is_refused() -> None:
    trace = a_turn()
    (bare,) = mlflow.MlflowClient().search_traces(
        locations=[trace.info.experiment_id], include_spans=False
    )
    with pytest.raises(InputError, match="no spans"):
        session_from_trace(bare)


class TestIncompleteTraces:
    def test_a_trace_in_progress(self) -> None:
        document = a_turn().to_dict()
        document["info"]["state"] = "IN_PROGRESS"
        session = session_from_trace(document)
        assert any("in progress" in reason for reason in session.incomplete)
        assert not session.usage_complete

    def test_a_span_that_was_lost(self) -> None:
        document = a_turn().to_dict()
        spans = document["data"]["spans"]
        document["data"]["spans"] = [s for s in spans if s["name"] != "tool_Bash"]
        session = session_from_trace(document)
        assert any("2 of its 3 spans" in reason for reason in session.incomplete)

    def test_a_span_whose_parent_was_lost_still_counts(self) -> None:
        document = a_turn().to_dict()
        for span in document["data"]["spans"]:
            if span["name"] == "tool_Bash":
                span["parent_span_id"] = "AAAAAAAAAAA="
        session = session_from_trace(document)
        assert [call.id for call in session.tool_calls] == ["t1"]
        assert any("parent" in reason for reason in session.incomplete)

    def test_a_whole_trace_is_not_incomplete(self) -> None:
        assert session_from_trace(a_turn()).incomplete == ()


def edited(attribute: str, value: str) -> dict[str, Any]:
    document = a_turn().to_dict()
    for span in document["data"]["spans"]:
        if attribute in span["attributes"]:
            span["attributes"][attribute] = value

    return document


@pytest.mark.parametrize(
    "value", ['"x"', "[]", "{", "NaN", '{"input_tokens": "x"}', '{"input_tokens": -3}',
              '{"input_tokens": 1e400}', '{"input_tokens": true}', "\x00"],
)  # fmt: skip
def test_damaged_usage_is_not_counted(value: str) -> None:
    session = session_from_trace(edited("mlflow.chat.tokenUsage", value))
    assert session.usage.input_tokens == 0
    assert not session.usage_complete


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (usage(7, 7), True),
        (usage(7, 7, read=1, created=1), True),
        ({"total_tokens": 14}, False),
        ({"output_tokens": 7}, False),
        ({"input_tokens": 7}, False),
        ({"input_tokens": 7, "output_tokens": -7}, False),
        ({**usage(7, 7), "cache_read_input_tokens": "many"}, False),
    ],
)
def test_usage_of_which_a_part_is_missing_or_damaged_is_a_lower_bound(
    value: dict[str, Any], whole: bool
) -> None:
    turn = Turn(metadata={"mlflow.trace.permission_mode": "default"})
    turn.llm([tool_use("toolu_1", "Bash", {"command": "ls"})], counts=usage(7, 7))
    turn.tool("toolu_1", "Bash", {"command": "ls"}, "a.txt")
    document = turn.end().to_dict()
    for span in document["data"]["spans"]:
        if span["name"] == "llm":
            span["attributes"]["mlflow.chat.tokenUsage"] = json.dumps(value)
    assert session_from_trace(document).usage_complete is whole


def test_arguments_that_were_not_recorded_are_not_taken_for_none() -> None:
    turn = Turn()
    turn.llm([tool_use("toolu_1", "Bash", {"command": "ls"})], counts=usage(7, 7))
    turn.tool("toolu_1", "Bash", {"command": "ls"}, "a.txt")
    document = turn.end().to_dict()
    for span in document["data"]["spans"]:
        if span["name"] == "tool_Bash":
            del span["attributes"]["mlflow.spanInputs"]
    assert session_from_trace(document).tool_calls[0].input is None


def test_counts_as_texts_are_read() -> None:
    value = json.dumps({"input_tokens": "12", "output_tokens": 3.0})
    session = session_from_trace(edited("mlflow.chat.tokenUsage", value))
    assert (session.usage.input_tokens, session.usage.output_tokens) == (12, 3)


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    session = session_from_trace(edited("mlflow.spanInputs", '{"prompt": "a\\ud800b"}'))
    assert session.prompts == ("a\ufffdb",)


@pytest.mark.parametrize(
    "text",
    [
        "<task-notification>\n<task-id>x",
        "<command-name>/clear</command-name>",
        "[Request interrupted by user]",
        " ",
    ],
)
def test_what_claude_code_injects_is_no_prompt(text: str) -> None:
    assert session_from_trace(Turn(text).end()).prompts == ()
