"""Permission rules as Claude Code documents them, one case per decision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.checks import ParameterError
from skilltrace_mlflow.matching.selectors import parse_selector
from skilltrace_mlflow.session import ToolCall
from tests.builders import make_call
from tests.checks.judging import bash, judge, parse, verdict


def means(rule: str, call: ToolCall, cwd: str | None = "/repo") -> bool | None:
    return parse_selector(rule).matches(call, cwd)


@pytest.mark.parametrize(
    ("rule", "command", "expected"),
    [
        # a prefix ends at a word, and is compared with each command of a line
        ("Bash(git push:*)", "git push", True),
        ("Bash(git push:*)", "git push --force", True),
        ("Bash(git push:*)", "git pushd", False),
        ("Bash(git push:*)", "cd r && git push --force", True),
        ("Bash(git push:*)", "ls | git push", True),
        ("Bash(git push:*)", "ls\ngit push", True),
        ("Bash(git push:*)", "ls & git push", True),
        # it is a rule about the text: options in front are not seen through
        ("Bash(git push:*)", "git -C repo push", False),
        ("Bash(git push *)", "git push", True),
        ("Bash(git push *)", "git pushd", False),
        ("Bash(ls*)", "lsof", True),
        ("Bash(ls *)", "lsof", False),
        ("Bash(npm run build)", "npm run build", True),
        ("Bash(npm run build)", "npm run build --watch", False),
        ("Bash(* install)", "npm install", True),
        ("Bash(git * main)", "git push origin main", True),
        ("Bash(git * main)", "git push origin dev", False),
        ("Bash(echo \\*)", "echo *", True),
        ("Bash(echo \\*)", "echo x", False),
        ("Bash(*)", "anything", True),
        ("Bash", "anything", True),
        # redirections and assignments in front do not count
        ("Bash(python:*)", "A=1 python x.py > out.txt 2>&1", True),
        # what another command carries runs as well
        ("Bash(git push:*)", "timeout 30 git push", True),
        ("Bash(git push:*)", "sudo git push", True),
        ("Bash(git push:*)", "bash -c 'git push'", True),
        ("Bash(git push:*)", 'echo "$(git push)"', True),
        ("Bash(git push:*)", "echo 'git push'", False),
        ("Bash(git push:*)", "git $X", None),
        ("Bash(git push:*)", "ls $X", False),
        ("Bash(run_in_background:true)", "ls", False),
    ],
)
def test_command_rules(rule: str, command: str, expected: bool | None) -> None:
    assert means(rule, bash(command)) is expected


def test_parameter_rules() -> None:
    call = make_call("Bash", {"command": "ls", "run_in_background": True})
    assert means("Bash(run_in_background:true)", call) is True
    agent = make_call("Task", {"subagent_type": "Explore", "model": "opus"})
    assert means("Agent(model:opus)", agent) is True
    assert means("Agent(model:son*)", agent) is False
    assert means("Agent(isolation:*)", agent) is False  # what is left out is never matched
    assert means("Agent(Explore)", agent) is True
    assert means("Task(Plan)", agent) is False
    job = make_call("mcp__db__run", {"warehouse": "prod", "limit": 5})
    assert means("mcp__db__run(warehouse:prod)", job) is True
    assert means("mcp__db__run(limit:5)", job) is True


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ("Read(./secrets/**)", "/repo/secrets/a/b", True),
        ("Read(./secrets/**)", "/repo/sub/secrets/a", True),  # `/**` falls away: a name alone
        ("Read(/secrets/**)", "/repo/sub/secrets/a", False),
        ("Read(secrets/*)", "/repo/sub/secrets/a", False),
        ("Read(secrets/**)", "/repo/SECRETS/a", True),  # letter case never counts
        ("Read(secrets/**)", "/repo/secrets", True),
        ("Read(secrets/)", "/repo/secrets", False),
        ("Read(src/\\[id\\].ts)", "/repo/src/[id].ts", True),
        ("Read(./secrets)", "/repo/secrets/a/b", True),
        ("Read(secrets/**)", "secrets/a", True),
        ("Read(.env)", "/repo/deep/.env", True),  # a bare name matches at any depth
        ("Read(./.env)", "/repo/deep/.env", True),
        ("Read(*.pem)", "/repo/a/b.pem", True),
        ("Read(src/*.ts)", "/repo/src/a.ts", True),
        ("Read(src/*.ts)", "/repo/src/b/a.ts", False),
        ("Read(src/**/*.ts)", "/repo/src/a.ts", True),
        ("Read(/src/**)", "/repo/src/a.ts", True),  # one slash: the settings' folder
        ("Read(/etc/passwd)", "/etc/passwd", False),
        ("Read(//etc/passwd)", "/etc/passwd", True),
        ("Read(//etc/**)", "/etc/ssh/config", True),
        ("Read(~/.ssh/**)", "/home/ann/.ssh/id", True),
        ("Read(~/.ssh/**)", "/Users/ann/.ssh/id", True),
        ("Read(~/.ssh/**)", "/root/.ssh/id", True),
        ("Read(~/.ssh/**)", "~/.ssh/id", True),
        ("Read(~/.ssh/**)", "/repo/.ssh/id", False),
        ("Read(secrets/**)", "/repo/a/../secrets/x", True),
        ("Read(//c/keys/**)", "C:\\Keys\\a.txt", True),
    ],
)
def test_path_rules(rule: str, path: str, expected: bool) -> None:
    assert means(rule, make_call("Read", {"file_path": path})) is expected


def test_read_and_edit_speak_for_their_families() -> None:
    assert means("Edit(src/**)", make_call("Write", {"file_path": "/repo/src/a"})) is True
    assert (
        means("Edit(src/**)", make_call("NotebookEdit", {"notebook_path": "/repo/src/a"})) is True
    )
    assert means("Edit(src/**)", make_call("Read", {"file_path": "/repo/src/a"})) is False
    assert means("Read(src/**)", make_call("Grep", {"pattern": "x", "path": "/repo/src"})) is True
    assert means("Read(src)", make_call("Grep", {"pattern": "x", "path": "/repo/src"})) is True
    assert means("Read", make_call("Grep", {"pattern": "x"})) is False


def test_a_relative_rule_without_working_directory() -> None:
    secret = make_call("Read", {"file_path": "/repo/secrets/a"})
    assert means("Read(./secrets/**)", secret, cwd=None) is None
    assert means("Read(./other/**)", secret, cwd=None) is False


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/x", True),
        ("https://EXAMPLE.com:443/", True),
        ("example.com", True),
        ("https://sub.example.com/", False),
        ("https://example.com.evil.org/", False),
        ("https://evil.org/?u=example.com", False),
    ],
)
def test_domains(url: str, expected: bool) -> None:
    assert means("WebFetch(domain:example.com)", make_call("WebFetch", {"url": url})) is expected


def test_subdomains() -> None:
    call = make_call("WebFetch", {"url": "https://a.example.com"})
    assert means("WebFetch(domain:*.example.com)", call) is True


def test_skills() -> None:
    call = make_call("Skill", {"skill": "deploy", "args": "prod"})
    assert means("Skill(deploy)", call) is True
    assert means("Skill(deploy *)", call) is True
    assert means("Skill(deploy:*)", call) is True
    assert means("Skill(dep)", call) is False
    assert means("Skill(deploy staging)", call) is False


@pytest.mark.parametrize(
    "rule", ["Foo(bar)", "WebFetch(example.com)", "WebSearch(x)", "", "Bash(ls", "a b"]
)
def test_unknown_rules_are_refused(rule: str) -> None:
    with pytest.raises(ParameterError):
        parse_selector(rule)


def test_unrecorded_arguments() -> None:
    assert means("Bash(ls:*)", replace(make_call("Bash"), input=None)) is None
    assert means("Bash(ls:*)", bash("pwd", input_truncated=True)) is None
    assert means("Bash(ls:*)", bash("ls", input_truncated=True)) is True


RULES = {
    "allow": ["Read", "Bash(npm test:*)", "Bash(git status:*)"],
    "deny": ["Bash(git push:*)"],
}


class TestPermissions:
    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("npm test", "pass"),
            ("npm test && git status -s", "pass"),  # each command by a rule of its own
            ("timeout 30 npm test -- --ci", "pass"),
            ("cd a && npm test | head -5", "pass"),  # cd and head only read
            ("npm test > log.txt", "fail"),  # a redirection to a file needs an Edit rule
            ("npm test > /dev/null 2>&1", "pass"),
            ("npm test && rm x", "fail"),
            ("npm test $(rm x)", "fail"),
            ("sudo npm test", "fail"),
            ("npm testing", "fail"),
            ("git push", "fail"),
            ("ls -la", "pass"),
            ("find . -delete", "fail"),
            ("find . -name x", "pass"),
            ("git log", "pass"),
            ("npm test (", "fail"),
            ("$X", "unknown"),
        ],
    )
    def test_command_lines(self, command: str, expected: str) -> None:
        assert verdict("permissions", RULES, bash(command)) == expected

    def test_precedence_is_deny_ask_allow(self) -> None:
        push = bash("git push")
        assert (
            verdict("permissions", {"allow": ["Bash(git push:*)"], "deny": ["Bash(git:*)"]}, push)
            == "fail"
        )
        assert (
            verdict("permissions", {"allow": ["Bash"], "ask": ["Bash(git push:*)"]}, push)
            == "unknown"
        )
        assert verdict("permissions", {"allow": ["Bash"]}, push) == "pass"

    def test_a_refused_call(self) -> None:
        push = bash("git push", outcome="denied")
        outcome = judge("permissions", {"deny": ["Bash(git push:*)"]}, _session(push))
        assert outcome.verdict == "fail"
        assert "(attempted, denied)" in outcome.rationale
        assert verdict("permissions", {"ask": ["Bash(git push:*)"]}, push) == "pass"

    def test_what_no_rule_speaks_of(self) -> None:
        edit = make_call("Edit", {"file_path": "/repo/a"})
        assert verdict("permissions", {"deny": ["Bash"]}, edit) == "pass"
        assert verdict("permissions", {"allow": ["Bash"]}, edit) == "fail"
        settings = {"deny": ["Bash"], "defaultMode": "default"}
        assert verdict("permissions", settings, edit) == "unknown"
        settings["defaultMode"] = "acceptEdits"
        assert verdict("permissions", settings, edit, cwd="/repo") == "pass"
        assert verdict("permissions", settings, edit, cwd="/other") == "unknown"
        assert (
            verdict("permissions", {"allow": ["Bash"]}, make_call("Grep", {"pattern": "x"}))
            == "pass"
        )

    @pytest.mark.parametrize(
        "value", [".claude/settings.json", {"settings": "s.json", "deny": ["A"]}]
    )
    def test_a_settings_file_is_not_read_here(self, value: Any) -> None:
        # the schema knows the form; the loader puts the rules in its place
        with pytest.raises(ParameterError, match="its rules must stand"):
            parse("permissions", value)

    def test_no_rules_at_all_are_refused(self) -> None:
        with pytest.raises(ParameterError, match="no rule"):
            parse("permissions", {"deny": []})

    def test_a_settings_file_named_in_yaml(self, tmp_path: Path) -> None:
        from skilltrace_mlflow.checks import run_check
        from skilltrace_mlflow.expectations import load_manifest, parse_expectations

        (tmp_path / "settings.json").write_text(
            '{"permissions": {"deny": ["Bash(git push:*)"]}, "env": {"A": "1"}}'
        )
        manifest = tmp_path / "manifest.yaml"
        manifest.write_text(
            "skill: {name: demo}\ntrace_expectations: {permissions: settings.json}\n"
        )
        (found,) = parse_expectations(load_manifest(manifest).trace_expectations)
        outcomes = [
            run_check(found.spec, _session(bash(line)), found.parameters)
            for line in ("git push", "ls", "npm test")
        ]
        assert [outcome.verdict for outcome in outcomes] == ["fail", "pass", "unknown"]

    def test_bad_rules_name_their_place(self) -> None:
        with pytest.raises(ParameterError) as caught:
            parse("permissions", {"deny": ["Bash(ls:*)", "Foo(bar)"]})
        assert caught.value.path == ("deny", 1)

    def test_a_ban_that_an_exception_lifts(self) -> None:
        value = {"deny": ["Bash(git push:*)"]}
        outcome = judge(
            "permissions", value, _session(bash("git push")), ban_exceptions=["Bash(git push:*)"]
        )
        assert outcome.verdict == "pass"

    def test_evidence(self) -> None:
        hidden = replace(make_call("Bash"), input=None)
        assert verdict("permissions", {"deny": ["Bash(git push:*)"]}, hidden) == "unknown"
        assert verdict("permissions", {"allow": ["Bash(git push:*)"]}, hidden) == "unknown"
        assert verdict("permissions", {"deny": ["Bash"]}, "Read", incomplete=("x",)) == "unknown"


def _session(*calls: ToolCall):
    from tests.builders import make_session

    return make_session(calls)


def test_allow_rules_cover_the_lines_of_other_shells() -> None:
    value = {"allow": ["PowerShell(Get-ChildItem:*)"]}
    allowed = make_call("PowerShell", {"command": "Get-ChildItem -Recurse"})
    assert verdict("permissions", value, allowed) == "pass"
    other = make_call("PowerShell", {"command": "Get-ChildItem; Remove-Item x"})
    assert verdict("permissions", value, other) == "fail"
