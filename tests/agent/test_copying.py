"""A copy for an attempt: whole, without what tests know, and leading nowhere outside itself."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.agent import AgentOptions
from skilltrace_mlflow.agent import _place as places
from skilltrace_mlflow.agent._copying import StoppedError, copy_tree
from skilltrace_mlflow.agent._place import changes, make_place, snapshot
from skilltrace_mlflow.agent._processes import remove
from skilltrace_mlflow.agent.skill import skill_at, skill_of
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.expectations import load_manifest


def _nothing(path: Path) -> bool:
    return False


def _tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): "->" + str(path.readlink())
        if path.is_symlink()
        else path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def fixture(tmp_path: Path) -> Path:
    folder = tmp_path / "fixture"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_text("a")
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "outside" / "o.txt").write_text("o")
    (tmp_path / "outside" / "deep" / "d.txt").write_text("d")
    return folder


@pytest.mark.parametrize(
    ("link", "target", "expected"),
    [
        ("in", "sub/a.txt", {"in": "->sub/a.txt"}),
        ("sub/up", "..", {"sub/up": "->.."}),
        ("abs", "{fixture}/sub/a.txt", {"abs": "->sub/a.txt"}),
        ("out", "../outside/o.txt", {"out": "o"}),
        ("outabs", "{fixture}/../outside/o.txt", {"outabs": "o"}),
        ("dir", "../outside", {"dir/o.txt": "o", "dir/deep/d.txt": "d"}),
        ("sub/dangling", "nowhere", {"sub/dangling": "->nowhere"}),
        ("sub/lost", "../../nowhere", {}),
        ("self", "self", {"self": "->self"}),
    ],
)
def test_a_link_stays_inside_or_becomes_what_it_leads_to(
    fixture: Path, tmp_path: Path, link: str, target: str, expected: dict[str, str]
) -> None:
    (fixture / link).symlink_to(target.format(fixture=fixture))
    copy_tree(fixture, tmp_path / "copy", _nothing)
    assert _tree(tmp_path / "copy") == {"sub/a.txt": "a", **expected}


def test_links_in_what_is_copied_from_outside_do_not_lead_back(
    fixture: Path, tmp_path: Path
) -> None:
    (fixture / "dir").symlink_to("../outside")
    (tmp_path / "outside" / "deep" / "up").symlink_to("..")
    with pytest.raises(ConfigurationError, match="a folder around itself"):
        copy_tree(fixture, tmp_path / "copy", _nothing)


def test_a_link_around_the_fixture_is_refused(fixture: Path, tmp_path: Path) -> None:
    (fixture / "up").symlink_to("..")
    with pytest.raises(ConfigurationError, match="a folder around itself"):
        copy_tree(fixture, tmp_path / "copy", _nothing)


@given(
    links=st.lists(
        st.tuples(
            st.sampled_from(["l", "sub/l", "sub/m", "n"]),
            st.lists(st.sampled_from(["..", "sub", "a.txt", "outside", "deep", "l"]), max_size=4),
        ),
        max_size=3,
    )
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_copy_leads_outside(
    links: list[tuple[str, list[str]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("base").resolve()
    fixture, copy = base / "fixture", base / "copies" / "copy"
    for path in ("fixture/sub/a.txt", "outside/deep/d.txt"):
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_text(path)
    for name, parts in links:
        if not os.path.lexists(fixture / name):
            (fixture / name).symlink_to("/".join(parts) or ".")
    try:
        copy_tree(fixture, copy, _nothing)
    except ConfigurationError:
        return  # refused: no copy of that leads anywhere
    for path in copy.rglob("*"):
        if path.is_symlink():
            leads_to = Path(os.path.normpath(path.parent / path.readlink()))
            assert leads_to.is_relative_to(copy), path


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_no_file_is_refused(fixture: Path, tmp_path: Path, kind: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        if kind == "pipe":
            os.mkfifo(fixture / "it")
        else:
            made.bind(str(fixture / "it"))
        with pytest.raises(ConfigurationError, match="it: a pipe, socket or device"):
            copy_tree(fixture, tmp_path / "copy", _nothing)


def _git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "protocol.file.allow=always")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_worktree_of_another_repository_is_refused(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    _git(repository, "init", "-q")
    _git(repository, "commit", "-q", "--allow-empty", "-m", "real")
    _git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    with pytest.raises(ConfigurationError, match="where the agent's git would write"):
        copy_tree(tmp_path / "tree", tmp_path / "copy", _nothing)


def test_a_submodule_of_the_copied_repository_works_in_the_copy(tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    for folder in (inner, outer):
        folder.mkdir()
        _git(folder, "init", "-q")
        _git(folder, "commit", "-q", "--allow-empty", "-m", folder.name)
    _git(outer, "submodule", "--quiet", "add", str(inner), "sub")
    copy_tree(outer, tmp_path / "copy", _nothing)
    _git(tmp_path / "copy" / "sub", "commit", "-q", "--allow-empty", "-m", "of the agent")
    assert "of the agent" in _git(tmp_path / "copy" / "sub", "log", "--oneline")
    assert "of the agent" not in _git(outer / "sub", "log", "--oneline")


def test_copying_ends_when_told_to(fixture: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        copy_tree(fixture, tmp_path / "copy", _nothing, stop)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a skill in it, its tests beside it, and a copy of it that is offered."""
    root = tmp_path / "project"
    skill = root / "skills" / "naming"
    for path, text in {
        skill / "SKILL.md": "---\nname: naming\n---\nText.\n",
        skill / "manifest.yaml": "skill: {name: naming}\n",
        skill / "ground_truth.yaml": "test_cases: []\n",
        skill / ".git" / "log": "the answers, earlier",
        root / ".claude" / "skills" / "naming" / "SKILL.md": "an older one",
        root / "src" / "a.py": "pass\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("offered", [True, False])
def test_a_workspace_around_the_skill_holds_neither_it_nor_its_tests(
    project: Path, temporary: Path, offered: bool
) -> None:
    (project / "answers").symlink_to("skills/naming/ground_truth.yaml")
    (project / "skill").symlink_to("skills/naming")
    tested = skill_of(load_manifest(project / "skills" / "naming"), workspace=project)
    place = make_place(AgentOptions(workspace=project), tested, offered=offered)
    found = _tree(place.workspace)
    assert found.pop(".claude/skills/naming/SKILL.md", None) == (
        "---\nname: naming\n---\nText.\n" if offered else None
    )
    assert found == {"src/a.py": "pass\n"}


def test_a_workspace_in_the_skill_keeps_its_links(project: Path, temporary: Path) -> None:
    fixture = project / "skills" / "naming" / "fixture"
    fixture.mkdir()
    (fixture / "a.txt").write_text("a")
    (fixture / "b.txt").symlink_to("a.txt")
    tested = skill_of(load_manifest(project / "skills" / "naming"), workspace=fixture)
    place = make_place(AgentOptions(workspace=fixture), tested)
    assert _tree(place.workspace) == {
        "a.txt": "a",
        "b.txt": "->a.txt",
        ".claude/skills/naming/SKILL.md": "---\nname: naming\n---\nText.\n",
    }


def test_the_skill_itself_is_no_workspace(project: Path) -> None:
    skill = project / "skills" / "naming"
    with pytest.raises(ConfigurationError, match="is the skill's own folder"):
        skill_of(load_manifest(skill), workspace=skill)


def test_a_skill_that_is_linked_is_offered_and_its_digest_follows(
    project: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "SKILL.md").write_text("---\nname: linked\n---\nOne.\n")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "SKILL.md").symlink_to(shared / "SKILL.md")
    skill = skill_at(linked)
    before = skill.digest()
    skill.install(tmp_path / "w")
    offered = tmp_path / "w" / ".claude" / "skills" / "linked" / "SKILL.md"
    assert not offered.is_symlink()
    assert offered.read_text().endswith("One.\n")
    (shared / "SKILL.md").write_text("---\nname: linked\n---\nTwo.\n")
    assert skill.digest() != before


