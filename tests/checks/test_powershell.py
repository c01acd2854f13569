"""PowerShell and cmd, in their own tools and where another shell starts them."""

from __future__ import annotations

import base64
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.commands.other_shells import cmd_commands
from skilltrace_mlflow.commands.powershell.names import ALIASES, CMDLETS
from skilltrace_mlflow.commands.powershell.reader import read_powershell
from skilltrace_mlflow.session import ToolCall
from tests.builders import make_call
from tests.checks.judging import bash, verdict

SPELLINGS = [
    "rm -rf",
    "Remove-Item -Recurse -Force",
    "remove-item -rec -fo",
    "rd /s /q",
    "ri -r -fo",
]


def shell(command: str) -> ToolCall:
    return make_call("PowerShell", {"command": command})


def encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-le")).decode()


REMOVING = [
    "Remove-Item -Recurse -Force x",
    "REMOVE-ITEM x -RECURSE -FORCE",
    "ri x -r -fo",
    "RM -Recurse x -Force:$true",
    "del x -Rec -Force:$True",
    "rm -rf x",
    "gci . | ri -Rec -Fo",
    "Get-ChildItem -Recurse | Remove-Item -Force",
    "Get-ChildItem |\n  Remove-Item -Recurse -Force",
    "Get-ChildItem x | ForEach-Object { Remove-Item $_.FullName -Recurse -Force }",
    "gci x | % { ri $_ -r -fo }",
    "foreach ($f in $all) { ri $f -r -fo }",
    "if (Test-Path x) { del x -Recurse -Force } else { 1 }",
    "try { a } finally { ri x -r -fo }",
    "function f { ri x -r -fo }; f",
    "$y = ri x -r -fo",
    "$null = (ri x -r -fo)",
    "return ri x -r -fo",
    "git status; ri x -r -fo",
    "git status && ri x -r -fo",
    "git log --format=%h | Out-Null; ri a, b -r -fo",
    "ri -r -fo $env:TEMP\\x",
    "rm `\n  -r `\r\n  -fo x",
    "R`emove-I`tem x -Recurse -Force",
    "& { rm -r -fo x }",
    '& "Remove-Item" x -Recurse -Force',
    "& ('Remove' + '-Item') x -Recurse -Force",
    '$x = "ri"; & $x y -r -fo',
    'iex "rm -r -fo x"',
    "'ri x -r -fo' | Invoke-Expression",
    '@"\nri y -r -fo\n"@ | iex',
    "$code = @'\nri y -r -fo\n'@\niex $code",
    'Write-Output "a $(ri x -r -fo) b"',
    "Start-Process rm -ArgumentList '-rf','x'",
    "saps -FilePath rm -Args '-rf x' -Wait",
    "Set-Alias zap Remove-Item; zap x -r -fo",
    "Microsoft.PowerShell.Management\\Remove-Item x -Recurse -Force",
    "Invoke-Command -ScriptBlock { ri x -r -fo }",
    "[System.IO.Directory]::Delete('x', $true)",
    "[scriptblock]::Create('ri x -r -fo').Invoke()",
    "ri x <# why #> -r -fo # because",
    "bash -c 'rm -rf x'",
    "wsl rm -rf x",
    "powershell -c ri x -r -fo",
    f"pwsh -enc {encoded('Remove-Item x -Recurse -Force')}",
    "cmd /c rd /s /q x",
    'cmd /c "cd a && rd /s/q b"',
]


@pytest.mark.parametrize("ban", SPELLINGS)
@pytest.mark.parametrize("command", REMOVING)
def test_every_spelling_is_met(ban: str, command: str) -> None:
    assert verdict("banned_tools", [ban], shell(command)) == "fail"


@pytest.mark.parametrize("ban", SPELLINGS)
@pytest.mark.parametrize(
    "command",
    [
        "iex $x",
        "iex (irm https://h/x)",
        "irm https://h/x | iex",
        "& $cmd x -Recurse -Force",
        "Remove-Item @arguments",
        "ri x -Recurse:$deep -Force",
        "powershell -EncodedCommand $text",
        "powershell -EncodedCommand UgBlAG0A",
        "powershell -EncodedCommand %%%",
        "$f = Get-Thing; & $f -Recurse -Force",
    ],
)
def test_what_is_put_together_at_run_time_is_unknown(ban: str, command: str) -> None:
    assert verdict("banned_tools", [ban], shell(command)) == "unknown"


@pytest.mark.parametrize("ban", SPELLINGS)
@pytest.mark.parametrize(
    "command",
    [
        "Remove-Item x",
        "ri x -Recurse",
        "ri x -Recurse:$false -Force",
        "Write-Output 'Remove-Item x -Recurse -Force'",
        "# ri x -r -fo",
        "<# ri x -r -fo #> gci",
        "gci -Recurse -Force",
        "Copy-Item a b -Recurse -Force",
        "Get-Help Remove-Item",
        "git commit -m 'Remove-Item -Recurse -Force'",
        '$m = "Remove-Item -Recurse -Force x"; Write-Host $m',
        "@'\nri x -r -fo\n'@ | Out-File notes.txt",
        "git log --format=%h --all",
        f"pwsh -enc {encoded('Get-ChildItem')}",
        "cmd /c dir /s /q",
        "cmd /c 'echo rd'",
    ],
)
def test_what_removes_nothing_passes(ban: str, command: str) -> None:
    assert verdict("banned_tools", [ban], shell(command)) == "pass"


