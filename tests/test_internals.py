"""What MLflow does not promise, tried on the installed version; and that one file alone uses it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import mlflow
import pytest
from mlflow.genai.evaluation import harness
from mlflow.genai.scorers import Safety, scorer

import skilltrace_mlflow
from skilltrace_mlflow import _internals

ROOT = Path(skilltrace_mlflow.__file__).parent
TRIED = ("3.17.2",)
"""The MLflow versions that this file was run with."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    before = mlflow.get_tracking_uri()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    try:
        yield uri
    finally:
        mlflow.set_tracking_uri(before)


def test_the_installed_version_is_one_that_was_tried() -> None:
    """A new release is tried, then added: run this file with it and look at the threads' names."""
    assert version("mlflow") in TRIED


def test_the_function_behind_a_scorer() -> None:
    def mine(outputs: object) -> bool:
        return True

    assert _internals.function_of(scorer(mine)) is mine
    assert _internals.function_of(Safety()) is None


def test_a_run_that_is_forgotten_is_not_active_and_not_ended(store: str) -> None:
    run = mlflow.start_run()
    _internals.forget_active_run(run)
    assert mlflow.active_run() is None
    assert mlflow.MlflowClient().get_run(run.info.run_id).info.status == "RUNNING"
    _internals.forget_active_run(run)  # twice is no harm


def test_the_active_experiment_is_what_it_was(store: str) -> None:
    one = mlflow.set_experiment("one").experiment_id
    with _internals.active_experiment_kept():
        mlflow.set_experiment("other")
    with mlflow.start_run() as run:
        assert run.info.experiment_id == one


def test_a_uri_that_was_set_is_told_from_one_that_was_not(store: str) -> None:
    assert _internals.set_uri() == store
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    assert _internals.set_uri() is None


@pytest.mark.parametrize("shown", [True, False])
def test_the_bar_of_an_evaluation(shown: bool) -> None:
    before = harness.tqdm
    with _internals.evaluation_bar(shown=shown):
        assert harness.tqdm is (before if shown else None)
    assert harness.tqdm is before


def test_tags_of_a_run() -> None:
    tags = _internals.run_tags({"a": "b"})
    assert tags["a"] == "b"
    assert tags["mlflow.source.type"]


def test_several_traces_at_once(store: str) -> None:
    mlflow.set_experiment("traces")
    with mlflow.start_span("x") as span:
        pass
    mlflow.flush_trace_async_logging()
    (trace,) = _internals.tracing_client().batch_get_traces([span.trace_id])
    assert [s.name for s in trace.data.spans] == ["x"]
    assert _internals.tracing_client(store).tracking_uri == store


EVALUATION = """
import threading, mlflow
from mlflow.genai.scorers import scorer

seen = []

def judged(outputs):
    seen.append(threading.current_thread().name)
    return True

mlflow.set_tracking_uri("sqlite:///mlflow.db")
experiment = mlflow.set_experiment("evaluated").experiment_id
run = mlflow.genai.evaluate(
    data=[{"inputs": {"q": "x"}, "outputs": "y"}],
    scorers=[scorer(judged, name="judged", timeout=0)],
).run_id
(trace,) = mlflow.search_traces(locations=[experiment], return_type="list")
(made,) = [item for item in trace.info.assessments if item.name == "judged"]
print("told:", run, seen[0], *made.metadata.items())
"""


def test_assessments_name_their_run_and_threads_their_pool(tmp_path: Path) -> None:
    """What one evaluation leaves: the run's id under our key, threads named as we know them."""
    done = subprocess.run(
        [sys.executable, "-c", EVALUATION],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=240,
        check=True,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("told: ")]
    _, run, thread, *metadata = line.split(" ", 3)
    assert f"('{_internals.SOURCE_RUN}', '{run}')" in metadata[0]
    assert thread.startswith(_internals.EVALUATION_THREADS)


def _strangers(tree: ast.Module) -> Iterator[str]:
    """What a module takes from MLflow that MLflow does not show: private modules and names, and
    public-looking ones that are no part of its documented interface.
    """
    undocumented = ("mlflow.tracing.client", "mlflow.tracking.fluent", "mlflow.tracking.context")
    undocumented += ("mlflow.genai.evaluation", "mlflow.tracing.constant", "mlflow.utils")
    private = {"_original_func", "_active_run_stack", "_active_experiment_id", "_tracking_uri"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mlflow":
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                if name.startswith(undocumented) or any(
                    part.startswith("_") for part in name.split(".")
                ):
                    yield name
        elif isinstance(node, ast.Attribute) and node.attr in private:
            yield node.attr
        elif isinstance(node, ast.Constant) and node.value in private:
            yield str(node.value)


def _type_checking_left_out(tree: ast.Module) -> ast.Module:
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING")
    ]
    return tree


def test_no_other_module_reaches_past_the_public_names() -> None:
    found = {
        str(path.relative_to(ROOT)): names
        for path in sorted(ROOT.rglob("*.py"))
        if (
            names := sorted(
                set(_strangers(_type_checking_left_out(ast.parse(path.read_text("utf-8")))))
            )
        )
    }
    assert found.keys() == {"_internals.py"}, found
