"""What every test leaves as it found it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Files that take half a minute and more, the longest first: begun last, one would keep one process
# busy after the others are done.
LONG = (
    "driver/test_faults.py",
    "databricks/test_monitoring.py",
    "agent/test_run.py",
    "test_internals.py",
    "cli/test_unexpected.py",
    "agent/test_loop.py",
    "docs/test_blocks.py",
    "bundle/test_notebook.py",
    "databricks/test_job.py",
    "driver/test_recordings.py",
    "driver/test_finding.py",
    "acceptance/test_first_walk.py",
    "cli/test_terminal.py",
    "driver/test_datasets.py",
    "release/test_automation.py",
    "test_score.py",
    "docs/test_site.py",
    "agent/test_arms_and_triggers.py",
    "driver/test_evaluate.py",
    "test_add_one.py",
    "driver/test_mlflow_ui.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files of `LONG` in front, everything else in its own order."""
    place = {TESTS / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_sessionfinish() -> None:
    """Save what coverage measured: a worker is killed soon after, while it may still be writing."""
    coverage = sys.modules.get("coverage")
    measuring = coverage and coverage.Coverage.current()
    if measuring:
        measuring.stop()
        measuring.save()


@pytest.fixture(autouse=True)
def _tracking_uri() -> Iterator[None]:
    """MLflow keeps the tracking URI for the whole process, beside the environment variable: a test
    that sets one would answer for the tests after it. MLflow itself is not imported for this.
    """
    yield
    service = sys.modules.get("mlflow.tracking._tracking_service.utils")
    if service is not None and service.is_tracking_uri_set():
        service.set_tracking_uri(None)
