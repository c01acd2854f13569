"""The driver on a local store: right verdicts on the right traces, under one run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Expectation, Feedback
from mlflow.tracking import MlflowClient

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError, TraceNotFoundError
from skilltrace_mlflow.evaluate import evaluate_skill, log_evaluation
from skilltrace_mlflow.evaluation import trace_eval
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.sources.load import session_of_trace, sessions_of_run
from tests.driver.stores import verdicts, write_skill
from tests.driver.traces import log_turn

LIMITS = {"trace_expectations": {"tool_limits": {"Bash": 1}, "required_tools": ["Read"]}}


def case(test_id: str, **parts: Any) -> dict[str, Any]:
    return {"id": test_id, "inputs": {"prompt": f"do {test_id}"}, **parts}


def found(evaluation: Evaluation) -> dict[tuple[str, int, str], Verdict]:
    return {
        (r.test_id, r.attempt, o.check): o.verdict
        for r in evaluation.results
        for o in r.judged
        if not o.check.startswith("execution")
    }


def log_turns(*turns: Any, **options: Any) -> list[str]:
    return [log_turn(*turn, **options) for turn in turns]


def test_every_verdict_stands_on_its_trace_under_the_run(store: str, tmp_path: Path) -> None:
    good, bad = log_turns(("do good", ["Read", "Bash"]), ("do bad", ["Bash", "Bash"]))
    skill = write_skill(
        tmp_path / "demo",
        manifest=LIMITS,
        cases=[
            case("good", metadata={"trace_id": good}),
            case("bad", metadata={"trace_id": bad}),
        ],
    )
    evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
    assert verdicts(evaluation) == [
        ("bad", "1", "required_tools", "no"),
        ("bad", "1", "tool_count", "no"),
        ("good", "1", "required_tools", "yes"),
        ("good", "1", "tool_count", "yes"),
    ]
    assert [r.trace_id for r in evaluation.results] == [good, bad]
    assert evaluation.exit_code == 1
    assert not evaluation.incomplete
    run = mlflow.get_run(str(evaluation.run_id))
    assert run.info.status == "FINISHED"
    assert run.data.tags["skilltrace.status"] == "complete"
    assert run.data.metrics["tool_count/mean"] == 0.5
    assert run.data.metrics["tool_count/coverage"] == 1.0
    assert run.data.metrics["pass_rate"] == 0.5


def test_a_verdict_stands_on_the_span_of_the_one_call_that_it_speaks_of(
    store: str, tmp_path: Path
) -> None:
    (trace_id,) = log_turns(("do it", ["Read", "Bash", "Bash", "Bash"]))
    manifest = {
        "trace_expectations": {
            "tool_limits": {"Bash": 2},  # the third is one too many
            "banned_tools": ["Bash"],  # three calls
            "required_tools": ["Read"],
        }
    }
    skill = write_skill(
        tmp_path / "demo", manifest=manifest, cases=[case("a", metadata={"trace_id": trace_id})]
    )
    evaluate_skill(skill, include_traces=True, experiment="traces")
    trace = mlflow.get_trace(trace_id)
    spans = {span.span_id: span for span in trace.data.spans}
    root = next(span.span_id for span in trace.data.spans if span.parent_id is None)
    last = [span.span_id for span in trace.data.spans if span.name == "tool_Bash"][-1]
    found = {a.name: a for a in trace.info.assessments if a.feedback is not None}
    assert found["tool_count"].span_id == last in spans
    assert (found["tool_count"].rationale or "").startswith("call 4 (")
    assert found["banned_tools"].span_id == root
    assert (found["banned_tools"].rationale or "").startswith("calls 2, 3 and 4 (")
    assert found["required_tools"].span_id == root


def test_run_and_traces_say_what_came_of_them_where_people_look(store: str, tmp_path: Path) -> None:
    good, bad = log_turns(("do good", ["Read", "Bash"]), ("do bad", ["Bash", "Bash"]))
    cases = [
        case("good", metadata={"trace_id": good}),
        case("bad_*one*", metadata={"trace_id": bad}),
        case("also", metadata={"trace_id": bad}, expectations={"tool_limits": {"Bash": 5}}),
    ]
    skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=cases)
    evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
    tags = {
        trace_id: {
            key: value
            for key, value in mlflow.get_trace(trace_id).info.tags.items()
            if key.startswith("skilltrace.")
        }
        for trace_id in (good, bad)
    }
    assert tags[good] == {
        "skilltrace.judged_as": "good",
        "skilltrace.judged_skill": "demo",
        "skilltrace.skill": "demo",
        "skilltrace.test_id": "good",
        "skilltrace.verdict": "pass",
    }
    assert tags[bad]["skilltrace.test_id"] == "bad_*one*, also"
    assert tags[bad]["skilltrace.verdict"] == "fail"
    run = mlflow.get_run(str(evaluation.run_id))
    assert run.data.tags["skilltrace.verdict"] == "failed"
    assert run.data.tags["skilltrace.test_id"] == "good, bad_*one*, also"
    assert str(run.info.run_name).startswith("✗ failed · ")
    assert evaluation.run_name == run.info.run_name
    note = run.data.tags["mlflow.note.content"]
    assert "Of 3 tests, 2 failed and 1 passed." in note
    assert "required\\_tools: Read: not called · 2 tests" in note
    page = f"#/experiments/{evaluation.experiment_id}/runs/{run.info.run_id}/artifacts/"
    assert f"({page}skilltrace/report.html)" in note
    # What was judged once is not for that the evidence of tomorrow: the newest equal prompt is.
    (newer,) = log_turns(("do good", ["Bash"]))
    prompts = write_skill(tmp_path / "prompts", manifest=LIMITS, cases=[case("good")])
    (result,) = evaluate_skill(prompts, include_traces=True, experiment="traces").results
    assert result.trace_id == newer
    named = evaluate_skill(skill, include_traces=True, experiment="traces", run_name="nightly")
    assert mlflow.get_run(str(named.run_id)).info.run_name == "nightly"


def test_surroundings_are_as_before(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Limits, store, experiment and standard output belong to the caller."""
    (trace,) = log_turns(("do a", ["Read"]))
    cases = [case("a", metadata={"trace_id": trace})]
    skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=cases)
    monkeypatch.setenv("MLFLOW_GENAI_EVAL_SCORER_RATE_LIMIT", "3")
    before = dict(os.environ)
    evaluate_skill(skill, include_traces=True)
    assert dict(os.environ) == before
    assert mlflow.get_tracking_uri() == store
    # MLflow logs traces to the run that is active in any thread, also in one that is gone.
    run_of_later_traces = mlflow.get_trace(log_turn("later")).info.trace_metadata
    assert "mlflow.sourceRun" not in run_of_later_traces
    assert capsys.readouterr().out == ""


