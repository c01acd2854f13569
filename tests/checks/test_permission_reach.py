"""Where a line reaches further than its words look: what Claude Code 2.1.332 asks about then.

Each rule was played on the CLI; `tests/data/permissions` holds the pairs.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks.judging import bash, verdict

CWD = "/home/dev/shop"
READS = {"allow": ["Read"], "defaultMode": "dontAsk"}
EDITS = {"defaultMode": "acceptEdits"}
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True)


def asked(command: str, rules: dict[str, Any], **fields: Any) -> bool:
    return verdict("permissions", rules, bash(command, **fields), cwd=CWD) != "pass"


@settings(deadline=None, max_examples=50)
@given(
    folder=NAMES,
    file=NAMES,
    reader=st.sampled_from(["cat", "head", "wc", "sort", "stat", "diff x", "git diff", "ls"]),
    inside=st.sampled_from(["", "./", f"{CWD}/", "a/"]),
)
def test_a_path_that_leaves_a_folder_again_is_asked_about(
    folder: str, file: str, reader: str, inside: str
) -> None:
    assert asked(f"{reader} {inside}{folder}/../{file}", READS)
    assert not asked(f"{reader} {inside}{folder}/..{file}", READS)
    assert not asked(f"{reader} {inside}{folder}/./{file}", READS)


@settings(deadline=None, max_examples=50)
@given(folder=NAMES, file=NAMES)
def test_so_is_one_that_leaves_the_folder_of_a_cd(folder: str, file: str) -> None:
    assert asked(f"cd {folder} && cat ../{file}", READS)
    assert not asked(f"cd {folder} && cat {file}", READS)
    assert not asked(f"cd {CWD}/{folder} && cat ../{file}", READS)
    # the folder of an earlier call is no part of the line
    assert not asked(f"cat ../{file}", READS, cwd=f"{CWD}/{folder}")


@pytest.mark.parametrize("program", ["echo", "printf", "basename", "dirname", "tree", "git log"])
def test_what_names_no_file_may_be_written_so(program: str) -> None:
    assert not asked(f"{program} src/../x", READS)


@settings(deadline=None, max_examples=50)
@given(
    redirect=st.sampled_from(["> f", ">> f", "2> f", "&> f", "< f"]),
    link=st.sampled_from([" && ", "; ", "\n", " | "]),
)
def test_a_redirection_in_a_line_that_changes_the_folder_is_asked_about(
    redirect: str, link: str
) -> None:
    rules = {**EDITS, "allow": ["Bash(make:*)", "Edit(**)"]}
    assert asked(f"cd src{link}make {redirect}", rules)
    assert not asked(f"make{link}make {redirect}", rules)
    for stays in (".", "./", CWD, f"{CWD}/"):
        assert not asked(f"cd {stays} && make {redirect}", rules)
    assert not asked("cd src && make 2>&1 > /dev/null", rules)


@pytest.mark.parametrize("line", ["> f", ">> f", "> f > g", "make && > f", "> f; make", "< f"])
def test_a_redirection_without_a_command_is_asked_about(line: str) -> None:
    assert asked(line, {**EDITS, "allow": ["Bash(make:*)", "Edit(**)"]})
    assert not asked(line, {"allow": ["Bash"]})


@pytest.mark.parametrize("way", ["diff", "grep -n x", "grep -e x", "grep x --"])
@pytest.mark.parametrize("path", ["/etc/hostname", "../other/a", "~/x"])
def test_what_git_is_told_to_read_is_a_file(way: str, path: str) -> None:
    for rules in (READS, {"allow": ["Bash(git diff:*)", "Bash(git grep:*)"]}):
        assert asked(f"git {way} {path}", rules)
        assert not asked(f"git {way} src/a.py", rules)
    assert not asked("git grep /api/v1", READS)  # a pattern is no path


ALL = [".", "./", "..", "../", "*", "./*", "**", "**/*", "~", "~/", "~/*", "/srv", "/srv/*", "/"]
ALL += [CWD, f"{CWD}/", f"{CWD}/*", f"{CWD}/.", "/home/dev", "/home/dev/*", "src/..", "docs/../*"]
SOME = ["src", "src/*", "s*", "?*", "[a-z]*", ".git/*", "~/x", "~/notes/*", "/srv/a", "/tmp/a/*"]
THROUGH = [
    "",
    "timeout 5 ",
    "nohup ",
    "nice -n 5 ",
    "env ",
    "env A=1 ",
    "time ",
    "command ",
    "/bin/",
]


@pytest.mark.parametrize("target", ALL)
@pytest.mark.parametrize("way", [*THROUGH, "cd src && ", "sh -c '", "bash -lc 'ls; ", "echo $("])
def test_removing_everything_is_asked_about_in_every_mode(target: str, way: str) -> None:
    end = "'" if way.endswith(("'", "; ")) else ")" if way.endswith("(") else ""
    line = f"{way}rm -rf {target}{end}"
    assert verdict("permissions", {"defaultMode": "bypassPermissions"}, bash(line), cwd=CWD) == (
        "unknown"
    )
    assert verdict("permissions", {"allow": ["Bash"]}, bash(line), cwd=CWD) == "fail"


@pytest.mark.parametrize("target", SOME)
@pytest.mark.parametrize("way", THROUGH)
def test_removing_a_part_is_not(target: str, way: str) -> None:
    line = f"{way}rm -rf {target}"
    assert not asked(line, {"defaultMode": "bypassPermissions"})


@pytest.mark.parametrize("carrier", ["sudo", "xargs", "doas"])
def test_carriers_that_the_cli_does_not_look_behind(carrier: str) -> None:
    assert not asked(f"{carrier} rm -rf .", {"defaultMode": "bypassPermissions"})


def test_the_folder_of_an_earlier_cd_counts_beside_the_session_s() -> None:
    for target in (CWD, "..", "../*", "."):
        assert asked(
            f"rm -rf {target}", {"defaultMode": "bypassPermissions"}, cwd=f"{CWD}/src/deep"
        )
    assert not asked("rm -rf a", {"defaultMode": "bypassPermissions"}, cwd=f"{CWD}/src")


@pytest.mark.parametrize(
    ("rule", "covers"),
    [
        ("mcp__db__*", True),
        ("mcp__db__get_*", True),
        ("mcp__db", True),
        ("mcp__*__get_row", False),
        ("mcp__d*__get_row", False),
        ("mcp__*", False),
    ],
)
def test_an_allow_rule_on_mcp_tools_names_its_server(rule: str, covers: bool) -> None:
    found = verdict("permissions", {"allow": [rule]}, "mcp__db__get_row", cwd=CWD)
    assert found == ("pass" if covers else "fail")
