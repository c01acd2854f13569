"""The table of Claude Code's tools: one tool has one meaning under all its names."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.tools import (
    EDITORS,
    PATH_KEYS,
    READERS,
    SHELLS,
    TOOLS,
    current_name,
    names_of,
    starts_agent,
    starts_agents,
    tool_category,
)
from tests.builders import make_call, make_session
from tests.checks.judging import judge

RENAMED = [(tool.name, tool.now) for tool in TOOLS.values() if tool.now is not None]


@pytest.mark.parametrize(("older", "now"), RENAMED)
def test_an_older_name_stands_for_a_tool_that_was_not_renamed_itself(older: str, now: str) -> None:
    assert current_name(older) == current_name(now) == now
    assert TOOLS[now].now is None
    assert set(names_of(older)) == set(names_of(now)) >= {older, now}
    old, new = TOOLS[older], TOOLS[now]
    assert (old.reads, old.writes, old.line, old.agents) == (
        new.reads,
        new.writes,
        new.line,
        new.agents,
    )


def test_a_tool_that_is_not_in_the_table_is_only_itself() -> None:
    assert names_of("mcp__github__create_issue") == ("mcp__github__create_issue",)
    assert current_name("Frobnicate") == "Frobnicate"
    assert tool_category("Frobnicate") == "other"
    assert tool_category("mcp__github__create_issue") == "mcp_github"


def test_what_reads_and_writes_files_says_where_its_path_stands() -> None:
    assert not set(READERS) & set(EDITORS)
    for name in (*READERS, *EDITORS):
        assert TOOLS[name].path in PATH_KEYS
    assert all(tool_category(name) == "bash" for name in SHELLS)


def test_a_workflow_starts_agents_but_is_not_one() -> None:
    assert starts_agents("Workflow")
    assert not starts_agent("Workflow")
    assert starts_agent("Task")
    assert starts_agent("Agent")


@pytest.mark.parametrize(("older", "now"), RENAMED)
def test_a_ban_written_for_one_name_holds_for_the_other(older: str, now: str) -> None:
    for banned, called in ((older, now), (now, older)):
        session = make_session([make_call(called)])
        assert judge("banned_tools", [banned], session).verdict is Verdict.FAIL, (banned, called)
