"""What networks, servers, disks and people do to an evaluation, against a real MLflow server.

Every test asserts three things: the verdicts that stand under this run's id, the exit code, and how
long it took. Nothing is lost, or the loss is named.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from mlflow.tracking import MlflowClient

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.cli._app import run
from skilltrace_mlflow.errors import EvaluationError, InputError
from skilltrace_mlflow.evaluate import Interrupted, evaluate_skill, unfinished
from skilltrace_mlflow.evaluate._deadline import Deadline
from skilltrace_mlflow.evaluate._store import STORE_ERRORS, RunStore
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.sources.mlflow.names import COPY_TAG
from skilltrace_mlflow.sources.mlflow.trace import is_claude_code_trace, session_from_trace
from tests.driver.faulty_proxy import Fault, FaultyProxy, Rule, every, share
from tests.driver.stores import Server, copy_store, free_port, use_store, verdicts, write_skill
from tests.driver.traces import log_turn

TRACES = 4
MANIFEST = {"trace_expectations": {"tool_limits": {"Bash": 1}, "required_tools": ["Read"]}}
EXPECTED = sorted(
    (f"case-{n}", "1", check, value)
    for n in range(TRACES)
    for check, value in (
        ("required_tools", "yes"),
        ("tool_count", "no" if n == TRACES - 1 else "yes"),
    )
)


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[FaultyProxy]:
    with FaultyProxy(server.url).running() as proxy:
        yield proxy


@pytest.fixture
def new_proxy(server: Server) -> Iterator[FaultyProxy]:
    """For what MLflow remembers of an address as long as the process lives."""
    with FaultyProxy(server.url).running() as proxy:
        yield proxy


@pytest.fixture
def skill(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A skill whose cases have their traces on the server, in an experiment of their own."""
    with use_store(server.url, request.node.name[:60]):
        yield _skill(tmp_path)


def _skill(folder: Path) -> Path:
    tools = [["Read", "Bash"]] * (TRACES - 1) + [["Read", "Bash", "Bash"]]
    ids = [log_turn(f"do {n}", calls) for n, calls in enumerate(tools)]
    cases = [
        {"id": f"case-{n}", "inputs": {"prompt": f"do {n}"}, "metadata": {"trace_id": trace_id}}
        for n, trace_id in enumerate(ids)
    ]
    return write_skill(folder / "demo", manifest=MANIFEST, cases=cases)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert took < seconds, f"took {took:.1f} s"


def assert_complete(evaluation: Evaluation, server: Server) -> None:
    """Exactly the expected verdicts under this run's id, once each, and a run that says so."""
    with use_store(server.url, "Default"):
        assert verdicts(evaluation) == EXPECTED
        run = mlflow.get_run(str(evaluation.run_id))
        traces = held(evaluation)
        assert len(traces) == TRACES
        assert all(expectations(trace) == ["trace_expectations"] for trace in traces)
    assert evaluation.incomplete == ()
    assert evaluation.exit_code == 1  # one case fails on purpose
    assert run.info.status == "FINISHED"
    assert run.data.tags["skilltrace.status"] == "complete"
    assert run.data.metrics["tool_count/mean"] == pytest.approx(1 - 1 / TRACES)


def expectations(trace: mlflow.entities.Trace) -> list[str]:
    """Names of the expectations on a trace."""
    return [stored.name for stored in trace.info.assessments if stored.expectation is not None]


def held(evaluation: Evaluation) -> list[mlflow.entities.Trace]:
    """All traces of an evaluation's experiment."""
    place = str(evaluation.experiment_id)
    return list(MlflowClient().search_traces(locations=[place], max_results=100))


ASSESSMENTS = "/assessments"
LINKS = "/traces/link-to-run"


