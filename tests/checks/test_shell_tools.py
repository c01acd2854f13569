"""Tools of other servers that run command lines, in the shapes in which these are given."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import make_call
from tests.checks.judging import verdict


def banned(tool: str, given: dict[str, Any], entry: str = "rm -rf") -> str:
    return verdict("banned_tools", [entry], make_call(tool, given))


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("mcp__shell__run", {"command": "rm", "args": ["-rf", "x"]}),
        ("mcp__shell__exec", {"argv": ["rm", "-rf", "x"]}),
        ("mcp__shell__exec", {"command": ["bash", "-lc", "rm -rf x"]}),
        ("mcp__x__shell", {"commands": ["ls", "rm -rf x"]}),
        ("mcp__x__batch", {"commands": [{"command": "rm", "args": ["-rf", "x"]}]}),
        ("mcp__x__run_all", {"commands": [["ls"], ["rm", "-rf", "x"]]}),
        ("mcp__x__execute", {"input": {"command": "rm -rf x"}}),
        ("mcp__x__execute", {"arguments": {"cmd": "rm -rf x"}}),
        ("mcp__x__bash", {"code": "rm -rf x"}),
        ("mcp__x__run_shell", {"shell": "rm -rf x"}),
        ("mcp__ide__runInTerminal", {"text": "rm -rf x"}),
        ("mcp__tmux__send_keys", {"keys": "rm -rf x"}),
        ("mcp__tmux__send_keys", {"keys": ["rm -rf x", "Enter"]}),
        ("mcp__dc__interact_with_process", {"pid": 4, "input": "rm -rf x\n"}),
        ("mcp__win__run_powershell", {"script": "Remove-Item x -Recurse -Force"}),
        ("mcp__win__cmd", {"command": "rd /s /q x"}),
        ("mcp__ssh__exec", {"host": "h", "script": "set -e\nrm -rf x"}),
        ("mcp__x__execute", {"line": "rm -rf x"}),
        ("mcp__x__spawn", {"file": "rm", "args": ["-r", "-f", "x"]}),
        ("mcp__x__execute", {"code": "Remove-Item x -Recurse -Force", "language": "powershell"}),
    ],
)
def test_a_line_in_any_shape_is_read(tool: str, given: dict[str, Any]) -> None:
    assert banned(tool, given) == "fail"


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("mcp__x__search", {"query": "rm -rf x"}),
        ("mcp__x__search", {"text": "rm -rf x"}),
        ("mcp__slack__send_message", {"text": "rm -rf x"}),
        ("mcp__slack__send_text", {"text": "rm -rf x"}),
        ("mcp__shell__run", {"command": "ls", "shell": "bash", "description": "rm -rf x"}),
        ("mcp__shell__run", {"command": "echo", "args": ["rm", "-rf"]}),
        ("mcp__x__list", {"commands": []}),
        ("mcp__x__execute_code", {"code": "print('rm -rf x')"}),
    ],
)
def test_words_in_other_arguments_are_no_line(tool: str, given: dict[str, Any]) -> None:
    assert banned(tool, given) == "pass"


def test_clients_of_databases_in_such_lines() -> None:
    given = {"cmd": 'psql -c "DROP TABLE t"'}
    assert banned("mcp__x__exec", given, "DROP TABLE") == "fail"
    assert banned("mcp__x__exec", {"cmd": "psql -c 'SELECT 1'"}, "DROP TABLE") == "pass"


def test_any_dash_begins_a_parameter_of_powershell() -> None:
    line = "Remove-Item x –Recurse —Force"
    assert banned("PowerShell", {"command": line}) == "fail"


def test_file_tools_that_take_several_paths() -> None:
    one = banned("mcp__filesystem__read_file", {"path": "/repo/.env"}, "Read(.env)")
    given = {"paths": ["/repo/a", "/repo/.env"]}
    assert banned("mcp__filesystem__read_multiple_files", given, "Read(.env)") == one == "unknown"
    given = {"paths": ["/repo/a", "/repo/b"]}
    assert banned("mcp__filesystem__read_multiple_files", given, "Read(.env)") == "pass"
