"""One way from a YAML value to an outcome, as the loader goes it: schema, scope, parse, judge."""

from __future__ import annotations

from typing import Any

import jsonschema

from skilltrace_mlflow.checks import Outcome, get_check, run_check
from skilltrace_mlflow.expectations._merge import split_scope
from skilltrace_mlflow.session import Session, ToolCall
from tests.builders import make_call, make_session

__all__ = ["bash", "ended", "judge", "parse", "sql", "verdict"]


def parse(name: str, value: Any, **companions: Any) -> Any:
    """The parameters of a check; raises for a value that schema or parser refuse."""
    spec = get_check(name)
    jsonschema.Draft202012Validator(spec.schema).validate(value)
    rest, _ = split_scope(spec, value)
    return spec.parse(rest, **companions)


def judge(name: str, value: Any, session: Session | None, **companions: Any) -> Outcome:
    """The outcome of one check on one session."""
    spec = get_check(name)
    _, scope = split_scope(spec, value)
    return run_check(spec, session, parse(name, value, **companions), scope=scope or "all")


def verdict(name: str, value: Any, *calls: ToolCall | str, **fields: Any) -> str:
    """The verdict on a session of these calls."""
    return str(judge(name, value, make_session(calls, **fields)).verdict)


def bash(command: str, **fields: Any) -> ToolCall:
    """A Bash call."""
    return make_call("Bash", {"command": command}, **fields)


def sql(query: str, **fields: Any) -> ToolCall:
    """A call of a tool that runs SQL."""
    return make_call("mcp__databricks__execute_sql", {"query": query}, **fields)


def ended(*outcomes: str, name: str = "Bash", **fields: Any) -> list[ToolCall]:
    """Calls of one tool that ended in these ways."""
    return [make_call(name, outcome=outcome, **fields) for outcome in outcomes]
