"""Prices: the formula, the multipliers, and the CLI's own figures as oracle."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from skilltrace_mlflow.pricing import session_cost, step_cost
from skilltrace_mlflow.session import ModelStep, Session, TokenUsage
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.sources.test_recordings_oracle import SUMMED

MILLION = 1_000_000


def step(model: str | None = "claude-sonnet-4-6", **fields: Any) -> ModelStep:
    names = {
        "input": "input_tokens",
        "output": "output_tokens",
        "write": "cache_creation_input_tokens",
        "read": "cache_read_input_tokens",
        "write_1h": "cache_creation_1h_input_tokens",
    }
    tokens = {full: fields.pop(short) for short, full in names.items() if short in fields}
    return ModelStep(id="m", model=model, usage=TokenUsage(**tokens), **fields)


@pytest.mark.parametrize(
    ("tokens", "dollars"),
    [
        ({"input": MILLION}, 5.0),
        ({"output": MILLION}, 25.0),
        ({"write": MILLION}, 6.25),
        ({"write": MILLION, "write_1h": MILLION}, 10.0),
        ({"write": MILLION, "write_1h": MILLION // 2}, 8.125),
        ({"read": MILLION}, 0.5),
        ({"web_search_requests": 3}, 0.03),
        ({}, 0.0),
    ],
)
def test_the_formula(tokens: dict[str, int], dollars: float) -> None:
    assert step_cost(step("claude-opus-4-8", **tokens)) == pytest.approx(dollars)


@pytest.mark.parametrize(
    ("model", "input_price", "output_price"),
    [
        ("claude-sonnet-4-5-20250929", 3, 15),
        ("claude-sonnet-4-20250514", 3, 15),
        ("claude-opus-4-1-20250805", 15, 75),
        ("claude-opus-4-5-20251101", 5, 25),
        ("claude-haiku-4-5-20251001", 1, 5),
        ("claude-3-5-haiku-20241022", 0.8, 4),
        ("claude-3-7-sonnet-latest", 3, 15),
        ("claude-opus-4-8[1m]", 5, 25),
        ("claude-fable-5", 10, 50),
        ("claude-opus-4-0", 15, 75),
        ("claude-haiku-5-5", 0.1, 0.5),
    ],
)
def test_models_by_name(model: str, input_price: float, output_price: float) -> None:
    cost = step_cost(step(model, input=1000, output=1000))
    assert cost == pytest.approx((input_price + output_price) / 1000)


@pytest.mark.parametrize(
    "model",
    [
        None,
        "",
        "gpt-5",
        "claude-opus-9",
        "databricks-claude-sonnet-4-5",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "<synthetic>",
        "claude-",
    ],
)
def test_an_unknown_model_has_no_price(model: str | None) -> None:
    assert step_cost(step(model, output=1)) is None
    priced = step(input=MILLION)
    assert session_cost(Session(steps=(priced, step(model, output=1)))) is None
    assert session_cost(Session(steps=(priced, step(model)))) == pytest.approx(3)


@pytest.mark.parametrize(
    ("model", "factor"),
    [("claude-opus-4-6", 6), ("claude-opus-4-8", 2), ("claude-opus-5", 2), ("claude-opus-5-5", 2)],
)
def test_fast_mode_multiplies(model: str, factor: int) -> None:
    tokens = {"input": 1000, "output": 1000, "read": 1000, "write": 1000}
    normal = step_cost(step(model, **tokens))
    assert normal is not None
    assert step_cost(step(model, speed="fast", **tokens)) == pytest.approx(normal * factor)
    assert step_cost(step(model, speed="standard", **tokens)) == normal


def test_fast_mode_of_a_model_without_one_is_unknown() -> None:
    assert step_cost(step("claude-haiku-4-5", speed="fast", input=1)) is None


def test_long_context_costs_more_on_the_whole_request() -> None:
    at = {"input": 100_000, "read": 100_000, "output": 1000}
    above = {"input": 100_000, "read": 100_001, "output": 1000}
    model = "claude-sonnet-4-5"
    assert step_cost(step(model, **at)) == pytest.approx(0.3 + 0.03 + 0.015)
    assert step_cost(step(model, **above)) == pytest.approx(0.6 + 0.06 + 0.0225, rel=1e-4)
    assert step_cost(step("claude-sonnet-5", **above)) == pytest.approx(0.2 + 0.02 + 0.01, rel=1e-4)


def test_long_context_of_the_46_models_by_date() -> None:
    def cost(*day: int) -> float | None:
        time = datetime(*day, tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
        return step_cost(step("claude-opus-4-6", input=MILLION, timestamp=time))

    assert cost(2026, 3, 12) == pytest.approx(10)
    assert cost(2026, 3, 13) == pytest.approx(5)
    assert step_cost(step("claude-opus-4-6", input=MILLION)) == pytest.approx(5)


def test_cache_hits_have_their_own_factor_by_model_and_date() -> None:
    assert step_cost(step("claude-fable-5-1", read=MILLION, output=0)) == pytest.approx(0.25)
    assert step_cost(step("claude-opus-5-5", read=MILLION)) == pytest.approx(0.2)
    before = datetime(2026, 10, 6, 23, 59, tzinfo=timezone.utc)
    assert step_cost(step("claude-sonnet-5-5", read=MILLION, timestamp=before)) == pytest.approx(
        0.2
    )
    assert step_cost(step("claude-sonnet-5-5", read=MILLION)) == pytest.approx(0.1)


def test_recorded_costs_win() -> None:
    assert step_cost(step("gpt-5", output=1, cost_usd=0.5)) == 0.5
    assert session_cost(Session(steps=(step(input=1),), cost_usd=0.25)) == 0.25
    steps = (step("gpt-5", output=1, cost_usd=0.5), step(input=MILLION))
    assert session_cost(Session(steps=steps)) == pytest.approx(3.5)


def test_without_usage_there_is_no_cost() -> None:
    assert session_cost(Session()) is None
    session = Session(steps=(step(input=1),), missing={"usage": "the source keeps none"})
    assert session_cost(session) is None


@pytest.mark.parametrize(
    "folder",
    SUMMED,  # of the others the CLI's own statement is read, which test_recordings_oracle compares
    ids=lambda path: path.name,
)
def test_costs_equal_the_cli_s(folder: Path) -> None:
    """The CLI's figure holds only what a session's own files hold: forks and leftovers apart."""
    theirs: dict[str, float] = {}
    for path in folder.glob("result*.json"):
        for model, usage in json.loads(path.read_text("utf-8"))["modelUsage"].items():
            theirs[model] = theirs.get(model, 0.0) + usage["costUSD"]
    steps = {
        found.id: found
        for path in [*find_sessions(folder), *folder.glob("agent-*.jsonl")]
        for found in parse_transcript(path).steps
    }
    ours: dict[str, float] = {}
    for found in steps.values():
        cost = step_cost(found)
        assert cost is not None
        ours[found.model or ""] = ours.get(found.model or "", 0.0) + cost
    assert {m: c for m, c in ours.items() if c} == pytest.approx(
        {m: c for m, c in theirs.items() if c}
    )
