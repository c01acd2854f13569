"""What follows from a registration: the key, the schema, the examples, the reference page."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from skilltrace_mlflow.checks import (
    CheckSpec,
    Example,
    Outcome,
    Verdict,
    all_checks,
    check,
    get_check,
    run_check,
)
from skilltrace_mlflow.checks import _registry as base
from skilltrace_mlflow.expectations import (
    ground_truth_schema,
    load_ground_truth,
    load_manifest,
)
from skilltrace_mlflow.responses import all_responses, response_check
from skilltrace_mlflow.session import Session
from tests.builders import make_call, make_session
from tests.checks.judging import judge, parse
from tests.docs import generate_checks_page

NAMES = {
    "banned_skills",
    "banned_tools",
    "category_limits",
    "completion",
    "cost_budget",
    "duration",
    "expected_messages",
    "file_existence",
    "file_scope",
    "permission_denials",
    "permissions",
    "repeated_calls",
    "required_commands",
    "required_skills",
    "required_tools",
    "should_trigger",
    "subagents",
    "token_budget",
    "tool_count",
    "tool_errors",
    "tool_sequence",
    "tool_trajectory",
    "turn_limit",
}
EXAMPLES = [
    pytest.param(spec, example, id=f"{name}-{number}")
    for name, spec in all_checks().items()
    for number, example in enumerate(spec.examples)
]


JUDGING = [param for param in EXAMPLES if param.values[1].verdict is not Verdict.NOT_APPLICABLE]


def test_every_check_is_registered() -> None:
    assert set(all_checks()) == NAMES


@pytest.mark.parametrize("name", all_checks())
def test_every_check_has_a_file_of_tests(name: str) -> None:
    """Beside it may be more on one of its subjects, such as `test_hidden_commands.py`."""
    tests = Path(__file__).with_name(f"test_{name}.py").read_text("utf-8")
    assert f'"{name}"' in tests
    assert "def test_" in tests


@pytest.mark.parametrize("spec", all_checks().values(), ids=lambda spec: spec.name)
def test_schemas_are_schemas(spec: CheckSpec) -> None:
    jsonschema.Draft202012Validator.check_schema(spec.schema)
    json.dumps(spec.schema)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_check_has_an_example_that_passes_and_one_that_fails(name: str) -> None:
    verdicts = {example.verdict for example in get_check(name).examples}
    assert {Verdict.PASS, Verdict.FAIL} <= verdicts


@pytest.mark.parametrize(("spec", "example"), EXAMPLES)
def test_examples(spec: CheckSpec, example: Example) -> None:
    calls = [
        make_call(call["name"], **{k: v for k, v in call.items() if k != "name"})
        for call in example.calls
    ]
    outcome = judge(spec.name, example.value, make_session(calls, **example.session))
    assert outcome.verdict == example.verdict, outcome.rationale
    assert outcome.check == spec.name
    assert outcome.rationale
    json.dumps(outcome.details)


@pytest.mark.parametrize(("spec", "example"), JUDGING)
def test_no_trace_is_unknown_with_score_zero(spec: CheckSpec, example: Example) -> None:
    outcome = judge(spec.name, example.value, None)
    assert (outcome.verdict, outcome.score) == ("unknown", 0.0)
    assert outcome.misses == ("No trace available",)


LOST = {
    kind: f"no {kind}"
    for kind in (
        "agents", "cost", "files", "messages", "skills", "subagents", "times", "turns", "usage",
        "tool_categories", "tool_inputs", "tool_names", "tool_order", "tool_outcomes",
        "tool_results",
    )
}  # fmt: skip


@pytest.mark.parametrize(("spec", "example"), JUDGING)
def test_a_session_that_lacks_everything_never_passes(spec: CheckSpec, example: Example) -> None:
    empty = Session(missing=LOST)
    assert judge(spec.name, example.value, empty).verdict in ("unknown", "fail")


@pytest.mark.parametrize(("spec", "example"), EXAMPLES)
def test_an_incomplete_record_changes_a_verdict_to_unknown_only(
    spec: CheckSpec, example: Example
) -> None:
    calls = [
        make_call(call["name"], **{k: v for k, v in call.items() if k != "name"})
        for call in example.calls
    ]
    whole = make_session(calls, **example.session)
    before = judge(spec.name, example.value, whole).verdict
    after = judge(
        spec.name, example.value, replace(whole, incomplete=("line 3 is cut",), cache={})
    ).verdict
    assert after in (before, "unknown")


BANS = ["banned_tools", "banned_skills", "file_scope", "permissions", "subagents"]


@pytest.mark.parametrize("name", BANS)
def test_bans_add_up_and_are_lifted_only_by_name(name: str) -> None:
    spec = get_check(name)
    assert spec.additive
    assert set(spec.companions) == {"ban_exceptions"}


def test_the_page_is_current() -> None:
    assert generate_checks_page.PAGE.read_text(encoding="utf-8") == generate_checks_page.render(), (
        "docs/checks.md is stale: python -m tests.docs.generate_checks_page"
    )


class TestScope:
    def test_scope_is_checked_by_the_schema(self) -> None:
        with pytest.raises(jsonschema.ValidationError):
            parse("required_tools", {"tools": ["Read"], "scope": "nobody"})

    @pytest.mark.parametrize("name", ["duration", "subagents", "turn_limit"])
    def test_checks_of_the_whole_session_have_none(self, name: str) -> None:
        spec = get_check(name)
        assert not spec.scoped
        assert "scope" not in json.dumps(spec.schema)

    def test_a_scope_needs_to_know_the_agents(self) -> None:
        session = make_session(["Read"], missing={"agents": "one list for all"})
        outcome = judge("required_tools", {"tools": ["Read"], "scope": "main"}, session)
        assert outcome.verdict == "unknown"
        assert "one list for all" in outcome.rationale


@dataclass(frozen=True, kw_only=True)
class Words:
    most: int


@pytest.fixture
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_REGISTRY", {**all_checks(), **all_responses()})


@pytest.mark.usefixtures("_own_registry")
class TestAddingACheck:
    """Nothing but the module is needed: one parameter class, one schema, one function."""

    def register(self) -> None:
        @check(
            name="answer_length",
            schema={"type": "integer", "minimum": 1},
            parse=lambda value: Words(most=value),
        )
        def answer_length(session: Session, parameters: Words) -> Outcome:
            """The last answer has at most so many words."""
            words = len((session.response or "").split())
            return Outcome.of(words <= parameters.most, rationale=f"{words} words")

    def test_it_is_in_the_registry_and_in_the_page(self) -> None:
        self.register()
        assert get_check("answer_length").key == "answer_length"
        assert "answer_length" in generate_checks_page.render()

    def test_it_is_a_key_of_the_expectations_and_of_their_schema(self) -> None:
        from skilltrace_mlflow.expectations import parse_expectations
        from skilltrace_mlflow.expectations._schema import trace_properties

        self.register()
        trace_properties.cache_clear() if hasattr(trace_properties, "cache_clear") else None
        (expectation,) = parse_expectations({"answer_length": 3})
        assert expectation.spec.name == "answer_length"
        assert (
            run_check(expectation.spec, make_session([]), expectation.parameters).verdict == "pass"
        )
        assert "answer_length" in trace_properties()
        trace_properties.cache_clear() if hasattr(trace_properties, "cache_clear") else None

    def test_a_taken_name_is_refused(self) -> None:
        self.register()
        with pytest.raises(ValueError, match="already registered"):
            self.register()


MODULE = """
from skilltrace_mlflow.checks import Outcome, check
from skilltrace_mlflow.responses import response_check

