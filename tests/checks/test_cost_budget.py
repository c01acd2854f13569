"""cost_budget: what was paid, and models without a known price."""

from __future__ import annotations

from skilltrace_mlflow.session import ModelStep, TokenUsage
from tests.builders import make_session
from tests.checks.judging import judge, verdict


def test_recorded() -> None:
    assert verdict("cost_budget", {"max_usd": 0.5}, cost_usd=0.5) == "pass"
    assert verdict("cost_budget", {"max_usd": 0.4}, cost_usd=0.5) == "fail"


def test_an_unknown_model_is_unknown() -> None:
    step = ModelStep(id="a", model="nobody-knows-1", usage=TokenUsage(input_tokens=10))
    known = ModelStep(id="b", model="claude-sonnet-4-5", usage=TokenUsage(input_tokens=10))
    outcome = judge("cost_budget", {"max_usd": 5}, make_session([], steps=(step, known)))
    assert outcome.verdict == "unknown"
    assert outcome.rationale.endswith("no price is known for nobody-knows-1")
