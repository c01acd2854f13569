"""file_scope: nothing outside, nothing inside, and what names a file without its own path."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import make_call
from tests.checks.judging import bash, verdict


class TestFileScope:
    @pytest.mark.parametrize(
        ("value", "written", "expected"),
        [
            ({"allowed": ["src/**"]}, "/repo/src/a.py", "pass"),
            ({"allowed": ["src/**"]}, "/repo/a.py", "fail"),
            ({"allowed": ["src/**"]}, "/repo/src/../a.py", "fail"),
            ({"allowed": ["src/**", "*.md"]}, "/repo/docs/a.md", "pass"),
            ({"forbidden": [".env"]}, "/repo/deep/.env", "fail"),
            ({"forbidden": [".env"]}, "/repo/.env.example", "pass"),
            ({"forbidden": [".git"]}, "/repo/.git/hooks/x", "fail"),
            ({"forbidden": ["infra/**"]}, "/repo/infra/main.tf", "fail"),
            ({"forbidden": ["infra/**"]}, "/repo/x/infra/main.tf", "pass"),
            ({"forbidden": ["/etc"]}, "/etc/passwd", "fail"),
            ({"forbidden": ["~/.ssh"]}, "/home/ann/.ssh/config", "fail"),
            ({"allowed": ["src/**"], "forbidden": ["src/gen"]}, "/repo/src/gen/a", "fail"),
            # outside of the working directory
            ({"forbidden": [".env"]}, "/other/.env", "fail"),
            ({"forbidden": ["../other/**"]}, "/other/a", "fail"),
            ({"forbidden": ["*.{pem,key}"]}, "/repo/a.key", "fail"),
            ({"allowed": ["src/{a,b}/**"]}, "/repo/src/b/c", "pass"),
        ],
    )
    def test_written_files(self, value: dict, written: str, expected: str) -> None:
        assert verdict("file_scope", value, cwd="/repo", created=[written]) == expected

    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("echo A=1 > .env", "fail"),
            ("echo A=1 >> deep/.env", "fail"),
            ("cat x | tee .env", "fail"),
            ("cp a .env", "fail"),
            ("mv .env b", "fail"),
            ("rm -f .env", "fail"),
            ("sed -i 's/a/b/' .env", "fail"),
            ("cd sub && touch .env", "fail"),
            ("bash -c 'echo x > .env'", "fail"),
            ("cat .env", "pass"),
            ("grep x .env > out.txt", "pass"),
            ("echo '> .env'", "pass"),
            ("ls > /dev/null 2>&1", "pass"),
            ('echo x > "$FILE"', "unknown"),
        ],
    )
    def test_shell_commands(self, command: str, expected: str) -> None:
        assert (
            verdict("file_scope", {"forbidden": [".env"]}, bash(command), cwd="/repo") == expected
        )

    @pytest.mark.parametrize(
        ("value", "command", "expected"),
        [
            ({"forbidden": ["secrets/**"]}, "cp a secrets/", "fail"),
            ({"forbidden": ["secrets/**"]}, "cp -t secrets a b", "fail"),
            ({"forbidden": ["secrets/**"]}, "rm -rf secrets", "fail"),
            ({"forbidden": ["secrets/**"]}, "mv a secrets", "unknown"),
            ({"forbidden": ["secrets/**"]}, "mv secrets old", "unknown"),
            ({"forbidden": ["secrets/**"]}, "cp a b", "pass"),
            ({"forbidden": ["*.pem"]}, "cp a.pem b/", "fail"),
            ({"allowed": ["src/**"]}, "cp a src/", "pass"),
            ({"allowed": ["src/**"]}, "cp a b src", "pass"),
            ({"allowed": ["src/**"]}, "cp a src", "unknown"),
            ({"allowed": ["src/**"]}, "cp a dst", "fail"),
            ({"allowed": ["src/**"]}, "cp a .", "fail"),
            ({"allowed": ["src/**"]}, "mv a src/b", "fail"),
            ({"allowed": ["Makefile"]}, "cp Makefile.in Makefile", "pass"),
        ],
    )
    def test_folders_as_targets(self, value: dict, command: str, expected: str) -> None:
        assert verdict("file_scope", value, bash(command), cwd="/repo") == expected

    @pytest.mark.parametrize("name", ["PowerShell", "mcp__shell__exec"])
    def test_other_shells(self, name: str) -> None:
        value = {"forbidden": [".env"]}
        call = make_call(name, {"command": "echo A=1 > .env"})
        assert verdict("file_scope", value, call, cwd="/repo") == "fail"
        cut = make_call(name, {"command": "ls && "}, input_truncated=True)
        assert verdict("file_scope", value, cut, cwd="/repo") == "unknown"

    def test_calls_that_did_not_get_that_far(self) -> None:
        value = {"forbidden": [".env"]}
        assert (
            verdict("file_scope", value, bash("rm .env", outcome="denied"), cwd="/repo") == "pass"
        )
        assert (
            verdict("file_scope", value, bash("rm .env", outcome="failed"), cwd="/repo")
            == "unknown"
        )

    def test_a_shell_that_has_moved(self) -> None:
        calls = [bash("cd src"), bash("touch a.py")]
        assert verdict("file_scope", {"allowed": ["src/**"]}, *calls, cwd="/repo") == "unknown"

    def test_without_a_working_directory(self) -> None:
        assert verdict("file_scope", {"allowed": ["src/**"]}, created=["/repo/src/a"]) == "unknown"
        assert verdict("file_scope", {"allowed": ["src/**"]}, created=["/repo/lib/a"]) == "fail"

    def test_a_write_of_unknown_outcome(self) -> None:
        call = make_call("Write", {"file_path": "/repo/.env"}, outcome="unknown")
        assert verdict("file_scope", {"forbidden": [".env"]}, call, cwd="/repo") == "unknown"
        assert verdict("file_scope", {"forbidden": [".npmrc"]}, call, cwd="/repo") == "pass"


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("mcp__fs__write_file", "unknown"),
        ("mcp__fs__move_file", "unknown"),
        ("mcp__any__deleteRow", "unknown"),
        ("mcp__fs__read_file", "pass"),
        ("mcp__any__query", "pass"),
    ],
)
def test_a_writing_tool_whose_arguments_are_not_recorded(tool: str, expected: str) -> None:
    for call in (
        replace(make_call(tool), input=None),
        make_call(tool, {"content": "x"}, input_truncated=True),
    ):
        assert verdict("file_scope", {"forbidden": [".env"]}, call) == expected
        assert verdict("file_scope", {"allowed": ["src/**"]}, call) == expected


def test_more_files_than_the_record_lists() -> None:
    call = bash("make", details={"more_files": 3})
    assert verdict("file_scope", {"forbidden": [".env"]}, call) == "unknown"
    assert verdict("file_existence", ["a.py"], call) == "unknown"
    assert verdict("file_existence", ["a.py"], call, created=["/repo/a.py"]) == "pass"

    @pytest.mark.parametrize(
        ("lines", "value", "expected"),
        [
            (["ln -s /etc/x d/x", "echo a > d/x"], {"forbidden": ["/etc/**"]}, "unknown"),
            (["ln -s ../infra d", "echo a > d/x"], {"forbidden": ["../infra/**"]}, "unknown"),
            (["ln -s /etc src/etc", "touch src/etc/x"], {"allowed": ["src/**"]}, "unknown"),
            (["ln -s $T d", "echo a > d/x"], {"forbidden": ["/etc/**"]}, "unknown"),
            (["ln -s /opt/x d/x", "echo a > d/x"], {"forbidden": ["/etc/**"]}, "pass"),
            (["ln -s AGENTS.md CLAUDE.md"], {"forbidden": ["AGENTS.md"]}, "pass"),
            (["ln -s AGENTS.md CLAUDE.md", "rm CLAUDE.md"], {"forbidden": ["AGENTS.md"]}, "pass"),
            (["ln -s AGENTS.md CLAUDE.md", "cat CLAUDE.md"], {"forbidden": ["AGENTS.md"]}, "pass"),
        ],
    )
    def test_links_of_the_session(self, lines: list[str], value: dict, expected: str) -> None:
        calls = [bash(line) for line in lines]
        assert verdict("file_scope", value, *calls, cwd="/repo") == expected

    def test_a_tool_that_writes_through_a_link(self) -> None:
        link = bash("ln -s AGENTS.md CLAUDE.md")
        fields = {"cwd": "/repo", "edited": ["/repo/CLAUDE.md"]}
        assert verdict("file_scope", {"forbidden": ["AGENTS.md"]}, link, **fields) == "unknown"
