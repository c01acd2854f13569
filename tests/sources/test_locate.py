"""Where sessions are found: in folders, and on this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from skilltrace_mlflow.errors import InputError, TraceNotFoundError
from skilltrace_mlflow.sources.locate import (
    claude_projects_dir,
    find_local_session,
    find_sessions,
    local_sessions,
    project_slug,
)


def make(path: Path, data: str = "{}\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data, encoding="utf-8")
    return path


def of(cwd: Path) -> str:
    """A transcript of a session that was started there."""
    first = {"type": "queue-operation"}
    return "".join(json.dumps(e) + "\n" for e in (first, {"type": "user", "cwd": str(cwd)}))


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config" / "projects"


def test_projects_lie_in_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert claude_projects_dir() == tmp_path / ".claude" / "projects"


@pytest.mark.parametrize("value", ["{0}/elsewhere", "~/elsewhere"])
def test_claude_config_dir_moves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", value.format(tmp_path))
    assert claude_projects_dir() == tmp_path / "elsewhere" / "projects"


@pytest.mark.parametrize(
    ("cwd", "slug"),
    [
        ("/home/dev/shop", "-home-dev-shop"),
        ("/home/dev/my_shop.v2", "-home-dev-my-shop-v2"),
        ("C:\\work\\shop", "C--work-shop"),
        ("/home/dév", "-home-d-v"),
        ("/a/-b", "-a--b"),
        # As Claude Code 2.1.332 names the folders of these directories.
        ("/tmp/slug/émoji-😀-x", "-tmp-slug--moji----x"),
        (f"/tmp/slug/{'d' * 120}/{'e' * 120}", f"-tmp-slug-{'d' * 120}-{'e' * 69}-wtvbda"),
        (
            f"/tmp/slug/{'f' * 60}/{'g' * 60}/{'h' * 200}",
            f"-tmp-slug-{'f' * 60}-{'g' * 60}-{'h' * 68}-zgx1xf",
        ),
    ],
)
def test_slug_turns_all_but_letters_and_digits_into_dashes(cwd: str, slug: str) -> None:
    assert project_slug(cwd) == slug


def test_only_main_session_files_are_found(tmp_path: Path) -> None:
    wanted = [
        make(tmp_path / "a.jsonl"),
        make(tmp_path / "deep" / "er" / "b.jsonl"),
        make(tmp_path / "c.jsonl.gz"),
    ]
    for name in (
        "agent-a1.jsonl",
        "agent-a1.jsonl.gz",
        "journal.jsonl",
        "a/subagents/agent-a2.jsonl",
        "a/subagents/workflows/run/journal.jsonl",
        "a/subagents/x.jsonl",
        ".hidden.jsonl",
        ".cache/d.jsonl",
        "result.json",
        "notes.txt",
    ):
        make(tmp_path / name)
    make(tmp_path / "empty.jsonl", "")
    (tmp_path / "folder.jsonl").mkdir()
    assert find_sessions(tmp_path) == sorted(wanted)
    assert find_sessions(tmp_path, recursive=False) == [wanted[0], wanted[2]]
    assert find_sessions(str(tmp_path)) == sorted(wanted)


def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    real = make(tmp_path / "z" / "a.jsonl")
    (tmp_path / "z" / "back").symlink_to(tmp_path)
    (tmp_path / "also").symlink_to(tmp_path / "z")
    outside = make(tmp_path.parent / f"{tmp_path.name}-outside" / "b.jsonl")
    (tmp_path / "out").symlink_to(outside.parent)
    (tmp_path / "dangling.jsonl").symlink_to(tmp_path / "nowhere")
    assert find_sessions(tmp_path) == [tmp_path / "out" / "b.jsonl", real]


def test_a_wrong_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        find_sessions(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a file"):
        find_sessions(make(tmp_path / "a.jsonl"))


def test_a_folder_that_cannot_be_listed_is_reported_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = make(tmp_path / "b" / "b.jsonl")
    closed = make(tmp_path / "a" / "a.jsonl").parent
    scandir = os.scandir

    def refuse(path: Path) -> object:  # root may list everything: refuse as the system would
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_sessions(tmp_path) == [closed, kept]
    with pytest.raises(InputError, match="cannot be listed: Permission denied"):
        find_sessions(closed)


def test_local_sessions_are_those_of_the_project_newest_first(
    projects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "my_shop"
    work.mkdir()
    folder = projects / project_slug(work)
    old, new = (make(folder / f"{name}.jsonl", of(work)) for name in "ab")
    os.utime(old, (1000, 1000))
    make(folder / "b" / "subagents" / "agent-x.jsonl")
    make(projects / "-other" / "c.jsonl")
    assert local_sessions(work) == [new, old]
    monkeypatch.chdir(work)
    assert local_sessions() == [new, old]
    assert local_sessions(tmp_path / "elsewhere") == []


def test_local_sessions_of_a_linked_directory(projects: Path, tmp_path: Path) -> None:
    work = tmp_path / "real"
    work.mkdir()
    (tmp_path / "link").symlink_to(work)
    by_real = make(projects / project_slug(work) / "a.jsonl", of(work))
    link = tmp_path / "link"
    by_link = make(projects / project_slug(link) / "b.jsonl", of(link))
    assert set(local_sessions(tmp_path / "link")) == {by_real, by_link}
    assert local_sessions(work) == [by_real]


def test_sessions_of_another_directory_in_the_same_folder_are_left_out(
    projects: Path, tmp_path: Path
) -> None:
    one, other = tmp_path / "my_shop", tmp_path / "my.shop"
    for work in (one, other):
        work.mkdir()
    folder = projects / project_slug(one)
    assert folder == projects / project_slug(other)
    of_one, of_other = make(folder / "a.jsonl", of(one)), make(folder / "b.jsonl", of(other))
    make(folder / "c.jsonl", '{"type": "summary"}\n')  # nobody knows where
    assert local_sessions(one) == [of_one]
    assert local_sessions(other) == [of_other]


def test_a_session_that_went_elsewhere_belongs_where_it_started(
    projects: Path, tmp_path: Path
) -> None:
    for name in ("my_shop", "my.shop"):
        (tmp_path / name).mkdir()
    text = of(tmp_path / "my_shop") + of(tmp_path / "my.shop")
    path = make(projects / project_slug(tmp_path / "my_shop") / "a.jsonl", text)
    assert local_sessions(tmp_path / "my_shop") == [path]
    assert local_sessions(tmp_path / "my.shop") == []


def test_a_session_is_found_by_its_id(projects: Path) -> None:
    old = make(projects / "-a" / "s1.jsonl")
    os.utime(old, (1000, 1000))
    new = make(projects / "-b" / "s1.jsonl")
    packed = make(projects / "-b" / "s2.jsonl.gz")
    assert find_local_session("s1") == new
    assert find_local_session("s2") == packed


@pytest.mark.parametrize("session_id", ["nowhere", "", "../-a/s1", "*", "/etc/passwd", "."])
def test_an_id_that_is_not_there(projects: Path, session_id: str) -> None:
    make(projects / "-a" / "s1.jsonl")
    with pytest.raises(TraceNotFoundError, match="no transcript in"):
        find_local_session(session_id)


def test_without_any_projects(projects: Path) -> None:
    assert local_sessions() == []
    with pytest.raises(TraceNotFoundError):
        find_local_session("s1")
