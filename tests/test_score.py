"""`trace_eval`: many files, several processes, bad ones among them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skilltrace_mlflow import Session, evaluate_skill, get_trace_from_mlflow, trace_eval
from skilltrace_mlflow.errors import ConfigurationError, InputError, TraceNotFoundError
from tests.builders import make_call, make_session

ROOT = Path(__file__).resolve().parents[1]
SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"
TRACES = SKILL / "traces"

SCRIPT = """
import sys, skilltrace_mlflow.score as score
from skilltrace_mlflow import trace_eval
score._FORK_FROM_BYTES = 0
evaluation = trace_eval(sys.argv[1], trace_dir=sys.argv[2], workers=2, keep_sessions=False)
for r in evaluation.results:
    print(r.test_id, r.verdict, r.bad_input, r.trace_summary.event_count if r.trace_summary else 0)
print(evaluation.exit_code)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(5):
        shutil.copy(TRACES / "demo-good.jsonl", tmp_path / f"good-{index}.jsonl")
    shutil.copy(TRACES / "demo-failing.jsonl", tmp_path / "failing.jsonl")
    (tmp_path / "bad.jsonl").write_text("no transcript\n", encoding="utf-8")
    return tmp_path


def test_two_processes_give_what_one_gives(folder: Path) -> None:
    serial = trace_eval(SKILL, trace_dir=folder, keep_sessions=False)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(SKILL), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    *lines, code = done.stdout.splitlines()
    assert lines == [
        f"{r.test_id} {r.verdict} {r.bad_input} "
        f"{r.trace_summary.event_count if r.trace_summary else 0}"
        for r in serial.results
    ]
    assert int(code) == serial.exit_code == 2
    assert {r.test_id: str(r.verdict) for r in serial.results}["failing"] == "fail"


def test_progress_is_told_for_every_file(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    trace_eval(SKILL, trace_dir=folder, progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 7) for n in range(1, 8)]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(TRACES / "demo-good.jsonl", tmp_path / name / "s.jsonl")
    evaluation = trace_eval(SKILL, trace_dir=tmp_path)
    assert [r.test_id for r in evaluation.results] == [
        str(tmp_path / "a" / "s.jsonl"),
        str(tmp_path / "b" / "s.jsonl"),
    ]


def test_a_lone_bad_file_is_an_error(folder: Path) -> None:
    with pytest.raises(InputError, match=r"bad\.jsonl"):
        trace_eval(SKILL, folder / "bad.jsonl")


def test_an_empty_folder_is_no_pass(tmp_path: Path) -> None:
    assert trace_eval(SKILL, trace_dir=tmp_path).exit_code == 3


def test_sessions_are_judged_as_they_are() -> None:
    session: Session = make_session([make_call("Bash", {"command": "rm -rf x"})])
    evaluation = trace_eval(SKILL, session)
    outcomes = {o.check: str(o.verdict) for o in evaluation.results[0].judged}
    assert outcomes["banned_tools"] == "fail"
    assert evaluation.exit_code == 1


def test_traces_of_one_test_case_are_its_attempts() -> None:
    files = [TRACES / "demo-good.jsonl", TRACES / "demo-failing.jsonl"]
    evaluation = trace_eval(SKILL, files, test_id="orders_create")
    assert [(r.test_id, r.attempt, str(r.verdict)) for r in evaluation.results] == [
        ("orders_create", 1, "pass"),
        ("orders_create", 2, "fail"),
    ]


def test_metrics_by_run_trace_and_session_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    evaluation = evaluate_skill(
        SKILL,
        include_traces=True,
        test_ids=["orders_create"],
        experiment="metrics",
        tracking_uri=uri,
    )
    (result,) = evaluation.results
    assert result.trace_id is not None
    assert result.session is not None
    assert result.session.session_id is not None
    expected = result.session.usage
    for reference in (result.trace_id, evaluation.run_id, result.session.session_id, "latest"):
        assert reference is not None
        found = get_trace_from_mlflow(reference, experiment="metrics", tracking_uri=uri)
        assert found.usage == expected, reference
    for unknown in ("tr-" + "0" * 32, "0" * 32, "no-such-session"):
        with pytest.raises(TraceNotFoundError, match=unknown):
            get_trace_from_mlflow(unknown, experiment="metrics", tracking_uri=uri)
    with pytest.raises(ConfigurationError, match="metrix"):
        get_trace_from_mlflow("latest", experiment="metrix", tracking_uri=uri)
