"""Files that PowerShell's commands touch: by name, by position, by redirection."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.commands.file_use import file_uses
from tests.builders import make_call, make_session
from tests.checks.judging import judge


@pytest.mark.parametrize(
    ("line", "kind", "path"),
    [
        ("Set-Content -Path out/a.txt -Value 'hi'", "write", "out/a.txt"),
        ("Set-Content -Value 'hi' -Path out/a.txt", "write", "out/a.txt"),
        ("sc out/a.txt hi", "write", "out/a.txt"),
        (r"'hi' | Out-File -FilePath out\a.txt -Append", "write", "out/a.txt"),
        ("'hi' | out-file out/a.txt", "write", "out/a.txt"),
        ("'hi' | Tee-Object -FilePath out/a.txt", "write", "out/a.txt"),
        ("iwr https://x.example -OutFile:out/a.txt", "write", "out/a.txt"),
        ("curl https://x.example -OutF out/a.txt", "write", "out/a.txt"),
        ("Get-Process > out/a.txt", "write", "out/a.txt"),
        ("Get-Process 2>> out/a.txt", "write", "out/a.txt"),
        ("cd out; 'x' > a.txt", "write", "out/a.txt"),
        ("Push-Location out; Add-Content a.txt x", "write", "out/a.txt"),
        ("Export-Csv -Path out/a.txt", "write", "out/a.txt"),
        ("Start-Process x -RedirectStandardOutput out/a.txt", "write", "out/a.txt"),
        ("if ($true) { Set-Content out/a.txt x }", "write", "out/a.txt"),
        ("Remove-Item -Recurse -Force out/a.txt", "delete", "out/a.txt"),
        ("ri b, out/a.txt", "delete", "out/a.txt"),
        ("Remove-Item -Path b, out/a.txt", "delete", "out/a.txt"),
        ("Move-Item out/a.txt b", "delete", "out/a.txt"),
        ("Copy-Item -Destination out/a.txt -Path b", "write", "out/a.txt"),
        ("New-Item -Path out -Name a.txt", "write", "out/a.txt"),
        ("ni -ItemType Directory out/a.txt", "folder", "out/a.txt"),
        ("Get-Content out/a.txt", "read", "out/a.txt"),
        ("Select-String -Path out/a.txt -Pattern x", "read", "out/a.txt"),
        ("sls x out/a.txt", "read", "out/a.txt"),
        ("git rm out/a.txt", "delete", "out/a.txt"),
    ],
)
def test_what_a_line_does(line: str, kind: str, path: str) -> None:
    assert (kind, path) in {(use.kind, use.path) for use in file_uses(line, "PowerShell")}


@pytest.mark.parametrize(
    "line",
    [
        "Write-Output 'Set-Content out/a.txt x'",
        "Set-Content -Path b -Value out/a.txt",
        "Get-Content out/a.txt",
        "Remove-Item b -Exclude out/a.txt",
        "# Remove-Item out/a.txt",
        "iwr https://x.example/out/a.txt",
    ],
)
def test_what_changes_nothing(line: str) -> None:
    found = {use.path for use in file_uses(line, "PowerShell") if use.kind != "read"}
    assert "out/a.txt" not in found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Set-Content .env x", "fail"),
        ("Set-Content src/a x", "pass"),
        ("Get-ChildItem | Remove-Item", "unknown"),
        ("Set-Content $p x", "unknown"),
    ],
)
def test_checks_see_them(line: str, expected: str) -> None:
    call = make_call("PowerShell", {"command": line}, outcome="succeeded")
    outcome = judge("file_scope", {"forbidden": [".env"]}, make_session([call], cwd="/repo"))
    assert outcome.verdict == expected