def test_a_missing_trace_is_unknown_and_never_a_pass(store: str, tmp_path: Path) -> None:
    """MLflow gives such a row a trace of its own, which holds the prompt and no forbidden call."""
    manifest = {"trace_expectations": {"banned_tools": ["Bash"], "tool_limits": {"Bash": 0}}}
    (trace,) = log_turns(("do a", ["Read"]))
    skill = write_skill(
        tmp_path / "demo",
        manifest=manifest,
        cases=[
            case("a", metadata={"trace_id": trace}),
            case("gone", metadata={"trace_id": "tr-" + "0" * 32}),
            case("never"),
        ],
    )
    evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
    for test_id in ("gone", "never"):
        assert found(evaluation)[test_id, 1, "banned_tools"] is Verdict.UNKNOWN
    assert evaluation.exit_code == 3
    assert ("never", "1", "banned_tools", "NO_TRACE") in verdicts(evaluation)
    assert ("a", "1", "banned_tools", "yes") in verdicts(evaluation)
    again = evaluate_skill(skill, include_traces=True, experiment="traces")
    assert found(again)["never", 1, "banned_tools"] is Verdict.UNKNOWN
    assert "No trace available" in again.results[2].notes[0]


def test_two_tests_on_one_trace_keep_their_own_verdicts(store: str, tmp_path: Path) -> None:
    (trace,) = log_turns(("do it", ["Bash", "Bash"]))
    skill = write_skill(
        tmp_path / "demo",
        manifest={"trace_expectations": {"tool_limits": {"Bash": 1}}},
        cases=[
            case("strict", metadata={"trace_id": trace}),
            case("lax", metadata={"trace_id": trace}, expectations={"tool_limits": {"Bash": 5}}),
        ],
    )
    for _ in range(2):
        evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
        assert verdicts(evaluation) == [
            ("lax", "1", "tool_count", "yes"),
            ("strict", "1", "tool_count", "no"),
        ]


