"""Permission rules as Claude Code 2.1.332 decides: what was played on the CLI, kind by kind."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import make_call, make_session
from tests.checks.judging import bash, judge

CWD = "/home/ann/shop"


def decided(rules: dict, *calls: object) -> str:
    session = make_session([bash(c) if isinstance(c, str) else c for c in calls], cwd=CWD)
    return str(judge("permissions", rules, session).verdict)


@pytest.mark.parametrize(
    "line",
    [
        "cat secrets/a",
        "head -c5 secrets/a",
        "cat -- 'secrets/a'",
        "wc < secrets/a",
        "cd secrets && cat a",
        "(cd secrets; cat a)",
        "f=secrets/a; cat $f",
        'cat "$PWD/secrets/a"',
        "cat secrets/*",
        "cat Secrets/a",
        "cat sub/../secrets/a",
        "timeout 5 cat secrets/a",
        "ls && cat secrets/a | wc",
        "grep -f secrets/a b",
        "sed -i s/a/b/ secrets/a",
        "cp secrets/a b",
        "mv secrets/a b",
        "ls secrets",
        "find secrets -type f",
        "diff b secrets/a",
        "cat sub/secrets/a",
    ],
)
def test_a_read_rule_reaches_into_a_line(line: str) -> None:
    assert decided({"deny": ["Read(./secrets/**)"]}, line) == "fail"


@pytest.mark.parametrize(
    "line",
    [
        "grep secrets/a b",  # a pattern
        "echo secrets/a",
        "cp b secrets/a",
        "echo x > secrets/a",
        "ls",
        "/bin/cat secrets/a",
        "bash -c 'cat secrets/a'",
        "echo $(cat secrets/a)",
        "for f in secrets/a; do cat $f; done",
        "xxd secrets/a",
        "tar cf x secrets",
    ],
)
def test_where_the_cli_does_not_look(line: str) -> None:
    assert decided({"deny": ["Read(./secrets/**)"]}, line) == "pass"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("echo x > src/a", "fail"),
        ("make >> src/log 2>&1", "fail"),
        ("echo x | tee -a src/a", "fail"),
        ("sed -i s/a/b/ src/a", "fail"),
        ("rm -rf src", "fail"),
        ("/bin/rm src/a", "fail"),
        ("mv src/a b", "fail"),
        ("mv b src/a", "fail"),
        ("cp b src", "fail"),
        ("touch src/a", "fail"),
        ("mkdir -p src/d/e", "fail"),
        ("cd src && touch a", "fail"),
        ("echo x > src/a 2> /dev/null", "fail"),
        ("cp src/a b", "pass"),
        ("cat src/a > /dev/null", "pass"),
        ("dd if=b of=src/a", "pass"),
    ],
)
def test_an_edit_rule_reaches_into_a_line(line: str, expected: str) -> None:
    assert decided({"deny": ["Edit(src/**)"]}, line) == expected


@pytest.mark.parametrize("line", ["cp b src/a", "echo x 2> src/a", "cd src && touch a"])
def test_an_absolute_rule_means_relative_paths(line: str) -> None:
    assert decided({"deny": [f"Edit(/{CWD}/src/**)"]}, line) == "fail"


@pytest.mark.parametrize("tool", ["Edit", "Write", "Read", "Grep", "Glob"])
def test_a_read_rule_denies_edits_and_the_folder_itself(tool: str) -> None:
    key = "path" if tool in ("Grep", "Glob") else "file_path"
    path = f"{CWD}/secrets" + ("/a" if tool in ("Edit", "Write") else "")
    call = make_call(tool, {key: path, "pattern": "x"})
    assert decided({"deny": ["Read(secrets/**)"]}, call) == "fail"


@pytest.mark.parametrize(
    ("rule", "line", "expected"),
    [
        ("Bash(rm:*)", "/bin/rm x", "fail"),
        ("Bash(rm:*)", "../rm x", "fail"),
        ("Bash(git push:*)", "C:/x/git.exe push", "fail"),
        ("Bash(FOO=1 git push:*)", "FOO=1 git push", "fail"),
        ("Bash(FOO=1 git push:*)", "git push", "pass"),
        ("Bash(git add . && git push)", "git add . && git push", "fail"),
        ("Bash(git add . && git push)", "git add .", "pass"),
        ("Bash(timeout:*)", "timeout 5 ls", "fail"),
        ("Bash(npm  run test:*)", "npm run test", "fail"),
        ("Bash([:*)", "[ -f x ]", "fail"),
    ],
)
def test_commands(rule: str, line: str, expected: str) -> None:
    assert decided({"deny": [rule]}, line) == expected


@pytest.mark.parametrize(
    ("rule", "tool", "arguments", "expected"),
    [
        ("Bash(git push:*)", "Monitor", {"command": "git push"}, "fail"),
        ("Agent(general-purpose)", "Agent", {"prompt": "x"}, "fail"),
        ("Agent(explore)", "Task", {"prompt": "x", "subagent_type": "Explore"}, "fail"),
        ("Skill(release:*)", "Skill", {"skill": "release-notes"}, "fail"),
        ("WebFetch(domain:*.e.org)", "WebFetch", {"url": "https://a.b.e.org/x"}, "fail"),
        ("WebFetch(domain:e.*)", "WebFetch", {"url": "https://e.org.evil.net/"}, "pass"),
        ("WebFetch(domain:e.*)", "WebFetch", {"url": "https://e.org/"}, "fail"),
    ],
)
def test_other_tools(rule: str, tool: str, arguments: dict, expected: str) -> None:
    assert decided({"deny": [rule]}, make_call(tool, arguments)) == expected


COVERED = [
    "npm run test",
    "npm run test --x",
    "npm run test > /dev/null 2>&1",
    "NODE_ENV=x npm run test",
    "timeout 5 npm run test",
    "if true; then npm run test; fi",
    "for i in 1 2; do npm run test; done",
    "cd sub && npm run test",
    "X=$(npm run test)",
    "npm run test | head",
    "npm run test $HOME",
]
OPEN = [
    "npm run test > out",
    "FOO=1 npm run test",
    "PATH=/x npm run test",
    "(npm run test)",
    "npm run test &",
    "npm run test $X",
    "npm run test $(ls)",
    "npm run test <(ls)",
    "env npm run test",
    "./npm run test",
    "npm run test; rm x",
    "npm run test | tee x",
    "cd /tmp && npm run test",
    "f() { npm run test; }; f",
    "npm run test; cat /etc/hosts",
    "npm run test <<E\nx\nE",
]


@pytest.mark.parametrize(
    ("line", "expected"), [*((c, "pass") for c in COVERED), *((c, "fail") for c in OPEN)]
)
def test_what_an_allow_rule_covers(line: str, expected: str) -> None:
    assert decided({"allow": ["Bash(npm run test:*)"]}, line) == expected


@given(st.sampled_from(COVERED), st.sampled_from(OPEN))
@settings(deadline=None, max_examples=40)
def test_one_open_command_leaves_the_line_open(covered: str, open_: str) -> None:
    assert decided({"allow": ["Bash(npm run test:*)"]}, f"{covered}\n{open_}") == "fail"


UNASKED = [
    "date", "date +%s", "sort a", "jq -r .x a", "rg x", "tree", "cut -d: -f1 a", "tr a b < c",
    "sed -n 1,5p a", "realpath a", "md5sum a", "python3 --version", "df -h", "ps aux", "git branch",
    "git branch --show-current", "git remote -v", "git stash list", "git tag -l", "git log -5",
    "git config --get user.name", "docker ps", "find . -type f | xargs grep a", "ls -la", "pwd",
    "git diff --stat", "git rev-parse --show-toplevel", "head -5 a", "test -f /etc/hosts",
]  # fmt: skip
ASKED = [
    "date -s now", "sort -o a b", "rg --pre x y", "sed s/a/b/ a", "git branch x", "git tag x",
    "git branch -D x", "git remote add a b", "git stash", "git config user.name x", "docker run x",
    "find . -delete", "find . -exec rm {} +", "xargs rm", "cat /etc/hosts", "cat ~/x", "ls ..",
    "git -C x status", "git diff --output=x", "npm ls", "env ls", "/bin/ls", "tree -o x", "awk 1 a",
    "fd -x rm", "sed -i s/a/b/ a", "git log > x", "curl http://e.org", "X=1 ls",
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "expected"), [*((c, "pass") for c in UNASKED), *((c, "fail") for c in ASKED)]
)
def test_what_runs_unasked(line: str, expected: str) -> None:
    assert decided({"allow": ["WebSearch"]}, line) == expected


@pytest.mark.parametrize(
    ("rules", "tool", "path", "expected"),
    [
        (["*"], "Write", "a", "fail"),  # left out by the CLI
        (["Write(src/**)"], "Write", "src/a", "fail"),
        (["Edit(src/**)"], "Write", "src/a", "pass"),
        (["Edit(src/**)"], "Write", "SRC/a", "pass"),
        (["Edit(src/**)"], "Write", "sub/src/a", "fail"),
        (["Edit"], "Write", "a", "fail"),
        (["Edit"], "Edit", "a", "pass"),
        (["Edit(**)"], "Write", ".git/config", "fail"),
        (["Write"], "Write", "sub/.vscode/x", "fail"),
        (["Write"], "Write", ".claude/worktrees/w/a", "pass"),
        (["Edit(**)"], "Read", "/etc/hostname", "fail"),
        (["Read"], "Read", "/etc/hostname", "pass"),
        (["Read(//etc/**)"], "Read", "/etc/hostname", "pass"),
        (["WebSearch"], "Read", "a", "pass"),
    ],
)
def test_files_under_allow(rules: list, tool: str, path: str, expected: str) -> None:
    whole = path if path.startswith("/") else f"{CWD}/{path}"
    assert decided({"allow": rules}, make_call(tool, {"file_path": whole})) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mkdir d", "pass"),
        ("rm -rf a", "pass"),
        ("echo x > q", "pass"),
        ("sed -i s/a/b/ q", "pass"),
        ("touch /tmp/q", "unknown"),
        ("touch .git/x", "unknown"),
        ("rm *", "unknown"),
        ("chmod +x q", "unknown"),
        ("truncate -s0 q", "unknown"),
        ("touch a &", "unknown"),
    ],
)
def test_commands_in_accept_edits(line: str, expected: str) -> None:
    assert decided({"allow": ["WebSearch"], "defaultMode": "acceptEdits"}, line) == expected


def test_hosts_and_tools_that_nobody_is_asked_for() -> None:
    docs = make_call("WebFetch", {"url": "https://docs.python.org/3/"})
    other = make_call("WebFetch", {"url": "https://sub.docs.python.org/3/"})
    rules = {"allow": ["Bash(ls:*)"]}
    assert decided(rules, docs, make_call("Skill", {"skill": "x"}), make_call("CronList")) == "pass"
    assert decided(rules, other) == "fail"


def test_the_whole_working_directory_is_not_removed_unasked() -> None:
    assert decided({"deny": ["Nothing"]}, "rm -rf .") == "unknown"
    assert decided({"allow": ["Bash"]}, "rm -rf *") == "fail"
    assert decided({"allow": ["Bash"]}, "rm -rf build") == "pass"
