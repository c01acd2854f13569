"""`run`: attempts → traces → verdicts, with the real CLI and a real store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from skilltrace_mlflow.agent import Run, RunOptions, Task, run_skill
from skilltrace_mlflow.cli._app import run as cli
from skilltrace_mlflow.errors import EvaluationError
from tests.agent.model_server import Fault, ModelServer, Script, say, use

Serve = Callable[[Iterable[Script]], ModelServer]
CASES: list[dict[str, object]] = [
    {
        "id": "orders",
        "inputs": {"prompt": "Name the orders table"},
        "expectations": {"required_skills": ["naming"], "expected_files": ["orders.txt"]},
    },
    {
        "id": "returns",
        "inputs": {"prompt": "Name the returns table"},
        "expectations": {"banned_tools": ["Write"]},
    },
]
GOOD = (
    use("Skill", skill="naming"),
    use("Write", file_path="orders.txt", content="bronze_orders\n"),
    say("bronze_orders"),
)
ORDERS = Script(match="Name the orders table", steps=GOOD)
RETURNS = Script(match="Name the returns table", steps=(say("bronze_returns"),))


def arguments(skills: Path, place: Path, *more: str) -> list[str]:
    store = f"sqlite:///{place / 'mlflow.db'}"
    return [
        "run",
        "naming",
        f"--skills-dir={skills}",
        f"--tracking-uri={store}",
        "--experiment=traces",
        f"--output={place / 'results.jsonl'}",
        "--timeout=60",
        *more,
    ]


def lines(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "results.jsonl").read_text().splitlines()]


def traces(place: Path) -> list[Any]:
    mlflow.set_tracking_uri(f"sqlite:///{place / 'mlflow.db'}")
    experiment = mlflow.get_experiment_by_name("traces")
    assert experiment is not None
    found: list[Any] = mlflow.MlflowClient().search_traces(locations=[experiment.experiment_id])
    return found


def runs_of(place: Path) -> list[Path]:
    return sorted((place / ".skilltrace" / "runs").iterdir())


def nothing_left(temporary: Path) -> None:
    assert list(temporary.glob("skilltrace-agent-*")) == []


def test_attempts_become_traces_with_verdicts(
    claude: str, server: Serve, skills: Callable[..., Path], place: Path, temporary: Path
) -> None:
    server([ORDERS, RETURNS])
    assert cli(arguments(skills(CASES), place, "--attempts=2", "--jobs=2")) == 0
    found = lines(place)
    assert [(r["test_id"], r["attempt"], r["verdict"]) for r in found] == [
        ("orders", 1, "pass"),
        ("orders", 2, "pass"),
        ("returns", 1, "pass"),
        ("returns", 2, "pass"),
    ]
    logged = {trace.info.trace_id: trace for trace in traces(place)}
    assert set(logged) == {r["trace_id"] for r in found}
    for result in found:
        info = logged[result["trace_id"]].info
        assert info.tags["skilltrace.skill"] == "naming"
        assert info.tags["skilltrace.test_id"] == result["test_id"]
        assert info.tags["skilltrace.attempt"] == str(result["attempt"])
        assert info.tags["skilltrace.arm"] == "with"
        assert {a.name for a in info.assessments if a.feedback} == {
            check["name"] for check in result["checks"]
        }
    requests = {t.info.tags["mlflow.eval.requestId"] for t in logged.values()}
    assert len(requests) == 4
    home = next(iter(logged.values())).info.trace_location.mlflow_experiment.experiment_id
    linked = mlflow.MlflowClient().search_traces(locations=[home], run_id=found[0]["run_id"])
    assert {trace.info.trace_id for trace in linked} == set(logged)
    nothing_left(temporary)
    # The results folder, what was asked for, and MLflow's store with its artifacts.
    assert {p.name for p in place.iterdir()} <= {
        ".skilltrace",
        "mlflow.db",
        "mlruns",
        "results.jsonl",
    }


def test_infrastructure_is_no_failed_test(
    claude: str, server: Serve, skills: Callable[..., Path], place: Path, temporary: Path
) -> None:
    server([ORDERS, Script(match="Name the returns table", steps=(Fault(status=529),))])
    assert cli(arguments(skills(CASES), place)) == 3
    verdicts = {r["test_id"]: r["verdict"] for r in lines(place)}
    assert verdicts == {"orders": "pass", "returns": "error"}
    (lost,) = (r for r in lines(place) if r["test_id"] == "returns")
    assert lost["error"].startswith("model_error: API Error: 529")
    nothing_left(temporary)
    # The service is well again: only the lost attempt is made anew.
    model = server([ORDERS, RETURNS])
    (folder,) = runs_of(place)
    assert cli(arguments(skills(CASES), place, f"--resume={folder.name}")) == 0
    assert len(model.requests) == 1
    assert {r["verdict"] for r in lines(place)} == {"pass"}


def test_a_failed_expectation_is_a_failed_test(
    claude: str, server: Serve, skills: Callable[..., Path], place: Path
) -> None:
    write = Script(
        match="Name the returns table",
        steps=(use("Write", file_path="x.txt", content="x"), say("Done.")),
    )
    server([ORDERS, write])
    assert cli(arguments(skills(CASES), place)) == 1
    assert {r["test_id"]: r["verdict"] for r in lines(place)} == {
        "orders": "pass",
        "returns": "fail",
    }


def test_the_agent_does_not_see_its_tests(
    claude: str, server: Serve, skills: Callable[..., Path], place: Path
) -> None:
    steps = (use("Bash", command="find . -type f | sort", description="d"), say("bronze_orders"))
    server([Script(match="Name the orders table", steps=steps)])
    folder = skills(CASES, agent={"allowed_tools": ["Bash"], "workspace": "fixture"})
    fixture = folder / "naming" / "fixture"
    fixture.mkdir()
    (fixture / "orders.csv").write_text("1\n")
    cli(arguments(folder, place, "--test-id=orders", "--include-trace"))
    (result,) = lines(place)
    (call,) = result["trace"]["tool_calls"]
    assert call["result"].split() == ["./.claude/skills/naming/SKILL.md", "./orders.csv"]


def test_the_budget_holds_for_the_whole_run(
    claude: str, server: Serve, skills: Callable[..., Path], place: Path
) -> None:
    # With the prices of 2.1.332 an answer of 10 and 20 tokens costs 0.00033 US dollars.
    model = server([Script(match="Name the", steps=(say("bronze"),))])
    options = ("--attempts=5", "--max-usd=0.0012", "--model=claude-sonnet-4-5-20250929")
    assert cli(arguments(skills([CASES[1]]), place, *options)) == 3
    found = lines(place)
    assert [r["verdict"] for r in found] == ["pass"] * 3 + ["error"] * 2
    assert "--max-usd" in found[3]["error"]
    assert len(model.requests) == 3


def test_dry_run_runs_nothing(
    skills: Callable[..., Path], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(arguments(skills(CASES), place, "--dry-run", "--baseline")) == 0
    said = capsys.readouterr().out
    assert "orders #1 with the skill: to run" in said
    assert "4 attempts to make" in said
    assert [p.name for p in place.iterdir()] == ["mlflow.db"]


def test_without_a_binary_nothing_fails(skills: Callable[..., Path], place: Path) -> None:
    assert cli(arguments(skills(CASES), place, "--claude-bin=/nonexistent/claude")) == 3
    assert {r["verdict"] for r in lines(place)} == {"error"}


def test_setup_teardown_and_keep(
    claude: str, server: Serve, skills: Callable[..., Path], place: Path, temporary: Path
) -> None:
    server([RETURNS])
    agent = {
        "setup": "echo ready > state.txt",
        "teardown": ["cp state.txt over.txt", "echo broken; exit 4"],
        "git": True,
        "env": ["NOT_SET_HERE"],
    }
    folder = skills([CASES[1]], agent=agent)
    assert cli(arguments(folder, place, "--keep")) == 0
    # The agent has done its part; what went wrong around it is said all the same.
    assert lines(place)[0]["notes"] == [
        "agent.teardown: 'echo broken; exit 4' ended with 4: broken",
        "agent.env: NOT_SET_HERE is not set here",
    ]
    (kept,) = temporary.glob("skilltrace-agent-*")
    assert (kept / "workspace" / "over.txt").read_text() == "ready\n"
    assert (kept / "workspace" / ".git").is_dir()
    bad = skills([CASES[1]], agent={"setup": "exit 7"})
    assert cli(arguments(bad, place)) == 3
    assert "setup_failed" in lines(place)[0]["error"]


def start(skills: Path, place: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "skilltrace_mlflow", *arguments(skills, place, *more)]
    return subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, start_new_session=True)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def alive(marker: str) -> list[int]:
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if marker.encode() in (path / "environ").read_bytes():
                    found.append(int(path.name))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_taken_up_again(
    claude: str,
    server: Serve,
    skills: Callable[..., Path],
    place: Path,
    temporary: Path,
    kind: signal.Signals,
) -> None:
    model = server([ORDERS, Script(match="Name the returns table", steps=(Fault(hang=60),))])
    process = start(skills(CASES), place)
    wait_for(lambda: len(model.requests) >= 4)  # one attempt is done, the other hangs
    process.send_signal(kind)
    process.wait(timeout=30)
    if kind is not signal.SIGKILL:
        assert process.returncode == 130
    wait_for(lambda: not alive(f"{temporary}/skilltrace-agent-"), 15)
    wait_for(lambda: not list(temporary.glob("skilltrace-agent-*")), 15)
    (folder,) = runs_of(place)
    model = server([ORDERS, RETURNS])
    assert cli(arguments(skills(CASES), place, f"--resume={folder.name}")) == 0
    assert len(model.requests) == 1, "what was done is not paid for twice"
    assert {r["verdict"] for r in lines(place)} == {"pass"}
    assert len(traces(place)) == 2


def test_two_runs_at_once(
    claude: str, server: Serve, skills: Callable[..., Path], place: Path, temporary: Path
) -> None:
    server([ORDERS, RETURNS])
    folder = skills(CASES)
    other = place / "other"
    other.mkdir()
    both = [
        start(folder, place, "--run-name=one"),
        start(folder, place, "--run-name=two", f"--output={other / 'results.jsonl'}"),
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert len(traces(place)) == 4
    nothing_left(temporary)


def test_a_killed_evaluation_is_finished_not_repeated(
    claude: str, server: Serve, skills: Callable[..., Path], place: Path
) -> None:
    server([ORDERS, RETURNS])
    folder = skills(CASES)
    assert cli(arguments(folder, place)) == 0
    run_id = lines(place)[0]["run_id"]
    # As `kill -9` leaves it: running for ever, with half of the assessments.
    client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    client.set_tag(run_id, "skilltrace.status", "running")
    client.update_run(run_id, status="RUNNING")
    logged = traces(place)
    for trace in logged:
        feedback = [a for a in trace.info.assessments if a.feedback]
        mlflow.delete_assessment(trace.info.trace_id, feedback[0].assessment_id)
    (made,) = runs_of(place)
    model = server([])
    assert cli(arguments(folder, place, f"--resume={made.name}")) == 0
    assert model.requests == []
    assert {line["run_id"] for line in lines(place)} == {run_id}
    assert client.get_run(run_id).info.status == "FINISHED"
    experiment = client.get_run(run_id).info.experiment_id
    assert len(client.search_runs([experiment])) == 1
    for trace in traces(place):
        names = [a.name for a in trace.info.assessments if a.feedback and a.valid]
        assert len(names) == len(set(names)) > 0
    assert sum(len(t.info.assessments) for t in traces(place)) == sum(
        len(t.info.assessments) for t in logged
    )


def test_termination_in_setup_ends_it(
    skills: Callable[..., Path], place: Path, temporary: Path
) -> None:
    process = start(skills([CASES[1]], agent={"setup": "sleep 200"}), place)
    wait_for(lambda: list(temporary.glob("skilltrace-agent-*/commands.txt")))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 130
    assert not alive(f"{temporary}/skilltrace-agent-")
    nothing_left(temporary)


def test_where_attempts_cannot_be_kept_none_is_paid_for(
    skills: Callable[..., Path], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = InTheWay()
    options = RunOptions(
        attempts=3,
        results=place / "results",
        experiment="traces",
        tracking_uri=f"sqlite:///{place / 'mlflow.db'}",
        skills_dir=skills([CASES[1]]),
    )
    with pytest.raises(EvaluationError, match=r"could not be kept: .*; what was done is in"):
        run_skill("naming", options, agent=agent)
    assert agent.ran == 1


class InTheWay:
    """An agent after which nothing can be written to the attempt's folder."""

    name = "in the way"

    def __init__(self) -> None:
        self.ran = 0

    def run(self, task: Task) -> Run:
        self.ran += 1
        task.record.rename(task.record.with_name("gone"))
        task.record.write_text("in the way")
        return Run(end="model_error", reason="whatever")