@pytest.mark.parametrize("supersede", [False, True])
def test_a_new_verdict_supersedes_another_runs_only_when_asked(
    store: str, tmp_path: Path, supersede: bool
) -> None:
    (trace,) = log_turns(("do it", ["Bash", "Bash"]))
    cases = [case("one", metadata={"trace_id": trace}), case("two", metadata={"trace_id": trace})]
    skill = write_skill(
        tmp_path / "demo",
        manifest={"trace_expectations": {"tool_limits": {"Bash": 1}}},
        cases=cases,
    )
    first = evaluate_skill(skill, include_traces=True, experiment="traces")
    write_skill(skill, manifest={"trace_expectations": {"tool_limits": {"Bash": 2}}}, cases=cases)
    second = evaluate_skill(
        skill,
        include_traces=True,
        experiment="traces",
        test_ids=["one"],
        supersede=supersede,
    )
    older = [("one", "1", "tool_count", "no")]
    assert verdicts(first, valid=False) == (older if supersede else [])
    kept = [("two", "1", "tool_count", "no")]
    assert verdicts(first, valid=True) == (kept if supersede else older + kept)
    assert verdicts(second, valid=True) == [("one", "1", "tool_count", "yes")]
    assert len(verdicts(first)) == 2


def test_a_stale_expectation_on_the_trace_neither_counts_nor_stays(
    store: str, tmp_path: Path
) -> None:
    (trace,) = log_turns(("do it", ["Bash", "Bash"]))
    mlflow.log_assessment(trace, Expectation(name="tool_limits", value={"Bash": 1}))
    skill = write_skill(
        tmp_path / "demo",
        manifest={"trace_expectations": {"tool_limits": {"Bash": 2}}},
        cases=[case("it", metadata={"trace_id": trace})],
    )
    evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
    assert evaluation.exit_code == 0
    stored = [
        a.expectation.value
        for a in mlflow.get_trace(trace).info.assessments
        if a.expectation is not None and a.name == "tool_limits"
    ]
    assert stored == [{"Bash": 2}]


def test_somebody_elses_feedback_is_left_alone(store: str, tmp_path: Path) -> None:
    (trace,) = log_turns(("do it", ["Read"]))
    mlflow.log_assessment(trace, Feedback(name="tool_count", value="a person's opinion"))
    skill = write_skill(
        tmp_path / "demo", manifest=LIMITS, cases=[case("it", metadata={"trace_id": trace})]
    )
    evaluate_skill(skill, include_traces=True, experiment="traces")
    mine = [a for a in mlflow.get_trace(trace).info.assessments if a.name == "tool_count"]
    assert [a.valid for a in mine] == [True, True]


def test_the_run_lies_where_the_traces_are(store: str, tmp_path: Path) -> None:
    home = MlflowClient().create_experiment("home", artifact_location=(tmp_path / "h").as_uri())
    mlflow.set_experiment(experiment_id=home)
    (trace,) = log_turns(("do it", ["Read"]))
    mlflow.set_experiment("traces")
    skill = write_skill(
        tmp_path / "demo", manifest=LIMITS, cases=[case("it", metadata={"trace_id": trace})]
    )
    evaluation = evaluate_skill(skill, include_traces=True)
    assert evaluation.experiment_id == home
    client = MlflowClient()
    assert len(client.search_traces(locations=[home])) == 1
    assert evaluation.results[0].trace_id == trace


def test_traces_of_several_experiments_are_judged_where_they_are(
    store: str, tmp_path: Path
) -> None:
    (one, two) = log_turns(("do one", ["Read"]), ("do two", ["Read"]))
    away = MlflowClient().create_experiment("away", artifact_location=(tmp_path / "w").as_uri())
    mlflow.set_experiment(experiment_id=away)
    (three,) = log_turns(("do three", ["Bash", "Bash"]))
    skill = write_skill(
        tmp_path / "demo",
        manifest=LIMITS,
        cases=[
            case(name, metadata={"trace_id": trace})
            for name, trace in (("one", one), ("two", two), ("three", three))
        ],
    )
    evaluation = evaluate_skill(skill, include_traces=True)
    assert ("three", "1", "tool_count", "no") in verdicts(evaluation)
    assert len(verdicts(evaluation)) == 6
    assert len(MlflowClient().search_traces(locations=[away])) == 1


