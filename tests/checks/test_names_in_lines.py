"""Lines that cannot name what a rule on files means are passed over, and never one that does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.commands.prefilter import line_of
from skilltrace_mlflow.matching.cli_decisions import in_reach, reaches
from skilltrace_mlflow.matching.files import could_name, rule_hits, sure_hits
from skilltrace_mlflow.matching.links import links_of
from skilltrace_mlflow.matching.selectors import parse_selector
from skilltrace_mlflow.matching.session_calls import calls_by_name
from skilltrace_mlflow.session import Session
from tests.builders import make_call, make_session
from tests.checks.judging import bash

_RULES = (
    "Read(./secrets/**)",
    "Read(secrets)",
    "Read(*.key)",
    "Read(/etc/x)",
    "Read(~/secrets/a)",
    "Edit(secrets/a)",
    "Edit(./src/**)",
    "Read(//home/ann/shop/secrets/a)",
)
_LINES = (
    "cat secrets/a",
    "cat sec''rets/a",
    'cat "secrets"/a',
    "cat sec\\rets/a",
    "cat s*/a",
    "cd secrets && cat a",
    "cat a",
    "cd secrets",
    "cat {secrets,b}/a",
    "cat sec{rets,x}/a",
    "f=secrets; cat $f/a",
    'f=secrets/a; cat "$f"',
    "a=sec; cat ${a}rets/a",
    'a=sec; cat "$a"rets/a',
    "a=sec; a+=rets; cat $a/a",
    "a=sec b=rets; cat $a$b/a",
    "cat $'\\x73ecrets'/a",
    "printf 'sec\\x72ets/a' | xargs cat",
    "printf %s%s sec rets/a | xargs cat",
    "cat SECRETS/A",
    "echo secrets/a | xargs cat",
    "for f in secrets/a; do cat $f; done",
    "set -- sec; cat $1rets/a",
    "sh -c 'cat secrets/a'",
    "ln -s secrets n",
    "cat n/a",
    "cat $(echo sec)rets/a",
    "cat ../shop/secrets/a",
    "rm -rf secrets",
    "tee secrets/a < b",
    "sed -i s/a/b/ secrets/a",
    "cp b secrets/a",
    "echo x > src/a",
    "echo 'sec\\\nrets'; cat secrets/\\\na",
    "cat sec\\\nrets/a",
    "alias c='cat sec'; c rets/a",
    'pwsh -c \'gc ("sec" + "rets/a")\'',
    "cmd /c type sec^rets/a",
    "grep -r x .",
    "cat x.key",
)


def _session(lines: list[str], cwd: str | None) -> Session:
    calls = [bash(line) for line in lines]
    calls += [make_call("Write", {"file_path": "secrets/a"}), make_call("Read", {"file_path": "a"})]
    calls += [make_call("Glob", {"pattern": "/home/ann/shop/secrets/*"})]
    return make_session(calls, cwd=cwd)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(_LINES), min_size=1, max_size=4),
    st.lists(st.sampled_from(_LINES), max_size=2),
    st.sampled_from(_RULES),
    st.sampled_from(["/home/ann/shop", "/srv/secrets", None]),
)
def test_what_certainly_meets_a_rule_is_found(
    lines: list[str], joined: list[str], rule: str, cwd: str | None
) -> None:
    lines = [*lines, "; ".join(joined)] if joined else lines
    selector = parse_selector(rule)
    session = _session(lines, cwd)
    found = [(item.use, item.line) for item in sure_hits(session, selector)]
    assert found == [(item.use, item.line) for item in rule_hits(session, selector)[0]]


@pytest.mark.parametrize("rule", _RULES)
@pytest.mark.parametrize("cwd", ["/home/ann/shop", "/srv/secrets", None])
@pytest.mark.parametrize("deny", [True, False])
def test_what_a_rule_reaches_is_not_passed_over(rule: str, cwd: str | None, deny: bool) -> None:
    selector = parse_selector(rule)
    for lines in (list(_LINES), [line for line in _LINES if "ln " not in line]):
        session = _session(lines, cwd)
        asked = [
            id(call)
            for name, calls in calls_by_name(session).items()
            for call in in_reach(selector, name, calls, session, deny=deny)
        ]
        for call in session.tool_calls:
            assert id(call) in asked or reaches(selector, call, session, deny=deny) is False
        assert bool(links_of(session)) == (lines == list(_LINES))


@pytest.mark.parametrize(
    "line", ["git status -s", 'for f in src/*.py; do wc -l "$f"; done', "sed -n '1,9p' x | tail"]
)
def test_lines_that_name_something_else_are_passed_over(line: str) -> None:
    assert not could_name(line_of(line), "secrets")
