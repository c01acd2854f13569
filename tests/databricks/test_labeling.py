"""Labeling sessions in the shape that MLflow documents; no workspace made one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlflow.genai.labeling
import pytest

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.evaluate import labeling
from skilltrace_mlflow.evaluate.labeling import label_traces, traces_to_label
from skilltrace_mlflow.results import Evaluation, TestResult


def result(name: str, *verdicts: Verdict, trace_id: str | None = None) -> TestResult:
    outcomes = tuple(
        Outcome(check=f"c{number}", verdict=verdict, rationale="r")
        for number, verdict in enumerate(verdicts)
    )
    return TestResult(test_id=name, skill="s", outcomes=outcomes, trace_id=trace_id)


EVALUATION = Evaluation(
    skill="s",
    results=(
        result("good", Verdict.PASS, trace_id="tr-1"),
        result("bad", Verdict.PASS, Verdict.FAIL, trace_id="tr-2"),
        result("open", Verdict.UNKNOWN, trace_id="tr-3"),
        result("both", Verdict.FAIL, Verdict.UNKNOWN, trace_id="tr-4"),
        result("nowhere", Verdict.FAIL),
    ),
    experiment_id="7",
    tracking_uri="databricks",
)


def test_what_could_not_be_judged_comes_first() -> None:
    assert traces_to_label(EVALUATION) == ("tr-3", "tr-4", "tr-2")
    assert traces_to_label(EVALUATION, ["unknown"]) == ("tr-3", "tr-4")


class _Session:
    """`mlflow.genai.labeling.LabelingSession` as documented: `add_traces` returns the session."""

    def __init__(self, name: str, **asked: Any) -> None:
        self.name, self.asked = name, asked
        self.traces: list[Any] = []

    def add_traces(self, traces: Sequence[Any]) -> _Session:
        self.traces += traces
        return self


@pytest.fixture
def _a_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its store answers; only the session is made up."""
    store = labeling.mlflow_store
    monkeypatch.setattr(store, "probe", lambda *_, **__: None)
    monkeypatch.setattr(store, "resolve_experiment", lambda *_, **__: "7")
    monkeypatch.setattr(store, "fetch_trace", lambda trace_id, **_: trace_id)
    monkeypatch.setattr(mlflow, "set_experiment", lambda **_: None)


@pytest.mark.usefixtures("_a_workspace")
def test_a_session_holds_these_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow.genai.labeling, "create_labeling_session", _Session)
    made: Any = label_traces(EVALUATION, "look", users=["a@b.c"], label_schemas=["expected_facts"])
    assert made.name == "look"
    assert made.traces == ["tr-3", "tr-4", "tr-2"]
    assert made.asked == {"assigned_users": ["a@b.c"], "label_schemas": ["expected_facts"]}


@pytest.mark.usefixtures("_a_workspace")
def test_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ImportError("databricks.agents")

    monkeypatch.setattr(mlflow.genai.labeling, "create_labeling_session", missing)
    with pytest.raises(ConfigurationError, match="databricks-agents is needed"):
        label_traces(EVALUATION, "look")


def test_elsewhere_it_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="are Databricks' alone"):
        label_traces(EVALUATION, "look", tracking_uri="sqlite:///x.db")


def test_nothing_to_label_is_told() -> None:
    good = Evaluation(skill="s", results=EVALUATION.results[:1], tracking_uri="databricks")
    with pytest.raises(ConfigurationError, match="no trace of s is unknown or error or fail"):
        label_traces(good, "look")
    with pytest.raises(ConfigurationError, match="there is no 'bad'"):
        label_traces(good, "look", verdicts=["bad"])