class TestFindingTraces:
    """The order of outputs.trace_ref, trace_id, trace_run_id, session_id, tag, prompt."""

    def test_by_run_sessions_are_attempts_and_turns_are_merged(
        self, store: str, tmp_path: Path
    ) -> None:
        with mlflow.start_run() as run:
            one = log_turn("do it", ["Read", "Bash"], session="s1")
            log_turn("go on", ["Bash"], session="s1")
            other = log_turn("do it", ["Read"], session="s2")
        skill = write_skill(
            tmp_path / "demo",
            manifest=LIMITS,
            cases=[case("it", metadata={"trace_run_id": run.info.run_id})],
        )
        evaluation = evaluate_skill(skill, include_traces=True)
        assert found(evaluation)["it", 1, "tool_count"] is Verdict.FAIL
        assert found(evaluation)["it", 2, "tool_count"] is Verdict.PASS
        assert [r.trace_id for r in evaluation.results] == [one, other]
        assert evaluation.metrics["pass_at_2"] == 1.0
        assert evaluation.metrics["pass_hat_2"] == 0.0

    @pytest.mark.parametrize("by", ["trace_id", "trace_run_id", "tag"])
    def test_a_turn_comes_with_its_background_agents(
        self, store: str, tmp_path: Path, by: str
    ) -> None:
        """Also with those that such an agent started in turn; they are traces of their own, that
        nobody tags or links to a run.
        """
        tags = {"skilltrace.test_id": "it"} if by == "tag" else {}
        with mlflow.start_run() as run:
            turn = log_turn("begin", ["Read"], session="s", tags=tags, starts="a1")
        log_turn("help", session="s", agent="a1", starts="a2")
        log_turn("help", ["Bash", "Bash"], session="s", agent="a2")
        metadata = {"trace_id": turn, "trace_run_id": run.info.run_id, "tag": None}
        skill = write_skill(
            tmp_path / "demo", manifest=LIMITS, cases=[case("it", metadata={by: metadata[by]})]
        )
        evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
        assert found(evaluation)["it", 1, "tool_count"] is Verdict.FAIL
        assert evaluation.results[0].trace_id == turn
        (scored,) = trace_eval(
            skill, evidence=sessions_of_run(run.info.run_id), test_id="it"
        ).results
        assert scored.judged == evaluation.results[0].judged

    def test_by_session_all_turns_count(self, store: str, tmp_path: Path) -> None:
        first = log_turn("do it", ["Read", "Bash"], session="s1")
        log_turn("go on", ["Bash"], session="s1")
        skill = write_skill(
            tmp_path / "demo", manifest=LIMITS, cases=[case("it", metadata={"session_id": "s1"})]
        )
        evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
        assert evaluation.results[0].outcomes[-1].rationale == "Bash: 2 > 1"
        assert evaluation.results[0].trace_id == first

    def test_by_tag_before_prompt(self, store: str, tmp_path: Path) -> None:
        tagged = log_turn("something else", ["Read"], tags={"skilltrace.test_id": "it"})
        log_turn("do it", ["Bash", "Bash"])
        skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=[case("it")])
        evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
        assert evaluation.results[0].trace_id == tagged

    def test_by_prompt_the_newest_and_says_so(self, store: str, tmp_path: Path) -> None:
        _, newest = log_turns(("do  it\n", ["Bash", "Bash"]), ("do it", ["Read"]))
        skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=[case("it")])
        evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
        assert evaluation.results[0].trace_id == newest
        assert evaluation.results[0].notes == ("found by an equal prompt, the newest of 2",)

    def test_an_unknown_experiment_is_refused(self, store: str, tmp_path: Path) -> None:
        skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=[case("it")])
        with pytest.raises(ConfigurationError, match="did you mean 'traces'"):
            evaluate_skill(skill, include_traces=True, experiment="trace")


def test_attempts_that_are_missing_are_unknown(store: str, tmp_path: Path) -> None:
    log_turns(*[("do it", ["Read"])] * 2)
    skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=[case("it")])
    two = evaluate_skill(skill, include_traces=True, experiment="traces", attempts=2)
    assert [r.attempt for r in two.results] == [1, 2]
    assert two.exit_code == 0
    assert two.metrics["pass_hat_2"] == 1.0
    three = evaluate_skill(skill, include_traces=True, experiment="traces", attempts=3)
    assert [r.verdict for r in three.results] == [Verdict.PASS, Verdict.PASS, Verdict.UNKNOWN]
    assert three.exit_code == 3


