"""Whether the agent worked at all, and whether it came to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from skilltrace_mlflow import trace_eval
from skilltrace_mlflow.checks import CheckSpec, Example, Verdict, all_checks, run_check
from skilltrace_mlflow.checks.completion import ending_notes
from skilltrace_mlflow.expectations import Manifest, load_manifest, parse_expectations
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.score import score_session
from skilltrace_mlflow.scorers import get_trace_scorers
from skilltrace_mlflow.session import (
    REFUSED,
    WARM_UP,
    Ending,
    EndingKind,
    Message,
    Session,
    SubAgent,
)
from skilltrace_mlflow.sources.metrics_dict import session_from_metrics_dict
from tests.builders import make_session
from tests.checks.judging import judge, verdict
from tests.sources import lines

ASKED = (Message(role="user", text="Do it"),)
SILENT = [
    pytest.param(Session(messages=ASKED, api_errors=("Invalid API key",)), "Invalid API key"),
    pytest.param(Session(messages=ASKED), "a prompt and nothing else"),
    pytest.param(Session(), "no prompt and no answer"),
    pytest.param(
        Session(subagents=(SubAgent(id="a1", status=WARM_UP),), messages=ASKED),
        "a prompt and nothing else",
    ),
]
EXAMPLES = [
    pytest.param(spec, example, id=f"{spec.name}-{number}")
    for spec in all_checks().values()
    for number, example in enumerate(spec.examples)
    if example.value != spec.ignored or spec.ignored is None
]


class TestNoResponse:
    @pytest.mark.parametrize(("spec", "example"), EXAMPLES)
    @pytest.mark.parametrize(("session", "said"), SILENT)
    def test_every_check_is_unknown_and_says_what_the_record_holds(
        self, spec: CheckSpec, example: Example, session: Session, said: str
    ) -> None:
        outcome = judge(spec.name, example.value, session)
        assert outcome.verdict is Verdict.UNKNOWN
        assert said in outcome.rationale

    def test_figures_of_such_a_session_say_the_same(self) -> None:
        silent = Session(messages=ASKED, ending=Ending(kind="cut_off", text="Invalid API key"))
        again = session_from_metrics_dict(compute_metrics(silent).to_dict())
        outcome = judge("banned_tools", ["rm -rf"], again)
        assert (outcome.verdict, "Invalid API key" in outcome.rationale) == ("unknown", True)

    @pytest.mark.parametrize(
        "figures", [{"tools": {"by_name": {"Bash": 10}}}, {"tools": {"total_calls": 0}}]
    )
    def test_part_of_a_dictionary_is_judged_by_what_it_holds(self, figures: Any) -> None:
        session = session_from_metrics_dict(figures)
        assert judge("tool_count", {"Bash": 10}, session).verdict is Verdict.PASS

    def test_a_lost_count_of_turns_proves_nothing(self) -> None:
        assert verdict("tool_count", {"Bash": 1}, steps=(), missing={"turns": "lost"}) == "pass"


KINDS = list(get_args(EndingKind))
REQUIRED = dict.fromkeys(KINDS, "fail") | {"finished": "pass", "unknown": "unknown"}
NOTICED = dict.fromkeys(KINDS, "not_applicable") | {"cut_off": "unknown", "interrupted": "unknown"}


class TestCompletion:
    @pytest.mark.parametrize("kind", KINDS)
    def test_verdicts(self, kind: EndingKind) -> None:
        spec = all_checks()["completion"]
        session = make_session(["Read"], ending=Ending(kind=kind, text="why"))
        assert run_check(spec, session, spec.implied).verdict == NOTICED[kind]
        required = judge("completion", "required", session)
        assert required.verdict == REQUIRED[kind]
        assert kind == "finished" or "why" in required.rationale
        assert judge("completion", "ignore", session).verdict == "not_applicable"

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        ("written", "table"),
        [
            ({}, NOTICED),
            ({"completion": "required"}, REQUIRED),
            ({"completion": "ignore"}, {}),
            ({"disabled": ["completion"]}, {}),
        ],
    )
    def test_every_door_says_the_same(
        self, kind: EndingKind, written: Any, table: Any, tmp_path: Path
    ) -> None:
        wanted = table.get(kind, "not_applicable")
        expected = {"tool_limits": {"Read": 1}, **written}
        session = make_session(["Read"], ending=Ending(kind=kind))

        outcomes = score_session(session, parse_expectations(expected))
        said = [o.verdict for o in outcomes if o.check == "completion"] or ["not_applicable"]
        assert said == [wanted]

        whole = score_session(session, (), session_expectations=parse_expectations(expected))
        said = [o.verdict for o in whole if o.check == "session.completion"] or ["not_applicable"]
        assert said == [wanted]

        path = tmp_path / "manifest.yaml"
        path.write_text(
            yaml.safe_dump({"skill": {"name": "s"}, "trace_expectations": expected}),
            encoding="utf-8",
        )
        result = trace_eval(load_manifest(path), session).results[0]
        judged = {o.check: o.verdict for o in result.judged}
        assert judged.get("completion", "not_applicable") == wanted
        for scorers in (get_trace_scorers(load_manifest(path)), get_trace_scorers(expected)):
            (feedback,) = [s(trace=session) for s in scorers if s.name == "completion"] or [None]
            told = "not_applicable" if feedback is None else feedback.metadata["skilltrace.verdict"]
            assert told == wanted

    def test_without_a_trace_nobody_asked_for_it(self) -> None:
        assert [o.check for o in score_session(None, ())] == []
        (outcome,) = score_session(None, parse_expectations({"completion": "required"}))
        assert (outcome.verdict, outcome.score) == ("unknown", 0.0)

    def test_a_limit_is_said_with_the_result(self) -> None:
        session = make_session(["Read"], ending=Ending(kind="turn_limit"))
        manifest = {"tool_limits": {"Read": 1}}
        evaluation = trace_eval(Manifest(name="s", trace_expectations=manifest), session)
        assert evaluation.exit_code == 0
        assert any("limit of turns" in note for note in evaluation.results[0].notes)

    def test_a_transcript_that_an_overload_ended_is_no_pass(self, tmp_path: Path) -> None:
        path = tmp_path / "s.jsonl"
        text = {"type": "text", "text": "API Error: 529 Overloaded"}
        lines.write_lines(
            path,
            lines.user("do it"),
            lines.assistant("msg_1", {"type": "text", "text": "On it."}, stop_reason="end_turn"),
            lines.user("go on"),
            lines.assistant("msg_2", text, model="<synthetic>", isApiErrorMessage=True),
        )
        manifest = Manifest(name="s", trace_expectations={"banned_tools": ["rm -rf"]})
        result = trace_eval(manifest, path).results[0]
        assert result.verdict is Verdict.UNKNOWN
        assert {o.check: str(o.verdict) for o in result.judged} == {
            "banned_tools": "pass",
            "completion": "unknown",
        }
        assert "529 Overloaded" in result.outcomes[1].rationale


def test_a_refusal_of_the_model_is_no_work_done() -> None:
    refused = Session(
        messages=ASKED, steps=make_session().steps, ending=Ending(kind="finished", text=REFUSED)
    )
    required = judge("completion", "required", refused)
    assert required.verdict is Verdict.FAIL
    assert REFUSED in required.rationale
    assert any(REFUSED in note for note in ending_notes(refused))
