"""Damaged and odd input: a session with its gaps named, or one InputError; never a silent loss."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.lines import assistant, dump, entry, result, text, tool, user, write_lines

GOOD = dump(
    user("Go."),
    assistant("msg_a", tool("Bash", "toolu_1", command="ls")),
    result("toolu_1", "a.py\nb.py"),
    assistant("msg_b", text("Two files."), stop_reason="end_turn"),
)


def with_line(line: Any, at: int = 1) -> list[Any]:
    return [*GOOD[:at], line, *GOOD[at:]]


def file_of(folder: Path, data: bytes, name: str = "s.jsonl") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


DATA = "".join(line + "\n" for line in GOOD).encode()
WHOLE = parse_transcript(GOOD)


def test_the_whole_session_has_no_gap() -> None:
    assert WHOLE.incomplete == ()
    assert WHOLE.usage_complete
    assert WHOLE.diagnostics == ()
    assert len(WHOLE.tool_calls) == 1


@pytest.mark.parametrize(
    "line",
    [
        "this is not valid json at all",
        GOOD[1][:70],
        GOOD[1][:70] + GOOD[2],
        "7",
        "null",
        '"text"',
        "[]",
        '["a"]',
        "true",
        b"\x00\x00\x00\x00",
        "{" * 100_000,
        "[" * 100_000,
        '{"type": 7}',
        "{}",
        '{"type": "assistant", "message": null}',
        '{"type": "assistant"}',
        '{"type": "assistant", "message": "words"}',
        '{"type": "assistant", "message": {"id": "m", "content": 7}}',
        '{"type": "assistant", "message": {"id": "m", "content": [7]}}',
        '{"type": "assistant", "message": {"id": "m", "content": [{"type": 7}]}}',
        '{"type": "assistant", "message": {"id": "m", "content": [{"type": "tool_use"}]}}',
    ],
)
def test_a_line_that_may_have_held_a_call_leaves_a_gap(line: Any) -> None:
    session = parse_transcript(with_line(line))
    assert any(reason.startswith("line 2: ") for reason in session.incomplete)
    assert any(d.line == 2 for d in session.diagnostics)
    assert not session.usage_complete
    assert session.tool_calls == WHOLE.tool_calls


@pytest.mark.parametrize("line", ["", "   ", "\t", "\r\n", "\n"])
def test_blank_lines_are_nothing(line: str) -> None:
    assert parse_transcript(with_line(line)) == WHOLE


@pytest.mark.parametrize(
    "line",
    [
        entry("user", message=None),
        entry("user"),
        entry("user", message={"role": "user"}),
        entry("progress", data=None),
        entry("attachment", attachment="x"),
        entry("system", subtype=7),
    ],
)
def test_odd_entries_that_hold_no_call_leave_no_gap(line: dict[str, Any]) -> None:
    session = parse_transcript(dump(*with_line(line)))
    assert session.incomplete == ()
    assert session.tool_calls == WHOLE.tool_calls


def test_message_null_is_as_good_as_none() -> None:
    line = json.dumps({**entry("user"), "message": None})
    assert [d.message for d in parse_transcript(with_line(line)).diagnostics] == [
        "a user entry without a message"
    ]


@pytest.mark.parametrize("cut", [GOOD[2].index('"user"') + 6, -2])
def test_a_cut_last_line_is_a_live_session_s(tmp_path: Path, cut: int) -> None:
    last = GOOD[2].encode()[:cut]
    data = "".join(line + "\n" for line in GOOD[:2]).encode() + last
    session = parse_transcript(file_of(tmp_path, data))
    assert session.incomplete == ()
    assert [d.message for d in session.diagnostics] == ["the last line is cut"]
    assert session.diagnostics[0].line == 3
    assert not session.usage_complete
    assert session.usage_notes[0] == "line 3: the last line is cut"


@pytest.mark.parametrize("line", [1, 3])
@pytest.mark.parametrize("cut", [1, 20, 60, -30, -2])
def test_a_cut_last_line_that_may_be_a_response_leaves_a_gap(
    tmp_path: Path, line: int, cut: int
) -> None:
    """It may be a call, and is a turn: a ban or a limit may not pass for the want of it."""
    data = "".join(one + "\n" for one in GOOD[:line]).encode() + GOOD[line].encode()[:cut]
    assert parse_transcript(file_of(tmp_path, data)).incomplete


def test_a_bad_last_line_that_ends_is_damage_not_a_cut(tmp_path: Path) -> None:
    session = parse_transcript(file_of(tmp_path, DATA + GOOD[3].encode()[:60] + b"\n"))
    assert session.incomplete
    assert session.incomplete[0].startswith("line 5: not JSON")


def test_nul_padding_at_the_end_is_no_gap_in_the_middle_it_is(tmp_path: Path) -> None:
    padded = parse_transcript(file_of(tmp_path, DATA + b"\0" * 4096))
    assert padded.incomplete == ()
    assert padded.tool_calls == WHOLE.tool_calls
    first, rest = DATA.split(b"\n", 1)
    middle = parse_transcript(file_of(tmp_path, first + b"\n" + b"\0" * 4096 + rest))
    assert middle.incomplete == ("line 2: an entry among NUL bytes",)
    assert middle.tool_calls == WHOLE.tool_calls


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + DATA,
        DATA.replace(b"\n", b"\r\n"),
        DATA.replace(b"\n", b"\n\n \n"),
        DATA[:-1],
        b"".join(
            json.dumps(json.loads(line), indent=None, separators=(", ", ": ")).encode() + b"\n"
            for line in GOOD
        ),
    ],
    ids=["bom", "crlf", "blank", "no-newline-at-end", "spaces"],
)
def test_harmless_differences(tmp_path: Path, data: bytes) -> None:
    session = parse_transcript(file_of(tmp_path, data))
    assert session == WHOLE
    assert session.diagnostics == ()
    assert [call.result for call in session.tool_calls] == ["a.py\nb.py"]


def test_u2028_inside_a_string_ends_no_line(tmp_path: Path) -> None:
    lines = [user("a\u2028b\u2029c\x85d"), assistant("msg_a", text("e\u2028f"))]
    session = parse_transcript(write_lines(tmp_path / "s.jsonl", *lines))
    assert session.prompts == ("a\u2028b\u2029c\x85d",)
    assert session.response == "e\u2028f"
    assert session.diagnostics == ()


@pytest.mark.parametrize("odd", [b"\xff", b"\\ud800", b"\xed\xa0\x80", b"\\udc00\\ud800"])
def test_what_cannot_be_text_becomes_u_fffd_everywhere(tmp_path: Path, odd: bytes) -> None:
    lines = dump(
        user("say XX"),
        assistant(
            "msg_a", text("said XX"), tool("Write", "toolu_1", file_path="/XX", content="XX")
        ),
        result("toolu_1", "Exit code XX", is_error=True),
        assistant("msg_XX", tool("Read", "toolu_2", file_path="/XX", XX=["XX"])),
        result("toolu_2", [text("out XX")]),
    )
    path = file_of(tmp_path, "\n".join(lines).encode().replace(b"XX", odd))
    session = parse_transcript(path)
    everything = repr(session) + "".join(call.result or "" for call in session.tool_calls)
    everything.encode()  # a lone surrogate would raise
    assert "\ufffd" in session.prompts[0]
    assert "\ufffd" in str(session.tool_calls[1].input)
    assert "\ufffd" in (session.tool_calls[0].result or "")
    assert "\ufffd" in (session.tool_calls[1].result or "")
    assert "\ufffd" in session.files[0].file_path
    assert len(session.tool_calls) == 2


def test_a_lone_surrogate_in_lines_of_text() -> None:
    line = dump(user("a\ud800b"), assistant("msg_a"))
    assert parse_transcript(line).prompts == ("a\ufffdb",)


def test_a_real_surrogate_pair_is_one_character(tmp_path: Path) -> None:
    path = file_of(tmp_path, DATA.replace(b"Go.", b"\\ud83d\\ude00"))
    assert parse_transcript(path).prompts == ("😀",)


def test_control_characters_and_string_blocks_are_read_all_the_same() -> None:
    raw = dump(user("a TAB b"))[0].replace(" TAB ", "\t")
    strings = assistant("msg_a")
    strings["message"]["content"] = ["plain", text("block")]
    session = parse_transcript([raw, *dump(strings)])
    assert session.prompts == ("a\tb",)
    assert [m.text for m in session.messages if m.role == "assistant"] == ["plain", "block"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("cwd", 7), ("timestamp", "yesterday"), ("version", []), ("isMeta", "no"), ("uuid", {})],
)
def test_one_odd_field_costs_only_itself(field: str, value: Any) -> None:
    lines = dump(*({**json.loads(line), field: value} for line in GOOD))
    session = parse_transcript(lines)
    assert session.usage == WHOLE.usage
    assert session.prompts == WHOLE.prompts
    assert [c.outcome for c in session.tool_calls] == ["succeeded"]
    assert session.incomplete == ()


def test_times_without_a_zone_are_utc() -> None:
    lines = [line.replace(".000Z", "") for line in GOOD]
    assert parse_transcript(lines) == WHOLE


def test_an_input_that_is_no_object_is_unknown_not_empty() -> None:
    block = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": "ls"}
    session = parse_transcript(dump(user("Go."), assistant("msg_a", block)))
    assert session.tool_calls[0].input is None
    assert session.diagnostics[0].message == "the input of Bash is no object"


@pytest.mark.parametrize(
    "line",
    [
        user([["nested"], [text("words")]]),
        user([{"type": "text", "text": ["words"]}]),
        assistant("msg_x", {"type": "text", "text": ["words"]}),
        assistant("msg_x", ["nested"]),
    ],
)
def test_words_where_no_text_stands_leave_a_gap(line: dict[str, Any]) -> None:
    assert parse_transcript(dump(user("Go."), line)).incomplete


def test_a_line_of_a_hundred_megabytes(tmp_path: Path) -> None:
    big = "x" * 100_000_000
    path = write_lines(
        tmp_path / "s.jsonl",
        *GOOD[:2],
        result("toolu_1", big, extra={"stdout": big, "stderr": "", "interrupted": False}),
        GOOD[3],
    )
    session = parse_transcript(path)
    assert session.tool_calls[0].success
    assert len(session.tool_calls[0].result or "") == 100_000_000


# --- where it comes from -----------------------------------------------------------------------


def equal_with_results(session: Session) -> None:
    assert session == WHOLE
    assert [call.result for call in session.tool_calls] == ["a.py\nb.py"]
    again = pickle.loads(pickle.dumps(session))  # noqa: S301 - our own bytes
    assert again == WHOLE
    assert again.tool_calls[0].result == "a.py\nb.py"


def test_sources_give_equal_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_of(tmp_path, DATA)
    equal_with_results(parse_transcript(path))
    equal_with_results(parse_transcript(str(path)))
    equal_with_results(parse_transcript(GOOD))
    equal_with_results(parse_transcript(line.encode() for line in GOOD))
    equal_with_results(parse_transcript(io.BytesIO(DATA)))
    equal_with_results(parse_transcript(file_of(tmp_path, gzip.compress(DATA), "s.jsonl.gz")))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DATA)))
    equal_with_results(parse_transcript("-"))


def test_a_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file_of(tmp_path, DATA)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_transcript("~/s.jsonl") == WHOLE


def test_a_relative_path_still_finds_results_after_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_of(tmp_path, DATA)
    monkeypatch.chdir(tmp_path)
    session = parse_transcript("s.jsonl")
    monkeypatch.chdir("/")
    assert session.tool_calls[0].result == "a.py\nb.py"


def test_results_of_a_file_that_changed_are_an_error_not_another_text(tmp_path: Path) -> None:
    path = file_of(tmp_path, DATA)
    call = parse_transcript(path).tool_calls[0]
    path.write_bytes(DATA.replace(b"toolu_1", b"toolu_2"))
    with pytest.raises(InputError, match="changed since it was read"):
        _ = call.result
    path.unlink()
    with pytest.raises(InputError, match="cannot read again"):
        _ = call.result


def test_a_pipe_is_read(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, DATA)
    os.close(writer)
    equal_with_results(parse_transcript(f"/dev/fd/{reader}"))
    os.close(reader)


# --- wrong files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n\n  \n", "is empty"),
        (b"not json\nat all\n", "line 1 is not JSON"),
        (b'{\n  "a": 1\n}\n', "line 1 is not JSON"),
        (b"[1, 2]\n", "line 1 is a JSON array, not an object"),
        (b'{"messages": [{"role": "user", "content": "hi"}]}\n', "line 1 has type None"),
        (b'{"type": "session_meta", "payload": {}}\n', "line 1 has type 'session_meta'"),
        (b'{"type": "user", "text": "hi"}\n', "line 1 has type 'user'"),
        (b'{"type": "started", "agentId": "a"}\n', "line 1 has type 'started'"),
        (b"\0" * 100, "line 1 is NUL bytes"),
        (b"\xff\xfe{\0}\0", "is UTF-16"),
        (b"\x1f\x8b broken", "cannot be read"),
        (b"\x89PNG\r\n\x1a\n", "line 1 is not JSON"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it(tmp_path: Path, data: bytes, message: str) -> None:
    path = file_of(tmp_path, data)
    with pytest.raises(InputError) as raised:
        parse_transcript(path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_truncated_archive_names_the_line(tmp_path: Path) -> None:
    whole = gzip.compress(DATA * 50)
    with pytest.raises(InputError, match=r"after line \d+: cannot be read"):
        parse_transcript(file_of(tmp_path, whole[:-20], "s.jsonl.gz"))
    broken = whole[:40] + bytes(20) + whole[60:]
    with pytest.raises((InputError, zlib.error)) as raised:
        parse_transcript(file_of(tmp_path, broken, "s.jsonl.gz"))
    assert isinstance(raised.value, InputError)


def test_missing_files_and_directories(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        parse_transcript(tmp_path / "nowhere.jsonl")
    with pytest.raises(InputError, match="is a directory"):
        parse_transcript(tmp_path)
    with pytest.raises(InputError):
        parse_transcript("a\0b.jsonl")


@pytest.mark.parametrize("source", [7, None, b"bytes", [7], [{"type": "user"}]])
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(InputError):
        parse_transcript(source)


def test_a_transcript_without_a_message_proves_no_absence() -> None:
    session = parse_transcript(dump({"type": "summary", "summary": "Done.", "leafUuid": "x"}))
    assert session.incomplete == ("the transcript holds no message",)
    assert not session.usage_complete
