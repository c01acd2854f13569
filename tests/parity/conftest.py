"""A real MLflow store and a real server for the parity tests."""

from __future__ import annotations

from tests.driver.conftest import (  # noqa: F401 - fixtures are found by their names
    _traces_are_logged_at_once,
    server,
    template,
)
