"""`list-traces` at any width, in order of time; what it shows of an id is enough for the
others; and `-q` prints no table in any command.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from rich.cells import cell_len

from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.sources.locate import last_activity, local_sessions, project_slug
from skilltrace_mlflow.sources.prefixes import whole_session_id

SKILL = Path(__file__).resolve().parents[2] / "examples" / "skills" / "bronze-ingestion"
GOOD = SKILL / "traces" / "demo-good.jsonl"
FIRST, SECOND, THIRD = (
    "abcd1111-aaaa-4aaa-8aaa-aaaaaaaaaaa1",
    "abcd1111-bbbb-4aaa-8aaa-aaaaaaaaaaa2",
    "ef012222-cccc-4aaa-8aaa-aaaaaaaaaaa3",
)


def session(day: int, cwd: str) -> str:
    rows = [json.loads(line) for line in GOOD.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        if "timestamp" in row:
            row["timestamp"] = f"2026-10-{day:02}T{row['timestamp'][11:]}"
        if "cwd" in row:
            row["cwd"] = cwd
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three sessions, whose files' times say the opposite of what they say themselves."""
    work = tmp_path / "订单-project"
    work.mkdir()
    for number, (name, day) in enumerate(((FIRST, 3), (SECOND, 9), (THIRD, 6))):
        folder = tmp_path / "claude" / "projects" / project_slug(work)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.jsonl"
        file.write_text(session(day, str(work)), encoding="utf-8")
        os.utime(file, (10_000 - day * 100, 10_000 - day * 100 + number))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(work)
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert run(["list-traces", *arguments]) == 0
    return capsys.readouterr().out


def test_newest_first_is_by_what_the_sessions_say(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(listed(capsys, "--local", "--format", "json"))
    assert [row["id"] for row in rows] == [SECOND, THIRD, FIRST]
    assert [row["time"][:10] for row in rows] == ["2026-10-09", "2026-10-06", "2026-10-03"]
    assert [path.stem for path in local_sessions()] == [SECOND, THIRD, FIRST]
    assert rows[0]["project"] == str(home / "订单-project")


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_a_list_fits_and_its_ids_are_taken(
    columns: int,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = listed(capsys, "--local").splitlines()
    assert all(cell_len(line) <= columns for line in lines)
    shown = [line.split()[0] for line in lines if line.startswith(("abcd", "ef01"))]
    assert [whole_session_id(text) for text in shown] == [SECOND, THIRD, FIRST]
    assert (shown[0] == SECOND) == (columns == 200)
    assert "订单-project" in "\n".join(lines)
    assert run(["show", "--session-id", shown[0]]) == 0


@pytest.mark.parametrize(
    "command",
    [
        ["show"],
        ["expect"],
        ["trace-eval", str(SKILL)],
        ["trace-eval", str(SKILL), "--local"],
        ["capture", str(SKILL)],
    ],
)
def test_a_beginning_that_several_share_is_refused(
    command: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--session-id", "abcd1111"]) == 2
    said = capsys.readouterr().err
    assert FIRST in said
    assert SECOND in said
    assert "give more of the id" in said


@pytest.mark.parametrize("given", ["ef0", "*", "../ef01", "ef01%", "", "zzzz"])
def test_what_is_no_beginning_of_an_id_names_nothing(given: str, home: Path) -> None:
    assert whole_session_id(given) == given
    assert run(["show", "--session-id", given]) == 3


def test_traces_of_a_store_by_the_beginning_of_their_id(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ["--tracking-uri", f"sqlite:///{home}/s.db", "--experiment", "e"]
    assert run(["import", str(SKILL / "traces" / "demo-edit.jsonl"), str(GOOD), *store]) == 0
    rows = json.loads(listed(capsys, *store, "--format", "json"))
    assert len(rows) == 2
    assert rows[0]["time"] > rows[1]["time"]
    monkeypatch.setenv("COLUMNS", "80")
    lines = listed(capsys, *store).splitlines()
    assert all(cell_len(line) <= 80 for line in lines)
    for row in rows:
        for option, key in (("--trace-id", "id"), ("--session-id", "session")):
            assert run(["show", option, row[key][:11], *store, "--format", "json"]) == 0
            assert json.dumps(row["session"]) in capsys.readouterr().out
            assert row["id"][:11] in "\n".join(lines)
    assert run(["expect", "--trace-id", rows[0]["id"][:11], *store]) == 0
    assert f"trace_id: {rows[0]['id']}" in capsys.readouterr().out
    assert run(["show", "--trace-id", "tr-zzzz", *store]) == 3
    assert "trace tr-zzzz: not found" in capsys.readouterr().err


def test_a_last_line_that_is_not_whole_hides_no_time(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(session(4, "/w") + '{"timestamp": "2030-', encoding="utf-8")
    assert last_activity(file)[0] < 1_791_244_800  # 2026-10-06
    file.write_text("nothing\n", encoding="utf-8")
    assert last_activity(file)[0] == file.stat().st_mtime


QUIET = {
    "trace-eval": ["trace-eval", str(SKILL), "--trace", str(GOOD)],
    "summarize": ["summarize", str(GOOD)],
    "summarize --latest": ["summarize", "--latest"],
    "summarize --local": ["summarize", "--local"],
    "show": ["show", str(GOOD)],
    "compare": ["compare", "a.jsonl", "a.jsonl"],
    "convert": ["convert", "a.jsonl"],
    "list-traces": ["list-traces", "--local"],
    "triggers": ["triggers", str(GOOD)],
    "validate": ["validate", str(SKILL)],
    "doctor": ["doctor", "--tracking-uri", "sqlite:///none.db"],
}


@pytest.mark.parametrize("name", QUIET)
def test_quiet_prints_no_table(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*QUIET["trace-eval"], "-q", "--output", "a.jsonl"]) == 0
    code = run(QUIET[name])
    assert capsys.readouterr().out
    assert run([*QUIET[name], "-q"]) == code
    assert capsys.readouterr() == ("", "")
    if name not in ("validate",):
        assert run([*QUIET[name], "-q", "--format", "json"]) == code
        assert json.loads(capsys.readouterr().out)
