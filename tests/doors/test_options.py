"""An option that is declared is there through every door that it is declared for, and no other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click
import pytest

from skilltrace_mlflow import evaluate_skill, trace_eval
from skilltrace_mlflow.cli import mlflow_eval
from skilltrace_mlflow.cli import trace_eval as trace_eval_command
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.evaluate._resume import Plan
from skilltrace_mlflow.options import (
    EVALUATE_SKILL,
    TRACE_EVAL,
    Door,
    EvaluationOptions,
    declared,
)

# What Python alone can hand over, or the command line has in another form.
OF_PYTHON = {
    TRACE_EVAL: {"skill", "traces", "trace_dir", "evidence", "keep_sessions", "progress"},
    EVALUATE_SKILL: {"skill", "progress", "show_progress", "given", "run_tags"},
}
DOORS = pytest.mark.parametrize(
    ("door", "function", "command"),
    [
        pytest.param(TRACE_EVAL, trace_eval, trace_eval_command.command, id=TRACE_EVAL),
        pytest.param(EVALUATE_SKILL, evaluate_skill, mlflow_eval.command, id=EVALUATE_SKILL),
    ],
)


def default(item: Any) -> Any:
    return getattr(EvaluationOptions(), item.name)


@DOORS
def test_python_takes_each_with_its_default(
    door: Door, function: Callable[..., Any], command: click.Command
) -> None:
    parameters = inspect.signature(function).parameters
    assert parameters.keys() - OF_PYTHON[door] == {item.name for item, _ in declared(door)}
    for item, said in declared(door):
        given = parameters[item.name].default
        assert (given or None) == (default(item) or None), item.name
        assert parameters[item.name].kind is inspect.Parameter.KEYWORD_ONLY
        assert said.help.strip()


@DOORS
def test_the_command_line_takes_each_by_its_flag(
    door: Door, function: Callable[..., Any], command: click.Command
) -> None:
    options = {option.name: option for option in command.params}
    for item, said in declared(door):
        assert options[item.name].opts == [said.flag]
        assert (command.make_context("x", ["s"]).params[item.name] or None) == (
            default(item) or None
        )
    others = {item.name for item in fields(EvaluationOptions)} - {i.name for i, _ in declared(door)}
    assert not others & options.keys()


@DOORS
def test_python_hands_each_on(
    door: Door,
    function: Callable[..., Any],
    command: click.Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one place where a function's arguments could be forgotten: its own construction of the
    options, which is seen by giving each a value of its own.
    """

    class SeenError(Exception):
        pass

    given = {item.name: VALUES[said.kind] for item, said in declared(door)}

    def stop(**options: Any) -> EvaluationOptions:
        assert options == given
        raise SeenError

    monkeypatch.setattr(inspect.getmodule(function), "EvaluationOptions", stop)
    with pytest.raises(SeenError):
        function("skill", **given)


VALUES: dict[str, Any] = {
    "flag": True,
    "text": "some text",
    "texts": ("a", "b"),
    "folder": "folder",
    "count": 3,
    "seconds": 7.5,
    "gates": {"tool_count": 0.5},
}


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        pytest.param(item.name, VALUES[said.kind], said.flag, id=item.name)
        for item, said in declared(EVALUATE_SKILL)
        if said.kept
    ],
)
def test_a_resumed_run_refuses_another_value_of_each_that_is_kept(
    name: str, value: Any, flag: str
) -> None:
    started = Plan(skill="s", options=EvaluationOptions())
    asked = Plan(skill="s", options=EvaluationOptions(**{name: value}))
    assert f'"{name}"' in started.tag["skilltrace.options"]
    with pytest.raises(ConfigurationError, match=f"without {flag}"):
        started.confirm(asked, "r")
    asked.confirm(started, "r")  # what is left out is taken from the run
    asked.confirm(asked, "r")


def test_every_option_leads_through_some_door() -> None:
    for item, said in declared():
        assert said.doors, item.name
        assert said.kind in VALUES
        assert not said.kept or EVALUATE_SKILL in said.doors


@pytest.mark.parametrize("name", ["attempts", "workers"])
def test_less_than_one_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        EvaluationOptions(**{name: 0})


def test_one_text_is_a_list_of_one() -> None:
    assert EvaluationOptions(filter_category="abc").filter_category == ("abc",)