def test_resume_says_what_does_not_fit(
    claude: str,
    server: Serve,
    skills: Callable[..., Path],
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server([RETURNS])
    folder = skills([CASES[1]])
    assert cli(arguments(folder, place)) == 0
    (run,) = runs_of(place)
    resume = f"--resume={run.name}"
    assert cli(arguments(folder, place, resume, "--attempts=3")) == 2
    assert "--attempts" in capsys.readouterr().err
    (folder / "naming" / "SKILL.md").write_text("---\nname: naming\n---\nOther.\n")
    assert cli(arguments(folder, place, resume)) == 2
    assert "have changed since" in capsys.readouterr().err
    assert cli(arguments(folder, place, "--resume=0123456789ab")) == 2
    assert cli(arguments(folder, place, "--resume=../x")) == 2


def test_replay_needs_no_binary(
    skills: Callable[..., Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    example = Path(__file__).parents[2] / "examples" / "skills"
    options = [
        "run",
        "bronze-ingestion",
        "--agent=replay",
        f"--skills-dir={example}",
        f"--tracking-uri=sqlite:///{place / 'mlflow.db'}",
        "--experiment=traces",
        f"--output={place / 'results.jsonl'}",
    ]
    assert cli(options) == 1  # one of the recorded sessions went wrong on purpose
    assert [r["verdict"] for r in lines(place)] == ["pass", "pass", "pass", "fail"]
    assert len(traces(place)) >= 4
