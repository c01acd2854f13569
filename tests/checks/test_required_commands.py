"""required_commands: what a line or a statement runs, in earnest and whatever happened."""

from __future__ import annotations

import pytest

from tests.builders import make_session
from tests.checks.judging import bash, judge, verdict


class TestRequiredCommands:
    @pytest.mark.parametrize(
        ("entry", "command", "expected"),
        [
            ("pytest", "uv run pytest -q", "pass"),
            ("pytest", "cd a && timeout 60 pytest", "pass"),
            ("pytest", "echo pytest", "fail"),
            ("git commit", "git add . && git commit -m x", "pass"),
            ("CREATE TABLE", "psql -c 'CREATE TABLE t (a int)'", "pass"),
            ("pytest", "$RUNNER tests", "unknown"),
        ],
    )
    def test_patterns(self, entry: str, command: str, expected: str) -> None:
        assert verdict("required_commands", [entry], bash(command)) == expected

    def test_share(self) -> None:
        outcome = judge("required_commands", ["ls", "pwd"], make_session([bash("ls")]))
        assert (outcome.score, outcome.misses) == (0.5, ("pwd: not run",))

    @pytest.mark.parametrize(
        ("entry", "command", "expected"),
        [
            ("pytest", "pytest --help", "fail"),
            ("pytest", "uv run pytest --version", "fail"),
            ("npm publish", "npm publish -h", "fail"),
            ("terraform apply", "terraform apply -help", "fail"),
            ("pytest --help", "pytest --help", "pass"),
            ("helm install", "helm install x ./chart --version 1.2", "pass"),
            ("psql", "psql -h db", "pass"),
            ("df", "df -h", "pass"),
            ("npm publish", "npm publish --dry-run", "unknown"),
            ("git push", "git push -n", "unknown"),
            ("make test", "make -n test", "unknown"),
            ("kubectl apply", "kubectl apply --dry-run=client -f x.yaml", "unknown"),
            ("kubectl apply", "kubectl apply --dry-run=none -f x.yaml", "pass"),
            ("npm publish --dry-run", "npm publish --dry-run", "pass"),
            ("pytest", "pytest --help; pytest -q", "pass"),
        ],
    )
    def test_a_program_may_be_asked_for_other_things_than_its_work(
        self, entry: str, command: str, expected: str
    ) -> None:
        assert verdict("required_commands", [entry], bash(command)) == expected

    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("if [ -f x ]; then pytest; fi", "unknown"),
            ("if true; then pytest; fi", "pass"),
            ("if pytest; then echo good; else echo bad; fi", "pass"),
            ("if a; then b; elif pytest; then c; fi", "unknown"),
            ("if a; then b; else pytest; fi", "unknown"),
            ("if a; then b; fi; pytest", "pass"),
            ("case $1 in test) pytest;; esac", "unknown"),
            ("case $(pytest) in *) ls;; esac", "pass"),
            ("trap pytest ERR", "unknown"),
            ("trap pytest EXIT", "pass"),
            ("{ exit; pytest; }", "unknown"),
        ],
    )
    def test_what_may_not_have_run(self, command: str, expected: str) -> None:
        assert verdict("required_commands", ["pytest"], bash(command)) == expected

    def test_each_is_told_why(self) -> None:
        calls = [bash("npm publish --dry-run"), bash("pytest --help"), bash("if a; then ls; fi")]
        session = make_session(calls)
        outcome = judge("required_commands", ["npm publish", "pytest", "ls"], session)
        for part in ("a dry run", "not run; `pytest --help` asks for its help", "may not have run"):
            assert part in outcome.rationale

    @pytest.mark.parametrize(
        "command",
        [
            "true || psql -c 'CREATE TABLE t (a int)'",
            "if [ -n x ]; then psql -c 'CREATE TABLE t (a int)'; fi",
            "psql -c 'IF 1 = 0 THEN CREATE TABLE t (a int); END IF'",
            "psql -c 'CREATE PROCEDURE p() BEGIN CREATE TABLE t (a int); END'",
        ],
    )
    def test_a_statement_that_may_not_have_run(self, command: str) -> None:
        assert verdict("required_commands", ["CREATE TABLE"], bash(command)) == "unknown"
        assert verdict("banned_tools", ["CREATE TABLE"], bash(command)) == "fail"
        certain = bash(f"{command}; psql -c 'CREATE TABLE t (a int)'")
        assert verdict("required_commands", ["CREATE TABLE"], certain) == "pass"