@pytest.mark.parametrize(
    ("rule", "seconds"),
    [
        pytest.param(lambda: share(0.1, Fault(status=500)), 60, id="a tenth is HTTP 500"),
        pytest.param(
            lambda: every(8, Fault(status=429, retry_after=1)), 60, id="429 with Retry-After"
        ),
        pytest.param(lambda: share(0.1, Fault(reset=True)), 60, id="connections reset"),
        pytest.param(
            lambda: every(3, Fault(reset=True, after=True), path=ASSESSMENTS, method="POST"),
            60,
            id="written, but the answer lost",
        ),
        pytest.param(lambda: every(12, Fault(stall=5), most=3), 60, id="5 s stalls"),
    ],
)
def test_a_shaky_network_loses_and_doubles_nothing(
    rule: Callable[[], Rule], seconds: float, proxy: FaultyProxy, server: Server, skill: Path
) -> None:
    with proxy.doing(rule()), within(seconds):
        evaluation = evaluate_skill(
            skill, include_traces=True, tracking_uri=proxy.url, timeout=seconds
        )
        assert sum(proxy.faults.values()) > 0
    assert_complete(evaluation, server)


def test_assessments_that_mlflow_gave_up_on_are_logged_again(
    proxy: FaultyProxy, server: Server, skill: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without retries of its own MLflow turns each failure into a warning and drops the rest of
    that trace's assessments.
    """
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    rule = every(2, Fault(status=500), path=ASSESSMENTS, method="POST", most=6)
    with proxy.doing(rule), within(60):
        evaluation = evaluate_skill(skill, include_traces=True, tracking_uri=proxy.url, timeout=60)
    assert_complete(evaluation, server)


def test_copies_that_mlflow_makes_of_unlinked_traces_do_not_stay(
    new_proxy: FaultyProxy, server: Server, skill: Path
) -> None:
    """MLflow copies a trace into its own experiment if it could not link it, and judges the copy:
    counted as one more trace of the skill, without the calls, it would pass any ban.
    """
    with new_proxy.doing(every(1, Fault(status=400), path=LINKS, most=TRACES)), within(60):
        evaluation = evaluate_skill(
            skill, include_traces=True, tracking_uri=new_proxy.url, timeout=60
        )
        assert sum(new_proxy.faults.values()) == TRACES
    assert_complete(evaluation, server)
    with use_store(server.url, "Default"):
        place = [str(evaluation.experiment_id)]
        of_run = MlflowClient().search_traces(locations=place, run_id=evaluation.run_id)
        assert len(of_run) == TRACES
        assert not any(COPY_TAG in trace.info.tags for trace in of_run)


def test_a_copy_that_must_stay_is_no_evidence(
    new_proxy: FaultyProxy,
    server: Server,
    skill: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with new_proxy.doing(every(1, Fault(status=400), path=LINKS)), within(60):
        evaluation = evaluate_skill(
            skill, include_traces=True, tracking_uri=new_proxy.url, timeout=60
        )
    assert evaluation.exit_code == 1
    with use_store(server.url, "Default"):
        assert verdicts(evaluation) == EXPECTED
        originals = {result.trace_id for result in evaluation.results}
        copies = [trace for trace in held(evaluation) if trace.info.trace_id not in originals]
        assert len(copies) == TRACES
        assert {trace.info.tags[COPY_TAG] for trace in copies} == originals
        one = copies[0]
        assert not is_claude_code_trace(one)
        with pytest.raises(InputError, match=f"copy of {one.info.tags[COPY_TAG]}"):
            session_from_trace(one)
        assert is_claude_code_trace(mlflow.get_trace(one.info.tags[COPY_TAG]))

    place = mlflow.get_experiment(str(evaluation.experiment_id)).name
    listed = ["list-traces", "--experiment", place, "--tracking-uri", server.url]
    assert run([*listed, "--format", "json"]) == 0
    assert {row["id"] for row in json.loads(capsys.readouterr().out)} == originals

    # By the prompt, the original is found again; named, the copy is refused.
    cases = [{**case, "metadata": {}} for case in _cases(skill)]
    cases.append({"id": "named", "metadata": {"trace_id": one.info.trace_id}})
    again = write_skill(tmp_path / "again" / "demo", manifest=MANIFEST, cases=cases)
    found = evaluate_skill(again, include_traces=True, tracking_uri=server.url, experiment=place)
    assert {result.trace_id for result in found.results[:-1]} == originals
    assert "MLflow's copy of" in " ".join(found.results[-1].notes)
    assert found.results[-1].verdict is Verdict.UNKNOWN


def test_a_server_that_refuses_everything_is_waited_for_once(
    proxy: FaultyProxy, skill: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --timeout every request of an evaluation would have half a minute of its own."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    trace_id = _cases(skill)[0]["metadata"]["trace_id"]
    with use_store(proxy.url, "Default"):
        store = RunStore("0" * 32, _experiment(skill), Deadline(None))

        def requests() -> int:
            proxy.requests.clear()
            with contextlib.suppress(*STORE_ERRORS):
                store.trace(trace_id)
            return sum(proxy.requests.values())

        whole = requests()
        with proxy.doing(lambda method, path: Fault(status=500)):
            first, second, third = requests(), requests(), requests()
        after = requests()
        with proxy.doing(lambda method, path: Fault(status=500)):
            again = requests()
    assert (first, second, third) == (4, 1, 1)
    assert after == whole
    assert again == 4


def test_a_run_survives_the_server_being_killed_and_restarted(
    proxy: FaultyProxy, server: Server, skill: Path
) -> None:
    seen = []

    def kill_once(method: str, path: str) -> None:
        if method == "POST" and ASSESSMENTS in path:
            seen.append(path)
            if len(seen) == 4:
                server.kill()
                threading.Timer(1.0, server.start, kwargs={"wait": False}).start()

    with proxy.doing(kill_once), within(110):
        evaluation = evaluate_skill(skill, include_traces=True, tracking_uri=proxy.url, timeout=110)
    server.wait()
    assert_complete(evaluation, server)


def test_a_server_that_goes_for_good_is_loud_in_time_and_the_run_can_be_finished(
    proxy: FaultyProxy, server: Server, skill: Path
) -> None:
    count = []

    def gone(method: str, path: str) -> Fault | None:
        if method == "POST" and ASSESSMENTS in path:
            count.append(path)
        return Fault(status=503) if len(count) > 3 else None

    # A process of its own, as in CI: what MLflow still tries when time is up ends with it.
    options = ("--include-traces", "--tracking-uri", proxy.url, "--timeout", "10")
    with proxy.doing(gone), within(45):  # starting Python and MLflow included
        process = command(skill, *options, "--format", "json", cwd=skill.parent)
        out, err = process.communicate(timeout=60)
    assert process.returncode in (1, 3), err
    evaluation = json.loads(out)
    assert evaluation["run_id"] in evaluation["incomplete"][-1]
    assert len(evaluation["results"]) == TRACES
    finished = evaluate_skill(skill, resume=evaluation["run_id"], tracking_uri=server.url)
    assert_complete(finished, server)


def test_a_server_that_never_gives_a_trace_does_not_keep_the_command(
    proxy: FaultyProxy, skill: Path
) -> None:
    """Nothing is logged yet, so there is no run to name; but Python would wait for the requests."""

    def stalls(method: str, path: str) -> Fault | None:
        if "batch" in path:
            return Fault(status=400)  # an older server: then each trace is asked for on its own
        return Fault(stall=60) if "/traces/" in path else None

    options = ("--include-traces", "--tracking-uri", proxy.url, "--timeout", "3")
    with proxy.doing(stalls), within(25):  # starting Python and MLflow included
        process = command(skill, *options, cwd=skill.parent)
        out, err = process.communicate(timeout=80)
    assert process.returncode == 3, err
    assert out == ""
    assert "--timeout 3: the time was up" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "fault", [Fault(status=503), Fault(stall=8)], ids=["refused", "never answered"]
)
def test_in_a_notebook_nothing_writes_on_after_the_time_is_up(
    fault: Fault, proxy: FaultyProxy, server: Server, skill: Path
) -> None:
    """The process lives on, and so would MLflow's threads: they would write when the server is
    back, beside the run that finishes theirs.
    """
    count = []

    def gone(method: str, path: str) -> Fault | None:
        if method == "POST" and ASSESSMENTS in path:
            count.append(path)
        return fault if len(count) > 3 else None

    with proxy.doing(gone), within(20):
        evaluation = evaluate_skill(skill, include_traces=True, tracking_uri=proxy.url, timeout=5)
    assert evaluation.exit_code in (1, 3)
    assert str(evaluation.run_id) in evaluation.incomplete[-1]
    with within(60):  # the server is back while requests of the first one may still be under way
        finished = evaluate_skill(skill, resume=evaluation.run_id, tracking_uri=proxy.url)
    assert not unfinished()
    time.sleep(3)
    assert_complete(finished, server)


@pytest.fixture
def _ctrl_c_is_heard() -> Iterator[None]:
    """A test runner in the background ignores it, and so would everything it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_is_heard")
def test_ctrl_c_in_a_notebook_ends_everything_that_writes(
    proxy: FaultyProxy, server: Server, skill: Path
) -> None:
    count = []

    def interrupt(method: str, path: str) -> Fault | None:
        if method == "POST" and ASSESSMENTS in path:
            count.append(path)
            if len(count) == 4:
                _thread.interrupt_main()
        return Fault(stall=2) if len(count) > 3 else None

    with proxy.doing(interrupt), within(20), pytest.raises(Interrupted) as raised:
        evaluate_skill(skill, include_traces=True, tracking_uri=proxy.url)
    run_id = str(raised.value.run_id)
    assert mlflow.get_run(run_id).data.tags["skilltrace.status"] == "interrupted"
    finished = evaluate_skill(skill, resume=run_id, tracking_uri=proxy.url)
    assert not unfinished()
    assert_complete(finished, server)


def test_a_dead_server_is_noticed_by_the_probe(tmp_path: Path) -> None:
    skill = write_skill(tmp_path / "demo", manifest=MANIFEST, cases=[{"id": "a"}])
    with within(10), pytest.raises(EvaluationError, match="does not answer"):
        evaluate_skill(skill, include_traces=True, tracking_uri=f"http://127.0.0.1:{free_port()}")


def command(
    *arguments: Any, limit: int | None = None, cwd: Path, name: str = "mlflow-eval"
) -> subprocess.Popen[str]:
    def restrict() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test runner in the background ignores it
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-m", "skilltrace_mlflow", name, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=restrict,
    )