@check(
    name="few_calls",
    key="most_calls",
    schema={"type": "integer", "minimum": 1},
    parse=lambda value: value,
)
def few_calls(session, parameters):
    "At most so many calls were made. A tally."
    return Outcome.of(len(session.tool_calls) <= parameters, rationale="counted")

@response_check(
    name="short_answer",
    parse=lambda expectations: expectations.get("most_words"),
    keys={"most_words": {"type": "integer", "minimum": 1, "description": "Words at most."}},
)
def short_answer(response, parameters):
    "The answer has at most so many words. A tally."
    return Outcome.of(len(response.text.split()) <= parameters, rationale="counted")
"""


@pytest.mark.usefixtures("_own_registry")
class TestAddingAModule:
    """A file with a check of the trace and one of the response: everything else follows."""

    @pytest.fixture(autouse=True)
    def _module(self, _own_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "own_checks.py").write_text(MODULE, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "own_checks", raising=False)
        importlib.import_module("own_checks")

    def test_keys_and_schemas_follow(self) -> None:
        validator = jsonschema.Draft202012Validator(ground_truth_schema())

        def valid(**expectations: int) -> bool:
            case = {"id": "a", "expectations": expectations}
            return validator.is_valid({"test_cases": [case]})

        assert valid(most_calls=1, most_words=2)
        assert not valid(most_calls=0)
        assert not valid(most_words=0)

    def test_files_may_name_them(self, tmp_path: Path) -> None:
        (tmp_path / "manifest.yaml").write_text(
            "quality_gates: {short_answer: 1, few_calls: 1}\n"
            "scorers: {enabled: [short_answer, few_calls]}\n"
        )
        (tmp_path / "ground_truth.yaml").write_text(
            "test_cases:\n- {id: a, inputs: {prompt: x}, "
            "expectations: {most_words: 2, most_calls: 1}}\n"
        )
        manifest = load_manifest(tmp_path)
        assert set(manifest.quality_gates) == {"short_answer", "few_calls"}
        (case,) = load_ground_truth(manifest)
        assert case.response_expectations == {"most_words": 2}
        assert "few_calls" in [item.spec.name for item in case.expectations]

    def test_scorers_follow(self) -> None:
        from skilltrace_mlflow.scorers._adapter import make_scorer  # brings MLflow

        short = make_scorer(all_responses()["short_answer"])
        said = short(outputs={"response": "one two three"}, expectations={"most_words": 2})
        assert (short.name, said.value) == ("short_answer", "no")
        few = make_scorer(get_check("few_calls"), expectations={"most_calls": 1})
        assert few.name == "few_calls"

    def test_the_page_follows(self) -> None:
        page = generate_checks_page.render()
        assert "| [`most_calls`](#most_calls) | `few_calls` | At most so many calls were" in page
        assert "| `most_words` | [`short_answer`](#short_answer) | The answer has at most" in page
        assert "| `most_words` | integer ≥ 1: Words at most. |" in page

    @pytest.mark.parametrize("key", ["most_calls", "tool_limits", "ban_exceptions"])
    def test_a_key_of_another_check_is_refused(self, key: str) -> None:
        with pytest.raises(ValueError, match=key):
            response_check(name="another", parse=lambda e: (), keys={key: {"type": "integer"}})(
                lambda response, parameters: Outcome.of(True)
            )

    def test_a_name_of_a_check_of_the_trace_is_refused(self) -> None:
        with pytest.raises(ValueError, match="few_calls"):
            response_check(name="few_calls", parse=lambda e: ())(
                lambda response, parameters: Outcome.of(True)
            )


class TestCrashes:
    def spec(self, judge: Any) -> CheckSpec:
        return replace(get_check("duration"), judge=judge)

    def test_a_check_that_raises_is_its_own_error(self) -> None:
        def broken(session: Session, parameters: Any) -> Outcome:
            raise ZeroDivisionError("oh")

        outcome = run_check(self.spec(broken), make_session([]), None)
        assert (outcome.verdict, outcome.rationale) == ("error", "ZeroDivisionError: oh")
        assert judge("required_tools", ["Read"], make_session(["Read"])).verdict == "pass"

    @pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 1.1])
    def test_a_score_out_of_bounds_is_an_error(self, score: float) -> None:
        outcome = run_check(
            self.spec(lambda s, p: Outcome.of(True, score=score)), make_session([]), None
        )
        assert outcome.verdict == "error"