def test_a_case_without_any_trace_lacks_every_attempt(store: str, tmp_path: Path) -> None:
    """Counted once, it would weigh less than a case of which a single attempt was found."""
    log_turns(*[("do it", ["Read"])] * 3)
    skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=[case("it"), case("lost")])
    three = evaluate_skill(skill, include_traces=True, experiment="traces", attempts=3)
    assert [r.attempt for r in three.results] == [1, 2, 3] * 2
    assert three.metrics["attempts"] == 6
    assert three.metrics["pass_rate"] == 0.5
    assert three.metrics["pass_hat_3"] == 0.5


def test_session_expectations_judge_all_turns_on_the_first(store: str, tmp_path: Path) -> None:
    first = log_turn("begin", ["Bash"], session="s1")
    second = log_turn("go on", ["Bash"], session="s1")
    skill = write_skill(
        tmp_path / "demo",
        manifest={
            "trace_expectations": {"tool_limits": {"Bash": 1}},
            "session_expectations": {"tool_limits": {"Bash": 1}},
        },
        cases=[case("turn", metadata={"trace_id": second})],
    )
    evaluation = evaluate_skill(skill, include_traces=True)
    assert verdicts(str(evaluation.run_id), [second]) == [("turn", "1", "tool_count", "yes")]
    assert verdicts(str(evaluation.run_id), [first]) == [("turn", "1", "session.tool_count", "no")]
    assert evaluation.exit_code == 1
    scored = trace_eval(skill, evidence=[session_of_trace(second)], test_id="turn")
    logged = log_evaluation(scored, experiment="traces")
    assert verdicts(str(logged.run_id), [second]) == [("turn", "1", "tool_count", "yes")]
    assert verdicts(str(logged.run_id), [first]) == [("turn", "1", "session.tool_count", "no")]