def test_signals_leave_a_run_that_can_be_finished(server: Server, skill: Path) -> None:
    """Ctrl-C and SIGTERM, in the middle of logging, on two evaluations at once."""
    started = {signal.SIGINT: threading.Event(), signal.SIGTERM: threading.Event()}

    def stalls(event: threading.Event) -> Rule:
        count = []

        def rule(method: str, path: str) -> Fault | None:
            if method == "POST" and ASSESSMENTS in path:
                count.append(path)
                if len(count) > 3:
                    event.set()
                    return Fault(stall=40)
            return None

        return rule

    with contextlib.ExitStack() as stack:
        running = []
        for number, event in started.items():
            proxy = stack.enter_context(FaultyProxy(server.url).running())
            stack.enter_context(proxy.doing(stalls(event)))
            process = command(
                skill, "--include-traces", "--tracking-uri", proxy.url, cwd=skill.parent
            )
            running.append((number, event, process))
        for number, event, process in running:
            assert event.wait(60)
            process.send_signal(number)
            with within(15):
                out, err = process.communicate(timeout=80)
            assert process.returncode == 130, err
            assert out == ""
            run_id = err.split("--resume ")[1].split()[0]
            run = mlflow.get_run(run_id)
            assert run.info.status == "KILLED"
            assert run.data.tags["skilltrace.status"] == "interrupted"
    finished = evaluate_skill(skill, resume=run_id, tracking_uri=server.url)
    assert_complete(finished, server)


