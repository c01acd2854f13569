"""Bad input: one line that says what, where and the way out; the right exit code; no traceback."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from skilltrace_mlflow.cli._app import run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "skills"
SKILL = EXAMPLES / "bronze-ingestion"
GOOD = SKILL / "traces" / "demo-good.jsonl"
MANIFEST = "skill: {name: s}\nscorers:\n  trace_expectations:\n    tool_limits: {Bash: 3}\n"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, list[str]]]:
    def run_it(*arguments: object) -> tuple[int, str, list[str]]:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err.splitlines()

    return run_it


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("command", ["summarize", "trace-eval"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: None, "no such file", id="missing"),
        pytest.param(lambda path: path.mkdir(), "director", id="directory"),
        pytest.param(lambda path: path.touch(), "empty", id="empty"),
        pytest.param(lambda path: path.write_bytes(b"\x00" * 64), "", id="nul"),
        pytest.param(lambda path: path.write_text("hello\nworld\n"), "line 1", id="not json"),
        pytest.param(lambda path: path.write_text('{"a": 1}\n'), "", id="not a transcript"),
    ],
)
def test_a_file_that_is_no_transcript(
    command: str,
    make: Callable[[Path], object],
    message: str,
    tmp_path: Path,
    call: Callable[..., tuple[int, str, list[str]]],
) -> None:
    path = tmp_path / "session.jsonl"
    make(path)
    arguments = [path] if command == "summarize" else [SKILL, "--trace", path]
    code, out, err = call(command, *arguments)
    assert (code, out) == (2, "")
    assert len(err) == 1
    assert err[0].startswith("error: ")
    assert str(path) in err[0]
    assert message in err[0].lower()


def test_a_truncated_last_line_is_tolerated_and_said(
    tmp_path: Path, call: Callable[..., tuple[int, str, list[str]]]
) -> None:
    lines = GOOD.read_bytes().splitlines(keepends=True)
    path = tmp_path / "live.jsonl"
    path.write_bytes(b"".join(lines) + lines[3][: len(lines[3]) // 2])
    code, out, err = call("summarize", path)
    assert code == 0
    assert "orders" in out
    assert len(err) == 1
    assert f"{path}:{len(lines) + 1}" in err[0]


def test_a_broken_line_in_the_middle_is_said_and_absence_is_no_pass(
    tmp_path: Path, call: Callable[..., tuple[int, str, list[str]]]
) -> None:
    lines = GOOD.read_bytes().splitlines(keepends=True)
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"".join([*lines[:4], lines[4][:50] + b"\n", *lines[5:]]))
    code, out, err = call("summarize", path)
    assert code == 0
    assert any(f"{path}:5" in line for line in err)
    code, out, _ = call("trace-eval", SKILL, "--trace", path, "--format", "jsonl")
    assert code in (1, 3)
    assert '"name": "banned_tools", "verdict": "unknown"' in out


def test_one_bad_file_among_several_is_reported_and_the_others_are_judged(
    tmp_path: Path, call: Callable[..., tuple[int, str, list[str]]]
) -> None:
    (tmp_path / "good.jsonl").write_bytes(GOOD.read_bytes())
    (tmp_path / "bad.jsonl").write_text("nonsense\n", encoding="utf-8")
    code, out, _ = call("trace-eval", SKILL, "--trace-dir", tmp_path, "--format", "jsonl")
    assert code == 2
    assert '"test_id": "good"' in out
    assert '"verdict": "pass"' in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tool_limitz: {Bash: 1}",
            r"manifest\.yaml:4:5: .*tool_limitz.*did you mean 'tool_limits'",
        ),
        ("required_tools: Read", r"manifest\.yaml:4:21: .*required_tools.*list"),
        ("tool_limits: {Bash: many}", r"manifest\.yaml:4:25: .*Bash"),
        ("tool_limits: [", r"manifest\.yaml:\d+"),
    ],
)
def test_yaml_with_a_typo(
    text: str, message: str, tmp_path: Path, call: Callable[..., tuple[int, str, list[str]]]
) -> None:
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(f"skill: {{name: s}}\nscorers:\n  trace_expectations:\n    {text}\n")
    code, out, err = call("trace-eval", "--manifest", manifest, "--trace", GOOD)
    assert (code, out) == (2, "")
    assert len(err) == 1
    assert re.search(message, err[0])


def test_an_unknown_skill_names_the_nearest(
    call: Callable[..., tuple[int, str, list[str]]],
) -> None:
    code, out, err = call(
        "trace-eval", "bronze-ingestoin", "--skills-dir", EXAMPLES, "--trace", GOOD
    )
    assert (code, out) == (2, "")
    assert len(err) == 1
    assert "bronze-ingestion" in err[0]


def test_an_unknown_test_case_names_the_nearest(
    call: Callable[..., tuple[int, str, list[str]]],
) -> None:
    code, _, err = call("trace-eval", SKILL, "--trace", GOOD, "--test-id", "orders_creat")
    assert code == 2
    assert err == [
        "error: bronze-ingestion: no test case 'orders_creat' in its ground truth; "
        "did you mean 'orders_create'?"
    ]


def test_a_manifest_that_expects_nothing_is_no_pass(
    tmp_path: Path, call: Callable[..., tuple[int, str, list[str]]]
) -> None:
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text("skill: {name: s}\n", encoding="utf-8")
    code, _, err = call("trace-eval", "--manifest", manifest, "--trace", GOOD)
    assert code == 2
    assert "nothing is expected" in err[0]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--trace", GOOD, "--trace-dir", SKILL],
        ["--trace-id", "tr-1", "--run-id", "r"],
    ],
)
def test_traces_are_named_in_exactly_one_way(
    arguments: list[object], call: Callable[..., tuple[int, str, list[str]]]
) -> None:
    code, out, err = call("trace-eval", SKILL, *arguments)
    assert (code, out) == (2, "")
    assert "exactly one of" in " ".join(err)


def test_an_unknown_command_names_the_nearest(
    call: Callable[..., tuple[int, str, list[str]]],
) -> None:
    code, _, err = call("trace-evl")
    assert code == 2
    assert "trace-eval" in " ".join(err)


def test_a_custom_scorer_does_not_run_unasked(
    tmp_path: Path, call: Callable[..., tuple[int, str, list[str]]]
) -> None:
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(MANIFEST + "  enabled: ['os.path:exists']\n", encoding="utf-8")
    code, out, err = call("trace-eval", "--manifest", manifest, "--trace", GOOD)
    assert (code, out) == (2, "")
    assert "--allow-custom" in err[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("trace-eval", SKILL, "--trace-id", "tr-0"),
        ("trace-eval", SKILL, "--run-id", "0"),
        ("mlflow-eval", SKILL, "--include-traces"),
        ("list-traces",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_an_unreachable_server_is_noticed_soon(
    arguments: tuple[object, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[..., tuple[int, str, list[str]]],
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"http://127.0.0.1:{closed_port()}"
    code, out, err = call(*arguments, "--tracking-uri", uri)
    assert (code, out) == (3, "")
    assert len(err) == 1
    assert "does not answer" in err[0]
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_cannot_be_written_leaves_no_half_file(
    tmp_path: Path, call: Callable[..., tuple[int, str, list[str]]]
) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "results.jsonl"
    code, out, err = call("trace-eval", SKILL, "--trace", GOOD, "--output", target)
    assert (code, out) == (2, "")
    assert str(target) in err[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_reader_that_went_away_leaves_the_verdict_s_exit_code() -> None:
    failing = SKILL / "traces" / "demo-failing.jsonl"
    for trace, code in ((GOOD, 0), (failing, 1)):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as output:
            done = _run("trace-eval", SKILL, "--trace", trace, stdout=output)
        assert (done.returncode, done.stderr) == (code, b"")


def test_a_standard_output_that_cannot_be_written_is_no_verdict(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.touch()
    with closed.open("rb") as output:  # as a full disk would, it refuses what is written
        done = _run("summarize", GOOD, stdout=output)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: standard output: cannot be written: ")
    assert done.stderr.count(b"\n") == 1


def _run(*arguments: object, stdout: IO[bytes]) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "skilltrace_mlflow", *map(str, arguments)]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=False)
