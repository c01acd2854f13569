"""End to end on recorded sessions: files become traces, traces get verdicts, dumps load again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.evaluate import evaluate_skill, log_evaluation
from skilltrace_mlflow.evaluation import trace_eval
from skilltrace_mlflow.results import Evaluation
from tests.driver.stores import verdicts, write_skill
from tests.driver.traces import log_turn

RECORDINGS = Path(__file__).parent.parent / "data" / "recordings"
GOOD = "demo-good"
RESUMED = "resume"  # two turns: Bash, then Read and Write

TRAJECTORY = {
    "mode": "in_order",
    "expected": [{"tool": "Skill"}, {"tool": "Read"}, {"tool": "Write"}],
}
MESSAGES = [
    {"role": "user", "content": "Create a pipeline"},
    {
        "role": "assistant",
        "tool_calls": [
            {"tool": "Skill", "input": {"skill": "bronze-ingestion"}},
            {"tool": "Read"},
            {"tool": "mcp__databricks__execute_sql"},
        ],
    },
]


def copied(name: str, folder: Path) -> str:
    """The recording inside the skill's folder; returns the trace_ref."""
    (file,) = (RECORDINGS / name).glob("*.jsonl")
    (folder / "traces").mkdir(parents=True, exist_ok=True)
    shutil.copy(file, folder / "traces" / f"{name}.jsonl")
    return f"traces/{name}.jsonl"


def demo(tmp_path: Path, *cases: dict[str, Any], **manifest: Any) -> Path:
    folder = tmp_path / "demo"
    for name in (GOOD, RESUMED):
        copied(name, folder)
    return write_skill(folder, manifest=manifest, cases=cases)


def case(test_id: str, ref: str | None = GOOD, **parts: Any) -> dict[str, Any]:
    outputs = {} if ref is None else {"outputs": {"trace_ref": f"traces/{ref}.jsonl"}}
    return {"id": test_id, **outputs, **parts}


def outcomes(evaluation: Evaluation, test_id: str) -> dict[str, tuple[Verdict, float | None]]:
    return {
        o.check: (o.verdict, o.score)
        for r in evaluation.results
        if r.test_id == test_id
        for o in r.judged
    }


def test_messages_trajectories_overrides_and_a_missing_trace(store: str, tmp_path: Path) -> None:
    wrong = {**TRAJECTORY, "expected": [{"tool": "Write"}, {"tool": "Read"}]}
    skill = demo(
        tmp_path,
        case("messages", expectations={"expected_messages": MESSAGES}),
        case("trajectory", expectations={"tool_trajectory": TRAJECTORY}),
        case(
            "both",
            expectations={"expected_messages": MESSAGES, "tool_trajectory": wrong},
        ),
        case("override", expectations={"tool_limits": {"Bash": 0}, "banned_tools": ["WebFetch"]}),
        case("missing", None),
        trace_expectations={"tool_limits": {"Bash": 1}, "banned_tools": ["rm -rf"]},
    )
    evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
    common = {"banned_tools": (Verdict.PASS, 1.0), "tool_count": (Verdict.PASS, 1.0)}
    passed = (Verdict.PASS, 1.0)
    assert outcomes(evaluation, "messages") == {**common, "expected_messages": passed}
    assert outcomes(evaluation, "trajectory") == {**common, "tool_trajectory": passed}
    assert outcomes(evaluation, "both") == {
        **common,
        "expected_messages": passed,
        "tool_trajectory": (Verdict.FAIL, 0.5),
    }
    assert outcomes(evaluation, "override") == {**common, "tool_count": (Verdict.FAIL, 0.0)}
    assert {v for v, _ in outcomes(evaluation, "missing").values()} == {Verdict.UNKNOWN}
    stands = verdicts(evaluation)
    assert ("both", "1", "tool_trajectory", 0.5) in stands
    assert ("both", "1", "expected_messages", 1.0) in stands
    assert ("override", "1", "tool_count", "no") in stands
    assert ("missing", "1", "tool_count", "NO_TRACE") in stands
    assert len(stands) == sum(len(r.judged) for r in evaluation.results)
    assert len({r.trace_id for r in evaluation.results}) == 2
    assert evaluation.exit_code == 1


def test_a_session_budget_counts_all_turns_and_stands_on_the_first(
    store: str, tmp_path: Path
) -> None:
    skill = demo(
        tmp_path,
        case("whole", RESUMED),
        trace_expectations={"required_tools": ["Bash"]},
        session_expectations={"token_budget": {"max_total": 200}, "required_tools": ["Write"]},
    )
    first = evaluate_skill(skill, include_traces=True, experiment="traces")
    assert verdicts(first) == [
        ("whole", "1", "required_tools", "yes"),
        ("whole", "1", "session.required_tools", "yes"),
        ("whole", "1", "session.token_budget", "no"),
    ]
    client = MlflowClient()
    turns = client.search_traces(locations=[str(first.experiment_id)])
    assert len(turns) == 2
    assert first.results[0].trace_id == min(turns, key=lambda t: t.info.request_time).info.trace_id
    # The second turn by its id: its own calls for the turn, all turns for the session.
    last = max(turns, key=lambda t: t.info.request_time).info.trace_id
    skill = demo(
        tmp_path,
        case("turn", None, metadata={"trace_id": last}),
        trace_expectations={"required_tools": ["Bash"]},
        session_expectations={"required_tools": ["Bash"]},
    )
    second = evaluate_skill(skill, include_traces=True)
    assert outcomes(second, "turn") == {
        "required_tools": (Verdict.FAIL, 0.0),
        "session.required_tools": (Verdict.PASS, 1.0),
    }