def test_folders_that_nothing_can_be_deleted_from_are_deleted(tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / "cache" / "module").mkdir(parents=True)
    (base / "cache" / "module" / "a").write_text("a")
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (base / "cache" / "link").symlink_to(tmp_path / "elsewhere")
    (base / "cache" / "module").chmod(0o000)
    (base / "cache").chmod(0o555)
    remove(str(base))
    assert not base.exists()
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o755


def test_changes_of_a_large_workspace_are_told_without_reading_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_MOST_BYTES", 30)
    for name in "abcdef":
        (tmp_path / name).write_text(name * 10)
    before = snapshot(tmp_path)
    (tmp_path / "0").write_text("new, and first in order")
    (tmp_path / "f").write_text("changed")
    (tmp_path / "b").write_text("changed\n")
    patch = changes(before, snapshot(tmp_path, since=before))
    assert [line for line in patch.splitlines() if line.startswith(("diff", "Binary"))] == [
        "diff --git a/0 b/0",
        "diff --git a/b b/b",
        "Binary files a/f and b/f differ",
    ]


def test_too_many_files_are_said_to_be_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_MOST_FILES", 3)
    for name in "abcdef":
        (tmp_path / name).write_text(name)
    before = snapshot(tmp_path)
    (tmp_path / "0").write_text("new")
    (tmp_path / "c").unlink()
    patch = changes(before, snapshot(tmp_path, since=before))
    assert patch.startswith("Over 3 files: only the first ones were compared.\n")
    assert "deleted file mode" in patch
    assert patch.count("diff --git") == 1
