"""Rules that can never fire are refused, or said; tools that a plugin brings are not passed by."""

from __future__ import annotations

from typing import Any

import pytest

from skilltrace_mlflow.errors import ParameterError
from skilltrace_mlflow.matching.mistakes import also_called
from skilltrace_mlflow.matching.selectors import parse_selector
from skilltrace_mlflow.tools import TOOLS
from tests.builders import make_call, make_session
from tests.checks.judging import bash, judge, parse, verdict

SPOILT = [
    "webfetch",
    "WEBFETCH",
    "todowrite",
    "Bash(rm -rf",
    "Bash (rm:*)",
    "bash(rm:*)",
    "mcp_databricks__x",
    "mcp_databricks",
    "!Bash",
    "! rm -rf",
    "rm*",
    "git-*",
    "curl?",
]


@pytest.mark.parametrize("text", SPOILT)
@pytest.mark.parametrize("key", ["banned_tools", "required_tools", "tool_sequence"])
def test_what_can_never_fire_is_refused(key: str, text: str) -> None:
    with pytest.raises(ParameterError):
        parse(key, [text])


@pytest.mark.parametrize("text", ["Read(/Users/me/.ssh/**)", "Edit(/etc/passwd)"])
def test_a_ban_on_a_path_that_is_absolute_by_mistake_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="one slash"):
        parse("banned_tools", [text])


@pytest.mark.parametrize("text", ["bash", "file_ops", "web", "planning", *SPOILT])
def test_nor_is_it_a_limit(text: str) -> None:
    with pytest.raises(ParameterError):
        parse("tool_count", {text: 0})


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_every_known_tool_is_taken_as_it_is_written(name: str) -> None:
    assert parse_selector(name).selects_name(name)
    swapped = name.swapcase()
    if swapped not in TOOLS and name != name.lower():
        with pytest.raises(ParameterError, match="did you mean"):
            parse_selector(swapped)


@pytest.mark.parametrize(
    "text",
    [
        "bash",
        "grep -r x",
        "*delete*",
        "m*__drop",
        "Cron*",
        "Bash(rm*)",
        "rm -rf /etc",
        "Read(//etc/**)",
        "Read(./etc/**)",
    ],
)
def test_what_can_be_a_command_or_a_rule_is_not(text: str) -> None:
    assert parse("banned_tools", [text]).tools


def test_a_program_that_is_called_as_a_tool_is() -> None:
    assert verdict("banned_tools", ["bash"], bash("bash -c ls")) == "fail"
    outcome = judge("banned_tools", ["bash"], make_session([bash("ls")]))
    assert (outcome.verdict, "'Bash'" in outcome.rationale) == ("unknown", True)


PLUGIN = "mcp__plugin_data_tools_my_db__drop_table"


@pytest.mark.parametrize("name", [PLUGIN, "mcp__claude_ai_My_DB__drop_table"])
@pytest.mark.parametrize("text", ["mcp__my_db__drop_table", "mcp__my_db__*", "mcp__my_db"])
def test_a_server_that_a_plugin_or_an_account_brings_may_be_meant(text: str, name: str) -> None:
    session = make_session([make_call(name)])
    outcome = judge("banned_tools", [text], session)
    assert outcome.verdict == "unknown"
    assert "another server" in outcome.rationale
    assert judge("tool_count", {text: 0}, session).verdict == "unknown"
    assert judge("required_tools", [text], session).verdict == "unknown"


def test_another_tool_of_such_a_server_is_not() -> None:
    assert (
        verdict("banned_tools", ["mcp__my_db__drop_table"], "mcp__plugin_a_my_db__list") == "pass"
    )
    assert verdict("banned_tools", [PLUGIN], PLUGIN) == "fail"
    assert also_called("mcp__my_db__list") == ()


@pytest.mark.parametrize("form", [lambda limits: limits, lambda limits: {"limits": limits}])
def test_a_limit_on_a_path_with_one_slash_is_refused(form: Any) -> None:
    with pytest.raises(ParameterError, match="one slash means the project's folder") as caught:
        parse("tool_count", form({"Read(/Users/me/.ssh/**)": 0}))
    assert caught.value.path[-1] == "Read(/Users/me/.ssh/**)"
    parse("tool_count", form({"Read(//Users/me/.ssh/**)": 0, "Read(/src/**)": 3}))