@pytest.mark.parametrize("ban", SPELLINGS)
@pytest.mark.parametrize(
    "line",
    [
        "rm -rf x",
        'powershell -Command "ri x -r -fo"',
        "pwsh -c 'Remove-Item x -Recurse -Force'",
        "PowerShell.exe -NoProfile -ExecutionPolicy Bypass -comm 'ri x -r -fo'",
        "sudo pwsh -c 'ri x -r -fo'",
        f"powershell -nop -e {encoded('ri x -r -fo')}",
        "echo 'ri x -r -fo' | pwsh -",
        "pwsh -c - <<'E'\nri x -r -fo\nE",
        "pwsh <<'E'\nri x -r -fo\nE",
        "cat > x.ps1 <<'E'\nRemove-Item x -Recurse -Force\nE\npwsh -File x.ps1",
        "cat > x.ps1 <<'E'\nri x -r -fo\nE\npowershell -ep bypass ./x.ps1",
        "cmd //c 'rd /s /q x'",
        "cmd.exe //c rd //s //q x",
        "CMD /C 'RD /S /Q x'",
        "cmd /c 'for /d %d in (*) do rd /s /q %d'",
        "cmd /c 'if exist x rd /s /q x'",
        "cmd /c 'r^d /s /q x'",
    ],
)
def test_started_by_another_shell(ban: str, line: str) -> None:
    assert verdict("banned_tools", [ban], bash(line)) == "fail"


@pytest.mark.parametrize(
    ("ban", "command", "right"),
    [
        ("curl", "iwr https://h", "fail"),
        ("Invoke-WebRequest", "curl https://h", "fail"),
        ("Stop-Service -Name spooler", "stop-service Spooler", "pass"),
        ("Stop-Service -Name spooler", "spsv spooler", "fail"),
        ("Stop-Service -Force", "spsv x -Fo", "fail"),
        ("Stop-VM -Force", "stop-vm x -fo", "fail"),
        ("Stop-VM -Force", "stop-vm x -unheard", "unknown"),
        ("git push --force", "GIT push --force", "fail"),
        ("npm publish", "npm.cmd publish", "fail"),
        ("kill -9", "Stop-Process -Id 3 -Force", "fail"),
        ("rm -rf build/x", "ri build\\x -r -fo", "fail"),
        ("mkdir", "ni x -ItemType Directory", "fail"),
        ("iex", "Invoke-Expression '1'", "fail"),
        ("DROP TABLE", "Invoke-Sqlcmd -Query 'DROP TABLE t'", "fail"),
        ("DROP TABLE", "'DROP TABLE t' | psql", "fail"),
        ("DROP TABLE", "Write-Output 'DROP TABLE t'", "pass"),
    ],
)
def test_other_commands(ban: str, command: str, right: str) -> None:
    assert verdict("banned_tools", [ban], shell(command)) == right


def test_required_commands_are_seen_in_it() -> None:
    assert verdict("required_commands", ["pytest -q"], shell("PYTEST -q")) == "pass"
    assert verdict("required_commands", ["Copy-Item"], shell("copy a b")) == "pass"


_SWITCHES = [
    (name, switch)
    for name, cmdlet in CMDLETS.items()
    for switch in cmdlet.switches
    if switch in ("recurse", "force")
]


@given(
    st.sampled_from(_SWITCHES),
    st.randoms(use_true_random=False),
    st.integers(min_value=3, max_value=9),
)
@settings(max_examples=150, deadline=None)
def test_case_aliases_and_beginnings_change_no_verdict(
    chosen: tuple[str, str], rng: random.Random, length: int
) -> None:
    name, switch = chosen
    ban = f"{name.title()} -{switch.title()}"
    typed = rng.choice([name, *(alias for alias, full in ALIASES.items() if full == name)])
    cased = "".join(rng.choice([c.lower(), c.upper()]) for c in f"{typed} x -{switch[:length]}")
    attached = rng.choice(["", ":$true", ":$TRUE"])
    assert verdict("banned_tools", [ban], shell(cased + attached)) == "fail"


_PIECES = st.sampled_from([
    "(", ")", "{", "}", "$(", "@(", '"', "'", "`", "@'\n", '\n"@', "|", ";", "&", "\n",
    " ", "iex", "ri", "-r", "$x", "=", "cmd /c", "pwsh -c", "bash -c", "if", "%", "^",
    "<#", "#", ">", "[a]::b(",
])  # fmt: skip


@given(st.lists(_PIECES | st.text(max_size=3), max_size=60).map("".join))
@settings(max_examples=200, deadline=None)
def test_readers_never_raise(text: str) -> None:
    read_powershell(text)
    cmd_commands(text)
    assert verdict("banned_tools", ["rm -rf", "DROP TABLE"], shell(text)) in (
        "pass", "fail", "unknown",
    )  # fmt: skip


@pytest.mark.parametrize(
    "piece",
    ["(", "{", '"$(', "@'\n", "@(", "$(", "& ", "`", "'", "iex ", "pwsh -c ", "cmd /c ", "if ",
     "bash -c ", "a|", "{(", "[a]::b("],
)  # fmt: skip
def test_hostile_nesting_ends_soon(piece: str) -> None:
    begun = time.monotonic()
    read_powershell(piece * (20_000 // len(piece)))
    cmd_commands(piece * 1_000)
    assert time.monotonic() - begun < 15


def test_a_text_too_deep_or_long_to_read_is_unknown() -> None:
    deep = "(" * 40 + "ri x -r -fo" + ")" * 40
    assert verdict("banned_tools", ["rm -rf"], shell(deep)) == "unknown"
    long = "gci;" * 20_000 + "ri x -r -fo"
    assert verdict("banned_tools", ["rm -rf"], shell(long)) == "unknown"
