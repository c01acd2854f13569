"""The quick look at lines that can change no file never rules out one that does."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.commands.changes import folder_after, may_change_files
from skilltrace_mlflow.commands.file_programs import PROGRAMS
from skilltrace_mlflow.commands.file_use import file_uses
from skilltrace_mlflow.commands.prefilter import line_of
from skilltrace_mlflow.commands.shell import read_script

_OPTIONS = ("", "-r", "-i", "-i.bak", "-ni", "--in-place", "-o x", "-ox", "--output=x", "-delete")
_SUBCOMMANDS = tuple(
    "rm mv restore checkout stash reset clean apply am clone diff show".split()  # noqa: SIM905
)
_PROGRAMS = sorted([*PROGRAMS, "find", "tar", "dd", "unzip", "7z", "xargs"])
_COMMANDS = [
    *(f"{name} {option} a b" for name, option in itertools.product(_PROGRAMS, _OPTIONS)),
    *(f"git {sub} {option} a" for sub in _SUBCOMMANDS for option in ("", "--hard", "-o x", "--")),
    "echo a > b", "cat a >> b", "echo a >| b", "echo a &> b", "dd if=a of=b", "tar xf a.tgz",
    "docker cp c:/a b", "aws s3 sync s3://a b", "pip download -d b a",
    "frob --output=b/a", "frob -o b.txt", "gh release download -D b", "tar czf a.tgz b",
    "find . -fprint x", "find . -name '*.py' -exec rm {} +",
]  # fmt: skip
_SPELLINGS = (
    "{}", "sudo {}", "cd a && {}", "sh -c '{}'", "ls | {}", "ls; {}", "env '-S{}'", "( {} )",
    "xargs {}", "if true; then {}; fi", "ls # no end\\\n{}", "X=1 {}", "{} 2>/dev/null | tail -3",
    "timeout 5 {} 2>&1",
)  # fmt: skip


def _changes(line: str) -> bool:
    return any(use.kind not in ("read", "list") for use in file_uses(line))


@pytest.mark.parametrize("spelling", _SPELLINGS)
def test_a_line_that_changes_a_file_is_never_ruled_out(spelling: str) -> None:
    lines = [spelling.format(command) for command in _COMMANDS]
    assert any(map(_changes, lines))
    assert [x for x in lines if _changes(x) and not may_change_files(line_of(x))] == []


@settings(deadline=None)
@given(st.lists(st.sampled_from(_COMMANDS), min_size=1, max_size=3), st.data())
def test_nor_is_one_that_is_spelled_with_quotes(commands: list[str], data: st.DataObject) -> None:
    line = " && ".join(commands)
    at = data.draw(st.integers(0, len(line) - 1))
    mark = data.draw(st.sampled_from(["''", '""', "\\", "\\\n"]))
    line = line[:at] + mark + line[at:]
    assert may_change_files(line_of(line)) or not _changes(line)


@pytest.mark.parametrize(
    "line",
    [
        "grep -rn 'a' src | sort | uniq -c",
        "sed -n '1,20p' a.py 2>&1",
        "find . -name '*.py' -not -path './x/*' 2>/dev/null | head",
        "git status -s && git diff --stat",
        "python -c 'print(1)'",
    ],
)
def test_what_only_looks_is_ruled_out(line: str) -> None:
    assert not may_change_files(line_of(line))


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        ("cd /a/b && ls", "/a/b"),
        ("cd /a && ls | tail", "/a"),
        ("cd /a && ls 2>&1 | tail", "/a"),
        ("cd a && ls 2>&1 | tail; ls", "a"),
        ("cd /a && cd ../b && ls", "/b"),
        ("cd /a && (cd b; ls)", "/a"),
        ("ls | cd a", ""),
        ("ls abcd", ""),
    ],
)
def test_where_a_line_ends(line: str, folder: str) -> None:
    assert folder_after(line) == read_script(line).folder == folder


def test_a_pipeline_behind_a_move_leaves_the_shell_where_it_is() -> None:
    (use,) = [u for u in file_uses("cd a && ls 2>&1 | tail; rm c") if u.kind == "delete"]
    assert use.path == "a/c"