def test_a_store_that_refuses_a_request_is_named(
    server: Server, proxy: FaultyProxy, skill: Path
) -> None:
    """Its exception was nobody's, and ended the command like a failed expectation does."""
    first = evaluate_skill(skill, include_traces=True, tracking_uri=server.url)

    def refuses(method: str, path: str) -> Fault | None:
        return Fault(status=400) if "traces/search" in path else None

    with within(30), proxy.doing(refuses):
        again = evaluate_skill(skill, resume=first.run_id, tracking_uri=proxy.url)
    assert "the store did not do its part" in again.incomplete[0]
    assert again.exit_code == 1  # one case fails on purpose
    assert mlflow.get_run(str(first.run_id)).data.tags["skilltrace.status"] == "incomplete"
    assert_complete(evaluate_skill(skill, resume=first.run_id, tracking_uri=server.url), server)


def test_ctrl_c_while_verdicts_are_logged_afterwards(
    server: Server, proxy: FaultyProxy, skill: Path
) -> None:
    stalled = threading.Event()

    def stalls(method: str, path: str) -> Fault | None:
        if method == "POST" and ASSESSMENTS in path:
            stalled.set()
            return Fault(stall=40)
        return None

    case = yaml.safe_load((skill / "ground_truth.yaml").read_text("utf-8"))["test_cases"][0]
    asked = ["--trace-id", case["metadata"]["trace_id"], "--log", "--tracking-uri", proxy.url]
    with proxy.doing(stalls):
        process = command(skill, *asked, cwd=skill.parent, name="trace-eval")
        assert stalled.wait(60)
        process.send_signal(signal.SIGINT)
        with within(15):
            out, err = process.communicate(timeout=80)
    assert (process.returncode, out) == (130, "")
    run_id = err.split("; run ")[1].split()[0]
    assert mlflow.get_run(run_id).data.tags["skilltrace.status"] == "interrupted"


