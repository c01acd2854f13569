"""category_limits: what tools of a kind are called."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.checks import ParameterError
from tests.builders import make_session
from tests.checks.judging import judge, parse, verdict


def test_categories() -> None:
    calls = ["Bash", "Read", "Edit", "mcp__databricks__a", "WebFetch", "Task", "Skill", "X"]
    value = dict.fromkeys(
        ("bash", "mcp_databricks", "web", "agent", "skill", "other", "planning"), 1
    )
    assert verdict("category_limits", value, *calls) == "pass"
    outcome = judge("category_limits", {"file_ops": 1}, make_session(calls))
    assert outcome.rationale == "file_ops: 2 > 1"


def test_a_category_that_does_not_exist_is_an_error_when_loaded() -> None:
    with pytest.raises(ParameterError, match="unknown category 'Bash'"):
        parse("category_limits", {"Bash": 1})


def test_categories_need_no_names() -> None:
    session = make_session(["Bash"], missing={"tool_names": "only categories"})
    assert judge("category_limits", {"bash": 1}, session).verdict == "pass"