class TestResume:
    def test_a_half_done_run_is_finished_without_doubling(self, store: str, tmp_path: Path) -> None:
        ids = log_turns(*[(f"do {n}", ["Read"]) for n in range(4)])
        cases = [case(str(n), metadata={"trace_id": t}) for n, t in enumerate(ids)]
        skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=[*cases, case("none")])
        first = evaluate_skill(skill, include_traces=True, experiment="traces")
        everything = verdicts(first)
        assert len(everything) == 10
        client = MlflowClient()
        for trace_id in ids[2:]:
            for assessment in client.get_trace(trace_id).info.assessments:
                mlflow.delete_assessment(trace_id, assessment.assessment_id)
        run_id = str(first.run_id)
        client.set_terminated(run_id, "KILLED")
        again = evaluate_skill(skill, resume=run_id)
        assert again.run_id == run_id
        assert verdicts(again) == everything
        assert client.get_run(run_id).info.status == "FINISHED"
        assert [r.trace_id for r in again.results] == [r.trace_id for r in first.results]

    def test_expectations_edited_meanwhile_give_a_verdict_that_supersedes_the_first(
        self, store: str, tmp_path: Path
    ) -> None:
        (trace_id,) = log_turns(("do it", ["Read", "Bash", "Bash"]))
        cases = [case("it", metadata={"trace_id": trace_id})]
        strict = {"trace_expectations": {"tool_limits": {"Bash": 1}}}
        skill = write_skill(tmp_path / "demo", manifest=strict, cases=cases)
        first = evaluate_skill(skill, include_traces=True)
        lenient = {"trace_expectations": {"tool_limits": {"Bash": 5}}}
        write_skill(tmp_path / "demo", manifest=lenient, cases=cases)
        again = evaluate_skill(skill, resume=first.run_id)
        assert again.exit_code == 0
        stands = ("it", "1", "tool_count")
        assert verdicts(again, valid=True) == [(*stands, "yes")]
        assert verdicts(again) == [(*stands, "no"), (*stands, "yes")]

    def test_it_judges_the_traces_it_chose_and_not_newer_ones(
        self, store: str, tmp_path: Path
    ) -> None:
        (chosen,) = log_turns(("do it", ["Read"]))
        skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=[case("it")])
        first = evaluate_skill(skill, include_traces=True, experiment="traces")
        log_turns(("do it", ["Bash", "Bash"]))
        again = evaluate_skill(skill, resume=first.run_id)
        assert again.results[0].trace_id == chosen

    def test_every_turn_that_was_judged_is_judged_again(self, store: str, tmp_path: Path) -> None:
        tags = {"skilltrace.test_id": "it"}
        log_turn("first", ["Read"], session="s", tags=tags)
        log_turn("second", ["Bash", "Bash"], session="s", tags=tags)
        skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=[case("it")])
        first = evaluate_skill(skill, include_traces=True, experiment="traces")
        again = evaluate_skill(skill, resume=first.run_id)
        assert (first.exit_code, again.exit_code) == (1, 1)
        assert again.results[0].outcomes == first.results[0].outcomes

    def test_a_run_whose_plan_was_not_stored_knows_what_it_was_to_do(
        self, store: str, tmp_path: Path
    ) -> None:
        """It may be stopped while it stores that; without traces a case could pass unjudged."""
        cases = [case("it", outputs={"response": "x"}, expectations={"expected_facts": ["x"]})]
        log_turn("do it", ["Read", "Bash", "Bash"])
        skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=cases)
        first = evaluate_skill(skill, include_traces=True, experiment="traces")
        client = MlflowClient()
        (plan,) = (tmp_path / "artifacts" / str(first.run_id)).rglob("plan.json")
        plan.unlink()
        again = evaluate_skill(skill, resume=first.run_id)
        assert again.results[0].outcomes == first.results[0].outcomes
        client.delete_tag(str(first.run_id), "skilltrace.options")
        with pytest.raises(ConfigurationError, match="start a new one"):
            evaluate_skill(skill, resume=first.run_id)

    def test_what_was_left_out_is_as_it_was_at_first(self, store: str, tmp_path: Path) -> None:
        (trace_id,) = log_turns(("do it", ["Bash", "Bash"]))
        cases = [
            case("a", metadata={"trace_id": trace_id, "category": "x", "tags": ["t"]}),
            case("b", metadata={"trace_id": trace_id}),
        ]
        skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=cases)
        options = {"filter_category": "x", "tags": ["t"], "fail_under": {"tool_count": 0.0}}
        first = evaluate_skill(skill, include_traces=True, **options)
        again = evaluate_skill(skill, resume=first.run_id)
        assert [r.test_id for r in again.results] == [r.test_id for r in first.results] == ["a"]
        assert again.gates == first.gates != ()
        assert again.exit_code == first.exit_code

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"include_traces": True}, "without --include-traces"),
            ({"attempts": 3}, "with --attempts 2"),
            ({"test_ids": ["b"]}, "with --test-id a"),
            ({"filter_category": "x"}, "without --filter-category"),
            ({"fail_under": {"expected_facts_present": 0.5}}, "without --fail-under"),
            ({"no_llm": True}, "without --no-llm"),
            ({"experiment": "Default"}, "with --experiment traces"),
        ],
    )
    def test_options_that_say_otherwise_are_refused(
        self, store: str, tmp_path: Path, options: dict[str, Any], told: str
    ) -> None:
        """A run without the trace checks would otherwise look like one with them."""
        cases = [
            case(name, outputs={"response": "x"}, expectations={"expected_facts": ["x"]})
            for name in "ab"
        ]
        skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=cases)
        first = evaluate_skill(skill, experiment="traces", attempts=2, test_ids=["a"])
        with pytest.raises(ConfigurationError, match=told):
            evaluate_skill(skill, resume=first.run_id, **options)
        same = evaluate_skill(skill, resume=first.run_id, attempts=2, experiment="traces")
        assert same.results == first.results

    def test_a_run_of_something_else_is_refused(self, store: str, tmp_path: Path) -> None:
        skill = write_skill(tmp_path / "demo", manifest=LIMITS, cases=[case("it")])
        with mlflow.start_run() as run:
            pass
        with pytest.raises(ConfigurationError, match="no run of skilltrace"):
            evaluate_skill(skill, resume=run.info.run_id)
        with pytest.raises(TraceNotFoundError, match="--resume"):
            evaluate_skill(skill, resume="0" * 32)
        gone = evaluate_skill(skill, include_traces=True, experiment="traces")
        MlflowClient().delete_run(str(gone.run_id))
        with pytest.raises(ConfigurationError, match="the run was deleted"):
            evaluate_skill(skill, resume=gone.run_id)


