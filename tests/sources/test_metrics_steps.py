"""The steps in a dictionary of metrics and the sums beside them: at odds, neither is evidence."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow import parse_and_compute_metrics
from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.errors import InputError
from skilltrace_mlflow.session import MAIN_AGENT
from skilltrace_mlflow.sources.metrics_dict import session_from_metrics_dict
from tests.sources.test_metrics_dict import judge

ROOT = Path(__file__).resolve().parents[2]
TRACES = ROOT / "examples" / "skills" / "bronze-ingestion" / "traces"
WHOLE = parse_and_compute_metrics(TRACES / "demo-subagent.jsonl").to_dict()
TOKENS = {"token_budget": {"max_total": 10**9}}
TURNS = {"turn_limit": {"max_turns": 10**6}}
Change = Callable[[dict[str, Any]], object]


def changed(change: Change) -> dict[str, Any]:
    metrics = copy.deepcopy(WHOLE)
    change(metrics)
    return metrics


def test_a_list_of_steps_gives_the_same_sums_and_turns() -> None:
    session = session_from_metrics_dict(WHOLE)
    assert session.usage.total_tokens == WHOLE["tokens"]["total"]
    assert session.turns == WHOLE["conversation"]["turns"]
    assert {step.agent for step in session.steps} > {MAIN_AGENT}
    assert judge(WHOLE, TOKENS) is judge(WHOLE, TURNS) is Verdict.PASS


@pytest.mark.parametrize("key", ["input", "output", "cache_creation", "cache_read"])
@pytest.mark.parametrize("by", [1, -1])
def test_a_sum_that_the_steps_do_not_add_up_to_leaves_tokens_open(key: str, by: int) -> None:
    def change(metrics: dict[str, Any]) -> None:
        metrics["tokens"][key] += by
        metrics["tokens"]["total"] += by if key in ("input", "output") else 0

    metrics = changed(change)
    assert judge(metrics, TOKENS) is Verdict.UNKNOWN
    assert judge(metrics, TURNS) is Verdict.PASS


@pytest.mark.parametrize("index", range(len(WHOLE["steps"])))
def test_a_step_that_is_left_out_leaves_what_it_counts_for_open(index: int) -> None:
    gone = WHOLE["steps"][index]
    metrics = changed(lambda metrics: metrics["steps"].pop(index))
    assert judge(metrics, TOKENS) is Verdict.UNKNOWN
    main = gone.get("agent", MAIN_AGENT) == MAIN_AGENT
    assert judge(metrics, TURNS) is (Verdict.UNKNOWN if main else Verdict.PASS)


@pytest.mark.parametrize("by", [1, -1])
def test_a_number_of_turns_that_the_steps_contradict_leaves_turns_open(by: int) -> None:
    def change(metrics: dict[str, Any]) -> None:
        metrics["conversation"]["turns"] += by

    assert judge(changed(change), TURNS) is Verdict.UNKNOWN


@pytest.mark.parametrize(("key", "expectations"), [("tokens", TOKENS), ("conversation", TURNS)])
def test_steps_alone_are_evidence(key: str, expectations: dict[str, Any]) -> None:
    metrics = changed(lambda metrics: [metrics.pop(key), metrics.pop("tokens_main", None)])
    assert judge(metrics, expectations) is Verdict.PASS


def test_without_steps_what_sub_agents_used_is_told_apart() -> None:
    session = session_from_metrics_dict(changed(lambda metrics: metrics.pop("steps")))
    assert session.usage.total_tokens == WHOLE["tokens"]["total"]
    main = sum(step.usage.total_tokens for step in session.steps if step.agent == MAIN_AGENT)
    assert main == WHOLE["tokens_main"]["total"]


@pytest.mark.parametrize("key", ["tokens", "timestamp", "stop_reason", "agent", "cost_usd"])
def test_a_step_of_the_wrong_kind_is_named_with_its_place(key: str) -> None:
    wrong = {"tokens": [1], "timestamp": "soon", "stop_reason": 3, "agent": [], "cost_usd": "x"}
    metrics = changed(lambda metrics: metrics["steps"][1].update({key: wrong[key]}))
    with pytest.raises(InputError, match=rf"steps\[1\]\.{key}"):
        session_from_metrics_dict(metrics)
