"""What every test leaves as it found it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _tracking_uri() -> Iterator[None]:
    """MLflow keeps the tracking URI for the whole process, beside the environment variable: a test
    that sets one would answer for the tests after it. MLflow itself is not imported for this.
    """
    yield
    service = sys.modules.get("mlflow.tracking._tracking_service.utils")
    if service is not None and service.is_tracking_uri_set():
        service.set_tracking_uri(None)