CUSTOM = """
import time
from mlflow.genai import scorer

def raises(outputs):
    raise RuntimeError("boom")

def hangs(outputs):
    time.sleep(30)

def exits(outputs):
    raise SystemExit(0)

@scorer
def exits_too(outputs):
    raise SystemExit(0)

def nan(outputs):
    return float("nan")

def gives_a_dict(outputs):
    return {"a": 1}

def sees(session, trace_summary):
    return trace_summary.tool_calls_by_name == {"Read": 1} and len(session.tool_calls) == 1

def half():
    return 0.5
"""


def test_what_a_custom_scorer_does_wrong_is_its_own_error(store: str, tmp_path: Path) -> None:
    ids = log_turns(("do a", ["Read"]), ("do b", ["Read"]))
    wrong = ("raises", "hangs", "exits", "exits_too", "nan", "gives_a_dict")
    names = (*wrong, "sees", "half")
    skill = write_skill(
        tmp_path / "demo",
        manifest={**LIMITS, "scorers": {"enabled": [f"driver_custom:{name}" for name in names]}},
        cases=[case(n, metadata={"trace_id": t}) for n, t in zip("ab", ids, strict=True)],
    )
    (skill / "driver_custom.py").write_text(CUSTOM, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="--allow-custom"):
        evaluate_skill(skill, include_traces=True, experiment="traces")
    evaluation = evaluate_skill(
        skill, include_traces=True, experiment="traces", allow_custom=True, timeout=8
    )
    for test_id in "ab":
        outcomes = {
            o.check: o for r in evaluation.results if r.test_id == test_id for o in r.judged
        }
        for name in wrong:
            assert outcomes[name].verdict is Verdict.ERROR, outcomes[name]
        assert "boom" in outcomes["raises"].rationale
        assert "did not return" in outcomes["hangs"].rationale
        assert outcomes["sees"].verdict is Verdict.PASS
        assert outcomes["half"].score == 0.5
        assert outcomes["tool_count"].verdict is Verdict.PASS
        stands = {check: value for t, _, check, value in verdicts(evaluation) if t == test_id}
        assert stands == {
            **dict.fromkeys(wrong, "CHECK_ERROR"),
            "sees": "yes",
            "half": 0.5,
            "tool_count": "yes",
            "required_tools": "yes",
        }
    assert evaluation.exit_code == 1
    assert not evaluation.incomplete
    # One NaN in the store would make this raise.
    assert len(mlflow.search_traces(run_id=evaluation.run_id, return_type="list")) == 2


OBJECT = """
from mlflow.entities import Feedback
from mlflow.genai.scorers import Scorer

class Wanted(Scorer):
    name: str = "wanted"

    def __call__(self, *, expectations=None):
        return Feedback(value="yes" if expectations["expected_response"] == "good" else "no")

wanted = Wanted()
"""


def test_scorers_that_mlflow_runs_judge_each_test_on_a_trace_for_itself(
    store: str, tmp_path: Path
) -> None:
    (trace_id,) = log_turns(("do it", ["Read"]))
    named = {"metadata": {"trace_id": trace_id}}
    skill = write_skill(
        tmp_path / "demo",
        manifest={"scorers": {"enabled": ["driver_object:wanted"]}},
        cases=[
            case("good", expectations={"expected_response": "good"}, **named),
            case("bad", expectations={"expected_response": "bad"}, **named),
        ],
    )
    (skill / "driver_object.py").write_text(OBJECT, encoding="utf-8")
    first = evaluate_skill(skill, include_traces=True, allow_custom=True)
    expected = [("good", ["pass"]), ("bad", ["fail"])]

    def said(evaluation: Evaluation) -> list[tuple[str, list[str]]]:
        return [
            (r.test_id, [str(o.verdict) for o in r.judged if o.check == "wanted"])
            for r in evaluation.results
        ]

    assert said(first) == expected
    for stands in mlflow.get_trace(trace_id).info.assessments:
        if (stands.metadata or {}).get("skilltrace.test_id") == "bad" and stands.name == "wanted":
            mlflow.delete_assessment(trace_id, stands.assessment_id)
    again = evaluate_skill(skill, resume=first.run_id, allow_custom=True)
    assert said(again) == expected
    assert len(verdicts(again)) == 2
    later = evaluate_skill(skill, include_traces=True, allow_custom=True, supersede=True)
    assert said(later) == expected
    assert verdicts(again, valid=True) == []
    assert len(verdicts(later, valid=True)) == len(verdicts(later)) == 2
    another = evaluate_skill(skill, include_traces=True, allow_custom=True)
    assert said(another) == expected
    assert len(verdicts(later, valid=True)) == 2  # unasked, a run empties no other


