"""Labeling sessions in the shape that MLflow documents; no workspace made one."""

from __future__ import annotations

from typing import Any

import mlflow.genai.labeling
import pytest
from mlflow.entities import Trace, TraceData, TraceInfo, TraceLocation, TraceState
from mlflow.exceptions import MlflowException
from mlflow.genai import label_schemas
from mlflow.genai.labeling import LabelingSession, stores
from mlflow.genai.labeling.stores import DatabricksLabelingStore

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError
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


class _Workspace(DatabricksLabelingStore):
    """What MLflow asks a workspace for: MLflow's own functions and session stand before it, which
    refuse other arguments and anything but traces.
    """

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.traces: list[Trace] = []
        self.deleted: list[str] = []
        self.refusal: Exception | None = None

    def create_labeling_session(self, name: str, **asked: Any) -> LabelingSession:
        self.asked = {key: value for key, value in asked.items() if value}
        return LabelingSession(
            name=name,
            assigned_users=asked["assigned_users"],
            agent=None,
            label_schemas=asked["label_schemas"],
            labeling_session_id="1",
            mlflow_run_id="run",
            review_app_id="app",
            experiment_id="7",
            url="https://w/review",
            enable_multi_turn_chat=False,
            custom_inputs=None,
        )

    def add_traces_to_session(
        self, labeling_session: LabelingSession, traces: list[Trace]
    ) -> LabelingSession:
        if self.refusal is not None:
            raise self.refusal
        self.traces += traces
        return labeling_session

    def delete_labeling_session(self, labeling_session: LabelingSession) -> None:
        self.deleted.append(labeling_session.mlflow_run_id)


def trace_of(trace_id: str, **_: Any) -> Trace:
    info = TraceInfo(
        trace_id=trace_id,
        trace_location=TraceLocation.from_experiment_id("7"),
        request_time=1,
        state=TraceState.OK,
    )
    return Trace(info=info, data=TraceData(spans=[]))


@pytest.fixture
def workspace(_a_workspace: None, monkeypatch: pytest.MonkeyPatch) -> _Workspace:
    made = _Workspace()
    for module in (mlflow.genai.labeling, stores):
        monkeypatch.setattr(module, "_get_labeling_store", lambda: made)
    return made


@pytest.fixture
def _a_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its store answers; only the session is made up."""
    store = labeling.mlflow_store
    monkeypatch.setattr(store, "probe", lambda *_, **__: None)
    monkeypatch.setattr(store, "resolve_experiment", lambda *_, **__: "7")
    monkeypatch.setattr(store, "fetch_trace", trace_of)
    monkeypatch.setattr(mlflow, "set_experiment", lambda **_: None)


def test_a_session_holds_these_traces(workspace: _Workspace) -> None:
    made = label_traces(EVALUATION, "look", users=["a@b.c"], label_schemas=["expected_facts"])
    assert (made.name, made.url) == ("look", "https://w/review")
    assert [trace.info.trace_id for trace in workspace.traces] == ["tr-3", "tr-4", "tr-2"]
    assert workspace.asked == {"assigned_users": ["a@b.c"], "label_schemas": ["expected_facts"]}
    assert workspace.deleted == []


def test_the_questions_are_those_that_mlflow_brings(workspace: _Workspace) -> None:
    label_traces(EVALUATION, "look")
    built_in = {label_schemas.EXPECTED_FACTS, label_schemas.EXPECTED_RESPONSE}
    assert set(workspace.asked["label_schemas"]) <= built_in


def test_a_session_that_cannot_be_filled_is_not_left_behind(workspace: _Workspace) -> None:
    workspace.refusal = MlflowException("no such trace\nand more")
    with pytest.raises(EvaluationError, match=r"labeling session look: .*no such trace") as told:
        label_traces(EVALUATION, "look")
    assert "\n" not in str(told.value)
    assert workspace.deleted == ["run"]


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