def test_a_full_disk_leaves_no_half_written_file(server: Server, skill: Path) -> None:
    """Files may grow to 2,000 bytes, which neither the run's results nor --output fit in."""
    output = skill.parent / "results.jsonl"
    process = command(
        *(skill, "--include-traces", "--tracking-uri", server.url, "--output", output),
        limit=2000,
        cwd=skill.parent,
    )
    with within(60):
        out, err = process.communicate(timeout=80)
    assert process.returncode == 2
    assert "results.jsonl" in err
    assert "Traceback" not in err
    assert out == ""
    assert not list(skill.parent.glob("*results*"))
    runs = MlflowClient().search_runs([_experiment(skill)], order_by=["start_time DESC"])
    assert runs[0].data.tags["skilltrace.status"] == "incomplete"
    assert runs[0].info.status == "FAILED"
    ids = [a["metadata"]["trace_id"] for a in _cases(skill)]
    assert verdicts(runs[0].info.run_id, ids) == EXPECTED


def test_two_evaluations_at_once_on_one_file(template: Path, tmp_path: Path) -> None:
    uri = copy_store(template, tmp_path)
    with use_store(uri, "traces", tmp_path / "artifacts"):
        skill = _skill(tmp_path)
        both = [
            command(skill, "--include-traces", "--tracking-uri", uri, "--format", "json", cwd=cwd)
            for cwd in (tmp_path, tmp_path)
        ]
        with within(90):
            done = [process.communicate(timeout=90) for process in both]
        runs = set()
        for process, (out, err) in zip(both, done, strict=True):
            assert process.returncode == 1, err
            document = json.loads(out)
            runs.add(document["run_id"])
            assert "incomplete" not in document
            ids = [result["trace_id"] for result in document["results"]]
            assert verdicts(document["run_id"], ids) == EXPECTED
        assert len(runs) == 2


def _cases(skill: Path) -> list[dict[str, Any]]:
    import yaml

    cases: list[dict[str, Any]] = yaml.safe_load((skill / "ground_truth.yaml").read_text())[
        "test_cases"
    ]
    return cases


def _experiment(skill: Path) -> str:
    trace = MlflowClient().get_trace(_cases(skill)[0]["metadata"]["trace_id"])
    return str(trace.info.trace_location.mlflow_experiment.experiment_id)
