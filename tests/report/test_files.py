"""Files are written whole or not at all, under names that every system takes."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from skilltrace_mlflow.errors import SkillTraceError
from skilltrace_mlflow.report import dump_sessions, write_atomic
from skilltrace_mlflow.report.dump import safe_name
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.sources.session_json import session_from_json
from tests.builders import make_session
from tests.report.evaluations import nested_session


def test_folders_are_made_and_the_text_is_utf8(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b" / "x.md", "größer\n")
    assert (tmp_path / "a" / "b" / "x.md").read_bytes() == "größer\n".encode()


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_atomic("~/x.txt", "x")
    assert (tmp_path / "x.txt").read_text() == "x"


def test_a_full_disk_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SkillTraceError, match=r"results\.jsonl: cannot be written: No space left"):
        write_atomic(file, "new" * 1000)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_device_without_space_is_an_error_of_ours() -> None:
    with pytest.raises(SkillTraceError, match=r"/dev/full: cannot be written: No space left"):
        write_atomic("/dev/full", "x")


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(pipe, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_and_a_path_through_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SkillTraceError, match="is a folder"):
        write_atomic(tmp_path, "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(SkillTraceError, match="cannot be written"):
        write_atomic(tmp_path / "file" / "x", "x")


def test_mode_and_link_of_the_old_file_stay(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    target.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(target)
    write_atomic(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_new_file_has_the_mode_that_the_mask_asks_for(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomic(tmp_path / "x", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plain-1.2_x", "plain-1.2_x"),
        ("../../etc/passwd", "_._.._etc_passwd"),
        ("a b/c\\d:e", "a_b_c_d_e"),
        (".hidden", "_hidden"),
        ("..", "_."),
        ("", "_"),
        ("тест", "____"),
        ("con.txt", "_on.txt"),
        ("x" * 300, "x" * 100),
    ],
)
def test_file_names_hold_no_unsafe_character(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_dumped_sessions_load_again_and_never_leave_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    result = TestResult(test_id="../up", skill="s", session=nested_session(), attempt=2)
    (path,) = dump_sessions(Evaluation(skill="s", results=(result,)), folder)
    assert path == folder / "_._up__2.json"
    assert session_from_json(json.loads(path.read_text())) == nested_session()
    assert [file.name for file in tmp_path.iterdir()] == ["traces"]


def test_ids_that_give_one_name_give_two_files(tmp_path: Path) -> None:
    first = TestResult(test_id="a/b", skill="s", session=make_session(["Read"]))
    second = replace(first, test_id="a:b", session=make_session(["Write"]))
    upper = replace(first, test_id="A/B", session=make_session(["Bash"]))
    without = TestResult(test_id="none", skill="s")
    paths = dump_sessions(Evaluation(skill="s", results=(first, second, upper, without)), tmp_path)
    names = [json.loads(path.read_text())["tool_calls"][0]["name"] for path in paths]
    assert names == ["Read", "Write", "Bash"]
    assert paths[0].name == "a_b__1.json"
    assert len({path.name.lower() for path in paths}) == 3
