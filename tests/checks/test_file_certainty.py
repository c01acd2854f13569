"""What a line certainly did with a file is told apart from what it may have done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import make_call
from tests.checks.judging import bash, verdict

EXPECTED = ["a.sql"]
FORBIDDEN = {"forbidden": ["infra/**"]}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("touch a.sql", "pass"),
        ("cd x && touch a.sql", "pass"),
        ("cd x || exit 1; touch a.sql", "pass"),
        ("if [ -d x ]; then exit 1; fi; touch a.sql", "pass"),
        ("case $1 in x) exit 1;; esac; touch a.sql", "pass"),
        ("(exit 0); touch a.sql", "pass"),
        ("true || touch a.sql", "unknown"),
        ("exit 0; touch a.sql", "unknown"),
        ("exec make; touch a.sql", "unknown"),
        ("if false; then touch a.sql; fi", "unknown"),
        ("while false; do echo x > a.sql; done", "unknown"),
        ("touch -c a.sql", "unknown"),
        ("ssh host 'touch a.sql'", "unknown"),
        ("docker run -v $PWD:/w image touch a.sql", "unknown"),
        ("kubectl exec pod -- sh -c 'echo x > a.sql'", "unknown"),
        ("echo 'touch a.sql' | at now", "unknown"),
        ("crontab <<< '* * * * * touch a.sql'", "unknown"),
        ("python -c \"open('a.sql', 'w')\"", "unknown"),
        ("touch(){ :; }; touch a.sql", "unknown"),
        ("for i in; do touch a.sql; done", "unknown"),
        ("X=; for i in $X; do touch a.sql; done", "unknown"),
        ('f() { for i in "$@"; do touch a.sql; done; }; f', "unknown"),
        ('f() { for i in "$@"; do touch a.sql; done; }; f x', "pass"),
        ("for i in 1 2; do touch a.sql; done", "pass"),
        ("for i in; do touch b; done; touch a.sql", "pass"),
    ],
)
def test_an_expected_file_is_certain(line: str, expected: str) -> None:
    assert verdict("file_existence", EXPECTED, bash(line)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # a command that may not have run breaks a ban all the same
        ("make || rm infra/a", "fail"),
        ("env -C infra touch a", "fail"),
        ("curl -O --output-dir infra https://x/a", "fail"),
        ("pg_dump -f infra/a db", "fail"),
        ("trash infra/a", "fail"),
        ("python3.12 -c \"open('infra/a', 'w')\"", "unknown"),
        ("python3 -c \"open('infra/a', 'w')\"", "unknown"),
        ("ssh host 'rm infra/a'", "unknown"),
        ("docker exec web rm infra/a", "unknown"),
        ("python -c \"open('infra/a', 'w').write('x')\"", "unknown"),
        (
            "python - <<'EOF'\nfrom pathlib import Path\nPath('infra/a').write_text('x')\nEOF",
            "unknown",
        ),
        ("node -e \"require('fs').writeFileSync('infra/a', 'x')\"", "unknown"),
        ("awk '{print > \"infra/a\"}' notes", "unknown"),
        ("sqlite3 infra/a.db 'create table t (x)'", "unknown"),
        ("cpio -i -D infra < notes", "unknown"),
        ("python -c \"print('infra/a')\"", "pass"),
        ("python -c \"open('src/a', 'w')\"", "pass"),
        ("sqlite3 src/a.db 'select 1'", "pass"),
    ],
)
def test_a_forbidden_file(line: str, expected: str) -> None:
    assert verdict("file_scope", FORBIDDEN, bash(line)) == expected


def test_what_program_text_says_is_outside_nothing() -> None:
    line = "python -c \"open('conf/x.toml').read()\""
    assert verdict("file_scope", {"allowed": ["src/**"]}, bash(line)) == "pass"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gpg -c .env", "fail"),
        ("node --env-file=.env app.js", "fail"),
        ("dotenv -f .env run make", "fail"),
        ("docker cp .env web:/", "unknown"),
        ("aws s3 cp .env s3://bucket/", "unknown"),
        ("python -c \"print(open('.env').read())\"", "unknown"),
        ("ruby -e 'puts File.read(\".env\")'", "unknown"),
        ("php -r 'readfile(\".env\");'", "unknown"),
        ("ssh host cat .env", "unknown"),
        ("docker cp web:/.env out", "pass"),
        ("python -c \"print('.env')\"", "pass"),
    ],
)
def test_a_file_that_must_not_be_read(line: str, expected: str) -> None:
    assert verdict("banned_tools", ["Read(./.env)"], bash(line)) == expected


@pytest.mark.parametrize(
    ("tool", "given", "expected"),
    [
        ("mcp__x__apply_patch", {"patch": "--- a/infra/a\n+++ b/infra/a\n"}, "unknown"),
        ("mcp__x__apply_patch", {"input": "*** Update File: infra/a\n"}, "unknown"),
        ("mcp__x__apply_patch", {"patch": "--- a/src/a\n+++ b/src/a\n"}, "pass"),
        ("mcp__x__write_files", {"files": [{"path": "infra/a", "content": "x"}]}, "fail"),
        ("mcp__x__write_files", {"files": [{"path": "src/a", "content": "infra/a"}]}, "pass"),
    ],
)
def test_tools_of_servers(tool: str, given: dict[str, Any], expected: str) -> None:
    assert verdict("file_scope", FORBIDDEN, make_call(tool, given)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("exit 0; pytest", "unknown"),
        ("pytest(){ :; }; pytest", "unknown"),
        ("if false; then pytest; fi", "unknown"),
        ("if [ -f x ]; then exit 1; fi; pytest", "pass"),
        ("for f in a b; do pytest $f || exit 1; done; pytest", "pass"),
        ("cd x || exit; pytest", "pass"),
    ],
)
def test_a_required_command_that_cannot_have_run(line: str, expected: str) -> None:
    assert verdict("required_commands", ["pytest"], bash(line)) == expected


def test_a_skill_that_program_text_names_is_not_loaded_for_that() -> None:
    line = "python -c \"open('skills/deploy/SKILL.md', 'w').write('x')\""
    assert verdict("banned_skills", ["deploy"], bash(line)) == "pass"
    assert verdict("banned_skills", ["deploy"], bash("cat skills/deploy/SKILL.md")) == "fail"