def test_evaluating_a_file_again_adds_no_trace(store: str, tmp_path: Path) -> None:
    skill = demo(tmp_path, case("it"), trace_expectations={"required_tools": ["Read"]})
    first = evaluate_skill(skill, include_traces=True, experiment="traces")
    second = evaluate_skill(skill, include_traces=True, experiment="traces")
    assert first.results[0].trace_id == second.results[0].trace_id
    assert len(MlflowClient().search_traces(locations=[str(first.experiment_id)])) == 1


def test_a_dumped_trace_loads_again_and_gives_the_same_verdicts(
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = {"tool_trajectory": TRAJECTORY, "tool_limits": {"Bash": 0}}
    skill = demo(tmp_path, case("../../x"), trace_expectations=expected)
    options = ["--include-traces", "--experiment", "traces", "--format", "jsonl"]
    code = run(["mlflow-eval", str(skill), *options, "--dump-traces", "--include-trace"])
    assert code == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["trace"]["tool_calls"]
    (dump,) = (tmp_path / ".skilltrace" / "traces").iterdir()
    shutil.copy(dump, skill / "traces" / "dump.json")
    again = write_skill(
        skill,
        manifest={"trace_expectations": expected},
        cases=[{"id": "again", "outputs": {"trace_ref": "traces/dump.json"}}],
    )
    evaluation = evaluate_skill(again, include_traces=True, experiment="traces")
    before = {c["name"]: (c["verdict"], c["score"]) for c in json.loads(line)["checks"]}
    assert {
        check: (str(verdict), score)
        for check, (verdict, score) in outcomes(evaluation, "again").items()
    } == before
    assert len(verdicts(evaluation)) == 2
    assert mlflow.get_trace(str(evaluation.results[0].trace_id)).data.spans


@pytest.mark.parametrize("how", ["file", "inline"])
def test_a_dumped_turn_does_not_pass_for_the_whole_session(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """And what is judged on it stands on the trace it came from, not on a second copy."""
    monkeypatch.chdir(tmp_path)
    log_turn("begin", ["Bash"], session="s")
    turn = log_turn("go on", ["Bash"], session="s")
    manifest = {"session_expectations": {"tool_limits": {"Bash": 1}}}
    cases = [{"id": "it", "metadata": {"trace_id": turn}}]
    skill = write_skill(tmp_path / "demo", manifest=manifest, cases=cases)
    options = ["--include-traces", "--experiment", "traces"]
    assert run(["mlflow-eval", str(skill), *options, "--dump-traces", str(skill)]) == 1
    dump = skill / "it__1.json"
    named = {"trace_ref": dump.name} if how == "file" else {"trace": json.loads(dump.read_text())}
    cases = [{"id": "again", "outputs": named}]
    write_skill(skill, manifest=manifest, cases=cases)
    evaluation = evaluate_skill(skill, include_traces=True, experiment="traces")
    assert outcomes(evaluation, "again")["session.tool_count"][0] is Verdict.UNKNOWN
    assert evaluation.exit_code == 3
    assert trace_eval(skill, dump).exit_code == 3
    if how == "file":
        assert evaluation.results[0].trace_id == turn


def test_verdicts_reached_without_mlflow_are_logged_afterwards(store: str, tmp_path: Path) -> None:
    skill = demo(tmp_path, case("it"), trace_expectations={"tool_limits": {"Bash": 0}})
    local = trace_eval(skill, trace_dir=skill / "traces")
    logged = log_evaluation(local, experiment="traces")
    assert [r.test_id for r in logged.results] == [r.test_id for r in local.results]
    assert verdicts(logged) == [
        (GOOD, "1", "tool_count", "no"),
        (RESUMED, "1", "tool_count", "no"),
    ]
    assert logged.exit_code == 1
    assert logged.incomplete == ()
    with pytest.raises(ConfigurationError, match="trace-eval --log made it"):
        evaluate_skill(skill, resume=logged.run_id)


def test_results_of_a_run_can_be_compared(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run keeps its result lines as an artifact."""
    skill = demo(tmp_path, case("it"), trace_expectations={"tool_limits": {"Bash": 0}})
    one = evaluate_skill(skill, include_traces=True, experiment="traces")
    demo(tmp_path, case("it"), trace_expectations={"tool_limits": {"Bash": 1}})
    two = evaluate_skill(skill, include_traces=True, experiment="traces")
    assert run(["compare", str(one.run_id), str(two.run_id), "--tracking-uri", store]) == 0
    assert "tool_count" in capsys.readouterr().out
