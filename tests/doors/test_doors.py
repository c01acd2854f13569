"""The same case through every door: Python, YAML and `trace-eval`, `mlflow.genai.evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from skilltrace_mlflow import evaluate_skill, parse_transcript, trace_eval
from skilltrace_mlflow.checks import Outcome, get_check
from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.expectations import parse_expectations
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.score import score_session
from skilltrace_mlflow.scorers import TRACE_SCORER_MAP
from tests.doors.cases import CASES, Case
from tests.sources import lines

BY_ID = [pytest.param(case, id=case.id) for case in CASES]


def transcript(case: Case) -> list[dict[str, Any]]:
    """The case's calls as Claude Code writes them; output tokens are 40 a message."""
    made = [lines.user(f"do {case.id}", cwd="/repo", sessionId=case.id)]
    for index, item in enumerate(case.calls):
        call_id = f"toolu_{case.id}_{index}"
        block = lines.tool(item.name, call_id)
        block["input"] = dict(item.input)
        made.append(
            lines.assistant(
                f"msg_{case.id}_{index}",
                block,
                stop_reason=case.stop_reason,
                cwd="/repo",
                sessionId=case.id,
            )
        )
        made.append(
            lines.result(
                call_id,
                item.result,
                is_error=item.error or None,
                extra=item.tool_use_result,
                cwd="/repo",
                sessionId=case.id,
            )
        )
    made.append(
        lines.assistant(
            f"msg_{case.id}_end",
            {"type": "text", "text": "Done."},
            stop_reason="end_turn" if case.stop_reason else None,
            cwd="/repo",
            sessionId=case.id,
        )
    )
    return made


@pytest.fixture(scope="module")
def skill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A skill folder with one test case per case, each with its own transcript."""
    folder = tmp_path_factory.mktemp("skills") / "doors"
    (folder / "traces").mkdir(parents=True)
    for case in CASES:
        lines.write_lines(folder / "traces" / f"{case.id}.jsonl", *transcript(case))
    (folder / "manifest.yaml").write_text("skill: {name: doors}\n", encoding="utf-8")
    tests = [
        {
            "id": case.id,
            "inputs": {"prompt": f"do {case.id}"},
            "outputs": {"trace_ref": f"traces/{case.id}.jsonl"},
            "expectations": json.loads(json.dumps(case.expectations)),
        }
        for case in CASES
    ]
    (folder / "ground_truth.yaml").write_text(yaml.safe_dump({"test_cases": tests}), "utf-8")
    return folder


def right(case: Case, outcome: Outcome) -> bool:
    assert outcome.check == case.check
    assert str(outcome.verdict) == case.verdict, outcome.rationale
    assert case.score is None or outcome.score == pytest.approx(case.score)
    assert case.verdict != "fail" or outcome.misses
    return True


@pytest.mark.parametrize("case", BY_ID)
def test_through_python(case: Case, skill: Path) -> None:
    session = parse_transcript(skill / "traces" / f"{case.id}.jsonl")
    (outcome,) = score_session(session, parse_expectations(case.expectations))
    assert right(case, outcome)

    feedback = TRACE_SCORER_MAP[case.check](trace=session, expectations=dict(case.expectations))
    if case.verdict == "unknown":
        assert feedback.error is not None
    elif get_check(case.check).graded:
        assert feedback.value == pytest.approx(outcome.score)
    else:
        assert feedback.value == {"pass": "yes", "fail": "no"}[case.verdict]


@pytest.mark.parametrize("case", BY_ID)
def test_through_yaml_and_trace_eval(
    case: Case, skill: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        [
            "trace-eval",
            str(skill),
            "--trace",
            str(skill / "traces" / f"{case.id}.jsonl"),
            "--test-id",
            case.id,
            "--format",
            "jsonl",
        ]
    )
    assert code == {"pass": 0, "fail": 1, "unknown": 3}[case.verdict]
    line = json.loads(capsys.readouterr().out)
    (check,) = line["checks"]
    assert (check["name"], check["verdict"]) == (case.check, case.verdict), check["rationale"]
    assert case.score is None or check["score"] == pytest.approx(case.score)
    assert (
        trace_eval(skill, skill / "traces" / f"{case.id}.jsonl", test_id=case.id).exit_code == code
    )


@pytest.fixture(scope="module")
def evaluated(skill: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    store = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(store)
        return evaluate_skill(
            skill,
            include_traces=True,
            experiment="doors",
            tracking_uri=f"sqlite:///{store / 'mlflow.db'}",
        )


def test_through_mlflow_evaluate(evaluated: Evaluation) -> None:
    by_id = {result.test_id: result for result in evaluated.results}
    assert evaluated.incomplete == ()
    for case in CASES:
        (outcome,) = by_id[case.id].judged
        assert right(case, outcome)


def test_mlflow_holds_what_was_judged(evaluated: Evaluation) -> None:
    client = mlflow.MlflowClient(tracking_uri=evaluated.tracking_uri)
    for case in CASES:
        result = next(item for item in evaluated.results if item.test_id == case.id)
        trace = client.get_trace(result.trace_id)
        (assessment,) = [
            item
            for item in trace.info.assessments
            if item.name == case.check and item.feedback is not None
        ]
        assert assessment.metadata["mlflow.assessment.sourceRunId"] == evaluated.run_id
        if case.verdict == "unknown":
            assert assessment.feedback.error is not None
        elif get_check(case.check).graded:
            assert assessment.feedback.value == pytest.approx(case.score)
        else:
            assert assessment.feedback.value == {"pass": "yes", "fail": "no"}[case.verdict]