def test_responses_and_traces_are_judged_in_one_run(store: str, tmp_path: Path) -> None:
    (trace,) = log_turns(("do a", ["Read"]))
    skill = write_skill(
        tmp_path / "demo",
        manifest={**LIMITS, "scorers": {"enabled": ["python_syntax", "tool_count"]}},
        cases=[
            case(
                "with",
                metadata={"trace_id": trace},
                outputs={"response": "```python\nx = 1\n```"},
            ),
            case("without", outputs={"response": "```python\nx = \n```"}),
        ],
    )
    evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
    stands = verdicts(evaluation)
    assert ("with", "1", "python_syntax", "yes") in stands
    assert ("with", "1", "tool_count", "yes") in stands
    assert ("without", "1", "python_syntax", "no") in stands
    assert ("without", "1", "tool_count", "NO_TRACE") in stands
    responses_only = evaluate_skill(skill, experiment="traces")
    assert {check for _, _, check, _ in verdicts(responses_only)} == {"python_syntax"}


def test_expectations_on_traces_that_were_not_judged_are_said(store: str, tmp_path: Path) -> None:
    code = {"response": "```python\nx = 1\n```"}
    cases = [case("a", outputs=code), case("b", outputs=code)]
    scorers = {"enabled": ["python_syntax"], **LIMITS}
    skill = write_skill(tmp_path / "demo", manifest={"scorers": scorers}, cases=cases)
    evaluation = evaluate_skill(skill, experiment="traces")
    assert [o.check for o in evaluation.results[0].judged] == ["python_syntax"]
    (note,) = [text for text in evaluation.notes if "--include-traces" in text]
    assert note.startswith("what 2 of 2 test cases expect of their traces was not judged")


def test_gates_judge_all_rows(store: str, tmp_path: Path) -> None:
    ids = log_turns(("do a", ["Read"]), ("do b", ["Bash", "Bash"]))
    skill = write_skill(
        tmp_path / "demo",
        manifest={
            "trace_expectations": {"tool_limits": {"Bash": 1}},
            "quality_gates": {"tool_count": 0.5},
        },
        cases=[case(n, metadata={"trace_id": t}) for n, t in zip("ab", ids, strict=True)],
    )
    evaluation = evaluate_skill(skill, include_traces=True)
    assert [(g.name, g.got, g.passed) for g in evaluation.gates] == [("tool_count", 0.5, True)]
    assert evaluation.exit_code == 0
    strict = evaluate_skill(skill, include_traces=True, fail_under={"tool_count": 0.9})
    assert strict.exit_code == 1
    with pytest.raises(ConfigurationError, match="tool_cuont"):
        evaluate_skill(skill, include_traces=True, fail_under={"tool_cuont": 0.9})


def test_a_timeout_is_loud_and_leaves_a_run_to_finish(store: str, tmp_path: Path) -> None:
    (trace,) = log_turns(("do a", ["Read"]))
    skill = write_skill(
        tmp_path / "demo", manifest=LIMITS, cases=[case("a", metadata={"trace_id": trace})]
    )
    with pytest.raises(EvaluationError, match=r"--timeout 0\.01"):
        evaluate_skill(skill, include_traces=True, timeout=0.01)


@pytest.mark.parametrize("ref", ["../outside.jsonl", "/etc/hostname"])
def test_a_trace_ref_outside_the_skill_is_refused(store: str, tmp_path: Path, ref: str) -> None:
    (tmp_path / "outside.jsonl").write_text("{}\n", encoding="utf-8")
    skill = write_skill(
        tmp_path / "demo", manifest=LIMITS, cases=[case("a", outputs={"trace_ref": ref})]
    )
    evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
    assert evaluation.exit_code == 2
    assert "--allow-outside" in str(evaluation.results[0].error)
